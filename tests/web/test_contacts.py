"""The pages of contacts: looking for people, one person, corrections, consents and pauses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from hub.core.types import Channel
from hub.services import contacts as verbs
from hub.services.context import Context
from hub.store import audit, contacts, ledger
from hub.store.db import new_id, reading, transaction
from tests.web.conftest import HOSTILE, NOBODY, Browser, Filled, Visit

WISNIEWSKA = {"email": "Zofia.W@Example.com", "phone": "600 700 801", "first_name": "Zofia", "last_name": "Wiśniewska-Łoś"}


@pytest.fixture
def zofia(context: Context) -> str:
    contact_id, created = verbs.create_contact(context, WISNIEWSKA)
    assert created
    return contact_id


def post(browser: Browser, path: str, data: Mapping[str, Any], status: int = 303, lang: str = "en") -> Visit | str:
    answer = browser.ask(path, method="POST", data=dict(data), headers={"Accept-Language": lang})
    assert answer.status_code == status, answer.text
    if status == 303:
        return str(answer.headers["Location"])
    from tests.web.conftest import Page

    page = Page(answer.text)
    assert not page.problems
    return Visit(answer, page)


def trail(action: str) -> list[Any]:
    with reading() as session:
        return [entry for entry in audit.page_entries(session, limit=100) if entry.action == action]


def test_without_contacts_the_page_says_what_to_do_next(browser: Browser) -> None:
    page = browser.visit("/admin/contacts")
    assert "no contacts yet" in page.text
    assert page.page.find("a", href="/admin/connections")


@pytest.mark.parametrize(
    "query",
    [
        "wisniew",
        "WIŚNIEW",
        "zofia wis",
        "wiśniewska zof",
        "zofia.w@",
        "zofia.w@example.com",
        "600-700-801",
        "+48 600 70",
        "0048600700801",
    ],
)
def test_a_person_is_found_however_one_writes(browser: Browser, zofia: str, query: str) -> None:
    page = browser.visit(f"/admin/contacts?q={quote(query)}").page
    assert page.find("a", href=f"/admin/contacts/{zofia}")


def test_who_is_not_meant_is_not_found(browser: Browser, zofia: str) -> None:
    for query in ("nowak", "601 999", "nobody@example.com", NOBODY, "wis zof x", HOSTILE):
        page = browser.visit(f"/admin/contacts?q={quote(query)}")
        assert not page.page.find("a", href=f"/admin/contacts/{zofia}")
        assert "Nobody is found" in page.text


def test_a_number_on_a_platform_finds_the_person(browser: Browser, filled: Filled) -> None:
    with reading() as session:
        from hub.store.records import record

        row = session.execute(sa.select(record).where(record.c.contact_id.is_not(None)).limit(1)).one()
    page = browser.visit(f"/admin/contacts?q={row.external_id}").page
    assert page.find("a", href=f"/admin/contacts/{row.contact_id}")


def test_pages_show_everybody_once(browser: Browser, context: Context) -> None:
    now = context.now()
    blank = dict.fromkeys(contacts.PROFILE)
    names = [("Anna", "Kowalska"), ("Kowal", "Jan"), ("Ewa", "Kowal"), (None, None)]
    rows = [
        {**blank, "id": new_id(), "first_name": first, "last_name": last, "email": f"kowal{n}@example.com"}
        for n, (first, last) in enumerate(names * 40)
    ]
    with transaction() as session:
        contacts.save_contacts(session, [{**row, "created_at": now, "updated_at": now} for row in rows])
        found = [("email", row["email"], row["id"]) for row in rows] + [
            ("email", f"kowal.2{row['email']}", row["id"]) for row in rows
        ]
        columns = ("kind", "value", "contact_id")
        contacts.save_identifiers(session, [{**dict(zip(columns, one, strict=True)), "created_at": now} for one in found])
    for query in ("kowal", ""):
        seen: list[str] = []
        path = f"/admin/contacts?q={query}"
        while path:
            page = browser.visit(path).page
            seen += [node.attributes["href"] for node in page.find("a") if node.attributes["href"].count("-") == 4]
            following = page.find("a", rel="next")
            path = "/admin/contacts" + following[0].attributes["href"] if following else ""
        assert sorted(seen) == sorted(f"/admin/contacts/{row['id']}" for row in rows)


def test_bad_searches_are_refused_politely(browser: Browser, zofia: str) -> None:
    assert "At most 254" in browser.visit(f"/admin/contacts?q={'x' * 300}", status=400).text
    assert "nikt nie wpisuje" in browser.visit("/admin/contacts?q=%00a", "pl", status=400).text
    for cursor in ("x", "W10", "WzAsIngiXQ", quote("WzAsIiJd"), "a" * 300):
        browser.visit(f"/admin/contacts?after={cursor}", status=404)


def test_lists_are_saved_without_formulas_and_noted(app: Any, browser: Browser, context: Context, zofia: str) -> None:
    verbs.create_contact(context, {"email": "evil@example.com", "first_name": "=cmd|' /C calc'!A0"})
    answer = browser.ask("/admin/contacts/export", method="POST", data={"q": ""})
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    assert "zofia.w@example.com" in answer.text
    assert "'=cmd|" in answer.text
    assert len(answer.text.strip().splitlines()) == 3
    (entry,) = trail("contacts.exported")
    assert entry.after == {"filter": "everybody"}
    only = browser.ask("/admin/contacts/export", method="POST", data={"q": "wisn"}).text
    assert "evil@" not in only
    assert "wisn" not in str(trail("contacts.exported")[0].after)
    assert Browser(app, "marketer").ask("/admin/contacts/export", method="POST").status_code == 403


def test_the_persons_page_says_everything(browser: Browser, filled: Filled, context: Context) -> None:
    with reading() as session:
        from hub.store.scenarios import decision

        decided = session.execute(sa.select(decision).where(decision.c.allowed)).first()
        assert decided is not None
        contact_id = decided.contact_id
    page = browser.visit(f"/admin/contacts/{contact_id}")
    for text in ("Profile", "Consents", "Identities", "Orders, the newest first", "Automations started", "Decisions and why"):
        assert text in page.text
    assert "woocommerce · " in page.text
    assert "E-mail offers" in page.text
    assert HOSTILE not in page.answer.text
    (entry,) = trail("contact.viewed")
    assert (entry.subject_id, entry.subject_name, entry.after) == (contact_id, "", {})
    assert "Zgody" in browser.visit(f"/admin/contacts/{contact_id}", "pl").text


def test_unknown_people_are_404(browser: Browser) -> None:
    for path in ("", "/edit", "/consent", "/pause"):
        browser.visit(f"/admin/contacts/{NOBODY}{path}", status=404)
    browser.visit("/admin/contacts/me", "pl", status=404)
    post(browser, f"/admin/contacts/{NOBODY}/edit", {"email": "a@example.com"}, 404)


def test_a_correction_is_kept_and_noted_without_the_data(browser: Browser, zofia: str) -> None:
    page = browser.visit(f"/admin/contacts/{zofia}/edit").page
    version = page.one("input", name="version").attributes["value"]
    form = {**WISNIEWSKA, "version": version, "last_name": "Nowak", "country": "Polska", "phone": "+48600700801"}
    assert post(browser, f"/admin/contacts/{zofia}/edit", form).endswith(zofia)
    with reading() as session:
        row = contacts.profiles(session, [zofia])[zofia]
    assert (row["last_name"], row["country"], row["email"]) == ("Nowak", "PL", "zofia.w@example.com")
    (entry,) = trail("contact.changed")
    assert (entry.before, entry.after) == ({"last_name": "W…", "country": None}, {"last_name": "N…", "country": "PL"})
    assert browser.visit("/admin/contacts?q=nowak").page.find("a", href=f"/admin/contacts/{zofia}")


def test_who_is_slower_sees_both_versions(browser: Browser, context: Context, zofia: str) -> None:
    version = browser.visit(f"/admin/contacts/{zofia}/edit").page.one("input", name="version").attributes["value"]
    verbs.change_contact(context, zofia, {"city": "Gdańsk"}, None)
    form = {**WISNIEWSKA, "version": version, "city": "Sopot"}
    shown = post(browser, f"/admin/contacts/{zofia}/edit", form, 409)
    assert isinstance(shown, Visit)
    assert "Saved by somebody else meanwhile: Gdańsk" in shown.text
    assert shown.page.one("input", name="city").attributes["value"] == "Sopot"
    newer = shown.page.one("input", name="version").attributes["value"]
    post(browser, f"/admin/contacts/{zofia}/edit", {**form, "version": newer})
    with reading() as session:
        assert contacts.profiles(session, [zofia])[zofia]["city"] == "Sopot"


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("email", "zofia(at)example", "not an e-mail address"),
        ("email", "brak@brak.pl", "finds nobody"),
        ("phone", "12", "Nobody can have this number"),
        ("country", "Atlantyda", "No country has this code"),
        ("last_name", "x" * 500, "At most 120"),
        ("city", "a\u202eb", "cannot be shown"),
        ("city", "a\x00b", "cannot be shown"),
    ],
)
def test_wrong_values_are_told_at_their_field(browser: Browser, zofia: str, field: str, value: str, text: str) -> None:
    shown = post(browser, f"/admin/contacts/{zofia}/edit", {**WISNIEWSKA, field: value}, 409)
    version = browser.visit(f"/admin/contacts/{zofia}/edit").page.one("input", name="version").attributes["value"]
    shown = post(browser, f"/admin/contacts/{zofia}/edit", {**WISNIEWSKA, "version": version, field: value}, 400)
    assert isinstance(shown, Visit)
    wrong = shown.page.one("input", name=field)
    assert wrong.attributes["aria-invalid"] == "true"
    assert text in shown.page.one("p", id=f"e-{field}").text
    assert shown.page.one("input", name="first_name").attributes["value"] == "Zofia"


def test_what_belongs_to_somebody_else_is_refused_and_named(browser: Browser, context: Context, zofia: str) -> None:
    other, _ = verbs.create_contact(context, {"email": "jan@example.com", "first_name": "Jan", "last_name": "Lis"})
    version = browser.visit(f"/admin/contacts/{zofia}/edit").page.one("input", name="version").attributes["value"]
    form = {**WISNIEWSKA, "version": version, "email": "JAN@example.com"}
    shown = post(browser, f"/admin/contacts/{zofia}/edit", form, 400)
    assert isinstance(shown, Visit)
    assert "belongs to another contact: Jan Lis" in shown.page.one("p", id="e-email").text
    assert shown.page.find("a", href=f"/admin/contacts/{other}")


def test_creating_twice_shows_who_is_there(browser: Browser) -> None:
    first = post(browser, "/admin/contacts/new", WISNIEWSKA)
    assert post(browser, "/admin/contacts/new", WISNIEWSKA) == first
    with reading() as session:
        assert contacts.count_contacts(session) == 1
    shown = post(browser, "/admin/contacts/new", {"first_name": "Zofia"}, 400, "pl")
    assert isinstance(shown, Visit)
    assert shown.page.one("input", name="email").attributes["aria-invalid"] == "true"


CONSENT = {
    "act": "granted",
    "channel": "email",
    "topic": "offers",
    "brand": "",
    "at": "2026-01-05T10:30",
    "how": "paper",
    "reference": "form 12, binder 3",
}


def test_a_consent_is_recorded_with_its_proof(browser: Browser, zofia: str) -> None:
    browser.visit(f"/admin/contacts/{zofia}/consent")
    assert post(browser, f"/admin/contacts/{zofia}/consent", CONSENT).endswith(zofia)
    post(browser, f"/admin/contacts/{zofia}/consent", CONSENT)
    with reading() as session:
        assert ledger.count_acts(session) == 1
    page = browser.visit(f"/admin/contacts/{zofia}")
    assert "Allowed: consent is given" in page.text
    assert "Where the proof lies: form 12, binder 3" in page.text
    assert len(trail("consent.granted")) == 1
    post(
        browser,
        f"/admin/contacts/{zofia}/consent",
        {**CONSENT, "act": "withdrawn", "at": "2026-02-01T08:00", "how": "", "reference": ""},
    )
    assert "The person withdrew consent" in browser.visit(f"/admin/contacts/{zofia}").text
    post(browser, f"/admin/contacts/{zofia}/consent", {**CONSENT, "at": "2026-01-20T08:00"})
    assert "The person withdrew consent" in browser.visit(f"/admin/contacts/{zofia}").text, "an older yes raises nothing"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"how": ""}, "how"),
        ({"how": "telepathy"}, "how"),
        ({"reference": ""}, "reference"),
        ({"reference": "x" * 400}, "reference"),
        ({"topic": "*"}, "topic"),
        ({"topic": ""}, "topic"),
        ({"topic": "x" * 61}, "topic"),
        ({"brand": "a\x00"}, "brand"),
        ({"at": "2999-01-01T00:00"}, "at"),
        ({"at": "yesterday"}, "at"),
        ({"at": "0001-01-01T00:00"}, "at"),
        ({"channel": "smoke"}, "channel"),
        ({"act": ""}, "act"),
    ],
)
def test_no_consent_is_raised_without_an_act(browser: Browser, zofia: str, change: dict[str, str], field: str) -> None:
    shown = post(browser, f"/admin/contacts/{zofia}/consent", {**CONSENT, **change}, 400)
    assert isinstance(shown, Visit)
    assert shown.page.find("p", id=f"e-{field}")
    with reading() as session:
        assert ledger.count_acts(session) == 0


def test_a_pause_is_set_and_ended(browser: Browser, context: Context, zofia: str) -> None:
    day = (context.now() + timedelta(days=10)).date().isoformat()
    post(browser, f"/admin/contacts/{zofia}/pause", {"channel": "every", "until": day})
    with reading() as session:
        assert len([one for one in Channel if ledger.pauses(session, one, [zofia], context.now())]) == len(Channel)
    assert "Pauses" in browser.visit(f"/admin/contacts/{zofia}").text
    shown = post(browser, f"/admin/contacts/{zofia}/resume", {"channel": "email", "how": "", "reference": ""}, 400)
    assert isinstance(shown, Visit)
    assert shown.page.find("p", id="e-how")
    proof = {"how": "phone", "reference": "call of today"}
    post(browser, f"/admin/contacts/{zofia}/resume", {"channel": "email", **proof})
    post(browser, f"/admin/contacts/{zofia}/resume", {"channel": "email", **proof})
    with reading() as session:
        assert not ledger.pauses(session, Channel.EMAIL, [zofia], context.now())
        assert ledger.pauses(session, Channel.SMS, [zofia], context.now())
    assert [len(trail(action)) for action in ("pause.set", "pause.ended")] == [1, 1]
    for until in ("", "2020-01-01", "2999-01-01", "soon"):
        post(browser, f"/admin/contacts/{zofia}/pause", {"channel": "email", "until": until}, 400, "pl")


@pytest.mark.parametrize("role", ["admin", "marketer", "auditor", "ops"])
def test_other_roles_change_nothing(app: Any, zofia: str, role: str) -> None:
    browser = Browser(app, role)
    if role != "ops":
        page = browser.visit(f"/admin/contacts/{zofia}").page
        assert not page.find("a", href=f"/admin/contacts/{zofia}/edit")
    else:
        assert browser.ask(f"/admin/contacts/{zofia}").status_code == 403
    for path in ("edit", "consent", "pause", "resume"):
        assert browser.ask(f"/admin/contacts/{zofia}/{path}", method="POST", data=CONSENT).status_code == 403
    assert browser.ask("/admin/contacts/new", method="POST", data=WISNIEWSKA).status_code == 403
