"""Users of the console and invitations; and who is asking."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from hub.core.errors import NotFound
from hub.core.roles import Permission, Role
from hub.core.texts import LANGUAGES
from hub.services import accounts, invitations
from hub.store import invitations as invited
from hub.store import users
from hub.store.db import reading
from hub.web.access import SIGNED_IN
from hub.web.api.kit import Area, Rows, caller, hub, match
from hub.web.api.paging import read_cursor
from hub.web.api.shapes import Choice, Code, EmptyShape, Flag, Id, Moment, PageQuery, Shape, Text, Texts, page_of

area = Area("users", "Users of the console, and invitations.")
P = Permission
ROLES = tuple(role.value for role in Role)


class MeShape(Shape):
    user_id = Id("The user behind the token", required=True)
    name = Code("The token and its user", required=True)
    roles = Texts("The user's roles", example=["admin"], required=True)
    permissions = Texts("What this token may do now", example=["contacts:read"], required=True)
    token_id = Id("The token", required=True, allow_none=True)


class UserShape(Shape):
    id = Id("The user's id", required=True)
    email = Code("E-mail address", "anna@hub.example", required=True)
    name = Code("Name", "Anna", required=True)
    language = Code("en or pl", "pl", required=True)
    active = Flag("Whether they may sign in", required=True)
    roles = Texts("Roles", example=["marketer"], required=True)
    second_factor = Flag("Whether they have a second factor", required=True)
    last_login_at = Moment("When they signed in last", required=True, allow_none=True)
    created_at = Moment("When they became a user", required=True)


class UserChangeShape(Shape):
    roles = Texts("Exactly these roles from now on", len(ROLES), choices=ROLES, example=["marketer"])
    active = Flag("Whether they may sign in")


class InvitationShape(Shape):
    id = Id("The invitation's id", required=True)
    email = Code("Who is invited", "jan@firma.example", required=True)
    role = Code("As what", "marketer", required=True)
    language = Code("In which language", "pl", required=True)
    created_at = Moment("When it was sent", required=True)
    expires_at = Moment("Until when it can be taken up", required=True)


class NewInvitationShape(Shape):
    email = Text("Who is invited", 254, shortest=3, example="jan@firma.example", required=True)
    role = Choice("As what", ROLES, example="marketer", required=True)
    language = Choice("In which language the letter is", LANGUAGES, load_default=LANGUAGES[0])


class InvitationsShape(Shape):
    items = fields.List(fields.Nested(InvitationShape), required=True, metadata={"description": "Open ones, newest first"})


def _shape(listed: users.Listed) -> dict[str, Any]:
    names = ("id", "email", "name", "language", "active", "last_login_at", "created_at")
    values = {name: getattr(listed.row, name) for name in names}
    return {**values, "roles": listed.roles, "second_factor": listed.second_factor}


def _find(user_id: str) -> dict[str, Any]:
    with reading() as session:
        found = next((one for one in users.list_users(session) if one.row.id == user_id), None)
    if found is None:
        raise NotFound("There is no such user", cure="Go on from the list of users")
    return _shape(found)


@area.operation("GET", "/me", SIGNED_IN, answer=MeShape)
def get_me() -> dict[str, Any]:
    """Who this token acts for, and what it may do now."""
    who = caller()
    return {
        "user_id": who.user_id,
        "name": who.actor.name,
        "roles": who.roles,
        "permissions": sorted(who.permissions),
        "token_id": who.token_id,
    }


@area.operation("GET", "/users", P.USERS_WRITE, query=PageQuery, answer=page_of(UserShape))
def list_users(query: dict[str, Any]) -> Rows:
    """List the users by e-mail address."""
    after = read_cursor(query)
    with reading() as session:
        rows = [one for one in users.list_users(session) if after is None or one.row.email > after]
    return Rows(rows[: query["limit"] + 1], query["limit"], lambda one: one.row.email, _shape)


@area.operation("GET", "/users/<uuid:user_id>", P.USERS_WRITE, answer=UserShape, refuses=(404,))
def get_user(user_id: str) -> dict[str, Any]:
    """One user."""
    return _find(user_id)


@area.operation(
    "PATCH", "/users/<uuid:user_id>", P.USERS_WRITE, body=UserChangeShape, answer=UserShape, example={"active": False}
)
def change_user(body: dict[str, Any], user_id: str) -> dict[str, Any]:
    """Give a user other roles, disable or enable them. Their tokens and sign-ins follow at once."""
    seen = _find(user_id)
    match(UserShape, seen)
    if "roles" in body:
        accounts.change_roles(hub(), user_id, body["roles"], seen=seen["roles"])
    if "active" in body:
        (accounts.enable if body["active"] else accounts.disable)(hub(), user_id)
    return _find(user_id)


@area.operation(
    "POST", "/users/<uuid:user_id>/second-factor/reset", P.USERS_WRITE, body=EmptyShape, answer=UserShape, refuses=(404,)
)
def reset_second_factor(_: dict[str, Any], user_id: str) -> dict[str, Any]:
    """For somebody who lost their phone: app, passkeys and recovery codes go; the next sign-in sets up new ones."""
    _find(user_id)
    accounts.reset_second_factor(hub(), user_id)
    return _find(user_id)


@area.operation("GET", "/invitations", P.USERS_WRITE, answer=InvitationsShape)
def list_invitations() -> dict[str, Any]:
    """Invitations that are open."""
    with reading() as session:
        return {"items": invited.list_open(session, hub().now())}


def _find_invitation(invitation_id: str) -> Any:
    with reading() as session:
        row = invited.find_invitation(session, invitation_id=invitation_id)
    if row is None or row.accepted_at or row.revoked_at or row.email == invited.SET_UP:
        raise NotFound("There is no such open invitation", cure="Go on from the list of invitations")
    return row


@area.operation("GET", "/invitations/<uuid:invitation_id>", P.USERS_WRITE, answer=InvitationShape, refuses=(404,))
def get_invitation(invitation_id: str) -> Any:
    """One open invitation."""
    return _find_invitation(invitation_id)


@area.operation(
    "POST",
    "/invitations",
    P.USERS_WRITE,
    body=NewInvitationShape,
    answer=InvitationShape,
    status=201,
    example={"email": "jan@firma.example", "role": "marketer", "language": "pl"},
)
def create_invitation(body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Invite somebody by letter. The link in it is shown to nobody else."""
    who = caller()
    made = invitations.invite(hub(), body["email"], body["role"], body["language"], who.user_id, who.actor.name)
    return _find_invitation(made.id), {"Location": f"/api/v1/invitations/{made.id}"}


@area.operation("DELETE", "/invitations/<uuid:invitation_id>", P.USERS_WRITE, status=204)
def revoke_invitation(invitation_id: str) -> None:
    """Take an invitation back; its link stops working."""
    match(InvitationShape, _find_invitation(invitation_id))
    invitations.revoke(hub(), invitation_id)
