"""The simulator keeps what it promises, so that the other tests mean something."""

from __future__ import annotations

import time

import orjson
import pytest

from hub.connectors.hubspot import simulator
from hub.transport.simulation import STATE_PATH

OBJECTS = "/crm/objects/2026-03/contacts"


@pytest.fixture
def sim():
    return simulator.build()


@pytest.fixture
def call(sim):
    client = sim.app.test_client()

    def ask(method, path, body=None, token=sim.token):
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.open(path, method=method, headers=headers, data=None if body is None else orjson.dumps(body))
        return answer.status_code, orjson.loads(answer.data) if answer.data else None, answer.headers

    return ask


def test_contacts_live(call):
    status, made, _ = call("POST", OBJECTS, {"properties": {"email": "Ola@Example.test"}})
    assert (status, made["properties"]["email"]) == (201, "ola@example.test")
    assert call("POST", OBJECTS, {"properties": {"email": "ola@example.test"}})[0] == 409
    assert call("GET", f"{OBJECTS}/ola@example.test?idProperty=email")[1]["id"] == made["id"]
    assert call("PATCH", f"{OBJECTS}/{made['id']}", {"properties": {"city": "Łódź"}})[0] == 200
    search = {"filterGroups": [{"filters": [{"propertyName": "city", "operator": "EQ", "value": "łódź"}]}]}
    assert call("POST", f"{OBJECTS}/search", search)[1]["total"] == 1
    assert call("POST", f"{OBJECTS}/batch/read", {"idProperty": "email", "inputs": [{"id": "no@example.test"}]})[0] == 207
    assert call("DELETE", f"{OBJECTS}/{made['id']}")[0] == 204
    assert call("GET", f"{OBJECTS}/{made['id']}")[0] == 404


def test_pages(call):
    for at in range(3):
        call("POST", OBJECTS, {"properties": {"email": f"p{at}@example.test"}})
    first = call("GET", f"{OBJECTS}?limit=2")[1]
    second = call("GET", f"{OBJECTS}?limit=2&after={first['paging']['next']['after']}")[1]
    assert (len(first["results"]), len(second["results"]), "paging" in second) == (2, 1, False)


def test_batches_are_checked(call):
    one = {"id": "a@example.test", "idProperty": "email", "properties": {}}
    assert call("POST", f"{OBJECTS}/batch/upsert", {"inputs": [one, one]})[0] == 400
    many = [{**one, "id": f"a{at}@example.test"} for at in range(101)]
    assert call("POST", f"{OBJECTS}/batch/upsert", {"inputs": many})[0] == 400
    assert call("POST", f"{OBJECTS}/batch/upsert", {"inputs": many[:100]})[0] == 200
    create = [{"properties": {"email": "a1@example.test"}}, {"properties": {"email": "new@example.test"}}]
    assert call("POST", f"{OBJECTS}/batch/create", {"inputs": create})[0] == 409
    traced = [{**item, "objectWriteTraceId": str(at)} for at, item in enumerate(create)]
    assert call("POST", f"{OBJECTS}/batch/create", {"inputs": traced})[1]["numErrors"] == 1
    assert call("POST", f"{OBJECTS}/batch/update", {"inputs": [{"id": "2001", "properties": {"city": "x"}}]})[0] == 200


def test_erased_addresses_stay_away(call):
    assert call("POST", f"{OBJECTS}/gdpr-delete", {"objectId": "gone@example.test", "idProperty": "email"})[0] == 204
    assert call("POST", OBJECTS, {"properties": {"email": "gone@example.test"}})[0] == 400


def test_properties_and_lists(call):
    body = {"name": "size", "label": "Size", "type": "string", "fieldType": "text", "groupName": "g"}
    base = "/crm/properties/2026-03/contacts"
    assert [call("POST", base, body)[0], call("POST", base, body)[0], call("POST", base, {})[0]] == [201, 409, 400]
    assert any(one["name"] == "size" for one in call("GET", base)[1]["results"])
    new = {"name": "New", "objectTypeId": "0-1", "processingType": "MANUAL"}
    assert call("POST", "/crm/lists/2026-03", new)[1]["list"]["listId"] == "64"
    assert call("POST", "/crm/lists/2026-03", new)[1]["subCategory"] == "ILS.DUPLICATE_LIST_NAMES"
    assert call("POST", "/crm/lists/2026-03/search", {"query": "", "processingTypes": ["MANUAL"]})[1]["total"] == 3
    contact = call("POST", OBJECTS, {"properties": {"email": "a@example.test"}})[1]["id"]
    assert call("PUT", "/crm/lists/2026-03/61/memberships/add", [contact, "1"])[1]["recordIdsMissing"] == ["1"]
    assert call("GET", "/crm/lists/2026-03/61/memberships")[1]["results"] == [{"recordId": contact}]
    assert call("PUT", "/crm/lists/2026-03/61/memberships/remove", [contact])[1] == {"recordIdsRemoved": [contact]}
    assert call("GET", "/automation/v4/flows")[1]["results"][0]["isEnabled"] is True
    enrolment = "/automation/v2/workflows/4411/enrollments/contacts/a@example.test"
    assert [call("POST", enrolment)[0], call("POST", enrolment)[0], call("DELETE", enrolment)[0]] == [204] * 3
    assert call("GET", f"/automation/v2/workflows/enrollments/contacts/{contact}")[1] == []
    assert call("GET", STATE_PATH)[1]["triggered_twice"] == 1


