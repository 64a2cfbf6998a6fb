"""docs/roles.md is what hub/core/roles.py says."""

from __future__ import annotations

from hub.core.roles import MEANINGS, READING, ROLE_MEANINGS, Permission, Role, permissions_of
from tests.house.roles import PAGE, page


def test_the_page_does_not_lag() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python tests/house/roles.py"


def test_every_role_and_permission_is_said() -> None:
    assert set(MEANINGS) == set(Permission)
    assert set(ROLE_MEANINGS) == set(Role)
    for permission in Permission:
        assert f"| `{permission.value}` |" in page()


def test_only_owners_manage_users_and_auditors_change_nothing() -> None:
    assert [role for role in Role if Permission.USERS_WRITE in permissions_of((role.value,))] == [Role.OWNER]
    assert permissions_of((Role.AUDITOR.value,)) <= READING
    assert permissions_of(("nobody", "")) == frozenset()
