"""``ISO8601``, which is more than a pattern can say: most of it may be missing, and dates may be weeks or ordinals.

As ``CasualISO8601Parser`` of logstash-filter-date: what Joda's ``ISODateTimeFormat.dateTimeParser`` takes, and a space for the
``T`` where date and time are complete down to the fraction.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from parser.timestamps.errors import TimestampTextError
from parser.timestamps.resolving import resolve
from parser.timestamps.zones import read_zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, tzinfo


def compile_iso() -> Callable[[str, tzinfo], datetime]:
    """A function as ``joda.compile_joda`` gives."""
    matcher = re.compile(
        r"(?P<year>[+-]?\d{1,9})(?:-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?|-(?P<ordinal>\d{3})|-W(?P<week>\d\d)(?:-(?P<weekday>\d))?)?"
        r"(?:T(?:(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}))?)?(?:[.,](?P<fraction>\d{1,9}))?)?(?P<zone>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?"
        r"|(?P<year_>[+-]?\d{1,9})-(?P<month_>\d{1,2})-(?P<day_>\d{1,2}) (?P<hour_>\d{1,2}):(?P<minute_>\d{1,2}):(?P<second_>\d{1,2})"
        r"[.,](?P<fraction_>\d{1,3})(?P<zone_>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?",
        re.ASCII,
    ).fullmatch

    def parse(text: str, place: tzinfo) -> datetime:
        match = matcher(text)
        if match is None:
            raise TimestampTextError(f"{text!r} is not an ISO 8601 date and time")
        found = {key.rstrip("_"): part for key, part in match.groupdict().items() if part is not None}
        values: dict[str, Any] = {key: int(part) for key, part in found.items() if key not in ("zone", "fraction")}
        if "week" in values:
            values["weekyear"] = values.pop("year")
        if "fraction" in found:
            _set_fraction(values, found["fraction"])
        if "zone" in found:
            values["zone"] = read_zone(found["zone"])
        return resolve(values, place)

    return parse


def _set_fraction(values: dict[str, Any], digits: str) -> None:
    """A fraction belongs to the smallest field before it: ``T11.5`` is half past eleven."""
    if "second" in values:
        values["micros"] = int(digits.ljust(6, "0")[:6])
    else:
        unit = 60 if "minute" in values else 3600
        seconds = int(Decimal(f"0.{digits}") * unit)
        values["minute"] = values.get("minute", 0) + seconds // 60
        values["second"] = seconds % 60
