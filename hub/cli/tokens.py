"""Commands about API tokens."""

from __future__ import annotations

from typing import Any

import click

from hub.cli.output import headings, print_json, print_table, tell
from hub.cli.session import opened
from hub.core.errors import Invalid
from hub.core.roles import Permission
from hub.core.types import Actor
from hub.services import api_tokens as verbs
from hub.services.audit import acting
from hub.store import tokens as rows
from hub.store.db import reading

MOST = 1000
TERMINAL = Actor("terminal", "terminal", "terminal")


@click.group()
def token() -> None:
    """Make, list and revoke API tokens (docs/api.md)."""


@token.command("create")
@click.option("--user", required=True, metavar="EMAIL", help="Whom the token acts for; it can do no more than they can.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([one.value for one in Permission]),
    metavar="PERMISSION",
    help="What it may do, for example contacts:read; may be repeated.",
)
@click.option("--name", default="terminal", show_default=True, help="What uses it.")
@click.option(
    "--days",
    type=click.IntRange(0, verbs.LONGEST_DAYS),
    default=verbs.DEFAULT_DAYS,
    show_default=True,
    help="How long it lasts; 0: without an end, for owners only.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def create(user: str, scopes: tuple[str, ...], name: str, days: int, as_json: bool) -> None:
    """Make a token and print it, this once, on standard output."""
    with opened() as context, acting(TERMINAL):
        made = verbs.create_token(context, user, name, scopes, days)
    if as_json:
        print_json(
            {"id": made.id, "token": made.token, "name": made.name, "scopes": made.scopes, "expires_at": made.expires_at}
        )
        return
    click.echo(made.token)
    tell("This is the only time the token is shown. Revoke it with: hub token revoke {id}", id=made.id)


@token.command("list")
@click.option("--user", metavar="EMAIL", help="Only the tokens of this user.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def list_tokens(user: str | None, as_json: bool) -> None:
    """List the tokens, the newest first; never the tokens themselves."""
    with opened() as context, reading() as session:
        holder = rows.find_holder(session, user.strip().lower()) if user else None
        if user and holder is None:
            raise Invalid("There is no user «{user}»", cure="Use an e-mail address that somebody signs in with", user=user)
        listed = rows.page_tokens(session, user_id=holder.id if holder else None, limit=MOST)
        now = context.now()
    if as_json:
        print_json({"tokens": [_as_json(row, now) for row in listed]})
    elif listed:
        titles = headings("Id", "Begins with", "Name", "User", "Scopes", "State", "Ends", "Last used")
        print_table(
            titles,
            [
                [
                    *(row.id, f"{row.shown}…", row.name, row.user_email, ", ".join(row.scopes), verbs.state_of(row, now)),
                    *(f"{at:%Y-%m-%d}" if at else "–" for at in (row.expires_at, row.last_used_at)),
                ]
                for row in listed
            ],
        )
    else:
        tell("No token yet. Make one with: hub token create --user EMAIL --scope contacts:read")


def _as_json(row: Any, now: Any) -> dict[str, Any]:
    names = ("id", "name", "shown", "user_email", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    return {**{name: getattr(row, name) for name in names}, "state": verbs.state_of(row, now)}


@token.command("revoke")
@click.argument("token_id", metavar="ID")
def revoke(token_id: str) -> None:
    """Revoke a token at once, by the id that «hub token list» shows."""
    with opened() as context, acting(TERMINAL):
        done = verbs.revoke_token(context, token_id)
    tell("The token is revoked" if done else "The token was revoked before")


COMMANDS = (token,)
