"""Joda's date patterns, compiled for reading: each becomes a regular expression and the fields that its groups set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from parser.timestamps.errors import TimestampPatternError, TimestampTextError
from parser.timestamps.names import DAYS, months
from parser.timestamps.patterns import NUMBERS, reading_parts
from parser.timestamps.resolving import resolve
from parser.timestamps.zones import ZONE_NAMES, read_zone, zone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, tzinfo


class _Field:
    """A letter run of a pattern: how its text looks, and what it sets."""

    __slots__ = ("key", "parse", "regex")

    def __init__(self, regex: str, key: str, parse: Callable[[str], Any]) -> None:
        self.regex, self.key, self.parse = regex, key, parse


def _names(table: dict[str, int], key: str) -> _Field:
    longest_first = sorted(table, key=len, reverse=True)
    return _Field("(?i:" + "|".join(map(re.escape, longest_first)) + ")", key, lambda text: table[text.lower()])


def _two_digit_year(clock: Callable[[], datetime]) -> Callable[[str], int]:
    def year(text: str) -> int:
        if len(text) != 2:
            return int(text)
        low = clock().year - 80
        return low + (int(text) - low) % 100

    return year


def _field(letter: str, count: int, locale: str | None, *, adjacent: bool, clock: Callable[[], datetime]) -> _Field:
    """The field of ``count`` times ``letter``; ``adjacent`` if digits follow at once, which fixes its width."""
    if letter in "yYu" and count == 2:
        return _Field(r"\d\d" if adjacent else r"[+-]?\d{1,9}", "year", _two_digit_year(clock))
    if letter in "yYuC":
        return _Field(rf"\d{{{count}}}" if adjacent else r"[+-]?\d{1,9}", "year", int)
    if letter == "M" and count >= 3:
        return _names(months(locale), "month")
    if letter == "M":
        return _Field(rf"\d{{{count}}}" if adjacent else r"\d{1,2}", "month", int)
    if letter == "E":
        return _names(DAYS, "weekday")
    if letter == "a":
        return _Field("(?i:am|pm)", "half", str.lower)
    if letter == "S":
        return _Field(
            rf"\d{{{count}}}" if adjacent else rf"\d{{1,{count}}}", "micros", lambda text: int(text.ljust(6, "0")[:6])
        )
    if letter == "Z" and count <= 2:
        return _Field(r"Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?", "zone", read_zone)
    if letter == "Z":
        return _Field(r"(?!Z\b)[A-Za-z][\w/+-]*", "zone", read_zone)
    if letter == "z":
        return _Field("|".join(ZONE_NAMES), "zone", lambda text: zone(ZONE_NAMES[text]))
    if letter in NUMBERS:
        key, digits = NUMBERS[letter]
        return _Field(rf"\d{{{count}}}" if adjacent else rf"\d{{1,{digits}}}", key, int)
    raise TimestampPatternError(f"{letter * count!r} is nothing that Joda's date patterns know")


def compile_joda(pattern: str, locale: str | None, clock: Callable[[], datetime]) -> Callable[[str, tzinfo], datetime]:
    """A function from a text, and the zone for one that names none, to the instant; it raises ``TimestampTextError``.

    ``clock`` is asked for the year that a text leaves out, at each text. Raises ``TimestampPatternError``.
    """
    fields: list[_Field] = []
    regex = ""
    for kind, text, adjacent in reading_parts(pattern):
        if kind == "text":
            regex += re.escape(text)
            continue
        field = _field(text[0], len(text), locale, adjacent=adjacent, clock=clock)
        fields.append(field)
        regex += f"({field.regex})"
    matcher = re.compile(regex, re.ASCII).fullmatch

    def parse(text: str, place: tzinfo) -> datetime:
        match = matcher(text)
        if match is None:
            raise TimestampTextError(f"{text!r} does not look like {pattern}")
        values = {field.key: field.parse(part) for field, part in zip(fields, match.groups(), strict=True)}
        if "year" in values or "weekyear" in values:
            return resolve(values, place)
        # No year in the text: Logstash takes this one, save around New Year.
        now = clock()
        year = now.year
        month = values.get("month", 1)
        if month == 12 and now.month == 1:
            year -= 1
        elif month == 1 and now.month == 12:
            year += 1
        return resolve({**values, "year": year}, place)

    return parse
