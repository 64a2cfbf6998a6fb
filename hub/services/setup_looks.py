"""Looks at what the hub stands on: settings, disk, keys, database, Redis, processes. None changes anything."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator

from hub.core.texts import N_
from hub.services.findings import Finding, Patient, State, good
from hub.store import audit, readiness, servers
from hub.store.db import reading

LEAST_FREE = 2 * 1024**3
"""Bytes of free disk below which SQLite, its log and Redis' file come into danger."""
SKEW = 5.0
"""Seconds that the clocks of this machine and of a server may differ: leases and signatures stand on them."""


def look_at_settings(patient: Patient) -> Iterator[Finding]:
    settings = patient.context.settings
    local = settings.host in ("127.0.0.1", "::1", "localhost")
    if settings.public_url.startswith("https://"):
        yield good("address", N_("People open the hub at {url}"), url=settings.public_url)
    elif local and not settings.public_url:
        yield good("address", N_("The hub answers on this machine only"))
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


def look_at_folder(patient: Patient) -> Iterator[Finding]:
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
        yield good("disk", N_("{free} GB of disk are free for the data folder"), free=gigabytes)
    key = folder / "secret.key"
    if patient.context.settings.secret_key:
        yield good("secret_key", N_("The encryption key comes from HUB_SECRET_KEY"))
    elif key.exists() and stat.S_IMODE(key.stat().st_mode) & 0o077:
        yield Finding(
            "secret_key",
            State.BAD,
            N_("Others on this machine can read the encryption key {path}"),
            N_("chmod 600 that file, and make new credentials if somebody may have read it"),
            {"path": str(key)},
        )
    else:
        yield good("secret_key", N_("The encryption key is a file that only the hub can read; it belongs into the backup"))


def look_at_database(patient: Patient) -> Iterator[Finding]:
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
    yield good("database", N_("The database answers: {name}"), name=name)
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
        yield good("audit_trail", N_("The audit trail is whole: {count} entries verified"), count=entries)
    else:
        yield Finding(
            "audit_trail",
            State.BAD,
            N_("The audit trail was changed from outside: entry {number} is not as it was written"),
            N_("Compare with the last backup, and find out who can write to the database"),
            {"number": broken},
        )


def look_at_redis(patient: Patient) -> Iterator[Finding]:
    if patient.health.pulse is None:
        own = N_("Run hub up, which starts the bundled one")
        cure = own if patient.context.settings.embedded_redis else N_("Check HUB_REDIS_URL and that the server runs")
        yield Finding("redis", State.BAD, N_("Redis does not answer"), cure)
        return
    facts = servers.redis_facts(patient.redis, patient.context.now())
    yield good("redis", N_("Redis answers: {name}"), name=facts.name)
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


def look_at_processes(patient: Patient) -> Iterator[Finding]:
    pulse = patient.health.pulse
    if pulse is None:
        return
    if pulse.workers:
        yield good("workers", N_("Workers at work: {count}"), count=pulse.workers)
    else:
        yield Finding("workers", State.BAD, N_("No worker is running"), N_("Run hub up, or hub work"))
    if pulse.scheduler:
        yield good("scheduler", N_("The scheduler is running"))
    else:
        yield Finding("scheduler", State.BAD, N_("No scheduler is running"), N_("Run hub up, or hub schedule"))
