"""Who may come in: keys over Basic, the query and OAuth 1.0a, checked as the recorded shop does (recordings/auth-*.json)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from urllib.parse import parse_qsl, quote, unquote
from wsgiref.types import WSGIEnvironment

KEY, SECRET = "ck_" + "5e1f" * 10, "cs_" + "0dd5" * 10
WINDOW = 15 * 60
"""Seconds a timestamp may be old, and a nonce is remembered."""

NOBODY = (401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
NO_RIGHTS = (403, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
Refusal = tuple[int, str, str]


class Door:
    """`permissions` of the key, `owner` its user's role, `strips` whether the host drops the Authorization header."""

    def __init__(self, tls: bool) -> None:
        self.tls = tls
        self.permissions = "read_write"
        self.owner = "administrator"
        self.strips = False
        self._nonces: dict[str, float] = {}

    def refuse(self, environ: WSGIEnvironment, url: str) -> Refusal | None:
        """None lets the caller in; `url` is the address as the caller signed it, without its query."""
        header = "" if self.strips else str(environ.get("HTTP_AUTHORIZATION", ""))
        query = parse_qsl(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)
        named = dict(query)
        if self.tls and header.startswith("Basic "):
            key, _, secret = base64.b64decode(header[6:]).decode("utf-8", "replace").partition(":")
            refusal = self._plain(key, secret)
        elif self.tls and "consumer_key" in named:
            refusal = self._plain(named["consumer_key"], named.get("consumer_secret", ""))
        elif header.startswith("OAuth "):
            signed = [(name, unquote(value)) for name, value in re.findall(r'(oauth_\w+)="([^"]*)"', header)]
            refusal = self._signed(str(environ["REQUEST_METHOD"]), url, query, signed)
        elif "oauth_consumer_key" in named:
            signed = [pair for pair in query if pair[0].startswith("oauth_")]
            rest = [pair for pair in query if not pair[0].startswith("oauth_")]
            refusal = self._signed(str(environ["REQUEST_METHOD"]), url, rest, signed)
        else:
            return NOBODY
        return refusal or self._allowed("read" if environ["REQUEST_METHOD"] in ("GET", "HEAD") else "write")

    def _plain(self, key: str, secret: str) -> Refusal | None:
        if key != KEY:
            return NOBODY
        return None if secret == SECRET else _wrong("Consumer secret is invalid.")

    def _signed(self, method: str, url: str, query: list[tuple[str, str]], signed: list[tuple[str, str]]) -> Refusal | None:
        given = dict(signed)
        if given.get("oauth_consumer_key") != KEY:
            return _wrong("Consumer key is invalid.")
        pairs = sorted((_enc(name), _enc(value)) for name, value in [*query, *signed] if name != "oauth_signature")
        text = "&".join((method, _enc(url), _enc("&".join(f"{name}={value}" for name, value in pairs))))
        digest = {"HMAC-SHA256": hashlib.sha256, "HMAC-SHA1": hashlib.sha1}.get(given.get("oauth_signature_method", ""))
        if digest is None:
            return _wrong("Invalid signature - signature method is invalid.")
        right = base64.b64encode(hmac.new(f"{SECRET}&".encode(), text.encode(), digest).digest()).decode()
        if not hmac.compare_digest(right, given.get("oauth_signature", "")):
            return _wrong("Invalid signature - provided signature does not match.")
        return self._fresh(given.get("oauth_timestamp", "0"), given.get("oauth_nonce", ""))

    def _fresh(self, timestamp: str, nonce: str) -> Refusal | None:
        now = time.time()
        if not timestamp.isdigit() or abs(now - int(timestamp)) > WINDOW:
            return _wrong("Invalid timestamp.")
        if nonce in self._nonces:
            return _wrong("Invalid nonce - nonce has already been used.")
        if len(self._nonces) > 50_000:
            self._nonces = {name: at for name, at in self._nonces.copy().items() if now - at < WINDOW}
        self._nonces[nonce] = now
        return None

    def _allowed(self, wanted: str) -> Refusal | None:
        if wanted not in self.permissions:
            return _wrong(f"The API key provided does not have {wanted} permissions.")
        return NO_RIGHTS if self.owner == "customer" else None


def _wrong(message: str) -> Refusal:
    return 401, "woocommerce_rest_authentication_error", message


def _enc(text: str) -> str:
    return quote(text, safe="~")
