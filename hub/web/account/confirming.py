"""Before something that opens the account is changed, the person at the keyboard shows that it is theirs."""

from __future__ import annotations

from hub.core.errors import Invalid
from hub.services import passwords
from hub.services.sign_ins import CodeTry
from hub.store import users
from hub.web.account.parts import attempts, context, origin, right_code, secret_typed

PASSWORD, CODE, NOTHING = "password", "code", ""
FIELD = "confirm"


def method(row: users.UserRow) -> str:
    """The password where there is one; else (single sign-on) the app's code."""
    return PASSWORD if row.password else CODE if row.tf_totp_secret else NOTHING


def check(row: users.UserRow) -> None:
    """`Invalid` at the field «confirm», or `TooManyTries`: a stolen open browser must not guess either."""
    by = method(row)
    if by == NOTHING:
        return
    attempt = CodeTry(context(), attempts(), row, "password" if by == PASSWORD else "totp", origin())
    given = secret_typed(FIELD)
    right = (
        passwords.verify_password(row.password, given) if by == PASSWORD else right_code(str(row.id), row.tf_totp_secret, given)
    )
    if not right:
        attempt.wrong()
        raise Invalid(
            fields={FIELD: "This is not your password" if by == PASSWORD else "This code is wrong, or it was used before"}
        )
    attempt.right()
