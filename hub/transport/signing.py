"""Turns an `Auth` into signed requests; the OAuth flows themselves are Authlib's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import parse_qsl

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth1.rfc5849.parameters import prepare_headers, prepare_request_uri_query
from authlib.oauth1.rfc5849.signature import normalize_base_string_uri
from authlib.oauth1.rfc5849.util import escape
from requests.auth import AuthBase, HTTPBasicAuth
from requests.models import PreparedRequest

from hub.core.errors import ReauthorizeNeeded, SetupError, Unavailable
from hub.core.http import Auth, Basic, Bearer, OAuth1, OAuth2, Placement, Token, TokenStore
from hub.core.redact import forget_secrets, know_secret

REFRESH_MARGIN = timedelta(minutes=5)
"""Access tokens are replaced this long before they expire (HubSpot's live 30 minutes)."""


class OAuth1SignedAuth(AuthBase):
    """Signs with HMAC-SHA256 and no token. Authlib's own client refuses plain http, where WooCommerce accepts nothing else,
    and does not know SHA-256. A JSON body is not signed (RFC 5849 §3.4.1.3.1)."""

    def __init__(self, auth: OAuth1) -> None:
        know_secret(auth.key, auth.secret)
        self._auth = auth

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        method, url = request.method or "GET", request.url or ""
        params = [
            ("oauth_consumer_key", self._auth.key),
            ("oauth_nonce", secrets.token_hex(16)),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_timestamp", str(int(time.time()))),
            ("oauth_version", "1.0"),
        ]
        params.append(("oauth_signature", self.sign(method, url, params)))
        if self._auth.placement is Placement.HEADER:
            request.headers.update(prepare_headers(params, {}))
        else:
            request.url = prepare_request_uri_query(params, url)
        return request

    def sign(self, method: str, url: str, oauth_params: list[tuple[str, str]]) -> str:
        """RFC 5849 §3.4.2 with SHA-256; `url` with its query."""
        key, base = f"{escape(self._auth.secret)}&", base_string(method, url, oauth_params)
        digest = hmac.new(key.encode(), base.encode(), hashlib.sha256)
        return base64.b64encode(digest.digest()).decode()


def base_string(method: str, url: str, oauth_params: Sequence[tuple[str, str]]) -> str:
    """What Authlib's `construct_base_string` gives for the same call (a test holds the two equal), but what all calls of a
    reading have in common is escaped once: it took a tenth of the processor time of a page."""
    address, _, query = url.partition("?")
    given = [*parse_qsl(query, keep_blank_values=True), *oauth_params]
    pairs = sorted([(_escape(name), _escape(value)) for name, value in given])
    listed = "&".join([f"{name}={value}" for name, value in pairs])
    return f"{_escape(method.upper())}&{_escape(_base_address(address))}&{escape(listed)}"


@lru_cache(maxsize=256)
def _escape(text: str) -> str:
    return str(escape(text))


@lru_cache(maxsize=64)
def _base_address(address: str) -> str:
    return str(normalize_base_string_uri(address))


def bear(request: PreparedRequest, token: str) -> PreparedRequest:
    """Put the token into the header, unless it holds what a header cannot: a line end or a letter picked up in copying."""
    if not (token.isascii() and token.isprintable()):
        raise ReauthorizeNeeded("The token holds characters that no token has", cure="Copy it again, all in one line")
    request.headers["Authorization"] = f"Bearer {token}"
    return request


class BearerAuth(AuthBase):
    def __init__(self, token: str) -> None:
        know_secret(token)
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return bear(request, self._token)


class OAuth2Auth(AuthBase):
    """Bears the stored access token; refreshes ahead of expiry, one refresher per connection."""

    def __init__(self, auth: OAuth2, token_url: str, tokens: TokenStore, session: OAuth2Session) -> None:
        know_secret(auth.client_secret)
        self._auth = auth
        self._token_url = token_url
        self._tokens = tokens
        self._session = session

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        token = self._tokens.load()
        if not token.access or (token.expires_at and token.expires_at - REFRESH_MARGIN <= datetime.now(UTC)):
            token = self.refresh(token)
        know_secret(token.access)
        return bear(request, token.access)

    def refresh(self, stale: Token) -> Token:
        """A token newer than `stale`: somebody else's if one was faster, else freshly refreshed.

        `invalid_grant` means revoked only if the stored refresh token is still the one that was sent.
        """
        with self._tokens.refreshing() as ours:
            stored = self._tokens.load()
            if stored.version != stale.version:
                self._forget(stale, stored)
                return stored
            if not ours:
                raise Unavailable("Another worker is refreshing the access token", after=2.0)
            know_secret(stored.refresh)
            fresh = self._ask(stored)
            if self._tokens.save(fresh, replacing=stored.version):
                self._forget(stored, fresh)
                return fresh
        return self._tokens.load()

    @staticmethod
    def _forget(old: Token, new: Token) -> None:
        """Replaced tokens are not kept in mind: a worker lives for months, and each new one comes after half an hour."""
        gone = {value for value in (old.access, old.refresh) if value} - {new.access, new.refresh}
        if gone:
            forget_secrets(gone)

    def _ask(self, stored: Token) -> Token:
        response = self._session.post(
            self._token_url,
            data={
                "grant_type": "refresh_token",
                "refresh_token": stored.refresh,
                "client_id": self._auth.client_id,
                "client_secret": self._auth.client_secret,
            },
            withhold_token=True,
            allow_redirects=False,
        )
        try:
            body = response.json()
        except ValueError:
            body = None
        if response.status_code in (400, 401) and isinstance(body, dict):
            if self._tokens.load().refresh != stored.refresh:
                raise Unavailable("The refresh token was replaced meanwhile", after=1.0)
            raise ReauthorizeNeeded(
                "The platform no longer accepts the refresh token",
                cause=str(body.get("error") or body.get("status") or response.status_code),
                status=response.status_code,
            )
        if response.status_code != 200 or not isinstance(body, dict) or "access_token" not in body:
            raise Unavailable("The platform's token address has an error", status=response.status_code, after=10.0)
        know_secret(str(body["access_token"]))
        return Token(
            access=str(body["access_token"]),
            refresh=str(body.get("refresh_token") or stored.refresh),
            expires_at=datetime.now(UTC) + _lifetime(body.get("expires_in")),
            version=stored.version + 1,
        )


def _lifetime(said: object) -> timedelta:
    """How long a new access token lives; half an hour where the answer does not say it properly."""
    try:
        return timedelta(seconds=float(str(said)))
    except (ValueError, OverflowError):
        return timedelta(minutes=30)


def make_auth(auth: Auth | None, base_url: str, tokens: TokenStore | None, token_session: OAuth2Session) -> AuthBase | None:
    """The requests hook that signs each call."""
    match auth:
        case None:
            return None
        case Basic(user, password):
            know_secret(user, password)
            return HTTPBasicAuth(user.encode(), password.encode())
        case Bearer(token):
            return BearerAuth(token)
        case OAuth1():
            return OAuth1SignedAuth(auth)
        case OAuth2():
            if tokens is None:
                raise SetupError("OAuth 2 needs a place to keep its token")
            return OAuth2Auth(auth, base_url.rstrip("/") + auth.token_path, tokens, token_session)
