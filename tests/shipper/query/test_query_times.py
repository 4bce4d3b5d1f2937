from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from shipper.errors import QueryError
from shipper.query.times import parse_time

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 12, 30, 15, 250_000, tzinfo=UTC)
"""13:30:15.250 in Berlin."""


def iso(milliseconds):
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("now", "2026-11-22T12:30:15.250", "2026-11-22T12:30:15.251"),
        ("15m", "2026-11-22T12:15:15.250", "2026-11-22T12:15:15.251"),
        ("now-2h", "2026-11-22T10:30:15.250", "2026-11-22T10:30:15.251"),
        ("-90s", "2026-11-22T12:28:45.250", "2026-11-22T12:28:45.251"),
        ("7d", "2026-11-15T12:30:15.250", "2026-11-15T12:30:15.251"),
        ("1W", "2026-11-15T12:30:15.250", "2026-11-15T12:30:15.251"),
        ("today", "2026-11-21T23:00:00.000", "2026-11-22T23:00:00.000"),
        ("Yesterday", "2026-11-20T23:00:00.000", "2026-11-21T23:00:00.000"),
        ("2026-11-22", "2026-11-21T23:00:00.000", "2026-11-22T23:00:00.000"),
        ("2026-10-25", "2026-10-24T22:00:00.000", "2026-10-25T23:00:00.000"),  # 25 hours: summer time ends
        ("2026-12", "2026-11-30T23:00:00.000", "2026-12-31T23:00:00.000"),
        ("10:15", "2026-11-22T09:15:00.000", "2026-11-22T09:16:00.000"),
        ("9:05", "2026-11-22T08:05:00.000", "2026-11-22T08:06:00.000"),
        ("9:05:07", "2026-11-22T08:05:07.000", "2026-11-22T08:05:08.000"),
        ("2026-11-22T10:15", "2026-11-22T09:15:00.000", "2026-11-22T09:16:00.000"),
        ("2026-11-22 10:15:30", "2026-11-22T09:15:30.000", "2026-11-22T09:15:31.000"),
        ("2026-11-22T10:15:30.5Z", "2026-11-22T10:15:30.500", "2026-11-22T10:15:30.501"),
        ("2026-11-22 10:15:30,123", "2026-11-22T09:15:30.123", "2026-11-22T09:15:30.124"),
        ("2026-11-22T10:15:30-05:00", "2026-11-22T15:15:30.000", "2026-11-22T15:15:31.000"),
    ],
)
def test_times(text, start, end):
    span = parse_time(text, now=NOW, zone=BERLIN)
    assert (iso(span.start), iso(span.end)) == (start, end)


@pytest.mark.parametrize(
    "text", ["", "soon", "15", "15x", "2026-13-01", "25:00", "2026-11-22T", "99999999w", "4 score"]
)
def test_what_is_no_time(text):
    with pytest.raises(QueryError, match="not a time"):
        parse_time(text, now=NOW, zone=BERLIN)
