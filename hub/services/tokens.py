"""OAuth 2 tokens of a connection, kept in the vault."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime

from hub.core.http import Token
from hub.services.context import Context
from hub.store import vault
from hub.store.db import reading, transaction


class VaultTokens:
    """A `TokenStore`: loads and saves in short transactions of its own, outside of any batch."""

    def __init__(self, context: Context, connection_id: str) -> None:
        self._context = context
        self._connection_id = connection_id

    def load(self) -> Token:
        with reading() as session:
            values, version = vault.load_secret(session, self._context.vault, self._connection_id, "token")
        expires = values.get("expires_at")
        return Token(
            access=values.get("access", ""),
            refresh=values.get("refresh", ""),
            expires_at=datetime.fromisoformat(expires) if expires else None,
            version=version,
        )

    def save(self, token: Token, *, replacing: int) -> bool:
        values = {
            "access": token.access,
            "refresh": token.refresh,
            "expires_at": token.expires_at.astimezone(UTC).isoformat() if token.expires_at else "",
        }
        with transaction() as session:
            return vault.replace_secret(session, self._context.vault, self._connection_id, "token", values, replacing=replacing)

    def refreshing(self) -> AbstractContextManager[bool]:
        return self._context.lock(f"token:{self._connection_id}")


class TrialTokens:
    """A token that is not stored yet: for the check before a connection exists."""

    def __init__(self, refresh: str) -> None:
        self.token = Token(access="", refresh=refresh, expires_at=None, version=1)

    def load(self) -> Token:
        return self.token

    def save(self, token: Token, *, replacing: int) -> bool:
        self.token = token
        return True

    def refreshing(self) -> AbstractContextManager[bool]:
        return _Ours()


class _Ours(AbstractContextManager[bool]):
    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        return None
