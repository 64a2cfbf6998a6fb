"""Users of the console, their roles, invitations, sign-ins and API tokens. What Flask-Security maps is in logins.py."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from hub.store.db import Id, JsonValue, UtcTime, metadata, new_id

LONGEST_EMAIL = 254


def _now() -> datetime:
    """Flask-Security makes users and passkeys itself and knows no clock of ours."""
    return datetime.now(UTC)


user = sa.Table(
    "hub_user",
    metadata,
    sa.Column("id", Id, primary_key=True, default=new_id),
    sa.Column("email", sa.String(LONGEST_EMAIL), nullable=False, unique=True),  # normalised
    sa.Column("name", sa.String(120), nullable=False, default=""),
    sa.Column("language", sa.String(2), nullable=False, default="en"),
    sa.Column("password", sa.String(255)),  # argon2; empty until an invitation is taken up, or with single sign-on alone
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("fs_uniquifier", sa.String(64), nullable=False, unique=True),  # a new one ends every session
    sa.Column("confirmed_at", UtcTime),
    sa.Column("last_login_at", UtcTime),
    sa.Column("current_login_at", UtcTime),
    sa.Column("last_login_ip", sa.String(64)),
    sa.Column("current_login_ip", sa.String(64)),
    sa.Column("login_count", sa.Integer),
    sa.Column("tf_primary_method", sa.String(64)),
    sa.Column("tf_totp_secret", sa.String(512)),  # encrypted
    sa.Column("mf_recovery_codes", JsonValue),  # hashed or encrypted
    sa.Column("fs_webauthn_user_handle", sa.String(64), unique=True),
    sa.Column("oidc_subject", sa.String(255), unique=True),  # «issuer|sub» once signed in through single sign-on
    sa.Column("created_at", UtcTime, nullable=False, default=_now),
    sa.Column("updated_at", UtcTime, nullable=False, default=_now, onupdate=_now),
)

role = sa.Table(
    "hub_role",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(40), nullable=False, unique=True),  # one of hub.core.roles.Role
)

user_role = sa.Table(
    "hub_user_role",
    metadata,
    sa.Column("user_id", Id, sa.ForeignKey("hub_user.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role_id", sa.Integer, sa.ForeignKey("hub_role.id"), primary_key=True),
)

passkey = sa.Table(
    "hub_passkey",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("hub_user.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("credential_id", sa.LargeBinary(1024), nullable=False, unique=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("sign_count", sa.Integer),
    sa.Column("transports", JsonValue),
    sa.Column("backup_state", sa.Boolean, nullable=False),
    sa.Column("device_type", sa.String(64), nullable=False),
    sa.Column("extensions", sa.String(255)),
    sa.Column("create_datetime", UtcTime, nullable=False, default=_now),
    sa.Column("lastuse_datetime", UtcTime, nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("usage", sa.String(64), nullable=False),
)

invitation = sa.Table(
    "invitation",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("email", sa.String(LONGEST_EMAIL), nullable=False, index=True),  # empty: the owner's first set-up
    sa.Column("role", sa.String(40), nullable=False),
    sa.Column("language", sa.String(2), nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("invited_by", Id, sa.ForeignKey("hub_user.id", ondelete="SET NULL")),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("accepted_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
)

sign_in = sa.Table(
    "sign_in",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("at", UtcTime, nullable=False, index=True),
    sa.Column("user_id", Id, sa.ForeignKey("hub_user.id", ondelete="CASCADE"), index=True),  # none: nobody has that address
    sa.Column("email", sa.String(LONGEST_EMAIL), nullable=False),
    sa.Column("method", sa.String(20), nullable=False),  # password, totp, passkey, recovery_code, oidc
    sa.Column("outcome", sa.String(20), nullable=False),  # ok, wrong, locked, disabled
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("agent", sa.String(200), nullable=False),
)

api_token = sa.Table(
    "api_token",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("hub_user.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("shown", sa.String(16), nullable=False),  # its first characters, to recognise it by
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("scopes", JsonValue, nullable=False),  # permissions; those the user has lost do not count
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime),
    sa.Column("last_used_at", UtcTime),
    sa.Column("last_used_address", sa.String(64)),
    sa.Column("revoked_at", UtcTime),
)
