"""Times as people write them: ``15m``, ``yesterday``, ``2026-11-22``, ``2026-11-22T10:15+01:00``.

Each means a span: a day is a day long, a minute a minute. ``start`` and ``end`` (exclusive) are milliseconds since 1970 UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple

from shipper.errors import QueryError

if TYPE_CHECKING:
    from datetime import tzinfo

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_AGO = re.compile(r"(?:now)?-?(\d{1,9})\s*(s|m|h|d|w)", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

HELP = "15m, 2h, 7d, now, today, yesterday, 10:15 (of today), 2026-11-22, 2026-11-22T10:15:30+01:00"


class Span(NamedTuple):
    """Milliseconds since 1970 UTC; ``end`` is the first one after it."""

    start: int
    end: int


def parse_time(text: str, *, now: datetime | None = None, zone: tzinfo | None = None) -> Span:
    """What ``text`` means. ``now`` (aware) defaults to the clock, ``zone``, for times without one, to the machine's.

    ``15m``, ``-15m`` and ``now-15m`` are 15 minutes ago; units are s, m, h, d (24 hours), w. Raises ``QueryError``.
    """
    written = text.strip()
    moment = datetime.now(UTC) if now is None else now
    try:
        return _parse(written, moment, zone)
    except (ValueError, OverflowError) as error:
        raise QueryError(f"not a time: {text!r}; write for example {HELP}") from error


def _parse(text: str, now: datetime, zone: tzinfo | None) -> Span:
    word = text.lower()
    if word == "now":
        return _span(now, _MILLISECOND)
    if ago := _AGO.fullmatch(word):
        return _span(now - int(ago[1]) * _UNITS[ago[2]], _MILLISECOND)
    today = now.astimezone(zone).date()
    if word in {"today", "yesterday"}:
        return _days(today - timedelta(days=word == "yesterday"), 1, zone)
    if _DAY.fullmatch(text):
        return _days(date.fromisoformat(text), 1, zone)
    if month := _MONTH.fullmatch(text):
        first = date(int(month[1]), int(month[2]), 1)
        return _days(first, ((first + timedelta(days=31)).replace(day=1) - first).days, zone)
    if _CLOCK.fullmatch(text):
        padded = (
            f"{text:0>5}" if text.count(":") == 1 else text.replace(",", ".").rjust(len(text) + (text[1] == ":"), "0")
        )
        return _span(_local(datetime.combine(today, time.fromisoformat(padded)), zone), _precision(text))
    moment = datetime.fromisoformat(text.replace(",", "."))
    return _span(moment if moment.tzinfo else _local(moment, zone), _precision(text))


def _days(first: date, days: int, zone: tzinfo | None) -> Span:
    midnights = [_local(datetime.combine(day, time()), zone) for day in (first, first + timedelta(days=days))]
    return Span(*((midnight - _EPOCH) // _MILLISECOND for midnight in midnights))


def _local(moment: datetime, zone: tzinfo | None) -> datetime:
    return moment.replace(tzinfo=zone) if zone is not None else moment.astimezone()


def _precision(text: str) -> timedelta:
    clock = re.search(r"\d{1,2}:\d{2}(:\d{2}(?:[.,]\d+)?)?", text)
    if clock is None or clock[1] is None:
        return timedelta(minutes=1)
    return timedelta(seconds=1) if len(clock[1]) == 3 else _MILLISECOND


def _span(start: datetime, length: timedelta) -> Span:
    first = (start - _EPOCH) // _MILLISECOND
    return Span(first, first + length // _MILLISECOND)
