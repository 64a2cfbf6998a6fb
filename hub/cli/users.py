"""Commands about users of the console."""

from __future__ import annotations

import sys
from typing import Any

import click

from hub.cli.output import TERMINAL, headings, language, print_json, print_table, say, tell
from hub.cli.session import opened
from hub.core import texts
from hub.core.errors import Conflict, Invalid
from hub.core.roles import Role
from hub.core.texts import N_
from hub.services import accounts as verbs
from hub.services import invitations
from hub.services.audit import acting
from hub.store import users as rows
from hub.store.db import reading

INVITER = N_("Whoever maintains this hub")
_ROLES = click.Choice([role.value for role in Role])
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


@click.group()
def user() -> None:
    """Make, list, disable and help users of the console (docs/accounts.md)."""


@user.command("create")
@click.argument("email")
@click.option("--role", "role", required=True, type=_ROLES, help="What they may do (docs/roles.md).")
@click.option("--name", default="", help="As colleagues know them.")
@click.option("--language", "spoken", type=click.Choice(texts.LANGUAGES), help="Of their letters and pages.")
@click.option("--password-stdin", is_flag=True, help="Take the password from standard input, without an invitation.")
@_json
def create(email: str, role: str, name: str, spoken: str | None, password_stdin: bool, as_json: bool) -> None:
    """Invite somebody, and print the link; or make a user at once with a password. The second factor they set up themselves."""
    spoken = spoken or language()
    with opened() as context, acting(TERMINAL):
        if password_stdin:
            password = sys.stdin.readline().rstrip("\r\n")
            if not password:
                raise Invalid("There is no password on standard input", cure="Give it as one line")
            user_id = verbs.create(context, email, (role,), name=name, password=password, language=spoken)
            result: dict[str, Any] = {"email": verbs.find(user_id=user_id).email, "id": user_id, "roles": [role]}
        else:
            invited = invitations.invite(context, email, role, spoken, None, texts.say(INVITER, spoken))
            result = {"email": email, "role": role, "link": invited.link, "expires_at": invited.expires_at}
    if as_json:
        print_json(result)
    elif password_stdin:
        tell("Made the user {email}. At the first sign-in they set up their second factor.", email=result["email"])
    else:
        click.echo(result["link"])
        tell("Invited {email}. The link works once, for 7 days.", email=email)


@user.command("list")
@_json
def list_users(as_json: bool) -> None:
    """List the users with their roles and whether they have a second factor."""
    with opened(), reading() as session:
        listed = rows.list_users(session)
    if as_json:
        print_json({"users": [_as_json(one) for one in listed]})
        return
    if not listed:
        tell("No user yet. The first one is made with: hub user set-up-link")
        return
    titles = headings("Address", "Name", "Roles", "State", "Second factor", "Last sign-in")
    print_table(
        titles,
        [
            [
                one.row.email,
                one.row.name,
                ", ".join(one.roles),
                say("active") if one.row.active else say("disabled"),
                say("set up") if one.second_factor else say("not set up"),
                f"{one.row.current_login_at:%Y-%m-%d %H:%M} UTC" if one.row.current_login_at else "–",
            ]
            for one in listed
        ],
    )


def _as_json(one: rows.Listed) -> dict[str, Any]:
    return {
        "email": one.row.email,
        "id": one.row.id,
        "name": one.row.name,
        "roles": list(one.roles),
        "active": one.row.active,
        "second_factor": one.second_factor,
        "last_sign_in": verbs.shown(one.row.current_login_at),
        "created_at": verbs.shown(one.row.created_at),
    }


@user.command("disable")
@click.argument("email")
@_json
def disable(email: str, as_json: bool) -> None:
    """Let nobody in as this user any more; open sign-ins end now. The last owner cannot be disabled."""
    with opened() as context, acting(TERMINAL):
        row = verbs.find(email=email)
        changed = verbs.disable(context, str(row.id))
    _done(as_json, row, changed, N_("Disabled {email}.") if changed else N_("{email} was disabled already."))


@user.command("enable")
@click.argument("email")
@_json
def enable(email: str, as_json: bool) -> None:
    """Let a disabled user in again."""
    with opened() as context, acting(TERMINAL):
        row = verbs.find(email=email)
        changed = verbs.enable(context, str(row.id))
    _done(as_json, row, changed, N_("Enabled {email}.") if changed else N_("{email} was active already."))


@user.command("roles")
@click.argument("email")
@click.option("--role", "roles", multiple=True, required=True, type=_ROLES, help="May be repeated; others are taken away.")
@_json
def roles(email: str, roles: tuple[str, ...], as_json: bool) -> None:
    """Give a user exactly these roles. The last owner stays one."""
    with opened() as context, acting(TERMINAL):
        row = verbs.find(email=email)
        changed = verbs.change_roles(context, str(row.id), roles)
    _done(as_json, row, changed, N_("Changed the roles of {email}.") if changed else N_("{email} had these roles already."))


@user.command("reset-second-factor")
@click.argument("email")
@_json
def reset_second_factor(email: str, as_json: bool) -> None:
    """For somebody who lost phone and recovery codes: the next sign-in sets up a new second factor."""
    with opened() as context, acting(TERMINAL):
        row = verbs.find(email=email)
        verbs.reset_second_factor(context, str(row.id))
    _done(as_json, row, True, N_("The next sign-in of {email} begins with setting up a second factor."))


def _done(as_json: bool, row: rows.UserRow, changed: bool, text: str) -> None:
    if as_json:
        print_json({"email": row.email, "id": row.id, "changed": changed})
    else:
        tell(text, email=row.email)


@user.command("set-up-link")
@_json
def set_up_link(as_json: bool) -> None:
    """Print a one-time link by which the first owner is made; the link before stops working."""
    with opened() as context, acting(TERMINAL):
        link = invitations.set_up_link(context)
    if link is None:
        raise Conflict("This hub has an owner already", cure="Invite others with hub user create")
    if as_json:
        print_json({"link": link})
    else:
        click.echo(link)
        tell("Whoever opens this link within 24 hours becomes the owner.")


COMMANDS = (user,)
