"""Users as the services keep them: passwords, roles, the audit trail of each change, counted guesses."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask

from hub.core.errors import Conflict, Invalid, NotFound
from hub.services import accounts, invitations, passwords, second_factors, sign_ins
from hub.services.context import Context
from hub.services.sign_ins import Origin, TooManyTries, WrongPassword
from hub.store import audit, users
from hub.store import invitations as invited
from hub.store import sign_ins as tried
from hub.store.attempts import ACCOUNT, NOTED, TOLD_PER_DAY, Attempts
from hub.store.db import reading, transaction
from hub.store.shelf import Shelf
from hub.store.vault import Vault, read_keys

PASSWORD = "seven green lanterns under water"
HERE = Origin("192.0.2.1", "a test")


@pytest.fixture
def attempts(app: Flask, context: Context) -> Attempts:
    return Attempts(app.extensions["hub_redis"], context.settings.namespace)


@pytest.fixture
def ola(context: Context) -> str:
    return accounts.create(context, "ola@shop.example", ("owner",), name="Ola", password=PASSWORD)


def actions() -> list[str]:
    with reading() as session:
        return [row.action for row in audit.page_entries(session, limit=200)][::-1]


@pytest.mark.parametrize("password", ["", "short", "1234567890", "password123456", "qwertyuiop", "ola@shop.example", "x" * 201])
def test_weak_passwords_are_refused(context: Context, password: str) -> None:
    with pytest.raises(Invalid) as caught:
        passwords.check_strength(password, ("ola@shop.example", "Ola"))
    assert set(caught.value.fields) == {"password"}


@pytest.mark.parametrize("password", [PASSWORD, "żółta łódź płynie nocą", "x9$Kq!27vbn@L", "a" * 20 + PASSWORD])
def test_strong_passwords_are_taken_in_every_script(password: str) -> None:
    passwords.check_strength(password)
    stored = passwords.hash_password(password)
    assert passwords.verify_password(stored, password)
    assert not passwords.verify_password(stored, password + " ")
    assert not passwords.verify_password(None, password)
    assert not passwords.verify_password("not a hash", password)


def test_the_same_letter_from_two_keyboards_is_one() -> None:
    assert passwords.verify_password(passwords.hash_password("zażółć gęślą"), "zażółć gęślą")


def test_a_long_password_is_judged_quickly() -> None:
    started = time.perf_counter()
    with pytest.raises(Invalid):
        passwords.check_strength("ab" * 100)
    assert time.perf_counter() - started < 1


def test_an_old_hash_is_renewed_at_the_next_sign_in(context: Context, attempts: Attempts, ola: str) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    with transaction() as session:
        users.change_user(session, ola, password=old)
    sign_ins.try_password(context, attempts, "OLA@shop.example", PASSWORD, HERE)
    row = accounts.find(user_id=ola)
    assert row.password != old
    assert passwords.verify_password(row.password, PASSWORD)


@pytest.mark.parametrize("roles", [(), ("god",), ("owner", "")])
def test_roles_that_do_not_exist(context: Context, ola: str, roles: tuple[str, ...]) -> None:
    with pytest.raises(Invalid):
        accounts.change_roles(context, ola, roles)
    with pytest.raises(Invalid):
        accounts.create(context, "x@shop.example", roles)


def test_everything_stands_in_the_trail_once(context: Context, ola: str) -> None:
    ewa = accounts.create(context, "ewa@shop.example", ("ops",))
    for _ in range(2):  # the second time changes nothing
        accounts.change_roles(context, ewa, ("auditor",))
        accounts.disable(context, ewa)
        accounts.enable(context, ewa)
    accounts.disable(context, ewa)
    accounts.disable(context, ewa)
    assert actions()[:6] == [
        *("user.created", "user.created", "user.roles_changed", "user.disabled", "user.enabled", "user.disabled"),
    ]
    with reading() as session:
        assert audit.verify(session)[1] is None
    for verb in (accounts.disable, accounts.enable, accounts.reset_second_factor, accounts.sign_out_everywhere):
        with pytest.raises(NotFound):
            verb(context, "01900000-0000-7000-8000-000000000000")
    with pytest.raises(NotFound):
        accounts.find(email="nobody@shop.example")
    with pytest.raises(NotFound):
        accounts.find()


def test_changes_end_sessions(context: Context, ola: str) -> None:
    accounts.create(context, "other@shop.example", ("owner",))

    def stamp() -> str:
        return str(accounts.find(user_id=ola).fs_uniquifier)

    seen = {stamp()}
    for verb in (
        lambda: accounts.change_password(context, ola, "eleven quiet bicycles at noon"),
        lambda: accounts.reset_second_factor(context, ola),
        lambda: accounts.sign_out_everywhere(context, ola),
        lambda: accounts.disable(context, ola),
    ):
        verb()
        assert stamp() not in seen
        seen.add(stamp())


def test_an_address_is_a_user_once(context: Context, ola: str) -> None:
    for verb in (
        lambda: accounts.create(context, "OLA@shop.example", ("ops",)),
        lambda: invitations.invite(context, "Ola@Shop.example", "ops", "en", ola, "Ola"),
    ):
        with pytest.raises(Conflict):
            verb()


def test_recovery_codes_survive_a_new_vault_key(app: Flask, context: Context, ola: str) -> None:
    codes = second_factors.new_recovery_codes(context, ola)
    old = read_keys("", context.settings.data)
    renewed = replace(context, vault=Vault((os.urandom(32), *old)))
    assert second_factors.use_recovery_code(renewed, ola, codes[0])
    assert not second_factors.use_recovery_code(renewed, ola, codes[0])
    assert not second_factors.use_recovery_code(context, ola, "")
    foreign = replace(context, vault=Vault((os.urandom(32),)))
    assert not second_factors.use_recovery_code(foreign, ola, codes[1])
    assert len(accounts.find(user_id=ola).mf_recovery_codes) == 9


def test_one_recovery_code_at_once_lets_one_in(context: Context, ola: str, in_threads: Any) -> None:
    codes = second_factors.new_recovery_codes(context, ola)
    assert sorted(in_threads(*[lambda: second_factors.use_recovery_code(context, ola, codes[0])] * 4)) == [False] * 3 + [True]


def test_a_flood_fills_neither_database_nor_mailbox(context: Context, attempts: Attempts, ola: str) -> None:
    for _ in range(ACCOUNT.free):
        with pytest.raises(WrongPassword):
            sign_ins.try_password(context, attempts, "ola@shop.example", "wrong", HERE)
    for _ in range(NOTED + 50):
        with pytest.raises(TooManyTries):
            sign_ins.try_password(context, attempts, "ola@shop.example", PASSWORD, HERE)
    with reading() as session:
        tries = len(tried.recent_of(session, ola, 1000))
    assert tries == ACCOUNT.free + 1 + NOTED
    told = [attempts.first_today(f"a{number}@shop.example") for number in range(TOLD_PER_DAY + 5)]
    assert sum(told) == TOLD_PER_DAY - 1  # one went out already


def test_a_lock_of_an_hour_at_most(context: Context, attempts: Attempts, clock: Any) -> None:
    waits = []
    for _ in range(20):
        attempts.take("x@shop.example", "192.0.2.1", context.now())
        taken = attempts.take("x@shop.example", f"192.0.2.{len(waits)}", context.now())
        waits.append(taken.wait)
        clock.forward(taken.wait + 0.01)
    assert max(waits) <= ACCOUNT.longest
    assert waits[-1] == pytest.approx(ACCOUNT.longest, abs=2)
    clock.forward(ACCOUNT.memory + 1)
    assert attempts.take("x@shop.example", "203.0.113.1", context.now()).wait == 0


def test_the_shelf_keeps_kinds_and_people_apart(app: Flask, context: Context) -> None:
    keys = list(context.vault.derive("shelf").values())
    shelf = Shelf(app.extensions["hub_redis"], "hub", keys)
    key = shelf.put("form", {"a": "ż"}, 60)
    assert shelf.get("form", key) == {"a": "ż"}
    assert shelf.get("recovery", key) is None
    assert shelf.get("form", "") is None
    assert shelf.get("form", "x" * 1000) is None
    assert Shelf(app.extensions["hub_redis"], "hub", list(context.vault.derive("other").values())).get("form", key) is None
    stored = app.extensions["hub_redis"].get(f"hub:shelf:form:{key}")
    assert "ż".encode() not in stored
    shelf.drop("form", key)
    assert shelf.get("form", key) is None


def test_of_two_who_change_roles_at_once_one_is_told(context: Context, ola: str, in_threads: Any) -> None:
    chosen = (("ops",), ("admin",), ("auditor",), ("marketer",))
    ewa = accounts.create(context, "ewa@shop.example", ("ops",))
    before = users_roles(ewa)

    def change(roles: tuple[str, ...]) -> Any:
        return lambda: accounts.change_roles(context, ewa, (*roles, "consent_officer"), seen=before)

    found = in_threads(*[change(roles) for roles in chosen])
    assert [one for one in found if one is True] == [True]
    assert sum(isinstance(one, Conflict) for one in found) == 3


def users_roles(user_id: str) -> tuple[str, ...]:
    with reading() as session:
        return users.roles_of(session, user_id)


def test_of_many_invitations_at_once_one_is_open(context: Context, in_threads: Any) -> None:
    found = in_threads(*[lambda: invitations.invite(context, "ewa@shop.example", "ops", "pl", None, "Ola")] * 5)
    assert not [one for one in found if isinstance(one, Exception)]
    with reading() as session:
        assert [row.email for row in invited.list_open(session, context.now())] == ["ewa@shop.example"]
