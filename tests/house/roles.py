"""Writes docs/roles.md from hub/core/roles.py: `python tests/house/roles.py`. A test says when the page lags."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "roles.md"

HEAD = """# Roles

Who may do what. This page is made from `hub/core/roles.py` with `python tests/house/roles.py`; do not edit it by hand.

Everybody who is signed in may see the overview and their own account. A user may have several roles and may then do what any of
them may. An API token holds some of its user's permissions, never more. Nobody publishes alone: what one hands in another
approves, owners too.
"""


def page() -> str:
    """The whole page, as it should be in the file."""
    from hub.core.roles import MEANINGS, ROLE_MEANINGS, Permission, Role, permissions_of

    roles = list(Role)
    lines = [HEAD, "## The roles", "", "| role | what it is for |", "| --- | --- |"]
    lines += [f"| `{role.value}` | {ROLE_MEANINGS[role]} |" for role in roles]
    lines += ["", "## The permissions of each role", ""]
    lines += [f"| permission | {' | '.join(f'`{role.value}`' for role in roles)} |", f"| --- |{' :---: |' * len(roles)}"]
    for permission in Permission:
        held = " | ".join("yes" if permission in permissions_of((role.value,)) else "–" for role in roles)
        lines.append(f"| `{permission.value}` | {held} |")
    lines += ["", "## What each permission means", "", "| permission | meaning |", "| --- | --- |"]
    lines += [f"| `{permission.value}` | {MEANINGS[permission]} |" for permission in Permission]
    return "\n".join(lines) + "\n"


def main() -> None:
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
