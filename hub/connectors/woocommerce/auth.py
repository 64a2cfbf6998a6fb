"""The shop's address, the way to sign, and what its refusals mean.

Facts of recordings/auth-*.json: over http only OAuth 1.0a works and everything else looks like «no credentials» (401
`woocommerce_rest_cannot_view`); a 401 alone does not say that a key was revoked, `code` and for one code `message` do.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import orjson

from hub.core.connector import Account, Checked
from hub.core.errors import ContractBroken, Invalid, PlatformError, ReauthorizeNeeded, Unavailable
from hub.core.http import Answer, Auth, Basic, Call, OAuth1, Placement
from hub.core.texts import N_
from hub.core.types import Json
from hub.transport import Http, Verdict, read_json

NAMESPACE = "/wp-json/wc/v3"
NO_KEY_SEEN = "woocommerce_rest_cannot_view"
KEY_WRONG = "woocommerce_rest_authentication_error"


class Signing(StrEnum):
    """The ways to present the key; kept in the connection's options under «signing»."""

    BASIC = "basic"
    HEADER = "oauth1-header"
    QUERY = "oauth1-query"


def clean_address(typed: str) -> str:
    """The shop's base address from what an admin typed: no /wp-json…, no wp-admin, no slash at the end; a sub-folder stays."""
    text = typed.strip()
    if text and "://" not in text:
        text = "https://" + text
    try:
        parts = urlsplit(text)
    except ValueError as error:
        wrong = N_("This is not a web address; it starts with https:// and has a host, for example https://shop.example")
        raise Invalid("The address cannot be used", fields={"url": wrong}) from error
    path = parts.path
    for marker in ("/wp-json", "/wp-admin", "/wp-login.php"):
        path = path.split(marker)[0]
    return urlunsplit((parts.scheme.lower(), parts.netloc, path.rstrip("/"), parts.query, parts.fragment))


def ways(address: str) -> tuple[Signing, ...]:
    """Which signatures to try, in this order. Over http a shop takes no notice of Basic, and it would show the secret."""
    if address.startswith("https://"):
        return (Signing.BASIC, Signing.HEADER, Signing.QUERY)
    return (Signing.HEADER, Signing.QUERY)


def make_auth(account: Account, signing: Signing) -> Auth:
    key, secret = account.credentials.get("key", "").strip(), account.credentials.get("secret", "").strip()
    if signing is Signing.BASIC:
        return Basic(key, secret)
    return OAuth1(key, secret, Placement.QUERY if signing is Signing.QUERY else Placement.HEADER)


def connect(account: Account, http: Http) -> Http:
    """A client bound to the shop, signing in the way that `check()` found, else in the likeliest one."""
    address = clean_address(account.credentials.get("url", ""))
    known = account.options.get("signing")
    signing = Signing(known) if known in tuple(Signing) else ways(address)[0]
    return http.bind(address, make_auth(account, signing), judge=judge)


def judge(answer: Answer) -> PlatformError | Verdict | None:
    """WooCommerce's own reading of a refusal; None leaves it to the table of `hub.transport`."""
    code, words = _vendor_error(answer)
    if answer.status == 401 and code == KEY_WRONG:
        return _key_wrong(code, words)
    if answer.status == 401:
        return _refusal(
            "key",
            N_("The shop does not recognise the key"),
            N_(
                "Check that the key still exists in WooCommerce → Settings → Advanced → REST API and that «key» holds all of it"
            ),
            code,
            words,
        )
    if answer.status == 403 and code:
        return _refusal(
            "key",
            N_("The owner of the key may not see this in the shop"),
            N_("Make a key whose user is an administrator or a shop manager, and put it into «key» and «secret»"),
            code,
            words,
        )
    if answer.status == 403:
        cure = "Let the hub's address through it"
        return Verdict(Unavailable, "A firewall before the shop refuses the hub", cure, after=300.0)
    if answer.status == 404 and code == "rest_no_route":
        return Verdict(
            ContractBroken,
            "The shop does not offer this part of the WooCommerce API",
            "Check that WooCommerce is active and up to date, and that «url» is the shop's address",
        )
    return None


def _key_wrong(code: str, words: str) -> PlatformError:
    """One code stands for six things; only the English message tells them apart (translated shops get the last answer)."""
    text = words.lower()
    if "timestamp" in text:
        return Unavailable(
            "The clocks of the hub and of the shop differ by more than 15 minutes",
            cure="Set the clock of the server that is wrong",
            after=60.0,
            vendor_code=code,
        )
    if "nonce" in text:
        return Unavailable("The shop has seen this signature before", after=1.0, vendor_code=code)
    if "permission" in text:
        cure = N_("Set its permissions to Read in WooCommerce → Settings → Advanced → REST API, or put another key into «key»")
        return _refusal("key", N_("The key is not allowed to read"), cure, code, words)
    if "consumer key" in text:
        cure = N_("Check «key»: it starts with ck_ and must still be listed in WooCommerce → Settings → Advanced → REST API")
        return _refusal("key", N_("The shop does not know the key"), cure, code, words)
    if "secret" in text or "signature" in text:
        cure = N_(
            "Check «secret»: it starts with cs_ and belongs to this key; WooCommerce shows it only once, so make a new key"
        )
        return _refusal("secret", N_("The key is right but its secret is wrong"), cure, code, words)
    cure = N_("Make a new key and put it into «key» and «secret»")
    return _refusal("key", N_("The shop does not accept the key and its secret"), cure, code, words)


def _refusal(field: str, message: str, cure: str, code: str, words: str) -> ReauthorizeNeeded:
    return ReauthorizeNeeded(message, cure=cure, cause=words, vendor_code=code, details={"field": field})


