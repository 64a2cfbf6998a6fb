"""Outgoing webhooks: set up, changed, tested, with what was delivered and what was not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import Conflict, HubError, Invalid, NotFound
from hub.core.roles import Permission
from hub.core.texts import N_, say
from hub.services import hooks
from hub.services.context import Context
from hub.store import hooks as store
from hub.store.db import reading
from hub.web.admin import shown_once
from hub.web.faults import read_fault
from hub.web.forms import error_summary, tell, typed_number, wrong_fields
from hub.web.pages import argument, argument_id, language

PAGE = 25
MADE = "webhook_secret"
STATES = {store.OWED: N_("owed"), store.SENT: N_("delivered"), store.FAILED: N_("given up")}
REACHES = {"1": N_("since yesterday"), "7": N_("in the last 7 days"), "30": N_("in the last 30 days")}

Answer = str | AnyResponse | tuple[str, int]


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def _find(webhook_id: UUID) -> Any:
    with reading() as session:
        return hooks.get_webhook(session, str(webhook_id))


def _to(webhook_id: object) -> AnyResponse:
    return redirect(url_for("admin.show_webhook", webhook_id=webhook_id), 303)


def _typed() -> dict[str, Any]:
    kinds = request.form.getlist("kinds")[:50] or [one for one in request.form.get("all_kinds", "")[:2000].split(",") if one]
    return {
        "url": request.form.get("url", "")[: hooks.LONGEST_URL + 1].strip(),
        "description": request.form.get("description", "")[: hooks.LONGEST_DESCRIPTION + 1].strip(),
        "kinds": [one[:60] for one in kinds],
    }


def list_webhooks() -> str:
    with reading() as session:
        rows = store.list_webhooks(session)
        counts = {row.id: store.count_deliveries(session, row.id) for row in rows}
    return render_template("admin/webhooks.html", rows=rows, counts=counts, shown=hooks.shown_url)


def new_webhook() -> str:
    return _form({"url": "", "description": "", "kinds": []})


def _form(form: dict[str, Any], error: HubError | None = None, row: Any = None) -> str:
    return render_template(
        "admin/webhook_form.html",
        row=row,
        form=form,
        version=row.version if row else 0,
        kinds=hooks.KINDS,
        every=store.EVERY_KIND,
        form_id=shown_once.form_id(),
        wrong=wrong_fields(error) if isinstance(error, Invalid) else {},
        error=error_summary(error) if error else None,
    )


def create_webhook() -> Answer:
    if shown_once.was_sent():
        return redirect(url_for("admin.list_webhooks"), 303)
    form = _typed()
    try:
        made = hooks.create_webhook(_context(), form["url"], form["kinds"], form["description"])
    except Invalid as error:
        return _form(form, error), 400
    shown_once.note_sent()
    shown_once.keep(MADE, {"id": made.id, "secret": made.secret})
    return _to(made.id)


def show_webhook(webhook_id: UUID) -> str:
    """One webhook with its delivery log."""
    row, state, before = _find(webhook_id), argument("state"), argument_id("before")
    if state and state not in STATES:
        raise NotFound("The filter «{name}» cannot be read", cure="Start again from the first page", name="state")
    with reading() as session:
        log = store.page_deliveries(session, webhook_id=row.id, state=state or None, before=before, limit=PAGE + 1)
        counts = store.count_deliveries(session, row.id)
    made = shown_once.kept(MADE)
    return render_template(
        "admin/webhook.html",
        row=row,
        address=hooks.shown_url(row.url),
        kinds=hooks.KINDS,
        log=log[:PAGE],
        faults={one.id: read_fault(one.error, language()) for one in log[:PAGE]},
        next_page=log[PAGE - 1].id if len(log) > PAGE else None,
        counts=counts,
        states=STATES,
        state=state,
        reaches=REACHES,
        secret=made["secret"] if made and made["id"] == row.id else "",
    )


def edit_webhook(webhook_id: UUID) -> str:
    row = _find(webhook_id)
    return _form({"url": row.url, "description": row.description, "kinds": row.kinds}, row=row)


def change_webhook(webhook_id: UUID) -> Answer:
    row, form = _find(webhook_id), _typed()
    try:
        hooks.change_webhook(_context(), row.id, form, version=typed_number("version"))
    except Invalid as error:
        return _form(form, error, row), 400
    except Conflict:
        return _conflict(_find(webhook_id), form)
    tell("The webhook is saved")
    return _to(row.id)


def _conflict(row: Any, form: dict[str, Any]) -> tuple[str, int]:
    """Somebody else saved first: both versions side by side."""
    lang = language()
    rows = [
        (say("Address", lang), form["url"], row.url),
        (say("Description", lang), form["description"], row.description),
        (say("Events", lang), ", ".join(form["kinds"]), ", ".join(row.kinds)),
    ]
    carried = {**form, "all_kinds": ",".join(form["kinds"]), "version": row.version}
    del carried["kinds"]
    action = url_for("admin.change_webhook", webhook_id=row.id)
    back = url_for("admin.show_webhook", webhook_id=row.id)
    return render_template("conflict.html", rows=rows, carried=carried, action=action, back=back), 409


def switch_webhook(webhook_id: UUID) -> AnyResponse:
    """On or off; a second time changes nothing."""
    row, active = _find(webhook_id), request.form.get("active") == "yes"
    if row.active != active:
        hooks.change_webhook(_context(), row.id, {"active": active}, version=row.version)
    tell("The webhook is on" if active else "The webhook is off; events of this time are not told later")
    return _to(row.id)


def rotate_secret(webhook_id: UUID) -> AnyResponse:
    if not shown_once.was_sent():
        row = _find(webhook_id)
        shown_once.keep(MADE, {"id": row.id, "secret": hooks.rotate_secret(_context(), row.id)})
        shown_once.note_sent()
    return _to(webhook_id)


def hide_secret(webhook_id: UUID) -> AnyResponse:
    """It was copied: it is not shown again."""
    shown_once.drop(MADE)
    return _to(webhook_id)


def ping_webhook(webhook_id: UUID) -> AnyResponse:
    hooks.ping(_context(), str(webhook_id))
    tell("A test event is on its way; it shows in the log below")
    return _to(webhook_id)


def show_delivery(webhook_id: UUID, delivery_id: UUID) -> str:
    row = _find(webhook_id)
    with reading() as session:
        one = store.find_delivery(session, str(delivery_id))
    if one is None or one.webhook_id != row.id:
        raise NotFound("There is no such delivery", cure="Go on from the webhook's delivery log")
    payload = orjson.dumps({"type": one.kind, "timestamp": one.event_at, "data": one.payload}, option=orjson.OPT_INDENT_2)
    return render_template(
        "admin/webhook_delivery.html",
        row=row,
        one=one,
        address=hooks.shown_url(row.url),
        payload=payload.decode(),
        states=STATES,
        fault=read_fault(one.error, language()),
    )


def replay_delivery(webhook_id: UUID, delivery_id: UUID) -> AnyResponse:
    hooks.replay_delivery(_context(), str(webhook_id), str(delivery_id))
    tell("It is sent again; it shows in the log below")
    return _to(webhook_id)


def replay_failed(webhook_id: UUID) -> AnyResponse:
    days = request.form.get("days", "")
    if days not in REACHES:
        raise Invalid(fields={"days": "Choose how far back"})
    count = hooks.replay_failed(_context(), str(webhook_id), _context().now() - timedelta(days=int(days)))
    tell("Sent again: {count}", count=count)
    return _to(webhook_id)


def show_removal(webhook_id: UUID) -> str:
    row = _find(webhook_id)
    host = urlsplit(row.url).hostname
    return render_template("admin/webhook_remove.html", row=row, host=host, value="", wrong={}, error=None)


def remove_webhook(webhook_id: UUID) -> Answer:
    """Only with the host typed: the log goes with it."""
    row, value = _find(webhook_id), request.form.get("name", "")[:300]
    host = urlsplit(row.url).hostname or ""
    if value.strip().lower() != host:
        error = Invalid("Nothing was removed", fields={"name": "This is not the webhook's host"})
        words = {"wrong": wrong_fields(error), "error": error_summary(error)}
        return render_template("admin/webhook_remove.html", row=row, host=host, value=value, **words), 400
    hooks.remove_webhook(_context(), row.id)
    tell("The webhook to {host} is removed", host=host)
    return redirect(url_for("admin.list_webhooks"), 303)


def routes(add: Callable[..., None]) -> None:
    write = Permission.WEBHOOKS_WRITE
    one, post = "/webhooks/<uuid:webhook_id>", ("POST",)
    add("/webhooks", list_webhooks, write)
    add("/webhooks", create_webhook, write, methods=post)
    add("/webhooks/new", new_webhook, write)
    add(one, show_webhook, write)
    add(f"{one}/edit", edit_webhook, write)
    add(f"{one}/edit", change_webhook, write, methods=post)
    add(f"{one}/switch", switch_webhook, write, methods=post)
    add(f"{one}/secret", rotate_secret, write, methods=post)
    add(f"{one}/copied", hide_secret, write, methods=post)
    add(f"{one}/ping", ping_webhook, write, methods=post)
    add(f"{one}/replay", replay_failed, write, methods=post)
    add(f"{one}/remove", show_removal, write)
    add(f"{one}/remove", remove_webhook, write, methods=post)
    add(f"{one}/deliveries/<uuid:delivery_id>", show_delivery, write)
    add(f"{one}/deliveries/<uuid:delivery_id>/replay", replay_delivery, write, methods=post)
