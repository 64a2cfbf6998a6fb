"""What each area of the API does, through tokens as programs use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub.services.context import Context
from tests.web.api.conftest import Machine
from tests.web.conftest import NOBODY, Filled

Machines = Callable[..., Machine]


def test_every_list_and_every_single_thing_can_be_read(machine: Machines, filled: Filled) -> None:
    calls = machine()
    document = calls.get("/api/v1/openapi.json")
    contact = calls.get("/contacts?limit=1")["items"][0]["id"]
    connection = calls.get("/connections")["items"][0]["id"]
    hook = calls.post("/webhooks", {"url": "https://example.com/hook", "kinds": ["*"]})["id"]
    delivery = calls.post(f"/webhooks/{hook}/ping", {}, 202)["id"]
    sync = calls.get(f"/runs/{filled.run_id}")["group_id"]
    places = {
        "contact_id": contact,
        "connection_id": connection,
        "run_id": filled.run_id,
        "evaluation_id": filled.evaluation_id,
        "webhook_id": hook,
        "delivery_id": delivery,
        "group_id": sync,
        "token_id": calls.get("/tokens")["items"][0]["id"],
        "user_id": calls.get("/me")["user_id"],
        "key": "welcome",
        "invitation_id": calls.post("/invitations", {"email": "jan@firma.example", "role": "auditor"})["id"],
    }
    places["proposal_id"] = calls.post("/proposals", {"definition": definition("second")})["id"]
    read = 0
    for path, item in document["paths"].items():
        if "get" not in item:
            continue
        filled_path = path
        for name, value in places.items():
            filled_path = filled_path.replace(f"{{{name}}}", value)
        if path.endswith("/segments/{key}"):
            filled_path = "/api/v1/segments/buyers"
        if path.endswith("/decision"):
            filled_path += "?channel=email&topic=offers"
        answer = calls.call("GET", filled_path, status=200)
        assert answer.json is not None
        again = calls.call("GET", filled_path, If_None_Match=answer.headers["ETag"])
        assert again.status_code == 304 or path.endswith(("/health", "/dossier", "/audit", "/tokens/{token_id}", "/tokens"))
        read += 1
    assert read >= 35


def definition(key: str, **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "name": "Second",
        "segment": {"key": "buyers", "name": "Buyers", "definition": {"orders": {"paid": True, "within_days": 90}}},
        "connection": "hubspot",
        "channel": "email",
        "topic": "offers",
        "automation": "list:61",
        **changes,
    }


def test_contacts_are_created_found_and_corrected(machine: Machines) -> None:
    calls = machine()
    made = calls.call("POST", "/contacts", {"email": "Anna.Nowak@Example.com", "first_name": "Anna"}, status=201)
    contact = made.json["id"]
    assert made.headers["Location"] == f"/api/v1/contacts/{contact}"
    assert made.headers["Contact-Created"] == "true"
    assert made.json["email"] == "anna.nowak@example.com"
    again = calls.call("POST", "/contacts", {"email": "anna.nowak@example.com"}, status=201)
    assert (again.json["id"], again.headers["Contact-Created"]) == (contact, "false")
    assert [one["id"] for one in calls.get("/contacts?q=anna")["items"]] == [contact]
    changed = calls.change("PATCH", f"/contacts/{contact}", {"city": "Gdańsk", "first_name": None})
    assert (changed.json["city"], changed.json["first_name"]) == ("Gdańsk", None)
    assert changed.headers["ETag"] == calls.call("GET", f"/contacts/{contact}").headers["ETag"]


def test_a_consent_is_given_and_withdrawn(machine: Machines, context: Context) -> None:
    calls = machine()
    contact = calls.post("/contacts", {"email": "ewa@example.com"})["id"]
    path = f"/contacts/{contact}/consents"
    before = context.now().isoformat()
    act = {"act": "granted", "channel": "email", "topic": "offers", "at": before, "how": "paper", "reference": "form 7"}
    first = calls.post(path, act)
    assert first["recorded"] is True
    assert first["consents"][0]["allowed"] is True
    assert calls.post(path, act)["recorded"] is False
    assert calls.get(f"/contacts/{contact}/decision?channel=email&topic=offers")["allowed"] is True
    told = calls.post(path, {"act": "withdrawn", "channel": "email", "topic": "*", "at": context.now().isoformat()})
    assert all(not one["allowed"] for one in told["consents"])
    refused = calls.get(f"/contacts/{contact}/decision?channel=email&topic=offers")
    assert refused == {"allowed": False, "reason": "withdrawn"}
    history = calls.get(f"/contacts/{contact}/consents/history?limit=1")
    assert history["items"][0]["act"] == "withdrawn"
    assert calls.get(history["next"])["items"][0]["act"] == "granted"
    without_proof = calls.call("POST", path, {**act, "how": "", "reference": "", "topic": "news"}, status=422)
    assert set(without_proof.json["error"]["fields"]) == {"how", "reference"}


def test_pauses_are_set_and_ended_with_proof(machine: Machines, context: Context) -> None:
    calls = machine()
    contact = calls.post("/contacts", {"email": "ewa@example.com"})["id"]
    until = "2100-01-01T00:00:00Z"
    refused = calls.call("POST", f"/contacts/{contact}/pauses", {"until": until}, status=422)
    assert set(refused.json["error"]["fields"]) == {"until"}
    soon = context.now().replace(year=context.now().year + 1, month=1, day=1).isoformat()
    paused = calls.post(f"/contacts/{contact}/pauses", {"channel": "email", "until": soon}, 200)
    assert [one["channel"] for one in paused["items"]] == ["email"]
    calls.post(f"/contacts/{contact}/pauses/end", {}, 422)
    ended = calls.post(f"/contacts/{contact}/pauses/end", {"how": "phone", "reference": "call of Monday"}, 200)
    assert ended == {"items": []}


def test_a_sync_is_started_and_followed(machine: Machines, connected: Callable[..., Any], run_sync: Any) -> None:
    pair = connected({"customers": 3})
    calls = machine("ops")
    started = calls.call("POST", f"/connections/{pair.shop_id}/syncs", {"streams": ["customers"]}, status=202)
    assert [run["state"] for run in started.json["runs"]] == ["queued"]
    same = calls.post(f"/connections/{pair.shop_id}/syncs", {}, 202)
    assert same["group_id"] == started.json["group_id"]
    run_sync("woocommerce")
    followed = calls.get(started.headers["Location"])
    assert [run["state"] for run in followed["runs"]] == ["done"]
    assert followed["runs"][0]["read"] > 0
    calls.post(f"/connections/{pair.shop_id}/syncs", {"streams": ["nothing"]}, 422)
    calls.post(f"/connections/{NOBODY}/syncs", {}, 404)


def test_a_connection_is_made_checked_renamed_paused_and_removed(
    machine: Machines, shop: Callable[..., Any], connected: Callable[..., Any]
) -> None:
    calls = machine("admin")
    served = shop(customers=1)
    made = calls.post("/connections", {"platform": "woocommerce", "credentials": served.credentials(), "name": "shop"})
    place = f"/connections/{made['id']}"
    assert "secret" not in str(made)
    assert calls.post(f"{place}/check", None, 200)["works"] is True
    changes = {"name": "sklep", "state": "paused", "limits": {"burst": 5, "window": 10}}
    changed = calls.change("PATCH", place, changes).json
    assert (changed["name"], changed["state"], changed["limits"]) == ("sklep", "paused", {"burst": 5, "window": 10})
    wrong = {"platform": "woocommerce", "credentials": {"url": served.url, "nothing": "x"}}
    refused = calls.call("POST", "/connections", wrong, status=422)
    assert "nothing" in refused.json["error"]["fields"]
    calls.change("DELETE", place, status=204)
    calls.get(place, 404)


def test_a_connection_that_does_not_work_is_an_answer(machine: Machines, connected: Callable[..., Any]) -> None:
    pair = connected()
    pair.shop.faults.faults = [("503", 1.0)]
    answer = machine("admin").post(f"/connections/{pair.shop_id}/check", None, 200)
    assert answer["works"] is False
    assert answer["error"]["code"] == "unavailable"
    wrong = {"platform": "woocommerce", "credentials": pair.shop.credentials()}
    failed = machine("admin").call("POST", "/connections", wrong, status=424)
    assert failed.json["error"]["code"] == "unavailable"


def test_one_writes_and_another_publishes(machine: Machines, connected: Callable[..., Any]) -> None:
    connected()
    writer, second = machine("marketer"), machine("owner")
    draft = writer.post("/proposals", {"definition": definition("welcome"), "note": "For winter"})
    place = f"/proposals/{draft['id']}"
    handed = writer.post(f"{place}/submit", {"version": draft["version"]}, 200)
    assert handed["state"] == "waiting"
    own = writer.call("POST", f"{place}/approve", {"version": handed["version"]}, status=403)
    assert own.json["error"]["code"] == "own_proposal"
    stale = second.call("POST", f"{place}/approve", {"version": draft["version"]}, status=409)
    assert stale.json["error"]["code"] == "changed_meanwhile"
    published = second.post(f"{place}/approve", {"version": handed["version"]}, 200)
    assert published["state"] == "published"
    assert writer.get("/scenarios/welcome")["state"] == "published"
    stopped = writer.post("/scenarios/welcome/stop", {}, 200)
    assert stopped["scenario"]["state"] == "stopped"
    assert second.post("/scenarios/welcome/resume", {}, 200)["state"] == "published"


def test_an_evaluation_is_started_and_explained(machine: Machines, filled: Filled) -> None:
    calls = machine()
    seen = calls.get(f"/evaluations/{filled.evaluation_id}")
    assert seen["figures"]["decisions"]["allowed"] == seen["allowed"] > 0
    decided = calls.get(f"/evaluations/{filled.evaluation_id}/decisions?limit=1")
    assert decided["next"]
    started = calls.call("POST", "/scenarios/welcome/evaluations", {}, status=202)
    assert started.json["state"] == "queued"
    assert calls.get(started.headers["Location"])["id"] == started.json["id"]


def test_users_get_other_roles_and_the_last_owner_stays(machine: Machines) -> None:
    calls, other = machine(), machine("marketer")
    mine = calls.get("/me")["user_id"]
    theirs = other.get("/me")["user_id"]
    assert calls.change("PATCH", f"/users/{theirs}", {"roles": ["auditor"]}).json["roles"] == ["auditor"]
    assert "scenarios:write" not in other.get("/me")["permissions"]
    tag = calls.call("GET", f"/users/{mine}").headers["ETag"]
    last = calls.call("PATCH", f"/users/{mine}", {"active": False}, status=409, If_Match=tag)
    assert last.json["error"]["code"] == "last_owner"
    calls.change("PATCH", f"/users/{theirs}", {"active": False})
    other.get("/me", 401)


def test_settings_change_in_parts(machine: Machines) -> None:
    calls = machine()
    changed = calls.change("PATCH", "/settings", {"name": "Nasza Firma", "time_zone": "Europe/Berlin"}).json
    assert (changed["name"], changed["time_zone"], changed["letters_language"]) == ("Nasza Firma", "Europe/Berlin", "pl")
    tag = calls.call("GET", "/settings").headers["ETag"]
    wrong = calls.call("PATCH", "/settings", {"time_zone": "Mars/Base"}, status=422, If_Match=tag)
    assert set(wrong.json["error"]["fields"]) == {"time_zone"}


def test_what_is_done_through_the_api_stands_in_the_trail_under_the_tokens_name(machine: Machines) -> None:
    calls = machine()
    calls.post("/contacts", {"email": "ewa@example.com"})
    entry = calls.get("/audit?action=contact.created")["items"][0]
    assert entry["actor_kind"] == "token"
    assert entry["actor_name"].startswith("owner's machine")
    assert "ewa@example.com" not in str(entry)


def test_the_trail_is_verified(machine: Machines) -> None:
    calls = machine()
    calls.post("/contacts", {"email": "ewa@example.com"})
    told = calls.post("/audit/verify", {}, 200)
    assert told["entries"] > 0
    assert told["first_wrong"] is None


def test_a_connection_gets_its_own_dictionary_and_the_shipped_one_back(
    machine: Machines, connected: Callable[..., Any]
) -> None:
    pair = connected()
    calls = machine("admin")
    place = f"/connections/{pair.crm_id}/dictionary"
    shipped = calls.get(place)
    assert shipped["own"] is False
    tag = calls.call("GET", place).headers["ETag"]
    wrong = calls.call("PATCH", place, {"text": "[reads.nothing]"}, If_Match=tag)
    assert wrong.status_code == 422
    text = shipped["text"].replace("\nlastname =", "\nsurname =")
    changed = calls.change("PATCH", place, {"text": text}).json
    assert changed["own"] is True
    assert changed["changes"]
    machine("ops").call("PATCH", place, {"text": text}, status=403, If_Match="*")
    calls.change("DELETE", place, status=204)
    assert calls.get(place)["own"] is False
    narrow = machine("admin", scopes=["connections:write", "console:read"])
    body = {"platform": "hubspot", "credentials": {"token": "x"}, "mapping": text}
    assert narrow.call("POST", "/connections", body, status=403).json["error"]["code"] == "not_allowed"


def test_a_scenario_is_tried_without_keeping_anything(machine: Machines, filled: Filled) -> None:
    calls = machine("marketer")
    before = len(calls.get("/proposals")["items"])
    told = calls.post("/proposals/try", {"definition": definition("trial")}, 200)
    assert told["considered"] == told["allowed"] + sum(told["refused"].values())
    assert told["considered"] > 0
    assert len(calls.get("/proposals")["items"]) == before
    calls.post("/proposals/try", {"definition": {"key": "trial"}}, 422)
