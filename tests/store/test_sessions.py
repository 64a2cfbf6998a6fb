"""Flask-Security's session beside busy workers: what it read before somebody else wrote does not keep it from writing."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Flask

from hub.core.roles import Role
from hub.store import users
from hub.store.db import db, new_id, reading, transaction
from tests.conftest import add_user


def test_reading_first_and_writing_after_somebody_else_wrote(app: Flask) -> None:
    add_user(app, Role.OWNER)
    datastore = app.extensions["hub_security"].datastore
    found = datastore.find_user(email="owner@hub.example")
    with transaction() as session:
        session.execute(sa.insert(users.role).values(name=f"other {new_id()[:8]}"))
    found.name = "Changed"
    datastore.commit()
    with reading() as session:
        assert session.scalar(sa.select(users.user.c.name)) == "Changed"


def test_what_is_only_read_holds_nobody_up(app: Flask) -> None:
    add_user(app, Role.OWNER)
    db.session.scalars(sa.select(users.user.c.id)).all()
    with transaction() as session:
        session.execute(sa.insert(users.role).values(name="other"))


def test_what_is_rolled_back_is_not_there(app: Flask) -> None:
    add_user(app, Role.OWNER)
    found = app.extensions["hub_security"].datastore.find_user(email="owner@hub.example")
    found.name = "Changed"
    db.session.flush()
    db.session.rollback()
    with reading() as session:
        assert session.scalar(sa.select(users.user.c.name)) != "Changed"
