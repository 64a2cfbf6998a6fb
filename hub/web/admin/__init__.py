"""The console's pages. Each module of this folder that has `routes(add)` puts its own pages on; none is named here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response

from hub.core.roles import Permission
from hub.web.access import needs
from hub.web.pages import remember_language

PREFIX = "/admin"

admin = Blueprint("admin", __name__, url_prefix=PREFIX)

Add = Callable[..., None]
"""What a module's `routes` is given: see `add`."""


@admin.after_request
def _private(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return remember_language(answer)


def add(
    rule: str,
    view: Callable[..., Any],
    permission: Permission = Permission.CONSOLE_READ,
    methods: Sequence[str] = ("GET",),
) -> None:
    """One page below /admin: the endpoint is `admin.` and the view's name. GET brings HEAD; what is not named is 405.

    A view that says itself who may ask (`@needs`, `@signed_in`) keeps what it says.
    """
    guarded = view if hasattr(view, "hub_access") else needs(permission)(view)
    admin.add_url_rule(rule, view_func=guarded, methods=list(methods), provide_automatic_options=False)


def _gather() -> None:
    """Every module's pages, in the order of the modules' names."""
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        routes: Callable[[Add], None] | None = getattr(importlib.import_module(f"{__name__}.{name}"), "routes", None)
        if routes is not None:
            routes(add)


_gather()
