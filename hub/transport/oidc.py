"""OpenID Connect, the code flow with PKCE: the calls and checks are Authlib's, what counts as an answer is decided here."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from requests import RequestException

from hub.core.errors import ContractBroken, Refused, Unavailable
from hub.core.redact import know_secret
from hub.core.settings import Settings
from hub.transport.guard import GuardedAdapter

SCOPE = "openid email profile"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by the provider's own key only: never «none», never one made with the client secret."""
KEPT = 3600.0
"""Seconds that the provider's description and keys are believed; an unknown key asks again at once."""
LEEWAY = 60
_KEPT_TEXTS = ("state", "nonce", "verifier")


class SignOnFailed(Refused):
    """The provider's answer does not fit what was asked, or says no."""

    code = "sign_on_failed"
    message = "The provider's answer could not be used"
    cure = "Start again on the sign-in page"


class OidcProvider:
    """One provider; threads may share it. Addresses of its description are called only inside the guard."""

    def __init__(self, settings: Settings) -> None:
        know_secret(settings.oidc_client_secret)
        self._settings = settings
        self._issuer = settings.oidc_issuer
        self._lock = threading.Lock()
        self._facts: dict[str, Any] = {}
        self._keys: Any = None
        self._read_at = 0.0

    def begin(self, return_address: str) -> tuple[str, dict[str, str]]:
        """(address to send the browser to, what to keep for `finish`)."""
        facts = self._described()
        kept = {name: generate_token(48) for name in _KEPT_TEXTS}
        with self._session(return_address) as session:
            address, _ = session.create_authorization_url(
                facts["authorization_endpoint"],
                state=kept["state"],
                nonce=kept["nonce"],
                code_verifier=kept["verifier"],
            )
        return str(address), kept

    def finish(self, answer: Mapping[str, str], kept: Mapping[str, Any], return_address: str) -> dict[str, Any]:
        """The checked claims of the ID token (OpenID Connect Core 1.0 §3.1.3.7). `answer` is the query that came back."""
        facts = self._described()
        if not kept.get("state") or answer.get("state") != kept["state"]:
            raise SignOnFailed(cause="state")
        if answer.get("error") or not answer.get("code"):
            raise SignOnFailed(cause=str(answer.get("error") or "no code")[:100])
        if answer.get("iss", self._issuer) != self._issuer:  # RFC 9207
            raise SignOnFailed(cause="issuer")
        try:
            with self._session(return_address) as session:
                token = session.fetch_token(
                    facts["token_endpoint"], code=answer["code"], code_verifier=str(kept.get("verifier") or "")
                )
        except OAuthError as error:
            raise SignOnFailed(cause=str(error.error)[:100]) from error
        except (RequestException, ValueError) as error:
            raise _away(error) from error
        return self._claims(str(token.get("id_token") or ""), str(kept.get("nonce") or ""), token.get("access_token"))

    def _claims(self, id_token: str, nonce: str, access_token: Any) -> dict[str, Any]:
        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        try:
            try:
                decoded = jwt.decode(id_token, key=self._keys, registry=registry)
            except (JoseError, ValueError):
                self._read_again()  # the provider may have new keys
                decoded = jwt.decode(id_token, key=self._keys, registry=registry)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {"iss": {"essential": True, "values": [self._issuer]}, "aud": {"essential": True, "value": self._client}},
                {"nonce": nonce, "client_id": self._client, "access_token": access_token},
            )
            claims.validate(leeway=LEEWAY)
        except (JoseError, OAuthError, ValueError, TypeError) as error:
            raise SignOnFailed(cause=type(error).__name__) from error
        if not nonce or claims.get("nonce") != nonce:
            raise SignOnFailed(cause="nonce")
        return dict(claims)

    @property
    def _client(self) -> str:
        return self._settings.oidc_client_id

    def _session(self, return_address: str = "") -> Any:
        settings, url = self._settings, urlsplit(self._issuer)
        session = OAuth2Session(
            self._client,
            settings.oidc_client_secret,
            scope=SCOPE,
            redirect_uri=return_address or None,
            code_challenge_method="S256",
            default_timeout=(settings.connect_timeout, settings.read_timeout),
        )
        # Whoever set the issuer meant its host, which may well stand in the firm's own network.
        adapter = GuardedAdapter({*settings.allow_private_hosts, (url.hostname or "").lower()})
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.trust_env = False
        session.verify = settings.ca_bundle or True
        return session

    def _described(self) -> dict[str, Any]:
        with self._lock:
            if not self._facts or time.monotonic() - self._read_at > KEPT:
                self._read()
            return self._facts

    def _read_again(self) -> None:
        with self._lock:
            self._read()

    def _read(self) -> None:
        """OpenID Connect Discovery 1.0 §4."""
        try:
            with self._session() as session:
                facts = self._get(session, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                if facts.get("issuer") != self._issuer:
                    raise ContractBroken(
                        "The provider calls itself otherwise than HUB_OIDC_ISSUER", cause=str(facts.get("issuer"))
                    )
                keys = KeySet.import_key_set(self._get(session, str(facts.get("jwks_uri"))))  # type: ignore[arg-type]
        except (RequestException, JoseError, ValueError, TypeError) as error:
            raise _away(error) from error
        if not all(isinstance(facts.get(name), str) for name in ("authorization_endpoint", "token_endpoint")):
            raise ContractBroken("The provider's description lacks its addresses")
        self._facts, self._keys, self._read_at = facts, keys, time.monotonic()

    @staticmethod
    def _get(session: Any, url: str) -> dict[str, Any]:
        answer = session.get(url, withhold_token=True, allow_redirects=False)
        answer.raise_for_status()
        found = answer.json()
        if not isinstance(found, dict):
            raise ValueError("no object")
        return found


def _away(error: Exception) -> Unavailable:
    return Unavailable(
        "The provider of single sign-on does not answer properly",
        cause=type(error).__name__,
        cure="Sign in with your password, or try again later",
    )
