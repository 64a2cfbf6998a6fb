"""Errors, sorted by what happens next.

HubError                     a message for a person; details already redacted
├─ Refused                   the caller can mend it                             → 4xx, shown at the field
│  ├─ Invalid(fields)        some fields are wrong, each with its cure
│  ├─ NotFound               what was named does not exist
│  ├─ Conflict               it exists already, or changed meanwhile
│  └─ Forbidden              not yours to do
├─ PlatformError             the other side said no
│  ├─ Unavailable(after)     try again later                                    → retry with back-off
│  │  └─ RateLimited         the API budget, ours or theirs, is used up
│  ├─ ReauthorizeNeeded      the credentials are dead                           → pause the connection, alert an admin
│  ├─ RecordRejected         this record will never pass                        → quarantine it, go on
│  └─ ContractBroken         an answer that we do not understand                → stop the stream, keep a sample, alert
└─ SetupError                the deployment is wrong                            → fail at start, name the setting

`str(error)` is «message: subject: cause». Messages are English source texts for `hub.core.texts`; their values
stand in `params`, so that a door can say the same sentence in the reader's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hub.core.redact import keep_shape, redact, redact_value


class HubError(Exception):
    """What every error of the hub has: `code` (stable, for machines), `message` with `params`, `subject`, `details`.

    `cure` says what the reader can do about it; both texts may hold `{name}` places filled from `params`.
    """

    code: ClassVar[str] = "error"
    message: str = "Something went wrong"
    cure: str = ""

    def __init__(
        self,
        message: str | None = None,
        *,
        subject: str = "",
        cause: str = "",
        cure: str | None = None,
        details: Mapping[str, Any] | None = None,
        **params: object,
    ) -> None:
        if message is not None:
            self.message = message
        if cure is not None:
            self.cure = cure
        self.params = {name: redact(str(value)) for name, value in params.items()}
        self.subject = redact(subject)
        self.cause = redact(cause)
        self.details: dict[str, Any] = redact_value(dict(details or {}))
        super().__init__(self.message)

    def __str__(self) -> str:
        parts = (fill(self.message, self.params), self.subject, self.cause, fill(self.cure, self.params))
        return ": ".join(part for part in parts if part)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))

    def as_json(self) -> dict[str, Any]:
        """The one shape in which errors are stored and sent; texts in English, `params` beside them."""
        return {
            "code": self.code,
            "message": self.message,
            "cure": self.cure,
            "params": self.params,
            "subject": self.subject,
            "cause": self.cause,
            "details": self.details,
        }


def _rebuild(kind: type[HubError], args: tuple[Any, ...], state: dict[str, Any]) -> HubError:
    error = kind.__new__(kind)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


def fill(text: str, params: Mapping[str, object]) -> str:
    """Put `params` into the `{name}` places of a text; a place without a value stays as it is."""
    for name, value in params.items():
        text = text.replace("{" + name + "}", str(value))
    return text


class Refused(HubError):
    """The caller can mend it."""

    code = "refused"
    message = "This cannot be done"


class Invalid(Refused):
    """Some input is wrong. `fields` maps each field's name to what is wrong with it and how to mend it."""

    code = "invalid"
    message = "Some of the input is wrong"

    def __init__(self, message: str | None = None, *, fields: Mapping[str, str] | None = None, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.fields = {name: redact(text) for name, text in (fields or {}).items()}

    def __str__(self) -> str:
        listed = "; ".join(f"{name}: {fill(text, self.params)}" for name, text in self.fields.items())
        return ": ".join(part for part in (super().__str__(), listed) if part)

    def as_json(self) -> dict[str, Any]:
        return {**super().as_json(), "fields": self.fields}


class NotFound(Refused):
    code = "not_found"
    message = "There is no such thing"


class Conflict(Refused):
    code = "conflict"
    message = "It exists already or was changed meanwhile"


class Forbidden(Refused):
    code = "forbidden"
    message = "This is not allowed"


class PlatformError(HubError):
    """The other side said no. `connection` is its name, `status` the HTTP status or 0, `request_id` the vendor's own."""

    code = "platform_error"
    message = "The platform refused"

    def __init__(
        self,
        message: str | None = None,
        *,
        connection: str = "",
        status: int = 0,
        vendor_code: str = "",
        request_id: str = "",
        **rest: Any,
    ) -> None:
        super().__init__(message, **rest)
        self.connection = connection
        self.status = status
        self.vendor_code = redact(vendor_code)
        self.request_id = redact(request_id)

    def as_json(self) -> dict[str, Any]:
        return {
            **super().as_json(),
            "connection": self.connection,
            "status": self.status,
            "vendor_code": self.vendor_code,
            "request_id": self.request_id,
        }


class Unavailable(PlatformError):
    """Try again in `after` seconds (None: the caller's own back-off decides)."""

    code = "unavailable"
    message = "The platform does not answer properly right now"
    cure = "The hub tries again by itself"

    def __init__(self, message: str | None = None, *, after: float | None = None, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.after = after


class RateLimited(Unavailable):
    """The API budget is used up: `local` when our own shared budget said so before a call was made."""

    code = "rate_limited"
    message = "The API budget of this connection is used up for now"

    def __init__(self, message: str | None = None, *, local: bool = False, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.local = local


class ReauthorizeNeeded(PlatformError):
    code = "reauthorize_needed"
    message = "The platform no longer accepts the credentials"
    cure = "Connect the account again"


class RecordRejected(PlatformError):
    """One record will never pass; `field` names the platform's field where it is known."""

    code = "record_rejected"
    message = "The platform refuses this record"

    def __init__(self, message: str | None = None, *, field: str = "", **rest: Any) -> None:
        super().__init__(message, **rest)
        self.field = field


class ContractBroken(PlatformError):
    """`sample` is the start of the answer, kept for the person who looks into it: of JSON its shape, of a page its text."""

    code = "contract_broken"
    message = "The platform gave an answer that the hub does not understand"

    def __init__(self, message: str | None = None, *, sample: str = "", **rest: Any) -> None:
        super().__init__(message, **rest)
        self.sample = redact(keep_shape(sample[:2000]))

    def as_json(self) -> dict[str, Any]:
        return {**super().as_json(), "sample": self.sample}


class SetupError(HubError):
    """The deployment is wrong; `subject` is the setting."""

    code = "setup_error"
    message = "The hub is not set up properly"
