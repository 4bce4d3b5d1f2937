"""One pattern of a date filter, compiled: exact, by the rules of Joda."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from parser.timestamps.epochs import tai64n, unix, unix_ms
from parser.timestamps.errors import TimestampTextError
from parser.timestamps.instant import Timestamp, from_moment
from parser.timestamps.iso8601 import compile_iso
from parser.timestamps.joda import compile_joda

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo


def _clock() -> datetime:
    return datetime.now(UTC)


def compile_matcher(
    pattern: str, *, locale: str | None = None, now: datetime | None = None
) -> Callable[[object, tzinfo], Timestamp]:
    """Compile one pattern of a date filter.

    The function takes the field's value and the zone for a text without one, and raises ``TimestampTextError``.
    ``now`` stands in for the clock where a year has to be guessed. Raises ``TimestampPatternError``.
    """
    if pattern == "UNIX":
        return lambda value, _place: unix(value)
    if pattern == "UNIX_MS":
        return lambda value, _place: unix_ms(value)
    if pattern == "TAI64N":
        return lambda value, _place: tai64n(value)
    if pattern == "ISO8601":
        parse = compile_iso()
    else:
        # Read anew for each text: what is compiled may run over New Year.
        parse = compile_joda(pattern, locale, _clock if now is None else lambda: now)

    def match(value: object, place: tzinfo) -> Timestamp:
        if not isinstance(value, str):
            raise TimestampTextError(f"{value!r} is not a text")
        return from_moment(parse(value, place))

    return match
