"""Looks at who works with the hub and at what it does: users, connections, work that does not move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from hub.core.errors import HubError
from hub.core.roles import Role
from hub.core.texts import N_
from hub.services.connections import check
from hub.services.findings import Finding, Patient, State, good
from hub.store import connections, figures
from hub.store.db import reading

LATE = 600.0
"""Seconds after which what could go and does not go is a fault."""


def look_at_users(patient: Patient) -> Iterator[Finding]:
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
        yield good("users", N_("Users who can sign in: {count}"), count=people.active)
    if people.active and people.publishers < 2:
        yield Finding(
            "second_person",
            State.WARN,
            N_("Only one person may publish scenarios, so nobody can publish what that person writes"),
            N_("Invite a second marketer or owner"),
        )


def look_at_work(patient: Patient) -> Iterator[Finding]:
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


def look_at_connections(patient: Patient) -> Iterator[Finding]:
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
        yield good("connection", N_("Accounts connected: {count}; --live asks each whether it answers"), count=len(rows))


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
    return good("connection", N_("«{name}» answers"), name=name)
