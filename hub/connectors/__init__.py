"""The platforms: each folder here is one, found by listing. Nothing else knows their names."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from hub.core.connector import Account, Connector, Declaration
from hub.core.errors import NotFound
from hub.transport import Http

FOLDER = Path(__file__).parent


class Platform(Protocol):
    """What a platform's folder offers in its `__init__`."""

    DECLARATION: Declaration

    def build(self, account: Account, http: Http) -> Connector:
        """The connector for one account; makes no call yet."""


@cache
def names() -> tuple[str, ...]:
    """The platforms there are, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.ispkg))


@cache
def load(name: str) -> Platform:
    """The platform's folder as a module."""
    if name not in names():
        known = ", ".join(names())
        raise NotFound("There is no platform «{name}»", cure="Use one of: {known}", name=name, known=known)
    return cast(Platform, importlib.import_module(f"hub.connectors.{name}"))


def folder(name: str) -> Path:
    """Where the platform's files are: mapping.toml, recordings."""
    load(name)
    return FOLDER / name


def raw_fields(name: str, stream: str) -> frozenset[str] | None:
    """The raw paths that a dictionary of the platform may name, None where its schema does not say."""
    load(name)
    known = getattr(importlib.import_module(f"hub.connectors.{name}.schema"), "RAW_FIELDS", {})
    found: frozenset[str] | None = known.get(stream)
    return found
