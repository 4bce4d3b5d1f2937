"""A document's JSON → the columns and the words the store keeps beside it.

Nested and dotted names are both understood. A document without a usable ``@timestamp`` stands at the time it arrived, so that it is
found among the newest instead of nowhere; its JSON is not touched.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LATEST = 253_402_300_799_999
"""The last millisecond of the year 9999: what Python can show."""
_EARLIEST = -62_135_596_800_000


class Columns(NamedTuple):
    """What is stored beside the JSON; ``None`` where the document has no such field."""

    timestamp: int
    level: str | None
    service: str | None
    logger: str | None
    text: tuple[str | None, ...]
    """For ``schema.TEXT_COLUMNS``."""


def columns(document: bytes, *, arrived: int) -> Columns:
    """Columns of one document. ``arrived``: milliseconds since 1970 UTC. Raises ``ValueError`` if it is not a JSON object."""
    text = _as_it_is
    try:
        event = orjson.loads(document)
    except orjson.JSONDecodeError:
        # orjson refuses "\ud800", a surrogate without its other half; such a document is odd, and still JSON.
        event = json.loads(document)
        text = _without_surrogates
    if type(event) is not dict:
        raise ValueError("not a JSON object")
    get = event.get
    log, error = get("log"), get("error")
    logger = text(_member(event, log, "logger", "log.logger"))
    return Columns(
        _milliseconds(get("@timestamp"), arrived),
        text(_member(event, log, "level", "log.level")),
        text(_member(event, get("service"), "name", "service.name")),
        logger,
        (
            text(get("message")),
            logger,
            text(_member(event, get("trace"), "id", "trace.id")),
            text(_member(event, error, "type", "error.type")),
            text(_member(event, error, "message", "error.message")),
            text(_member(event, error, "stack_trace", "error.stack_trace")),
        ),
    )


def _member(event: dict[str, Any], inner: Any, name: str, dotted: str) -> Any:
    if type(inner) is dict and name in inner:
        return inner[name]
    return event.get(dotted)


def _as_it_is(value: Any) -> str | None:
    """Text of a value: a string itself, a list's strings as lines, anything else as JSON writes it."""
    if value is None or type(value) is str:
        return value
    if type(value) is list:
        return "\n".join(filter(None, map(_as_it_is, value)))
    return json.dumps(value, ensure_ascii=False)


def _without_surrogates(value: Any) -> str | None:
    text = _as_it_is(value)
    return None if text is None else text.encode("utf-8", "replace").decode()


def _milliseconds(value: Any, arrived: int) -> int:
    """``@timestamp`` as Elasticsearch's default format reads it: ISO 8601 (UTC where it has no zone) or milliseconds."""
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return _milliseconds(int(value), arrived) if value.isdecimal() and len(value) < 16 else arrived
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MILLISECOND
    if type(value) in {int, float} and _EARLIEST <= value <= _LATEST:
        return int(value)
    return arrived
