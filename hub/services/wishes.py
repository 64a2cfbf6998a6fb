"""What a person told us outside of the platforms: by phone, on paper, in the shop. A user or the API records it here.

No user raises what may be sent by themselves (docs/architecture.md, invariants of consent): a grant, and the end of a
pause, need the person's own act and where its proof lies. Taking away needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.core.errors import Invalid, NotFound
from hub.core.texts import N_
from hub.core.types import Act, Channel, ConsentAct
from hub.rules.consent import EVERY_TOPIC
from hub.services.audit import actor, note
from hub.services.consent import record_act
from hub.services.context import Context
from hub.services.hooks import tell
from hub.store import contacts, dossier, ledger
from hub.store.db import Session, transaction

WAYS: dict[str, str] = {
    "paper": N_("On paper"),
    "in_person": N_("In person"),
    "phone": N_("By phone"),
    "email": N_("By e-mail"),
    "letter": N_("By letter"),
    "web": N_("On another website"),
    "other": N_("Another way"),
}
"""How a person told us."""

LONGEST_SCOPE, LONGEST_REFERENCE = 60, 300
LONGEST_PAUSE = timedelta(days=5 * 366)
EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)

WRONG_ACT = N_("The act cannot be recorded")
WRONG_PAUSE = N_("The pause cannot be set")
NEEDED_WAY = N_("Choose how the person told us")
NEEDED_PROOF = N_("Say where the proof lies, for example the form's number or the call's date; it does not go without")
TOO_LONG = N_("At most {most} characters fit here")
UNPRINTABLE = N_("This holds characters that cannot be shown; type it again")
NEEDED_TOPIC = N_("Name the topic, for example offers")
ONE_TOPIC = N_("A consent names one topic; only a withdrawal may name all")
NEEDED_TIME = N_("Say when the person told us; not in the future")
NEEDED_END = N_("Choose a day in the future, at most five years away")


@dataclass(frozen=True)
class ToldAct:
    """A consent or a withdrawal. `at` is aware; `how` is one of `WAYS`, `reference` says where the proof lies."""

    act: Act
    channel: Channel
    topic: str
    brand: str
    at: datetime
    how: str = ""
    reference: str = ""


def record_consent(context: Context, contact_id: str, told: ToldAct, source: str = "console") -> bool:
    """Write the act into the ledger; False if it stands there already (the same act on the same scope at that moment).

    Invalid names the wrong fields: a grant without proof, every topic at once, a moment in the future. A newer withdrawal
    stays stronger than the grant of an earlier day. A withdrawal leaves every list at once.
    """
    topic, brand = " ".join(told.topic.split()), " ".join(told.brand.split())
    reference = " ".join(told.reference.split())
    wrong = _wrong_proof(told.how, reference, needed=told.act is Act.GRANTED)
    for name, value in (("topic", topic), ("brand", brand)):
        if len(value) > LONGEST_SCOPE:
            wrong[name] = TOO_LONG
        elif not value.isprintable():
            wrong[name] = UNPRINTABLE
    if not topic:
        wrong["topic"] = NEEDED_TOPIC
    elif topic == EVERY_TOPIC and told.act is Act.GRANTED:
        wrong["topic"] = ONE_TOPIC
    if told.at.tzinfo is None or not EARLIEST <= told.at <= context.now():
        wrong["at"] = NEEDED_TIME
    if wrong:
        most = LONGEST_REFERENCE if "reference" in wrong else LONGEST_SCOPE
        raise Invalid(WRONG_ACT, fields=wrong, most=most)
    who = actor()
    at = told.at.astimezone(UTC)
    scope = ":".join((told.channel.value, topic, brand, told.act.value, at.isoformat()))
    evidence = {"how": told.how, "reference": reference, "recorded_by": {"kind": who.kind, "id": who.id, "name": who.name}}
    act = ConsentAct(told.act, told.channel, topic, brand, at, source, f"{source}:{contact_id}:{scope}"[:300], evidence)
    return record_act(context, contact_id, act)


def pause_contact(context: Context, contact_id: str, channel: Channel | None, until: datetime, source: str = "console") -> None:
    """Nothing is sent on the channel (None: on any) until that moment; a pause there is moved. Invalid(until), NotFound."""
    now = context.now()
    if until.tzinfo is None or not now < until <= now + LONGEST_PAUSE:
        raise Invalid(WRONG_PAUSE, fields={"until": NEEDED_END})
    with transaction() as session:
        _need_contact(session, contact_id)
        before = _pauses(session, contact_id, now)
        for one in [channel] if channel else list(Channel):
            ledger.set_pause(session, contact_id, one, until)
        _note_pause(session, contact_id, before, {}, now, source)


def resume_contact(
    context: Context, contact_id: str, channel: Channel | None, how: str, reference: str, source: str = "console"
) -> bool:
    """End the pause of the channel (None: all); False if there was none. The person's own act and its proof are needed."""
    reference = " ".join(reference.split())
    if wrong := _wrong_proof(how, reference, needed=True):
        raise Invalid(N_("The pause cannot be ended"), fields=wrong, most=LONGEST_REFERENCE)
    now = context.now()
    with transaction() as session:
        _need_contact(session, contact_id)
        before = _pauses(session, contact_id, now)
        for one in [channel] if channel else list(Channel):
            dossier.end_pause(session, contact_id, one.value)
        ended = _pauses(session, contact_id, now) != before
        if ended:
            _note_pause(session, contact_id, before, {"how": how, "reference": reference}, now, source)
    return ended


def _wrong_proof(how: str, reference: str, *, needed: bool) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if how not in WAYS and (how or needed):
        wrong["how"] = NEEDED_WAY
    if len(reference) > LONGEST_REFERENCE:
        wrong["reference"] = TOO_LONG
    elif not reference.isprintable():
        wrong["reference"] = UNPRINTABLE
    elif needed and len(reference) < 3:
        wrong["reference"] = NEEDED_PROOF
    return wrong


def _need_contact(session: Session, contact_id: str) -> None:
    if contacts.find_contact(session, contact_id, lock=True) is None:
        raise NotFound("There is no such contact", cure="Look for the person by name, e-mail or phone", subject=contact_id)


def _pauses(session: Session, contact_id: str, now: datetime) -> dict[str, str]:
    return {row.channel: row.until.isoformat() for row in dossier.pauses_of(session, contact_id, now)}


def _note_pause(
    session: Session, contact_id: str, before: Mapping[str, Any], proof: Mapping[str, Any], now: datetime, source: str
) -> None:
    after = _pauses(session, contact_id, now)
    action = "pause.set" if after.items() - before.items() else "pause.ended"
    note(session, action, ("contact", contact_id, ""), now, before=before, after={**after, **proof, "source": source})
    tell(session, "pause.changed", contact_id, {"contact_id": contact_id, "paused_until": after}, now)
