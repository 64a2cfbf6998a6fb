from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.connectors import FOLDER, load
from hub.core.types import Channel, Target
from hub.mapping.dictionary import ConsentRule, load_reads, load_writes, standard_fields
from hub.mapping.files import DATA_CLASSES, TYPES, InvalidMapping

GOOD = """
[reads.customers]
id = "id"
[reads.customers.fields]
last_name = { from = "last_name" }
email = { from = "email" }
phone = { from = ["billing.phone", "shipping.phone"], country = "billing.country" }
[[reads.customers.consents]]
from = "meta_data[key=news].value"
yes = ["1"]
channel = "email"
topic = "offers"
at = "created"
[writes.contacts]
key = "email"
[writes.contacts.fields]
firstname = { from = "first_name" }
"""
TICK = {"from": "tick", "yes": ["tak"], "channel": "sms", "topic": "offers", "at": "created"}


def problems(text: str, stream: str = "customers", target: Target = Target.CONTACT, **rest: Any) -> dict[str, str]:
    with pytest.raises(InvalidMapping) as caught:
        load_reads(text, stream, target, **rest)
    return dict(caught.value.fields)


def reads(fields: str, more: str = "") -> str:
    return f'[reads.customers]\nid = "id"\n[reads.customers.fields]\n{fields}\n{more}'


@pytest.mark.parametrize("target", list(Target))
def test_the_hub_has_fields_for_every_target(target: Target) -> None:
    fields = standard_fields(target)
    assert fields
    for name, field in fields.items():
        assert name == field.name
        assert field.type in TYPES
        assert field.data in DATA_CLASSES
        assert field.meaning["en"] != ""
        assert field.meaning["pl"] != ""


def test_a_good_file_is_read_in_the_hubs_order() -> None:
    mapping = load_reads(GOOD, "customers", Target.CONTACT)
    assert [rule.field.name for rule in mapping.rules] == ["email", "phone", "last_name"]
    assert mapping.rules[1].paths == ("billing.phone", "shipping.phone")
    assert mapping.consents == (ConsentRule("meta_data[key=news].value", ("1",), (), Channel.EMAIL, "offers", "", "created"),)


def test_a_file_is_read_as_its_text_is(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(GOOD, "utf-8")
    assert load_reads(path, "customers", Target.CONTACT) == load_reads(GOOD, "customers", Target.CONTACT)
    path.write_text("a = b\n", "utf-8")
    with pytest.raises(InvalidMapping, match="This is not TOML") as caught:
        load_reads(path, "customers", Target.CONTACT)
    assert "line 1" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_the_version_changes_with_whatever_decides_the_result() -> None:
    def version(text: str = GOOD, **rest: Any) -> str:
        return load_reads(text, "customers", Target.CONTACT, **rest).version

    others = [
        version(GOOD.replace('"email" }', '"mail" }')),
        version(GOOD.replace('"billing.country"', '"country"')),
        version(GOOD.replace('from = "last_name"', 'from = "last_name", transforms = ["upper"]')),
        version(GOOD.replace('id = "id"', 'id = "number"')),
        version(GOOD.replace('yes = ["1"]', 'yes = ["2"]')),
        version(extra_consents=[TICK]),
    ]
    assert len({version(), *others}) == 7
    assert version() == version(f"# a comment\n{GOOD}")
    assert version() == version(GOOD.replace('key = "email"', 'key = "mail"'))


def test_wrong_names_are_named_with_the_nearest_right_one() -> None:
    found = problems(reads('emial = { from = "email" }\nemail = { form = "email" , from = "a", transforms = ["loer"] }'))
    assert list(found) == ["reads.customers.fields.email.form"]
    assert found["reads.customers.fields.email.form"].startswith("The hub does not know this key: did you mean from?")
    found = problems(reads('emial = { from = "email" }\nphone = { from = "a", transforms = ["loer"] }\nzzzz = { from = "a" }'))
    assert found["reads.customers.fields.emial"] == "The hub has no such field: did you mean email?"
    assert found["reads.customers.fields.phone.transforms"] == "There is no transform «loer»: did you mean lower?"
    assert found["reads.customers.fields.zzzz"].startswith("The hub has no such field; it has email, phone")
    assert problems(GOOD, "custmers") == {
        "reads.custmers": "The mapping has no section for this stream: did you mean customers?"
    }


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (reads("email = 3"), "fields.email", "A table with keys"),
        (reads("email = {}"), "fields.email.from", "This is missing"),
        (reads("email = { from = 3 }"), "fields.email.from", "A text or a list of texts"),
        (reads("email = { from = [] }"), "fields.email.from", "must not be empty"),
        (reads('email = { from = ["a", " "] }'), "fields.email.from", "must not be empty"),
        (reads('email = { from = "a", currency = 1 }'), "fields.email.currency", "A text in quotes"),
        (reads('email = { from = "a", currency = "b" }'), "fields.email.currency", "belongs to amounts only"),
        (reads('email = { from = "a", country = "b" }'), "fields.email.country", "belongs to phone numbers only"),
        (reads('phone = { from = "a", country = "b[]" }'), "fields.phone.country", "gives a list"),
        (reads('email = { from = "a[" }'), "fields.email.from", "is not a path"),
        (reads('email = { from = "a[].b" }'), "fields.email.from", "choose one item"),
        ('[reads.customers]\nid = ""\nfields = {}', "id", "must not be empty"),
        ('[reads.customers]\nid = "a["\nfields = {}', "id", "is not a path"),
        ('[reads.customers]\nid = "id"', "fields", "This is missing"),
        ('[reads.customers]\nid = "id"\nfields = 3', "fields", "A table with keys"),
        ('[reads.customers]\nid = "id"\nconsents = 3\nfields = {}', "consents", "A list of tables"),
        ('[reads.customers]\nid = "id"\nconsents = [3]\nfields = {}', "consents.0", "A table with keys"),
    ],
)
def test_each_mistake_is_named_at_its_place(text: str, place: str, words: str) -> None:
    found = problems(text)
    assert list(found) == [f"reads.customers.{place}"]
    assert words in found[f"reads.customers.{place}"]


