"""The settings: everything that differs between deployments. This is the only reader of the environment.

Each field of `Settings` is one variable, `HUB_` and its name in capitals; docs/settings.md lists them all (a test holds the
two equal).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hub.core.errors import SetupError

DATA_FOLDER = Path("var")
NO_HOSTS: frozenset[str] = frozenset()


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"meaning": meaning}, repr=not secret)


@dataclass(frozen=True)
class Settings:
    """All settings with their defaults; durations in seconds."""

    data: Path = _setting(DATA_FOLDER, "Folder for everything the hub keeps on this machine")
    database_url: str = _setting("", "Database; empty: SQLite in the data folder", secret=True)
    redis_url: str = _setting("", "Redis or Valkey; empty: the bundled server in the data folder", secret=True)
    secret_key: str = _setting("", "Keys that encrypt secrets, newest first, comma-separated; empty: a file", secret=True)
    namespace: str = _setting("hub", "Prefix of everything in Redis: hubs that share a Redis need different ones")
    host: str = _setting("127.0.0.1", "Address the web server binds to")
    port: int = _setting(8321, "Port of the web server; 0 picks a free one")
    web_threads: int = _setting(4, "Threads of each web process")
    public_url: str = _setting("", "Address people open the hub at, as https://hub.example.com; empty: this machine only")
    trusted_proxies: int = _setting(0, "Reverse proxies before the web server whose X-Forwarded-* headers are believed")
    session_hours: float = _setting(12.0, "Hours after which a sign-in to the console ends")
    mail_url: str = _setting("", "Mail server, smtp://user:password@host:587; empty: letters are files", secret=True)
    mail_from: str = _setting("", "Sender of the hub's own letters, as Name <hub@example.com>")
    oidc_issuer: str = _setting("", "OpenID Connect issuer for single sign-on; empty: none")
    oidc_client_id: str = _setting("", "Client id at that issuer")
    oidc_client_secret: str = _setting("", "Client secret at that issuer", secret=True)
    workers: int = _setting(2, "Worker processes of `hub up`")
    language: str = _setting("en", "Language of the command line, en or pl; unset: the terminal's own")
    country: str = _setting("PL", "Home country: phone numbers without a prefix are read as of there")
    allow_private_hosts: frozenset[str] = _setting(NO_HOSTS, "Private hosts (host or host:port) that may be connected")
    ca_bundle: str = _setting("", "File with certificate authorities to trust beside the usual ones")
    connect_timeout: float = _setting(5.0, "Seconds to wait for a connection to a platform")
    read_timeout: float = _setting(25.0, "Seconds to wait for a platform's answer")
    lease: float = _setting(40.0, "Seconds a worker owns its work without a sign of life")
    slice: float = _setting(20.0, "Seconds a job works before it makes room for others")
    batch_size: int = _setting(1000, "Records stored in one transaction")
    sync_every: float = _setting(900.0, "Seconds between two scheduled syncs of a connection; 0: never")
    log_level: str = _setting("info", "debug, info, warning or error")
    log_format: str = _setting("", "json or text; empty: text on a terminal, else json")

    @property
    def sql_url(self) -> str:
        """The database as SQLAlchemy is told."""
        return self.database_url or f"sqlite:///{(self.data / 'hub.sqlite').resolve()}"

    @property
    def embedded_redis(self) -> bool:
        return not self.redis_url


def variable(name: str) -> str:
    return f"HUB_{name.upper()}"


def read_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings from the environment; `overrides` (from the command line) win. Unreadable ones: SetupError."""
    environ = os.environ if environ is None else environ
    known = {variable(item.name): item for item in fields(Settings)}
    unknown = sorted(name for name in environ if name.startswith("HUB_") and name not in known and name[4:5] != "_")
    if strange := [name for name in unknown if not name.startswith("HUB_TEST_")]:
        raise SetupError(
            "There is no setting {name}", subject=strange[0], cure="See docs/settings.md for the names", name=strange[0]
        )
    values: dict[str, Any] = {}
    for name, item in known.items():
        if environ.get(name, "").strip():
            values[item.name] = _read(name, environ[name].strip(), getattr(Settings, item.name))
    values.update({name: value for name, value in overrides.items() if value is not None})
    values.setdefault("language", _terminal_language(environ))
    settings = Settings(**values)
    _check(settings)
    return settings


def _terminal_language(environ: Mapping[str, str]) -> str:
    """What the terminal speaks (POSIX: LC_ALL before LC_MESSAGES before LANG), if the hub does."""
    spoken = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or ""
    return "pl" if spoken.lower().startswith("pl") else "en"


