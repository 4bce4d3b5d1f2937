"""Logstash's templates (``%{field}``, ``%{+yyyy}``) as Painless expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parser.ingest import runtime
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.sprintf import split
from parser.timestamps import TimestampPatternError
from parser.timestamps.patterns import split_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    from parser.logstash.ast import Path

_INSTANT: Final = "instant(ctx)"
_NUMBERS: Final = {
    "M": f"{_INSTANT}.getMonthValue()",
    "d": f"{_INSTANT}.getDayOfMonth()",
    "H": f"{_INSTANT}.getHour()",
    "m": f"{_INSTANT}.getMinute()",
    "s": f"{_INSTANT}.getSecond()",
    "D": f"{_INSTANT}.getDayOfYear()",
    "w": f"{_INSTANT}.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR)",
    "e": f"{_INSTANT}.getDayOfWeek().getValue()",
    "h": f"({_INSTANT}.getHour() % 12 == 0 ? 12 : {_INSTANT}.getHour() % 12)",
    "K": f"({_INSTANT}.getHour() % 12)",
    "k": f"({_INSTANT}.getHour() == 0 ? 24 : {_INSTANT}.getHour())",
    "C": f"({_INSTANT}.getYear() / 100)",
}


def expression(source: str, path_of: Callable[[Path], str]) -> str:
    """A Painless expression for the text; ``path_of`` writes the list of a field's path."""
    texts = [runtime.text(part) if kind == "text" else _part(part, path_of) for kind, part in split(source)]
    return texts[0] if len(texts) == 1 else f"({' + '.join(texts)})"


def _part(whole: str, path_of: Callable[[Path], str]) -> str:
    if whole.startswith("%{{"):
        return _time(whole[3:-2], java_time=True)
    inner = whole[2:-1]
    if inner in ("", "+", "+%s"):
        return "(instant(ctx) == null ? '' : Long.toString(instant(ctx).toInstant().getEpochSecond()))"
    if inner.startswith("+"):
        return _time(inner[1:], java_time=False)
    try:
        return f"sprintf(ctx, {path_of(parse_reference(inner))}, {runtime.text(whole)})"
    except FieldReferenceError as error:
        return f"fail({runtime.text(str(error))})"


def _time(pattern: str, *, java_time: bool) -> str:
    try:
        texts = ["''"]
        texts += [
            runtime.text(part) if kind == "text" else _letters(part[0], len(part), java_time=java_time)
            for kind, part in split_pattern(pattern)
        ]
    except TimestampPatternError as error:
        return f"fail({runtime.text(str(error))})"
    return f"(instant(ctx) == null ? '' : {' + '.join(texts)})"


def _letters(letter: str, count: int, *, java_time: bool) -> str:
    if letter in "yYu" and count == 2:
        return f"padded({_INSTANT}.getYear() % 100, 2)"
    if letter in "yYu":
        return f"padded({_INSTANT}.getYear(), {count})"
    if letter == "x" and not java_time:
        return f"padded({_INSTANT}.get(IsoFields.WEEK_BASED_YEAR), {count})"
    if letter == "M" and count >= 3:
        return f"{_INSTANT}.getMonth().getDisplayName(TextStyle.{'SHORT' if count == 3 else 'FULL'}, Locale.ENGLISH)"
    if letter == "E":
        return (
            f"{_INSTANT}.getDayOfWeek().getDisplayName(TextStyle.{'SHORT' if count <= 3 else 'FULL'}, Locale.ENGLISH)"
        )
    if letter == "a":
        return f"({_INSTANT}.getHour() < 12 ? 'AM' : 'PM')"
    if letter == "S":
        return f"(padded({_INSTANT}.getNano() / 1000, 6) + '{'0' * count}').substring(0, {count})"
    if letter == "n" and java_time:
        return f"padded({_INSTANT}.getNano(), {count})"
    if letter == "Z" or (letter in "xX" and java_time):
        if java_time:
            return {"X": "'Z'", "Z": "'+0000'"}.get(letter, "'+00'")
        return {1: "'+0000'", 2: "'+00:00'"}.get(count, "'UTC'")
    if letter == "z":
        return "'UTC'" if count <= 3 else "'Coordinated Universal Time'"
    if letter in _NUMBERS:
        return f"padded({_NUMBERS[letter]}, {count})"
    raise TimestampPatternError(f"{letter * count!r} is nothing that date patterns know")
