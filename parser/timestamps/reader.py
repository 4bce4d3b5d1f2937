"""A date filter's patterns for many texts: log lines of one second differ in their fraction only.

So the reader remembers what the text without its three digits of fraction stands for, and only puts the digits behind it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from parser.timestamps.errors import TimestampTextError
from parser.timestamps.instant import Timestamp
from parser.timestamps.matcher import compile_matcher

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

_CACHE_LIMIT: Final = 8192
# Three digits and what they become at the end of a timestamp; a text that is not in it is not three digits.
MILLIS: Final = {f"{number:03d}": f"{number:03d}Z" for number in range(1000)}
_FRACTION_LAST: Final = re.compile(r"yyyy-MM-dd(?: |T|'T')HH:mm:ss[.,]SSS(?:Z|ZZ)?")
_EPOCH_PATTERNS: Final = ("UNIX", "UNIX_MS")


class Reader:
    """A date filter's patterns, tried in turn, for texts of one zone.

    Calling it with a field's value gives the ``Timestamp``, or ``None`` where no pattern takes it. ``seconds`` is its
    memory: text without the three digits of its fraction -> the same instant in UTC up to the point, so that
    "2017-07-04 11:11:37." gives "2017-07-04T14:11:37."; generated code looks there first. It stays empty where one of
    the patterns could tell two texts apart that differ in these digits only. Bounded.
    """

    __slots__ = ("_fast", "_iso", "_matchers", "_place", "seconds")

    def __init__(
        self, patterns: Sequence[str], place: tzinfo, *, locale: str | None = None, now: datetime | None = None
    ) -> None:
        self._matchers = [compile_matcher(pattern, locale=locale, now=now) for pattern in patterns]
        self._place = place
        self.seconds: dict[str, str] = {}
        self._iso = all(pattern == "ISO8601" or pattern in _EPOCH_PATTERNS for pattern in patterns)
        self._fast = all(
            pattern == "ISO8601" or pattern in _EPOCH_PATTERNS or _FRACTION_LAST.fullmatch(pattern)
            for pattern in patterns
        )

    def __call__(self, value: object) -> Timestamp | None:
        """The timestamp of a field's value, or ``None``."""
        if type(value) is str:
            prefix = self.seconds.get(self._key(value))
            fraction = MILLIS.get(value[20:23])
            if prefix is not None and fraction is not None:
                return Timestamp(prefix + fraction)
        result = self._read(value)
        if self._fast and result is not None and type(value) is str:
            self._remember(value, result)
        return result

    def _read(self, value: object) -> Timestamp | None:
        for matcher in self._matchers:
            try:
                return matcher(value, self._place)
            except TimestampTextError:
                continue
        return None

    def _remember(self, value: str, result: Timestamp) -> None:
        fraction = MILLIS.get(value[20:23])
        if (
            fraction is not None
            and value[19:20] in (".", ",")
            and value[4:5] == value[7:8] == "-"
            and not (key := self._key(value))[20:21].isdigit()
            and result.endswith(f".{fraction}")
        ):
            if len(self.seconds) >= _CACHE_LIMIT:
                self.seconds.clear()
            self.seconds[key] = result[:-4]

    def _key(self, value: str) -> str:
        """The text without its fraction. ISO8601 takes up to nine digits after a ``T`` and uses three of them."""
        rest = value[23:]
        if self._iso and value[10:11] == "T" and rest[:1].isdigit():
            tail = rest.lstrip("0123456789")
            if len(rest) - len(tail) <= 6:
                rest = tail
        return value[:20] + rest
