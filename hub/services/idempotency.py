"""Requests that a caller may repeat: the first one's answer is kept, sealed, for a day under the caller's own key.

An answer is kept only if something was done. What was refused changed nothing, so the same key may be used again for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from hub.core.errors import Conflict, Invalid
from hub.services.context import Context
from hub.store import idempotency
from hub.store.db import transaction

KEPT = timedelta(hours=24)
LONGEST_KEY = 200


@dataclass(frozen=True)
class Kept:
    """The answer to the first request: `headers` are those worth repeating."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class KeyReused(Invalid):
    """The same key came with another request."""

    code = "key_reused"
    message = "This Idempotency-Key was used for another request"
    cure = "Use a new key for each request that is not a repetition"


class StillAnswering(Conflict):
    """The first request with this key has no answer yet."""

    code = "still_answering"
    message = "The first request with this Idempotency-Key has no answer yet"
    cure = "Repeat it in a moment; if this stays, look whether the first one was done, then use a new key"


def fingerprint(method: str, path: str, body: bytes) -> str:
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()


def begin(context: Context, token_id: str, key: str, request_print: str) -> Kept | None:
    """The kept answer, or None: go on, and `keep` or `release` afterwards. `KeyReused`, `StillAnswering` otherwise."""
    now = context.now()
    with transaction() as session:
        idempotency.release(session, token_id, key, older_than=now - KEPT)
        if idempotency.begin(session, token_id, key, request_print, now):
            return None
        found = idempotency.find_kept(session, token_id, key)
    if found is None or (found.status is None and found.fingerprint == request_print):
        raise StillAnswering
    if found.fingerprint != request_print:
        raise KeyReused
    try:
        body = _sealer(context).decrypt(bytes(found.body))
    except InvalidToken as error:  # sealed with a key that is no longer set
        raise StillAnswering from error
    return Kept(found.status, orjson.loads(found.headers), body)


def keep(context: Context, token_id: str, key: str, answer: Kept) -> None:
    sealed = _sealer(context).encrypt(answer.body)
    with transaction() as session:
        idempotency.keep_answer(session, token_id, key, answer.status, orjson.dumps(dict(answer.headers)).decode(), sealed)


def release(context: Context, token_id: str, key: str) -> None:
    """Nothing was done: the key is free again."""
    with transaction() as session:
        idempotency.release(session, token_id, key)


def forget_old_keys(context: Context) -> int:
    """Periodic."""
    with transaction() as session:
        return idempotency.forget_before(session, context.now() - KEPT)


def _sealer(context: Context) -> MultiFernet:
    """Answers may hold what is shown once: a new token, a webhook's secret."""
    return MultiFernet([Fernet(key) for key in context.vault.derive("idempotency").values()])