def test_limits(sim, call):
    now = [1_700_000_000.0]
    sim.clock = lambda: now[0]
    sim.gate.burst = 2
    details = "/account-info/2026-03/details"
    assert [call("GET", details)[0] for _ in range(3)] == [200, 200, 429]
    assert call("GET", details)[2]["X-HubSpot-RateLimit-Remaining"] == "0"
    assert "X-HubSpot-RateLimit-Max" not in call("POST", f"{OBJECTS}/search", {})[2]
    assert [call("POST", f"{OBJECTS}/search", {})[0] for _ in range(5)] == [200] * 4 + [429]
    now[0] += 10.0
    assert call("GET", details)[0] == 200
    sim.gate.daily = 3
    refused = call("GET", details)
    assert (refused[0], refused[1]["policyName"], refused[2]["X-HubSpot-RateLimit-Daily"]) == (429, "DAILY", "3")
    now[0] += 86400.0
    assert call("GET", details)[0] == 200
    assert sim.state()["window_max"] == 4
    assert sim.state()["throttled"] == 4


def test_tokens_expire_by_the_clock(sim, call):
    client = sim.app.test_client()
    form = {"grant_type": "refresh_token", **sim.credentials()}
    token = client.post("/oauth/2026-03/token", data=form).get_json()["access_token"]
    assert call("GET", "/account-info/2026-03/details", token=token)[0] == 200
    sim.clock = lambda: time.time() + 1801
    assert call("GET", "/account-info/2026-03/details", token=token)[1]["category"] == "EXPIRED_AUTHENTICATION"
    wrong = client.post("/oauth/2026-03/token", data={**form, "client_secret": "no"})
    assert (wrong.status_code, wrong.get_json()["error"]) == (400, "invalid_client")


def test_faults_from_another_process(sim, call):
    client, details = sim.app.test_client(), "/account-info/2026-03/details"

    def control(name, **given):
        return client.post(f"/_simulator/{name}", json=given).status_code

    contact = {"properties": {"email": "a@example.test"}}
    assert [control("lock"), call("POST", OBJECTS, contact)[0], call("POST", OBJECTS, contact)[0]] == [200, 423, 201]
    assert [control("fail", status=504, count=1), call("GET", details)[0], call("GET", details)[0]] == [200, 504, 200]
    assert [control("migrate", seconds=60), call("GET", details)[0]] == [200, 477]
    assert [control("missing_scope", scope="oauth"), control("restore"), call("GET", details)[0]] == [200, 200, 200]
    assert [control("poison", emails=["B@example.test"]), sim.poison] == [200, {"b@example.test"}]
    assert control("nonsense") == 404
    assert call("POST", OBJECTS, None)[0] == 201
    assert client.post(OBJECTS, data=b"{", headers={"Authorization": f"Bearer {sim.token}"}).status_code == 400


@pytest.mark.parametrize(("lang", "word"), [("en", "Started automations"), ("pl", "Uruchomione automatyzacje")])
def test_the_page_shows_what_came(sim, call, lang, word):
    made = call("POST", OBJECTS, {"properties": {"email": "a@example.test", "firstname": "<b>"}})[1]
    call("PUT", "/crm/lists/2026-03/61/memberships/add", [made["id"]])
    page = sim.app.test_client().get(f"/?lang={lang}").get_data(as_text=True)
    assert f'<html lang="{lang}">' in page
    assert word in page
    assert "list:61" in page
    assert "&lt;b&gt;" in page
    seen = sim.app.test_client()
    assert seen.get("/_simulator/contacts").get_json()[0]["properties"]["email"] == "a@example.test"
    assert seen.get("/_simulator/enrolments").get_json()[0]["automation"] == "list:61"
