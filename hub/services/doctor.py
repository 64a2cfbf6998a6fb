"""`hub doctor`: looks over the whole set-up and says what to mend. Each look is one function; none changes anything."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from hub.core.errors import HubError
from hub.core.roles import Role
from hub.core.texts import N_
from hub.services.connections import check
from hub.services.context import Context
from hub.services.health import Health, Queues, take_figures
from hub.store import audit, connections, figures, readiness, servers
from hub.store.db import reading


class State(StrEnum):
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One fact about the set-up. `text` and `cure` hold `{params}`; a good one has no cure."""

    check: str
    state: State
    text: str
    cure: str = ""
    params: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Patient:
    """What the looks look at."""

    context: Context
    health: Health
    redis: Any
    live: bool


LEAST_FREE = 2 * 1024**3
"""Bytes of free disk below which SQLite, its log and Redis' file come into danger."""
SKEW = 5.0
"""Seconds that the clocks of this machine and of a server may differ: leases and signatures stand on them."""
LATE = 600.0
"""Seconds after which what could go and does not go is a fault."""


def examine(context: Context, queues: Queues, redis: Any, *, live: bool = False) -> list[Finding]:
    """Everything in order, worst things not first: a person reads it from the ground up. `live` also calls the platforms."""
    patient = Patient(context, take_figures(context, queues, redis), redis, live)
    return [finding for look in LOOKS for finding in look(patient)]


def _good(check: str, text: str, **params: object) -> Finding:
    return Finding(check, State.GOOD, text, params=params)


def _settings(patient: Patient) -> Iterator[Finding]:
    settings = patient.context.settings
    local = settings.host in ("127.0.0.1", "::1", "localhost")
    if settings.public_url.startswith("https://"):
        yield _good("address", N_("People open the hub at {url}"), url=settings.public_url)
    elif local and not settings.public_url:
        yield _good("address", N_("The hub answers on this machine only"))
    else:
        yield Finding(
            "address",
            State.BAD,
            N_("Passwords would cross the network unencrypted: the hub is reachable without https"),
            N_("Put a reverse proxy with TLS before it and set HUB_PUBLIC_URL to its https address"),
        )
    if settings.ca_bundle and not os.path.isfile(settings.ca_bundle):
        yield Finding(
            "ca_bundle",
            State.BAD,
            N_("The file with certificate authorities is not there: {path}"),
            N_("Correct HUB_CA_BUNDLE"),
            {"path": settings.ca_bundle},
        )
    if not settings.mail_url:
        yield Finding(
            "mail",
            State.WARN,
            N_("There is no mail server: invitations and warnings become files in the data folder"),
            N_("Set HUB_MAIL_URL and HUB_MAIL_FROM"),
        )
    elif not settings.mail_from:
        yield Finding("mail", State.BAD, N_("Letters have no sender"), N_("Set HUB_MAIL_FROM"))


def _folder(patient: Patient) -> Iterator[Finding]:
    folder = patient.context.settings.data
    free = shutil.disk_usage(folder).free
    gigabytes = f"{free / 1024**3:.1f}"
    if free < LEAST_FREE:
        yield Finding(
            "disk",
            State.BAD,
            N_("Only {free} GB of disk are free for the data folder"),
            N_("Make room, or move the data folder with HUB_DATA"),
            {"free": gigabytes},
        )
    else:
        yield _good("disk", N_("{free} GB of disk are free for the data folder"), free=gigabytes)
    key = folder / "secret.key"
    if patient.context.settings.secret_key:
        yield _good("secret_key", N_("The encryption key comes from HUB_SECRET_KEY"))
    elif key.exists() and stat.S_IMODE(key.stat().st_mode) & 0o077:
        yield Finding(
            "secret_key",
            State.BAD,
            N_("Others on this machine can read the encryption key {path}"),
            N_("chmod 600 that file, and make new credentials if somebody may have read it"),
            {"path": str(key)},
        )
    else:
        yield _good("secret_key", N_("The encryption key is a file that only the hub can read; it belongs into the backup"))


def _database(patient: Patient) -> Iterator[Finding]:
    if patient.health.figures is None:
        yield Finding(
            "database", State.BAD, N_("The database does not answer"), N_("Check HUB_DATABASE_URL and that the server runs")
        )
        return
    if readiness.schema_revision() != readiness.newest_revision():
        yield Finding("migrations", State.BAD, N_("The database is not at the newest schema"), N_("Run hub init"))
    with reading() as session:
        name, skew = servers.database_facts(session, patient.context.now())
        guards = servers.missing_guards(session)
        entries, broken = audit.verify(session)
    yield _good("database", N_("The database answers: {name}"), name=name)
    yield from _clock("database_clock", skew)
    if guards:
        yield Finding(
            "append_only",
            State.BAD,
            N_("The triggers are missing that keep these tables append-only: {tables}"),
            N_("Somebody changed the database by hand: restore the triggers from the migrations and look what was changed"),
            {"tables": ", ".join(guards)},
        )
    if broken is None:
        yield _good("audit_trail", N_("The audit trail is whole: {count} entries verified"), count=entries)
    else:
        yield Finding(
            "audit_trail",
            State.BAD,
            N_("The audit trail was changed from outside: entry {number} is not as it was written"),
            N_("Compare with the last backup, and find out who can write to the database"),
            {"number": broken},
        )


