"""The tables of users as Flask-Security wants them: mapped classes and a datastore. Only the web door imports this.

Flask-Security only reads through `db.session`: who is signed in. Whatever changes a user is a verb of the services with
its own transaction, so that the audit trail stands in the same one.
"""

from __future__ import annotations

from typing import Any

from flask_security import RoleMixin, SQLAlchemyUserDatastore, UserMixin, WebAuthnMixin
from flask_security.datastore import AsaList  # noqa: F401 - what the mixins' lists are typed as
from sqlalchemy.orm import relationship

from hub.core.roles import Permission, permissions_of
from hub.store import users
from hub.store.db import db


class Role(db.Model, RoleMixin):  # type: ignore[name-defined,misc]
    __table__ = users.role


class Passkey(db.Model, WebAuthnMixin):  # type: ignore[name-defined,misc]
    __table__ = users.passkey

    def get_user_mapping(self) -> dict[str, Any]:
        return {"id": self.user_id}


class User(db.Model, UserMixin):  # type: ignore[name-defined,misc]
    __table__ = users.user
    roles = relationship(Role, secondary=users.user_role, lazy="selectin")
    webauthn = relationship(Passkey, cascade="all, delete", passive_deletes=True)

    @property
    def permissions(self) -> frozenset[Permission]:
        return permissions_of(role.name for role in self.roles)


def make_datastore() -> SQLAlchemyUserDatastore:
    return SQLAlchemyUserDatastore(db, User, Role, Passkey)


def load_user(user_id: str) -> User | None:
    """The user as the database has it now, not as this request saw it before."""
    db.session.rollback()
    db.session.expire_all()
    found: User | None = db.session.get(User, user_id)
    return found


def let_go() -> None:
    """End the read transaction of `db.session` and keep what was read: a connection must not wait for a slow page."""
    db.session.expunge_all()
    db.session.rollback()
