"""A HubSpot to try things on: state, limits, expiring tokens and faults on request. Never on a production path.

Controls for another process are `POST /_simulator/NAME` with a JSON object: see `CONTROLS`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from flask import Flask, Response, render_template_string, request

from hub.connectors.hubspot import simulator_gate as gate
from hub.connectors.hubspot.simulator_account import Contacts
from hub.connectors.hubspot.simulator_gate import Gate, Refuse
from hub.connectors.hubspot.simulator_lists import LIST_ID, SEGMENT_LIST_ID, WORKFLOW_ID, Lists
from hub.connectors.hubspot.simulator_page import TEMPLATE, WORDS, parts
from hub.core.types import Json
from hub.transport.simulation import STATE_PATH, Option

OPTIONS = (
    Option("burst", int, 110, "Calls allowed in each rolling window"),
    Option("window", float, 10.0, "The rolling window, in seconds"),
    Option("daily", int, 0, "Calls allowed a day; 0 is no limit"),
    Option("token_life", float, 1800.0, "Seconds that an access token lives"),
    Option("strict_batches", bool, True, "Whether one bad contact refuses a whole upsert by e-mail"),
    Option("poison", str, "", "E-mail addresses, separated by commas, whose contacts are refused"),
    Option("time_zone", str, "Europe/Warsaw", "Time zone of the account"),
)
CONTROLS = ("lock", "lose", "fail", "migrate", "revoke", "renew", "expire", "poison", "missing_scope", "workflow", "restore")

OBJECTS, LISTS, PROPERTIES = "/crm/objects/2026-03/contacts", "/crm/lists/2026-03", "/crm/properties/2026-03/contacts"
ENROL = "/automation/v2/workflows"
READ, WRITE = "crm.objects.contacts.read", "crm.objects.contacts.write"
LISTS_READ, LISTS_WRITE, AUTOMATION = "crm.lists.read", "crm.lists.write", "automation"

Handler = Callable[..., Any]
"""Takes the body and the places of the path; returns the answer's body, a status and a body, or None for 204."""


