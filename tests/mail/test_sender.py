"""Our own letters: every template in both languages, through a real mail server or into a file, tried again when it is away."""

from __future__ import annotations

import email
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller

from hub.core.errors import SetupError, Unavailable
from hub.core.settings import read_settings
from hub.mail import sender
from hub.services import letters
from hub.services.context import Context
from hub.store.db import reading, transaction
from hub.store.letters import due_letters, letter

VALUES = {
    "inviter": "Ola <b>Nowak</b>",
    "link": "https://hub.example.com/account/invitation/x?a=1&b=2",
    "until": "2026-11-29",
    "hub": "https://hub.example.com",
    "minutes": "60",
    "at": "2026-11-22 10:00 UTC",
    "email": "ola@shop.example",
    "address": "192.0.2.1",
}
KINDS = sorted(path.name for path in sender.TEMPLATES.iterdir() if path.is_dir())


def make(kind: str = "invitation", language: str = "en", **rest: Any) -> sender.Letter:
    given = {"id": "01900000-0000-7000-8000-000000000001", "recipient": "ewa@shop.example", "values": VALUES, **rest}
    return sender.Letter(kind=kind, language=language, at=datetime(2026, 11, 22, 10, tzinfo=UTC), **given)


class Post:
    """A mail server's memory; `answer` is what it says to the next letter."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.letters.append(email.message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return self.answer


@pytest.fixture
def post() -> Iterator[tuple[Post, str]]:
    found = Post()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(found, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield found, f"smtp://127.0.0.1:{port}"
    finally:
        controller.stop()


@pytest.mark.parametrize("language", ["en", "pl"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_letter_in_every_language(kind: str, language: str) -> None:
    message = sender.compose(read_settings({}), make(kind, language))
    text, page = (part.get_content() for part in message.iter_parts())
    assert message["Subject"]
    assert "\n" not in message["Subject"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert "{" not in text + page
    assert "<b>Nowak" not in page
    assert ("Dzień dobry" if language == "pl" else "Hello") in text
    assert ("Dzień dobry" if language == "pl" else "Hello") in page
    assert f'lang="{language}"' in page


def test_headers_cannot_be_added() -> None:
    settings = read_settings({}, mail_from="Shop\r\nBcc: all@evil.example <hub@shop.example>")
    values = {**VALUES, "inviter": "Ola\r\nBcc: all@evil.example"}
    message = sender.compose(settings, make(values=values))
    assert message["Bcc"] is None
    assert message["To"] == "ewa@shop.example"


def test_without_a_server_letters_are_files(tmp_path: Path) -> None:
    sender.send(read_settings({}, data=tmp_path), make(language="pl"))
    (path,) = (tmp_path / "letters").iterdir()
    assert path.suffix == ".eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    assert message["To"] == "ewa@shop.example"
    assert VALUES["link"] in message.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_server_gets_them(tmp_path: Path, post: tuple[Post, str]) -> None:
    found, url = post
    sender.send(read_settings({}, data=tmp_path, mail_url=url, mail_from="Sklep <hub@shop.example>"), make(language="pl"))
    (message,) = found.letters
    assert message["From"] == "Sklep <hub@shop.example>"
    assert "zaprasza" in message["Subject"]
    assert not (tmp_path / "letters").exists()


@pytest.mark.parametrize(("answer", "kind"), [("451 later", Unavailable), ("554 never", sender.Undeliverable)])
def test_what_a_server_refuses(tmp_path: Path, post: tuple[Post, str], answer: str, kind: type[Exception]) -> None:
    found, url = post
    found.answer = answer
    with pytest.raises(kind):
        sender.send(read_settings({}, data=tmp_path, mail_url=url, mail_from="hub@shop.example"), make())


def test_a_server_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        sender.send(read_settings({}, data=tmp_path, mail_url="smtp://127.0.0.1:9", mail_from="hub@shop.example"), make())


def test_a_password_is_not_sent_in_clear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, post: tuple[Post, str]) -> None:
    found, url = post
    far = url.replace("//", "//user:password@").replace("127.0.0.1", "mail.shop.example")
    settings = read_settings({}, mail_url=far, mail_from="hub@shop.example")
    monkeypatch.setattr(sender, "_connect", lambda scheme, host, port, trust: sender.smtplib.SMTP("127.0.0.1", port, timeout=5))
    with pytest.raises(SetupError) as caught:
        sender.send(settings, make())
    assert "no encryption" in str(caught.value)
    assert found.letters == []


def owe(context: Context) -> str:
    with transaction() as session:
        return letters.owe_letter(session, context, "invitation", "ewa@shop.example", "pl", VALUES)


def rows() -> list[Any]:
    with reading() as session:
        return list(session.execute(sa.select(letter)).all())


def test_an_owed_letter_is_sealed_sent_once_and_forgotten(context: Context, post: tuple[Post, str]) -> None:
    found, url = post
    context = replace(context, settings=replace(context.settings, mail_url=url, mail_from="hub@shop.example"))
    letter_id = owe(context)
    assert VALUES["link"].encode() not in rows()[0].sealed
    with reading() as session:
        assert due_letters(session, context.now()) == [(letter_id, 0)]
    assert letters.send_letter(context, letter_id)
    assert not letters.send_letter(context, letter_id)
    (row,) = rows()
    assert (row.state, row.attempts, row.sealed) == ("sent", 1, b"")
    assert len(found.letters) == 1


def test_a_letter_waits_for_a_server_that_is_away(context: Context, post: tuple[Post, str], clock: Any) -> None:
    found, url = post
    away = replace(context, settings=replace(context.settings, mail_url="smtp://127.0.0.1:9", mail_from="hub@shop.example"))
    letter_id = owe(context)
    waits = []
    for _ in range(3):
        assert not letters.send_letter(away, letter_id)
        (row,) = rows()
        waits.append((row.not_before - context.now()).total_seconds())
        assert not letters.send_letter(away, letter_id)  # not yet due
        clock.forward(waits[-1] + 1)
    assert waits == pytest.approx([30, 60, 120], abs=3)
    assert row.error["code"] == "unavailable"
    back = replace(context, settings=replace(context.settings, mail_url=url, mail_from="hub@shop.example"))
    assert letters.send_letter(back, letter_id)
    assert len(found.letters) == 1


def test_a_hopeless_letter_is_given_up(context: Context, post: tuple[Post, str]) -> None:
    found, url = post
    found.answer = "550 nobody of that name"
    context = replace(context, settings=replace(context.settings, mail_url=url, mail_from="hub@shop.example"))
    letter_id = owe(context)
    assert not letters.send_letter(context, letter_id)
    (row,) = rows()
    assert (row.state, row.error["code"], row.sealed) == ("failed", "undeliverable", b"")


def test_two_workers_send_a_letter_once(context: Context, post: tuple[Post, str], in_threads: Any) -> None:
    found, url = post
    context = replace(context, settings=replace(context.settings, mail_url=url, mail_from="hub@shop.example"))
    letter_id = owe(context)
    done = in_threads(*[lambda: letters.send_letter(context, letter_id)] * 3)
    assert sorted(done) == [False, False, True]
    assert len(found.letters) == 1


def test_a_worker_that_died_frees_its_letter(context: Context) -> None:
    from hub.store.letters import claim_letter

    letter_id = owe(context)
    now = context.now()
    with transaction() as session:
        assert claim_letter(session, letter_id, now, now + timedelta(seconds=letters.CLAIM)) is not None
    assert not letters.send_letter(context, letter_id)
    later = replace(context, now=lambda: now + timedelta(seconds=letters.CLAIM + 1))
    assert letters.send_letter(later, letter_id)
