"""What Logstash does to an event when it is made: ``@timestamp`` becomes an instant, ``tags`` are texts."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from parser.logstash.event import tag
from parser.timestamps import Timestamp, TimestampTextError, compile_matcher, zone

if TYPE_CHECKING:
    from parser.logstash.event import Event

TIMESTAMP_TAG: Final = "_timestampparsefailure"
TAGS_TAG: Final = "_tagsparsefailure"

_TIME: Final = re.compile(
    r"\d{4,}-\d\d-\d\d(?:T\d\d(?::?\d\d(?::?\d\d(?:\.(\d+))?)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)
_UTC: Final = zone("UTC")
_read = compile_matcher("ISO8601")


def instant(value: object) -> Timestamp:
    """A text in ISO 8601 as an instant, in UTC where it has no zone; up to nine digits of a second are kept.

    Raises ``TimestampTextError``.
    """
    if isinstance(value, Timestamp):
        return value
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise TimestampTextError(f"{value!r} is no time in ISO 8601")
    read = _read(value, _UTC)
    digits = (match[1] or "")[:9].rstrip("0")
    # Logstash writes what is finer than milliseconds in groups of three digits.
    return read if len(digits) <= 3 else Timestamp(f"{read[:-4]}{digits.ljust(-(-len(digits) // 3) * 3, '0')}Z")


def create(event: Event, now: datetime | None = None) -> Event:
    """Make an event well-formed, in place; ``now`` is the clock.

    A time that is none moves to ``_@timestamp``, tags that are none to ``_tags``, and the event is tagged.
    """
    if "tags" in event and not _are_tags(event["tags"]):
        event["_tags"] = [event.pop("tags")]
        tag(event, TAGS_TAG)
    if "@timestamp" in event and type(event["@timestamp"]) is not Timestamp:
        _create_timestamp(event, event.pop("@timestamp"), now or datetime.now(UTC))
    return event


def _create_timestamp(event: Event, value: Any, now: datetime) -> None:
    try:
        event["@timestamp"] = instant(value)
    except TimestampTextError:
        event["@timestamp"] = Timestamp(f"{now.astimezone(UTC).isoformat(timespec='milliseconds')[:-6]}Z")
        if value is not None:
            event["_@timestamp"] = value
            tag(event, TIMESTAMP_TAG)


def _are_tags(value: Any) -> bool:
    return isinstance(value, str) or (type(value) is list and all(isinstance(item, str) for item in value))


__all__ = ["TAGS_TAG", "TIMESTAMP_TAG", "create", "instant"]