def _redis(patient: Patient) -> Iterator[Finding]:
    if patient.health.pulse is None:
        own = N_("Run hub up, which starts the bundled one")
        cure = own if patient.context.settings.embedded_redis else N_("Check HUB_REDIS_URL and that the server runs")
        yield Finding("redis", State.BAD, N_("Redis does not answer"), cure)
        return
    facts = servers.redis_facts(patient.redis, patient.context.now())
    yield _good("redis", N_("Redis answers: {name}"), name=facts.name)
    yield from _clock("redis_clock", facts.skew)
    if facts.evicts:
        yield Finding(
            "redis_policy",
            State.BAD,
            N_("Redis throws keys away when its memory is full ({policy}): budgets and locks would be lost"),
            N_("Set maxmemory-policy noeviction"),
            {"policy": facts.evicts},
        )
    if not facts.persistent:
        yield Finding(
            "redis_persistence",
            State.WARN,
            N_("Redis keeps nothing over a restart: API budgets would start from nothing"),
            N_("Set appendonly yes"),
        )


def _clock(check: str, skew: float) -> Iterator[Finding]:
    if abs(skew) > SKEW:
        yield Finding(
            check,
            State.BAD,
            N_("This machine's clock and the server's differ by {seconds} s"),
            N_("Let both follow a time server (NTP)"),
            {"seconds": f"{skew:.0f}"},
        )


def _processes(patient: Patient) -> Iterator[Finding]:
    pulse = patient.health.pulse
    if pulse is None:
        return
    if pulse.workers:
        yield _good("workers", N_("Workers at work: {count}"), count=pulse.workers)
    else:
        yield Finding("workers", State.BAD, N_("No worker is running"), N_("Run hub up, or hub work"))
    if pulse.scheduler:
        yield _good("scheduler", N_("The scheduler is running"))
    else:
        yield Finding("scheduler", State.BAD, N_("No scheduler is running"), N_("Run hub up, or hub schedule"))


def _users(patient: Patient) -> Iterator[Finding]:
    if patient.health.figures is None:
        return
    with reading() as session:
        people = figures.count_people(session)
    if not people.by_role.get(Role.OWNER):
        yield Finding("owner", State.BAD, N_("Nobody owns this hub yet"), N_("Open the link that hub user set-up-link prints"))
    elif people.without_second_factor:
        yield Finding(
            "second_factor",
            State.WARN,
            N_("Users without a second factor: {count}"),
            N_("They are asked for it at their next sign-in; disable those who do not come any more"),
            {"count": people.without_second_factor},
        )
    else:
        yield _good("users", N_("Users who can sign in: {count}"), count=people.active)
    if people.active and people.publishers < 2:
        yield Finding(
            "second_person",
            State.WARN,
            N_("Only one person may publish scenarios, so nobody can publish what that person writes"),
            N_("Invite a second marketer or owner"),
        )


def _work(patient: Patient) -> Iterator[Finding]:
    found = patient.health.figures
    if found is None:
        return
    for lane, age in sorted(found.oldest_owed.items()):
        if age > LATE:
            yield Finding(
                "outbox",
                State.BAD,
                N_("In the lane «{lane}» something has been waiting for {minutes} minutes that could go"),
                N_("Look whether workers run, and at the connections' errors"),
                {"lane": lane, "minutes": round(age / 60)},
            )
    now = patient.context.now()
    every = patient.context.settings.sync_every
    for stream in found.streams:
        params: dict[str, object] = {"connection": stream.connection, "stream": stream.stream}
        if stream.state == "failed":
            yield Finding(
                "runs",
                State.BAD,
                N_("The last run of {connection} · {stream} failed"),
                N_("Read its error with hub runs, mend it, then hub sync"),
                params,
            )
        elif every and now - stream.finished_at > timedelta(seconds=max(3 * every, 3600)):
            yield Finding(
                "runs",
                State.WARN,
                N_("{connection} · {stream} was last read {hours} hours ago"),
                N_("Look whether the scheduler runs"),
                params | {"hours": round((now - stream.finished_at).total_seconds() / 3600)},
            )
    if failed := found.letters.get("failed"):
        yield Finding(
            "letters", State.BAD, N_("Letters that could not be sent: {count}"), N_("Check HUB_MAIL_URL"), {"count": failed}
        )


def _connections(patient: Patient) -> Iterator[Finding]:
    if patient.health.figures is None:
        return
    with reading() as session:
        rows = connections.list_connections(session)
    for row in rows:
        params: dict[str, object] = {"name": row.name}
        if row.state == connections.REAUTHORIZE:
            cure = N_("Connect the account again, in the console or with hub connect")
            text = N_("The platform no longer accepts the credentials of «{name}»")
            yield Finding("connection", State.BAD, text, cure, params)
        elif row.state == connections.PAUSED:
            yield Finding("connection", State.WARN, N_("«{name}» is paused"), N_("Resume it when its time has come"), params)
        elif patient.live:
            yield _ask(patient, row.name)
    if not rows:
        yield Finding("connection", State.WARN, N_("No account is connected"), N_("Connect one: hub connect --help"))
    elif not patient.live:
        yield _good("connection", N_("Accounts connected: {count}; --live asks each whether it answers"), count=len(rows))


def _ask(patient: Patient, name: str) -> Finding:
    try:
        check(patient.context, name)
    except HubError as error:
        return Finding(
            "connection",
            State.BAD,
            N_("«{name}» does not work: {error}"),
            error.cure or N_("Look at its page in the console"),
            {**error.params, "name": name, "error": str(error)},
        )
    return _good("connection", N_("«{name}» answers"), name=name)


LOOKS: tuple[Callable[[Patient], Iterable[Finding]], ...] = (
    *(_settings, _folder, _database, _redis, _processes, _users, _connections, _work),
)
