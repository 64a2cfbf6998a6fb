"""Writes and sends our own letters. Without a mail server they become files that any mail program opens."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from hub.core.errors import HubError, SetupError, Unavailable
from hub.core.settings import Settings
from hub.core.texts import say

TEMPLATES = Path(__file__).with_name("templates")
FOLDER = "letters"
SECONDS = 20.0
"""A mail server that takes longer is away."""
LOCAL_SENDER = "hub@localhost"


class Undeliverable(HubError):
    """The mail server will never take this letter."""

    code = "undeliverable"
    message = "The mail server refuses this letter"
    cure = "Check the recipient's address and HUB_MAIL_FROM"


@dataclass(frozen=True, slots=True)
class Letter:
    """`kind` is a folder of templates; `values` fill it; `at` is when it was written (aware UTC)."""

    id: str
    kind: str
    recipient: str
    language: str
    values: Mapping[str, str]
    at: datetime


def send(settings: Settings, letter: Letter) -> None:
    """Hand the letter to the mail server, or put it into `letters/` in the data folder if none is set.

    Raises `Unavailable` (try again later), `Undeliverable` (never), `SetupError`.
    """
    message = compose(settings, letter)
    if settings.mail_url:
        _submit(settings, message)
    else:
        _keep(settings.data / FOLDER, letter, message)


def compose(settings: Settings, letter: Letter) -> EmailMessage:
    """Plain text and HTML, in the recipient's language."""
    name, address = parseaddr(settings.mail_from or LOCAL_SENDER)
    message = EmailMessage()
    message["Subject"] = _one_line(_fill(letter, "subject.txt"))
    message["From"] = Address(_one_line(name) or "Consent hub", addr_spec=address)
    message["To"] = Address(addr_spec=letter.recipient)
    message["Date"] = format_datetime(letter.at)
    message["Message-ID"] = make_msgid(letter.id, domain=address.rpartition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
    message.set_content(_fill(letter, "body.txt") + "\n")
    message.add_alternative(_fill(letter, "body.html") + "\n", subtype="html")
    return message


def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(_=lambda text, **params: say(text, language, **params), language=language)
    return environment


def _fill(letter: Letter, part: str) -> str:
    environment = _environment(letter.language)
    return environment.get_template(f"{letter.kind}/{part}").render(letter.values).strip()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _keep(folder: Path, letter: Letter, message: EmailMessage) -> None:
    """Readable by the hub's own user only: it holds a one-time link."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{letter.at:%Y%m%d-%H%M%S}-{letter.kind}-{re.sub(r'[^a-z0-9]', '', letter.id)[-12:]}.eml"
    path = folder / name
    path.touch(mode=0o600)
    path.write_bytes(message.as_bytes(policy=policy.SMTPUTF8))


def _submit(settings: Settings, message: EmailMessage) -> None:
    url = urlsplit(settings.mail_url)
    host = url.hostname or ""
    trust = ssl.create_default_context(cafile=settings.ca_bundle or None)
    try:
        with _connect(url.scheme, host, url.port, trust) as server:
            server.ehlo()
            if url.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=trust)
                server.ehlo()
            if url.username:
                _insist_on_encryption(server, host)
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(message)
    except smtplib.SMTPAuthenticationError as error:
        raise SetupError(
            "The mail server does not accept the user and password",
            subject="HUB_MAIL_URL",
            cure="Correct them in HUB_MAIL_URL",
            cause=str(error.smtp_code),
        ) from error
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        codes = [code for code, _ in error.recipients.values()] if isinstance(error, smtplib.SMTPRecipientsRefused) else []
        code = codes[0] if codes else getattr(error, "smtp_code", 0)
        if code >= 500:
            raise Undeliverable(cause=str(code)) from error
        raise _away(error) from error
    except (smtplib.SMTPException, OSError) as error:
        raise _away(error) from error


def _insist_on_encryption(server: smtplib.SMTP, host: str) -> None:
    """A password is not sent in clear; on this machine nobody listens."""
    if not isinstance(server.sock, ssl.SSLSocket) and host not in ("127.0.0.1", "::1", "localhost"):
        raise SetupError(
            "The mail server offers no encryption, so the hub does not send it the password",
            subject="HUB_MAIL_URL",
            cure="Use smtps://, or a server with STARTTLS",
        )


def _connect(scheme: str, host: str, port: int | None, trust: ssl.SSLContext) -> smtplib.SMTP:
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port or 465, timeout=SECONDS, context=trust)
    return smtplib.SMTP(host, port or 587, timeout=SECONDS)


def _away(error: Exception) -> Unavailable:
    return Unavailable(
        "The mail server does not take letters right now",
        cause=type(error).__name__,
        cure="The hub tries again by itself; if it lasts, check HUB_MAIL_URL",
    )
