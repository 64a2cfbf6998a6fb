"""The two ways into a HubSpot account, and the address it is reached at."""

from __future__ import annotations

from urllib.parse import urlsplit

from hub.connectors.hubspot.paths import path
from hub.core.connector import Account, Credential
from hub.core.errors import Invalid
from hub.core.http import Auth, Bearer, OAuth2

DEFAULT_URL = "https://api.hubapi.com"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OAUTH_NAMES = ("client_id", "client_secret", "refresh_token")
NEEDED_SCOPES = ("crm.objects.contacts.read", "crm.objects.contacts.write", "crm.lists.read", "crm.lists.write")

CREDENTIALS = (
    Credential(
        "token",
        "A service key or the access token of a private app; leave it out with OAuth 2",
        secret=True,
        required=False,
        example="pat-eu1-…",
    ),
    Credential("client_id", "Client id of your HubSpot app (OAuth 2)", required=False),
    Credential("client_secret", "Client secret of your HubSpot app (OAuth 2)", secret=True, required=False),
    Credential("refresh_token", "Refresh token of the account that installed your app (OAuth 2)", secret=True, required=False),
    Credential("url", "Address of the API; only a simulator needs another one", required=False, example=DEFAULT_URL),
)


def uses_token(account: Account) -> bool:
    """Whether the connection has a fixed token rather than OAuth 2."""
    return bool(account.credentials.get("token"))


def make_auth(account: Account) -> Auth:
    """How calls are signed. Raises `Invalid` unless exactly one of the two ways is given, and given whole."""
    given = account.credentials
    oauth = [name for name in OAUTH_NAMES if given.get(name)]
    if given.get("token") and oauth:
        raise Invalid(
            "Give either a token or an OAuth 2 app, not both",
            fields=dict.fromkeys(oauth, "Leave it empty while «token» is given"),
        )
    if given.get("token"):
        return Bearer(given["token"].strip())
    if not oauth:
        raise Invalid(
            "HubSpot needs a token or an OAuth 2 app",
            fields={"token": "Give a service key or a private app's token, or client_id, client_secret and refresh_token"},
        )
    missing = [name for name in OAUTH_NAMES if name not in oauth]
    if missing:
        raise Invalid(
            "The OAuth 2 app is not complete",
            fields=dict.fromkeys(missing, "OAuth 2 needs it beside the other two; a token alone is the other way"),
        )
    return OAuth2(path("token"), given["client_id"], given["client_secret"])


def base_url(account: Account) -> str:
    """The API's address: HubSpot's own over https, or a simulator on this machine (the transport's guard asks for more)."""
    url = (account.credentials.get("url") or DEFAULT_URL).strip().rstrip("/")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Invalid("The address cannot be used", fields={"url": "This is not a web address"}, cause=str(error)) from error
    host = (parts.hostname or "").lower()
    ours = parts.scheme in ("http", "https") and host in LOOPBACK
    theirs = parts.scheme == "https" and (host == "hubapi.com" or host.endswith(".hubapi.com"))
    if not (ours or theirs):
        raise Invalid(
            "This is not an address of HubSpot's API",
            fields={"url": "Leave it empty for {default}, or give https://….hubapi.com"},
            default=DEFAULT_URL,
        )
    return url