def _vendor_error(answer: Answer) -> tuple[str, str]:
    """`code` and `message` of the shop's error body; empty where a firewall or a web server answered instead."""
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    return str(body.get("code") or ""), str(body.get("message") or "")


def check(account: Account, http: Http) -> Checked:
    """Find the shop and the way to sign; what an admin can mend is `Invalid` with the field's name.

    Two or three calls: the site's index (no key), then `system_status` with each way to sign until one is let in.
    """
    address = clean_address(account.credentials.get("url", ""))
    for name in ("key", "secret"):
        if not account.credentials.get(name, "").strip():
            raise Invalid("A credential is missing", fields={name: "Copy it from WooCommerce → Settings → Advanced → REST API"})
    try:
        index = _site_index(http.bind(address, judge=judge), address)
        signing, status = _find_signing(account, http, address)
    except Unavailable as error:
        if error.status == 0 and "«url»" in error.cure:
            raise Invalid(error.message, cause=error.cause, fields={"url": error.cure}, **error.params) from error
        raise
    return _checked(address, index, signing, status)


def _site_index(http: Http, address: str) -> dict[str, Any]:
    """`GET /wp-json/`, which needs no key; empty where a security plugin hides it."""
    try:
        index = read_json(http.call(Call("GET", "/wp-json/", {"_fields": INDEX_FIELDS})), connection=http.connection)
    except ReauthorizeNeeded:
        return {}
    except ContractBroken as error:
        raise _no_shop(http, address, error) from error
    if not isinstance(index, dict) or not isinstance(index.get("namespaces"), list):
        raise _wrong_url(N_("There is no WordPress site at this address"), N_("Put the shop's own address into «url»"))
    if "wc/v3" not in index["namespaces"]:
        raise _wrong_url(N_("There is a WordPress site but no WooCommerce"), N_("Activate WooCommerce there, or check «url»"))
    return index


INDEX_FIELDS = "name,url,home,gmt_offset,timezone_string,namespaces"


def _no_shop(http: Http, address: str, error: ContractBroken) -> Invalid:
    """Why `/wp-json/` gave no JSON: another address, plain permalinks, or no WordPress."""
    if 300 <= error.status < 400:
        target = urljoin(f"{address}/", str(error.params.get("location", "")))
        return _wrong_url(
            N_("The address leads to another one: {target}"),
            N_("Put the final address, {target}, into «url»"),
            target=clean_address(target),
        )
    try:
        plain = read_json(http.call(Call("GET", "/", {"rest_route": "/", "_fields": INDEX_FIELDS})))
    except PlatformError:
        plain = None
    if isinstance(plain, dict) and "namespaces" in plain:
        return _wrong_url(
            N_("The shop uses plain permalinks, with which keys do not work"),
            N_("Choose any other form in WordPress → Settings → Permalinks; then «url» is right as it is"),
        )
    return _wrong_url(
        N_("There is no WordPress site with an open REST API at this address"),
        N_("Check «url»: open it with /wp-json/ behind it in a browser; text in braces must appear"),
    )


def _wrong_url(message: str, cure: str, **params: object) -> Invalid:
    return Invalid(message, fields={"url": cure}, **params)


STATUS = Call(
    "GET",
    f"{NAMESPACE}/system_status",
    {
        "_fields": "environment.home_url,environment.version,environment.wp_version,settings.currency,settings.HPOS_enabled",
    },
)


def _find_signing(account: Account, http: Http, address: str) -> tuple[Signing, dict[str, Any]]:
    """The first way to sign that the shop lets in. Only «no key seen» leads to the next one: a wrong secret stays wrong."""
    refused: ReauthorizeNeeded | None = None
    for signing in ways(address):
        bound = http.bind(address, make_auth(account, signing), judge=judge)
        try:
            status = read_json(bound.call(STATUS), connection=http.connection)
        except ReauthorizeNeeded as error:
            refused = error
            if error.status == 401 and error.vendor_code in (NO_KEY_SEEN, ""):
                continue
            break
        if not isinstance(status, dict):
            raise ContractBroken("The shop's system status is not an object", connection=http.connection, status=200)
        return signing, status
    assert refused is not None
    field = str(refused.details.get("field", "key"))
    raise Invalid(refused.message, cause=refused.cause, fields={field: refused.cure}) from refused


def _checked(address: str, index: dict[str, Any], signing: Signing, status: dict[str, Any]) -> Checked:
    environment = _part(status, "environment")
    settings = _part(status, "settings")
    home = str(index.get("home") or index.get("url") or environment.get("home_url") or address)
    facts: dict[str, Json] = {
        "home": home,
        "woocommerce": environment.get("version"),
        "wordpress": environment.get("wp_version"),
        "currency": settings.get("currency"),
        "hpos": settings.get("HPOS_enabled"),
        "timezone": index.get("timezone_string") or None,
        "gmt_offset": index.get("gmt_offset"),
    }
    return Checked(
        account_id=account_id(home),
        account_name=str(index.get("name") or urlsplit(home).hostname or home),
        facts=facts,
        options={"signing": signing.value},
    )


def _part(status: dict[str, Any], name: str) -> dict[str, Any]:
    part = status.get(name)
    return part if isinstance(part, dict) else {}


def account_id(home: str) -> str:
    """The site's own home address with small letters in the host, no default port and no slash at the end."""
    parts = urlsplit(home)
    host = (parts.hostname or "").lower()
    if parts.port and parts.port != {"http": 80, "https": 443}.get(parts.scheme):
        host = f"{host}:{parts.port}"
    return f"{parts.scheme.lower()}://{host}{parts.path.rstrip('/')}"
