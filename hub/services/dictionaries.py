"""Which dictionary a connection is mapped by: the platform's own, or the one an admin gave for this connection."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from hub.connectors import folder, raw_fields
from hub.core.connector import Declaration, StreamInfo
from hub.core.errors import Invalid, Refused
from hub.core.types import Standard
from hub.mapping.apply import compile_writes
from hub.mapping.dictionary import ReadMapping, load_reads, load_writes

OPTION = "mapping"
"""The connection's option that holds an admin's own dictionary, as TOML text."""


def read_mapping(platform: str, options: Mapping[str, Any], stream: StreamInfo, title: str) -> ReadMapping:
    """How one stream of a connection is read; `InvalidMapping` names every place that is wrong."""
    if stream.target is None:
        raise Refused("{platform} cannot read the stream «{stream}»", platform=title, stream=stream.name)
    own = [
        {name: value for name, value in rule.items() if name != "stream"}
        for rule in options.get("consents", [])
        if rule.get("stream") == stream.name
    ]
    return load_reads(
        _source(platform, options, "reads", stream.name),
        stream.name,
        stream.target,
        known_paths=raw_fields(platform, stream.name),
        extra_consents=own,
    )


def outgoing(platform: str, options: Mapping[str, Any]) -> Callable[[Standard], dict[str, str]]:
    """From a contact to the platform's own properties."""
    return _compile_writes(_source(platform, options, "writes", "contacts"))


@lru_cache(maxsize=64)
def _compile_writes(source: str | Path) -> Callable[[Standard], dict[str, str]]:
    return compile_writes(load_writes(source, "contacts"))


def check_mapping(declaration: Declaration, text: str) -> None:
    """Refuse an admin's dictionary that cannot be used, with every wrong place, before anything is read by it."""
    options = {OPTION: text}
    sections = _sections(text)
    streams = {stream.name: stream for stream in declaration.streams}
    for kind in ("reads", "writes"):
        for name in sections.get(kind, {}):
            stream = declaration.stream(name)
            if kind == "reads" and not stream.reads:
                raise Refused("{platform} cannot read the stream «{stream}»", platform=declaration.title, stream=name)
            if kind == "reads":
                read_mapping(declaration.name, options, streams[name], declaration.title)
            else:
                load_writes(text, name)
    if not sections.get("reads") and not sections.get("writes"):
        raise Invalid("The dictionary is empty", cure="It needs a section [reads.STREAM] or [writes.STREAM]: docs/mapping.md")


def _sections(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Invalid("The dictionary is not TOML", cause=str(error), cure="Correct the named line") from error


def _source(platform: str, options: Mapping[str, Any], kind: str, stream: str) -> str | Path:
    """The admin's text where it speaks of this stream, else the platform's file."""
    text = options.get(OPTION)
    if text and stream in _sections(text).get(kind, {}):
        return str(text)
    return folder(platform) / "mapping.toml"
