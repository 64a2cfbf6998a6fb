"""HubSpot: contacts and list members go out, automations are started, webhooks come in."""

from __future__ import annotations

from hub.connectors.hubspot.auth import CREDENTIALS, uses_token
from hub.connectors.hubspot.automations import KINDS, LARGEST_MEMBERSHIP
from hub.connectors.hubspot.client import HubSpot
from hub.connectors.hubspot.contacts import LARGEST_BATCH
from hub.core.connector import Account, Connector, Declaration, Limits, StreamInfo, Verb
from hub.core.types import Target
from hub.transport import Http

APP_LIMITS = Limits(burst=110, window=10.0, daily=None, in_flight=6)
"""An OAuth 2 app, per account that installed it; no daily limit is named."""

TOKEN_LIMITS = Limits(burst=100, window=10.0, daily=250_000, in_flight=6)
"""A service key or private app on the smallest plan; larger plans allow more, which the answers' headers tell."""

DECLARATION = Declaration(
    name="hubspot",
    title="HubSpot",
    auth=CREDENTIALS,
    streams=(
        StreamInfo("contacts", Target.CONTACT, writes=True, write_batch=LARGEST_BATCH),
        StreamInfo("list_members", None, writes=True, write_batch=LARGEST_MEMBERSHIP),
    ),
    limits=APP_LIMITS,
    can=frozenset({Verb.CHECK, Verb.WRITE, Verb.TRIGGER, Verb.RECEIVE}),
    automations=KINDS,
)


def limits(account: Account) -> Limits:
    """What HubSpot allows this account: it depends on the way it was connected."""
    return TOKEN_LIMITS if uses_token(account) else APP_LIMITS


def build(account: Account, http: Http) -> Connector:
    """The connector for one account; makes no call yet."""
    return HubSpot(DECLARATION, account, http)