def _read(name: str, text: str, default: Any) -> Any:
    try:
        match default:
            case bool():
                return text.lower() in ("1", "true", "yes", "on")
            case int() | float():
                return type(default)(text)
            case frozenset():
                return frozenset(part.strip().lower() for part in text.split(",") if part.strip())
            case Path():
                return Path(text)
            case _:
                return text
    except ValueError as error:
        raise SetupError(
            "This setting must be a number, not «{text}»", subject=name, cure="Correct it, or remove it", text=text
        ) from error


def _check(settings: Settings) -> None:
    url = settings.database_url
    if url and not url.startswith(("postgresql+psycopg://", "sqlite:///")):
        scheme = url.split(":", 1)[0]
        raise SetupError(
            "The database is not one the hub works with: {scheme}",
            subject="HUB_DATABASE_URL",
            cure="Write postgresql+psycopg://user:password@host/name or sqlite:////path/to/file",
            scheme=scheme,
        )
    if settings.redis_url and not settings.redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise SetupError(
            "This is not the address of a Redis server",
            subject="HUB_REDIS_URL",
            cure="Write redis://host:6379/0, rediss:// for TLS, or unix:///path/to/socket",
        )
    for name in ("workers", "web_threads", "batch_size", "lease", "slice", "connect_timeout", "read_timeout"):
        if getattr(settings, name) <= 0:
            raise SetupError("This setting must be greater than 0", subject=variable(name), cure="Correct it, or remove it")
    if settings.lease <= settings.connect_timeout + settings.read_timeout:
        # A worker that waits for an answer gives no sign of life; losing its lease meanwhile would send things twice.
        raise SetupError(
            "The lease must be longer than the connect and read time-outs together",
            subject="HUB_LEASE",
            cure="Raise HUB_LEASE or lower HUB_READ_TIMEOUT",
        )
    if not re.fullmatch(r"[a-z0-9-]{1,40}", settings.namespace):
        raise SetupError(
            "A namespace has small letters, digits and «-» only", subject="HUB_NAMESPACE", cure="Correct it, or remove it"
        )
    _check_console(settings)
    if settings.language not in ("en", "pl"):
        raise SetupError("The hub speaks en and pl", subject="HUB_LANGUAGE", cure="Correct it, or remove it")


def _check_console(settings: Settings) -> None:
    """What sign-ins and letters need."""
    if settings.public_url and not _is_address(settings.public_url, ("http", "https")):
        raise SetupError(
            "This is not an address of a web site", subject="HUB_PUBLIC_URL", cure="Write it as https://hub.example.com"
        )
    if settings.trusted_proxies < 0:
        raise SetupError("This setting cannot be negative", subject="HUB_TRUSTED_PROXIES", cure="Correct it, or remove it")
    if settings.session_hours <= 0:
        raise SetupError("This setting must be greater than 0", subject="HUB_SESSION_HOURS", cure="Correct it, or remove it")
    if settings.mail_url and not _is_address(settings.mail_url, ("smtp", "smtps")):
        raise SetupError(
            "This is not the address of a mail server",
            subject="HUB_MAIL_URL",
            cure="Write smtp://user:password@host:587 or smtps://…; quote special characters of the password as in %40",
        )
    if settings.mail_from and "@" not in parseaddr(settings.mail_from)[1]:
        raise SetupError("This is not a sender", subject="HUB_MAIL_FROM", cure="Write it as Shop <hub@example.com>")
    if settings.mail_url and not settings.mail_from:
        raise SetupError(
            "Letters need a sender", subject="HUB_MAIL_FROM", cure="Set it as Shop <hub@example.com>, or remove HUB_MAIL_URL"
        )
    sign_on = (settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret)
    if any(sign_on) and not all(sign_on):
        missing = ("oidc_issuer", "oidc_client_id", "oidc_client_secret")[[bool(one) for one in sign_on].index(False)]
        raise SetupError(
            "Single sign-on needs issuer, client id and client secret",
            subject=variable(missing),
            cure="Set all three, or none",
        )
    if settings.oidc_issuer and not _is_issuer(settings.oidc_issuer):
        raise SetupError(
            "This is not an OpenID Connect issuer",
            subject="HUB_OIDC_ISSUER",
            cure="Write it as https://login.example.com/realm",
        )


def _is_issuer(text: str) -> bool:
    """With https, as OpenID Connect wants it; in clear only on this machine."""
    local = _is_address(text, ("http",)) and urlsplit(text).hostname in ("127.0.0.1", "::1", "localhost")
    return local or _is_address(text, ("https",))


def _is_address(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in schemes and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        return False
