"""Secrets at rest: AES-256-GCM under a named key; what is encrypted is bound to its connection and its name."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import orjson
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.orm import Session

from hub.core.errors import SetupError
from hub.core.redact import know_secret
from hub.store.db import Id, metadata

secret = sa.Table(
    "secret",
    metadata,
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(40), primary_key=True),  # credentials, token
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),  # 12 bytes nonce, then ciphertext and tag
    sa.Column("version", sa.Integer, nullable=False),
)

NONCE = 12


class Vault:
    """Seals and opens values with the newest key; older keys still open what they sealed."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        if not keys or any(len(key) != 32 for key in keys):
            raise SetupError(
                "An encryption key must be 32 bytes in base64",
                subject="HUB_SECRET_KEY",
                cure="Make one with: head -c 32 /dev/urandom | base64",
            )
        self._keys = {hashlib.sha256(key).hexdigest()[:16]: AESGCM(key) for key in keys}
        self._newest = next(iter(self._keys))
        self._roots = dict(zip(self._keys, keys, strict=True))

    def derive(self, purpose: str) -> dict[str, str]:
        """A key for another purpose out of each of ours, newest first, by our key's id (HKDF-SHA-256, RFC 5869)."""
        return {
            key_id: base64.urlsafe_b64encode(HKDF(SHA256(), 32, None, purpose.encode()).derive(root)).decode()
            for key_id, root in self._roots.items()
        }

    def seal(self, connection_id: str, name: str, values: Mapping[str, str]) -> tuple[str, bytes]:
        """(key id, sealed bytes)."""
        nonce = os.urandom(NONCE)
        sealed = self._keys[self._newest].encrypt(nonce, orjson.dumps(dict(values)), f"{connection_id}/{name}".encode())
        return self._newest, nonce + sealed

    def open(self, connection_id: str, name: str, key_id: str, sealed: bytes) -> dict[str, str]:
        """The values; their texts count as secret from now on."""
        cipher = self._keys.get(key_id)
        try:
            if cipher is None:
                raise InvalidTag
            plain = cipher.decrypt(sealed[:NONCE], sealed[NONCE:], f"{connection_id}/{name}".encode())
        except (InvalidTag, ValueError) as error:  # ValueError: not even a nonce is left
            raise SetupError(
                "The stored secrets cannot be read with the keys that are set",
                subject="HUB_SECRET_KEY",
                cure="Set the key they were stored with, or connect the accounts again",
            ) from error
        values: dict[str, str] = orjson.loads(plain)
        know_secret(*(value for field, value in values.items() if field not in PUBLIC))
        return values


PUBLIC = frozenset({"url", "client_id", "expires_at"})
"""Credentials that are no secret: they may appear in messages."""


def read_keys(setting: str, folder: Path) -> tuple[bytes, ...]:
    """The keys from the setting, else from `secret.key` in the data folder, which is made if it does not exist."""
    text = setting
    if not text:
        path = folder / "secret.key"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            made = base64.b64encode(os.urandom(32))
            temporary = folder / f".secret.key.{os.getpid()}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(made + b"\n")
            try:
                os.link(temporary, path)  # the first of several processes wins, none sees half a key
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        text = path.read_text()
    try:
        return tuple(base64.b64decode(part.strip(), validate=True) for part in text.strip().split(","))
    except ValueError:
        return (b"",)


def save_secret(session: Session, vault: Vault, connection_id: str, name: str, values: Mapping[str, str]) -> int:
    """Store or replace; returns the new version."""
    key_id, sealed = vault.seal(connection_id, name, values)
    done = session.execute(
        sa.update(secret)
        .where(secret.c.connection_id == connection_id, secret.c.name == name)
        .values(key_id=key_id, sealed=sealed, version=secret.c.version + 1)
        .returning(secret.c.version)
    ).scalar()
    if done is None:
        session.execute(
            sa.insert(secret).values(connection_id=connection_id, name=name, key_id=key_id, sealed=sealed, version=1)
        )
        return 1
    return int(done)


def replace_secret(
    session: Session, vault: Vault, connection_id: str, name: str, values: Mapping[str, str], *, replacing: int
) -> bool:
    """Store only if the stored version is still `replacing`; False if somebody was faster."""
    key_id, sealed = vault.seal(connection_id, name, values)
    done = session.execute(
        sa.update(secret)
        .where(secret.c.connection_id == connection_id, secret.c.name == name, secret.c.version == replacing)
        .values(key_id=key_id, sealed=sealed, version=secret.c.version + 1)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def load_secret(session: Session, vault: Vault, connection_id: str, name: str) -> tuple[dict[str, str], int]:
    """(values, version); nothing stored: empty and 0."""
    row = session.execute(sa.select(secret).where(secret.c.connection_id == connection_id, secret.c.name == name)).first()
    if row is None:
        return {}, 0
    return vault.open(connection_id, name, row.key_id, row.sealed), row.version