@pytest.mark.parametrize("text", ["reads = 3", "[reads]\ncustomers = 3"])
def test_sections_are_tables(text: str) -> None:
    assert set(problems(text).values()) == {"A table with keys belongs here"}


def test_unknown_sections_are_named() -> None:
    assert "did you mean reads?" in problems(f"{GOOD}\n[raeds]\n")["raeds"]


def test_all_mistakes_of_a_consent_are_named() -> None:
    text = reads('email = { from = "email" }', '[[reads.customers.consents]]\nchannel = "mail"\nyes = "1"\nbrand = ""')
    place = "reads.customers.consents.0"
    found = problems(text)
    assert set(found) == {f"{place}.{key}" for key in ("from", "channel", "topic", "at")}
    assert found[f"{place}.channel"] == "One of these belongs here: email, sms, push, phone, post"


def test_a_value_is_either_yes_or_no() -> None:
    more = (
        '[[reads.customers.consents]]\nfrom = "a"\nyes = ["1", "Tak"]\nno = ["tak"]\nchannel = "sms"\ntopic = "x"\nat = "t[]"'
    )
    found = problems(reads('email = { from = "email" }', more))
    assert found["reads.customers.consents.0.no"] == "«tak» stands under both «yes» and «no»"
    assert "gives a list" in found["reads.customers.consents.0.at"]


def test_paths_are_compared_with_known_ones() -> None:
    known = ["id", "email", "billing.phone", "shipping.phone", "billing.country", "last_name", "created", "meta_data[].value"]
    load_reads(GOOD, "customers", Target.CONTACT, known_paths=known)
    found = problems(GOOD.replace('"billing.phone"', '"biling.phone"'), known_paths=known)
    text = "The platform's records have no «biling.phone»: did you mean billing.phone?"
    assert found == {"reads.customers.fields.phone.from": text}


def test_an_admins_own_consents_are_added_and_checked() -> None:
    mapping = load_reads(GOOD, "customers", Target.CONTACT, known_paths=None, extra_consents=[TICK, *_rules()])
    assert mapping.consents[1] == ConsentRule("tick", ("tak",), (), Channel.SMS, "offers", "", "created")
    assert len(mapping.consents) == 3
    found = problems(GOOD, extra_consents=[{**TICK, "channel": "fax", "yess": 1}])
    assert set(found) == {"extra_consents.0.channel", "extra_consents.0.yess"}
    assert "is not a path" in problems(GOOD, extra_consents=[{**TICK, "from": "a["}])["extra_consents.0.from"]


def _rules() -> list[ConsentRule]:
    return [ConsentRule("other", ("1",), ("0",), Channel.POST, "offers", "b", "created")]


def test_required_fields_and_types_of_orders() -> None:
    text = '[reads.orders]\nid = "id"\n[reads.orders.fields]\ntotal = { from = ["a", "b[]"], currency = "c" }'
    found = problems(text, "orders", Target.ORDER)
    assert found.pop("reads.orders.fields.total.from") == "Either all paths of a field have [] or none has"
    assert found == {
        f"reads.orders.fields.{name}": f"The field {name} is required; map it"
        for name in ("number", "status", "placed_at", "currency")
    }
    text = '[reads.products]\nid = "id"\n[reads.products.fields]\nname = { from = "n" }\ncategories = { from = "c" }'
    assert problems(text, "products", Target.PRODUCT) == {
        "reads.products.fields.categories.from": "The type texts needs a path with []"
    }


def test_writes_are_checked_likewise() -> None:
    assert load_writes(GOOD, "contacts").rules[0].source == "first_name"
    text = GOOD.replace('"first_name" }', '"fist_name", transforms = ["uper"] }')
    with pytest.raises(InvalidMapping) as caught:
        load_writes(text, "contacts")
    assert caught.value.fields == {
        "writes.contacts.fields.firstname.from": "The hub has no such field: did you mean first_name?",
        "writes.contacts.fields.firstname.transforms": "There is no transform «uper»: did you mean upper?",
    }
    assert load_writes(GOOD.replace('"first_name" }', '"score" }'), "contacts", extra_fields=["score"]).rules[0].type == "text"
    with pytest.raises(InvalidMapping):
        load_writes(GOOD, "customers")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/mapping.toml")), ids=lambda path: path.parent.name)
def test_every_platforms_file_can_be_read(path: Path) -> None:
    for stream in load(path.parent.name).DECLARATION.streams:
        if stream.reads and stream.target is not None:
            assert load_reads(path, stream.name, stream.target).rules
        if stream.writes and stream.target is not None:
            assert load_writes(path, stream.name, stream.target).rules
