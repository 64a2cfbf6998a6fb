"""API tokens: one's own, and for owners everybody's."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from hub.core.errors import Forbidden, NotFound
from hub.core.roles import Permission, Role
from hub.services import api_tokens
from hub.services.api_tokens import DEFAULT_DAYS, LONGEST_DAYS, Maker
from hub.store import tokens
from hub.store.db import reading
from hub.web.access import SIGNED_IN, Who
from hub.web.api.kit import Area, Rows, caller, hub, match
from hub.web.api.paging import read_cursor
from hub.web.api.shapes import Code, Flag, Id, Moment, PageQuery, Shape, Text, Texts, Whole, about, page_of

area = Area("tokens", "API tokens. A token can never do more than its user may do now.")
SCOPES = tuple(one.value for one in Permission)


class TokenShape(Shape):
    id = Id("The token's id", required=True)
    name = Code("What uses it", "Shop's newsletter form", required=True)
    shown = Code("Its first characters, to recognise it by", "hub_3xYk9w", required=True)
    user_id = Id("Whom it acts for", required=True)
    user_email = Code("Their e-mail address", "anna@hub.example", required=True)
    scopes = Texts("Permissions; those that the user has lost do not count", example=["contacts:read"], required=True)
    state = Code("active, revoked, expired, or sleeping while its user is disabled", "active", required=True)
    created_at = Moment("When it was made", required=True)
    expires_at = Moment("When it ends; null: never", required=True, allow_none=True)
    last_used_at = Moment("When it was used last, to the minute", required=True, allow_none=True)
    revoked_at = Moment("When it was revoked", required=True, allow_none=True)


class NewTokenShape(Shape):
    name = Text("What uses it", 120, shortest=1, example="Shop's newsletter form", required=True)
    scopes = Texts(
        "What it may do: no more than you may", len(SCOPES), choices=SCOPES, example=["contacts:read"], required=True
    )
    days = Whole(
        "How long it lasts; 0: without an end, for owners in the console only", 0, LONGEST_DAYS, load_default=DEFAULT_DAYS
    )


class MadeTokenShape(Shape):
    id = Id("The token's id", required=True)
    token = fields.String(required=True, metadata=about("The token: shown now and never again", "hub_…"))
    name = Code("What uses it", required=True)
    scopes = Texts("What it may do", required=True)
    expires_at = Moment("When it ends; null: never", required=True, allow_none=True)


class TokensQuery(PageQuery):
    everybody = Flag("Everybody's tokens, not only your own; needs users:write", in_query=True, load_default=False)


def _shape(row: Any) -> dict[str, Any]:
    return {**row._mapping, "state": api_tokens.state_of(row, hub().now())}


def _sees_all(who: Who) -> bool:
    return who.may(Permission.USERS_WRITE)


@area.operation("GET", "/tokens", SIGNED_IN, query=TokensQuery, answer=page_of(TokenShape), refuses=(403,))
def list_tokens(query: dict[str, Any]) -> Rows:
    """List tokens, the newest first."""
    who = caller()
    if query["everybody"] and not _sees_all(who):
        raise Forbidden("Only owners see everybody's tokens", cure="Ask without «everybody»")
    with reading() as session:
        user = None if query["everybody"] else who.user_id
        rows = tokens.page_tokens(session, user_id=user, before=read_cursor(query), limit=query["limit"] + 1)
    return Rows(rows, query["limit"], lambda row: row.id, _shape)


def _find(token_id: str) -> Any:
    who = caller()
    with reading() as session:
        row = tokens.find_token(session, token_id)
    if row is None or (row.user_id != who.user_id and not _sees_all(who)):
        raise NotFound("There is no such token", cure="Go on from the list of tokens")
    return row


@area.operation("GET", "/tokens/<uuid:token_id>", SIGNED_IN, answer=TokenShape, refuses=(404,))
def get_token(token_id: str) -> dict[str, Any]:
    """One token, your own or, for owners, anybody's."""
    return _shape(_find(token_id))


@area.operation(
    "POST",
    "/tokens",
    SIGNED_IN,
    body=NewTokenShape,
    answer=MadeTokenShape,
    status=201,
    refuses=(404,),
    example={"name": "Shop's newsletter form", "scopes": ["contacts:read", "consents:write"], "days": 90},
)
def create_token(body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Make a token for yourself.

    It can do no more than the token that makes it, and does not outlive it.
    """
    who = caller()
    with reading() as session:
        own = tokens.find_token(session, who.token_id) if who.token_id else None
    maker = Maker(who.permissions, Role.OWNER in who.roles, own.expires_at if own else None, by_token=own is not None)
    made = api_tokens.create_token(hub(), who.user_id, body["name"], body["scopes"], body["days"], maker=maker)
    return made, {"Location": f"/api/v1/tokens/{made.id}"}


@area.operation("DELETE", "/tokens/<uuid:token_id>", SIGNED_IN, status=204)
def revoke_token(token_id: str) -> None:
    """Revoke a token at once; it stays in the list as revoked."""
    row = _find(token_id)
    match(TokenShape, _shape(row))
    api_tokens.revoke_token(hub(), token_id)
