"""Time zones by name and by offset, and a wall clock's time in one of them as an instant."""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from parser.timestamps.errors import TimestampPatternError, TimestampTextError

# Joda's names of zones in text (``z``): only those of the English locale that it knows without a provider.
ZONE_NAMES: Final = {
    "UTC": "UTC", "UT": "UTC", "GMT": "UTC", "EST": "America/New_York", "EDT": "America/New_York",
    "CST": "America/Chicago", "CDT": "America/Chicago", "MST": "America/Denver", "MDT": "America/Denver",
    "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles",
}  # fmt: skip
_OFFSET_TEXT: Final = re.compile(r"([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?", re.ASCII)


def zone(name: str) -> tzinfo:
    """A zone by its IANA name, or an offset such as ``+03:00``. Raises ``TimestampPatternError``."""
    if name in ("UTC", "Z"):
        return UTC
    offset = _OFFSET_TEXT.fullmatch(name)
    if offset:
        return _offset(offset)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise TimestampPatternError(
            f"{name!r} is no time zone: use a name such as Europe/Berlin, or an offset such as +02:00"
        ) from None


def _offset(match: re.Match[str]) -> timezone:
    sign, hours, minutes, seconds = match.groups()
    span = timedelta(hours=int(hours), minutes=int(minutes or 0), seconds=int(seconds or 0))
    try:
        return timezone(span if sign == "+" else -span)
    except ValueError:
        raise TimestampPatternError(f"{match[0]!r} is no time zone: an offset is less than a day") from None


def read_zone(text: str) -> tzinfo:
    """A zone that a text names: as ``zone``, but it is the text that is wrong. Raises ``TimestampTextError``."""
    try:
        return zone(text)
    except TimestampPatternError as error:
        raise TimestampTextError(str(error)) from None


def localize(moment: datetime, place: tzinfo) -> datetime:
    """Wall clock to instant, by Joda's rules for the two nights a year. Raises ``TimestampTextError``."""
    aware = moment.replace(tzinfo=place)
    instant = aware.astimezone(UTC)
    if instant.astimezone(place).replace(tzinfo=None) != moment:
        raise TimestampTextError(f"{moment} was skipped by a clock change in {place}")
    return instant
