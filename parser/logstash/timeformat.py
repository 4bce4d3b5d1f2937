"""Instants as text, by the patterns of ``%{+yyyy.MM.dd}`` (Joda) and ``%{{yyyy.MM.dd}}`` (java.time)."""

from __future__ import annotations

import calendar
from datetime import datetime
from typing import TYPE_CHECKING

from parser.timestamps import TimestampPatternError
from parser.timestamps.patterns import split_pattern

if TYPE_CHECKING:
    from collections.abc import Callable


class TimestampFormat:
    """A pattern for writing: Joda's (``%{+…}``), or java.time's (``%{{…}}``), in UTC and English."""

    __slots__ = ("_parts",)

    def __init__(self, pattern: str, *, java_time: bool = False) -> None:
        self._parts = [
            text if kind == "text" else _writer(text[0], len(text), java_time=java_time)
            for kind, text in split_pattern(pattern)
        ]

    def format(self, timestamp: str) -> str:
        """The text of an instant."""
        moment = datetime.fromisoformat(timestamp)
        return "".join(part if isinstance(part, str) else part(moment) for part in self._parts)


def _writer(letter: str, count: int, *, java_time: bool) -> Callable[[datetime], str]:
    simple: dict[str, Callable[[datetime], int]] = {
        "M": lambda t: t.month,
        "d": lambda t: t.day,
        "H": lambda t: t.hour,
        "m": lambda t: t.minute,
        "s": lambda t: t.second,
        "D": lambda t: t.timetuple().tm_yday,
        "w": lambda t: t.isocalendar().week,
        "e": lambda t: t.isoweekday(),
        "h": lambda t: t.hour % 12 or 12,
        "K": lambda t: t.hour % 12,
        "k": lambda t: t.hour or 24,
        "C": lambda t: t.year // 100,
    }
    if letter in "yYu" and count == 2:
        return lambda t: f"{t.year % 100:02d}"
    if letter in "yYu":
        return lambda t: str(t.year).zfill(count)
    if letter == "x" and not java_time:
        return lambda t: str(t.isocalendar().year).zfill(count)
    if letter == "M" and count >= 3:
        return lambda t: calendar.month_abbr[t.month] if count == 3 else calendar.month_name[t.month]
    if letter == "E":
        return lambda t: calendar.day_abbr[t.weekday()] if count <= 3 else calendar.day_name[t.weekday()]
    if letter == "a":
        return lambda t: "AM" if t.hour < 12 else "PM"
    if letter == "S":
        return lambda t: f"{t.microsecond:06d}".ljust(count, "0")[:count]
    if letter == "n" and java_time:
        return lambda t: str(t.microsecond * 1000).zfill(count)
    if letter == "Z" or (letter in "xX" and java_time):
        if java_time:
            return lambda _: "Z" if letter == "X" else "+0000" if letter == "Z" else "+00"
        return lambda _: {1: "+0000", 2: "+00:00"}.get(count, "UTC")
    if letter == "z":
        return lambda _: "UTC" if count <= 3 else "Coordinated Universal Time"
    if letter in simple:
        number = simple[letter]
        return lambda t: str(number(t)).zfill(count)
    raise TimestampPatternError(f"{letter * count!r} is nothing that date patterns know")
