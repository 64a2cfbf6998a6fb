"""A shelf for what a person comes back for within the hour: sealed values in Redis, gone by themselves."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from redis import Redis
from redis.exceptions import RedisError

from hub.store.attempts import away


class Shelf:
    """Keys are 256 random bits that only the person's browser knows; `kind` keeps the uses apart."""

    def __init__(self, redis: Redis, namespace: str, keys: Sequence[str]) -> None:
        self._redis = redis
        self._namespace = namespace
        self._seal = MultiFernet([Fernet(key) for key in keys])

    def put(self, kind: str, value: Any, seconds: int, *, key: str = "") -> str:
        """Keep a JSON value; returns its key. With `key` it takes the place of what is there."""
        key = key or secrets.token_urlsafe(32)
        try:
            self._redis.set(self._name(kind, key), self._seal.encrypt(orjson.dumps([kind, value])), ex=seconds)
        except RedisError as error:
            raise away(error) from error
        return key

    def get(self, kind: str, key: str) -> Any:
        """The value, or None if there is none (any more)."""
        if not key or len(key) > 100:
            return None
        try:
            sealed = self._redis.get(self._name(kind, key))
        except RedisError as error:
            raise away(error) from error
        if not isinstance(sealed, bytes):
            return None
        try:
            found, value = orjson.loads(self._seal.decrypt(sealed))
        except (InvalidToken, orjson.JSONDecodeError):
            return None
        return value if found == kind else None

    def drop(self, kind: str, key: str) -> None:
        if key and len(key) <= 100:
            with suppress(RedisError):  # it goes by itself
                self._redis.delete(self._name(kind, key))

    def _name(self, kind: str, key: str) -> str:
        return f"{self._namespace}:shelf:{kind}:{key}"