class HubSpotSimulator:
    """One account. `clock` gives seconds since 1970 and may be replaced to let tokens expire and limits pass."""

    list_id, segment_list_id, workflow_id = LIST_ID, SEGMENT_LIST_ID, WORKFLOW_ID
    token = gate.FIXED_TOKEN

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.clock: Callable[[], float] = time.time
        self.time_zone = str(options["time_zone"])
        self.gate = Gate(
            burst=options["burst"],
            window=options["window"],
            daily=options["daily"],
            token_life=options["token_life"],
            zone=self.time_zone,
            clock=self._now,
        )
        poison = [email.strip() for email in str(options["poison"]).split(",") if email.strip()]
        self.contacts = Contacts(self._now, strict_batches=options["strict_batches"], poison=poison)
        self.lists = Lists(self.contacts, self._now)
        self.lock = threading.RLock()
        self.app = Flask(__name__, static_folder=None)
        self._route()

    def _now(self) -> float:
        return self.clock()

    @property
    def poison(self) -> set[str]:
        """Lower-case addresses whose contacts are refused; may be changed at any time."""
        return self.contacts.poison

    def credentials(self) -> Mapping[str, str]:
        return {"client_id": gate.CLIENT_ID, "client_secret": gate.CLIENT_SECRET, "refresh_token": self.gate.refresh_token}

    def token_credentials(self) -> Mapping[str, str]:
        """The other way in: a fixed token."""
        return {"token": self.token}

    def state(self) -> dict[str, Json]:
        with self.lock:
            return {
                "contacts": len(self.contacts.by_id),
                "triggered": len(self.lists.enrolments),
                "triggered_twice": sum(count > 1 for count in self.lists.counts.values()),
                "members": {one.id: len(one.members) for one in self.lists.by_id.values()},
                "calls": self.gate.calls,
                "writes": self.gate.writes,
                "throttled": self.gate.throttled,
                "upserted": self.contacts.upserted,
                "by_path": dict(self.gate.by_path),
                "window_max": self.gate.window_max,
                "refreshes": self.gate.refreshes,
                "automation": {
                    "list_id": self.list_id,
                    "segment_list_id": self.segment_list_id,
                    "workflow_id": self.workflow_id,
                },
            }

    def control(self, name: str, given: Mapping[str, Any]) -> dict[str, Json]:
        """One fault or its end; `count`, `seconds`, `status`, `emails`, `scope`, `enabled` as each needs."""
        count = int(given.get("count", 1))
        with self.lock:
            match name:
                case "lock":  # the next writes are answered 423
                    self.gate.to_lock = count
                case "lose":  # the next writes are done, but their answer is lost (502)
                    self.gate.to_lose = count
                case "fail":
                    self.gate.to_fail, self.gate.fail_status = count, int(given.get("status", 503))
                case "migrate":
                    self.gate.migrating_until = self.clock() + float(given.get("seconds", 600))
                case "revoke":
                    self.gate.revoked = True
                    self.gate.access.clear()
                case "renew":
                    return {"refresh_token": self.gate.renew()}
                case "expire":
                    self.gate.access = dict.fromkeys(self.gate.access, 0.0)
                case "poison":
                    self.poison.clear()
                    self.poison.update(str(email).lower() for email in given.get("emails", ()))
                case "missing_scope":
                    self.gate.missing_scopes.add(str(given["scope"]))
                case "workflow":
                    self.lists.enabled = bool(given.get("enabled", True))
                case "restore":
                    self.gate.restore()
                    self.poison.clear()
                    self.lists.enabled = True
        return {"done": name}

    def webhook(self, url: str, events: list[dict[str, Any]]) -> tuple[dict[str, str], bytes]:
        """Headers and body of a delivery to `url` (without a query), signed like version 3."""
        body, timestamp = orjson.dumps(events), str(int(self.clock() * 1000))
        message = b"POST" + url.encode() + body + timestamp.encode()
        digest = hmac.new(gate.CLIENT_SECRET.encode(), message, hashlib.sha256).digest()
        signed = {"X-HubSpot-Signature-v3": base64.b64encode(digest).decode(), "X-HubSpot-Request-Timestamp": timestamp}
        return {**signed, "Content-Type": "application/json"}, body

    def _route(self) -> None:
        self._route_pages()
        self._route_contacts()
        self._route_lists()
        account = "/account-info/2026-03/details"
        self._api("GET", account, "oauth", lambda body: self._account())
        self._api(
            "GET", PROPERTIES, "crm.schemas.contacts.read", lambda body: {"results": [*self.contacts.properties.values()]}
        )
        self._api("POST", PROPERTIES, "crm.schemas.contacts.write", lambda body: (201, self.contacts.add_property(body)))
        self._api("GET", "/automation/v4/flows", AUTOMATION, lambda body: self.lists.flows())
        enrolment = f"{ENROL}/<workflow>/enrollments/contacts/<path:email>"
        self._api("POST", enrolment, AUTOMATION, lambda body, workflow, email: self.lists.enrol(workflow, email))
        self._api("DELETE", enrolment, AUTOMATION, lambda body, workflow, email: self.lists.leave(workflow, email))
        current = f"{ENROL}/enrollments/contacts/<contact>"
        self._api("GET", current, AUTOMATION, lambda body, contact: self.lists.enrolled(contact))

    def _route_pages(self) -> None:
        def control(name: str) -> Response:
            if name not in CONTROLS:
                return _json({"controls": CONTROLS}, 404)
            return _json(self.control(name, request.get_json(silent=True) or {}), 200)

        def oauth(what: str) -> Response:
            with self.lock:
                self.gate.calls += 1
                self.gate.by_path[f"POST /oauth/2026-03/{what}"] += 1
                try:
                    return _json((self.gate.grant if what == "token" else self.gate.introspect)(request.form.to_dict()), 200)
                except Refuse as refused:
                    return _json(refused.body, refused.status)

        self.app.add_url_rule(STATE_PATH, "state", lambda: _json(self.state(), 200))
        self.app.add_url_rule("/_simulator/contacts", "seen", lambda: _json([*self.contacts.by_id.values()], 200))
        self.app.add_url_rule("/_simulator/enrolments", "enrolments", lambda: _json(self.lists.enrolments, 200))
        self.app.add_url_rule("/_simulator/<name>", "control", control, methods=["POST"])
        self.app.add_url_rule("/oauth/2026-03/token", "token", lambda: oauth("token"), methods=["POST"])
        self.app.add_url_rule("/oauth/2026-03/token/introspect", "introspect", lambda: oauth("introspect"), methods=["POST"])
        self.app.add_url_rule("/", "page", self._page)

    def _route_contacts(self) -> None:
        contacts = self.contacts
        self._api("GET", OBJECTS, READ, lambda body: contacts.page(request.args.get("after", ""), _limit(100)))
        self._api("POST", OBJECTS, WRITE, lambda body: (201, contacts.create(body.get("properties") or {})))
        self._api("GET", f"{OBJECTS}/<path:contact>", READ, lambda body, contact: self._find(contact))
        self._api(
            "PATCH",
            f"{OBJECTS}/<contact>",
            WRITE,
            lambda body, contact: contacts.update(self._find(contact), body.get("properties") or {}),
        )
        self._api("DELETE", f"{OBJECTS}/<contact>", WRITE, lambda body, contact: contacts.delete(self._find(contact)))
        self._api("POST", f"{OBJECTS}/search", READ, lambda body: contacts.search(body))
        self._api("POST", f"{OBJECTS}/gdpr-delete", WRITE, lambda body: contacts.gdpr_delete(body))
        self._api("POST", f"{OBJECTS}/batch/read", READ, lambda body: contacts.read_batch(body))
        self._api("POST", f"{OBJECTS}/batch/upsert", WRITE, lambda body: contacts.batch("upsert", body))
        self._api("POST", f"{OBJECTS}/batch/update", WRITE, lambda body: contacts.batch("update", body))
        self._api("POST", f"{OBJECTS}/batch/create", WRITE, lambda body: contacts.batch("create", body))

    def _route_lists(self) -> None:
        lists, members = self.lists, f"{LISTS}/<number>/memberships"
        self._api("POST", LISTS, LISTS_WRITE, lambda body: lists.create(body))
        self._api("POST", f"{LISTS}/search", LISTS_READ, lambda body: lists.search(body))
        self._api("GET", f"{LISTS}/<number>", LISTS_READ, lambda body, number: {"list": lists.show(number)})
        self._api(
            "GET", members, LISTS_READ, lambda body, number: lists.members(number, request.args.get("after", ""), _limit(250))
        )
        self._api("PUT", f"{members}/add", LISTS_WRITE, lambda body, number: lists.change(number, body, []))
        self._api("PUT", f"{members}/remove", LISTS_WRITE, lambda body, number: lists.change(number, [], body))
        self._api(
            "PUT",
            f"{members}/add-and-remove",
            LISTS_WRITE,
            lambda body, number: lists.change(number, body.get("recordIdsToAdd") or [], body.get("recordIdsToRemove") or []),
        )

    def _find(self, contact: str) -> dict[str, Any]:
        return self.contacts.find(contact, request.args.get("idProperty", ""))

    def _account(self) -> dict[str, Json]:
        return {
            "portalId": 5551234,
            "accountType": "DEVELOPER_TEST",
            "timeZone": self.time_zone,
            "companyCurrency": "PLN",
            "additionalCurrencies": [],
            "utcOffset": "+01:00",
            "utcOffsetMilliseconds": 3600000,
            "uiDomain": "app-eu1.hubspot.com",
            "dataHostingLocation": "eu1",
        }

    def _api(self, method: str, rule: str, scope: str, handler: Handler) -> None:
        """Serve `rule` behind the gate, one call at a time."""
        name = f"{method} {rule}"
        search = rule == f"{OBJECTS}/search"
        writes = method != "GET" and not search and not rule.endswith(("/batch/read", "/search"))

        def view(**places: str) -> Response:
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            with self.lock:
                headers: dict[str, str] = {}
                try:
                    headers = self.gate.admit(name, token, scope, writes=writes, search=search)
                    return self._done(handler(_body(), **places), headers, writes)
                except Refuse as refused:
                    return _json(refused.body, refused.status, {**headers, **refused.headers})

        self.app.add_url_rule(rule, name, view, methods=[method])

    def _done(self, outcome: Any, headers: dict[str, str], writes: bool) -> Response:
        changes = self.contacts.changes + self.lists.changes
        self.contacts.changes = self.lists.changes = 0
        self.gate.writes += bool(changes)
        if writes and self.gate.to_lose:
            self.gate.to_lose -= 1
            raise Refuse(502, {"message": "the answer was lost"})
        if outcome is None:
            return _json(None, 204, headers)
        status, body = outcome if isinstance(outcome, tuple) else (200, outcome)
        return _json(body, status, headers)

    def _page(self) -> str:
        lang = "pl" if request.args.get("lang") == "pl" else "en"
        with self.lock:
            tables = parts([*self.contacts.by_id.values()], [*self.lists.by_id.values()], self.lists.enrolments)
        other = "en" if lang == "pl" else "pl"
        return render_template_string(TEMPLATE, lang=lang, other=other, words=WORDS[lang], parts=tables)


def _body() -> Any:
    raw = request.get_data()
    if not raw:
        return {}
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise gate.invalid(f"Invalid input JSON on line 1, column 1: {error}") from error


def _limit(most: int) -> int:
    given = request.args.get("limit", "10")
    if not given.isdigit() or not 0 < int(given) <= most:
        raise gate.invalid(f"limit must be between 1 and {most}")
    return int(given)


def _json(body: Any, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(b"" if status == 204 else orjson.dumps(body), status, headers, content_type="application/json")


def build(**options: Any) -> HubSpotSimulator:
    """A simulator with the defaults of `OPTIONS` where nothing else is given."""
    return HubSpotSimulator({option.name: option.default for option in OPTIONS} | options)
