"""Segments: who belongs to one, in words, how many that are now, and which scenarios use it."""

from __future__ import annotations

import json
from collections.abc import Callable

from flask import current_app, render_template, request

from hub.core.errors import NotFound
from hub.rules.segments import parse_segment
from hub.store import segments, stopping
from hub.store.db import reading
from hub.web import labels
from hub.web.access import may
from hub.web.pages import language

SAMPLE = 10


def list_segments() -> str:
    with reading() as session:
        rows = segments.list_segments(session)
    lang = language()
    return render_template(
        "admin/segments.html", rows=[(row, labels.explain(parse_segment(row.definition), lang)) for row in rows]
    )


def show_segment(key: str) -> str:
    """One segment. Counting asks all contacts, so it is done when somebody wants it."""
    now = current_app.extensions["hub"].now()
    counted = request.args.get("count") == "now"
    with reading() as session:
        row = segments.find_segment(session, key) if key.isprintable() else None
        if row is None:
            raise NotFound("There is no such segment", cure="Go on from the list of segments")
        tree = parse_segment(row.definition)
        used = [one for one in stopping.scenarios_with_segments(session) if one.segment_key == row.key]
        newest = stopping.newest_evaluations(session)
        count = segments.count_members(session, tree, now) if counted else None
        sample = segments.sample_members(session, tree, now, SAMPLE) if counted and may("contacts:read") else []
    return render_template(
        "admin/segment.html",
        row=row,
        words=labels.explain(tree, language()),
        written=json.dumps(row.definition, ensure_ascii=False, indent=2),
        used=[(one, newest.get(one.id)) for one in used],
        count=count,
        sample=sample,
        now=now,
    )


def routes(add: Callable[..., None]) -> None:
    add("/segments", list_segments)
    add("/segments/<string(maxlength=80):key>", show_segment)
