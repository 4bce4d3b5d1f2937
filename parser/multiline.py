"""Lines into events: a stack trace belongs to the record before it.

Framing works on the bytes of a block, before anything is decoded, in one pass: the offsets of events are raw bytes, and
a pattern that is searched over a whole block costs a fraction of one that is tried on every line.

A *cut* is an offset where one event ends and the next begins. Framing from any cut onwards gives the same cuts again,
whatever the blocks are: that is what lets an agent start again from an acknowledged offset.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from parser.errors import DialectError


class Framer(ABC):
    """Where events begin and end in a block of bytes."""

    @abstractmethod
    def cuts(self, block: bytes, before: int = 0) -> list[int]:
        """The ends of the events that are complete, ascending.

        ``block`` begins at a cut and ends with a newline. What lies behind the last cut may still go on in the next
        block; it is handed in again in front of that.
        ``before``: or it begins behind so many whole lines of an event, in which no cut was found; that may end at 0.
        """


class Lines(Framer):
    """Every line is an event."""

    def cuts(self, block: bytes, before: int = 0) -> list[int]:  # noqa: ARG002 - a line is an event, whatever was before
        """After every newline."""
        return [match.end() for match in _NEWLINE.finditer(block)]


_NEWLINE = re.compile(rb"\n")


class Starts(Framer):
    """A line that matches begins an event; every other line belongs to the event before it.

    ``pattern`` is a regular expression over bytes, tried at the beginning of a line. It must not look past its line.
    """

    def __init__(self, pattern: bytes) -> None:
        # A newline in front gives `re` a literal to search for, which is far quicker than (?m)^.
        self._search = re.compile(rb"\n(?=%b)" % pattern)

    def cuts(self, block: bytes, before: int = 0) -> list[int]:
        """Before every line that matches but the first."""
        # The last newline ends the block: a start behind it would need bytes that are not here yet.
        if before:
            return [match.start() for match in self._search.finditer(b"\n" + block)]
        return [match.end() for match in self._search.finditer(block)]


@dataclass(frozen=True)
class Joins(Framer):
    """The general case, as Filebeat's ``multiline`` settings and Logstash's multiline codec state it: line by line.

    A line is *special* when it matches ``pattern`` (or, with ``negate``, when it does not).
    ``match`` "after": special lines belong to the event before them; "before": to the one after them.
    ``flush``: a line that matches this ends its event. ``max_lines``: what is more begins another event.
    """

    pattern: re.Pattern[bytes]
    negate: bool
    match: Literal["after", "before"]
    flush: re.Pattern[bytes] | None = None
    max_lines: int | None = None

    def cuts(self, block: bytes, before: int = 0) -> list[int]:
        """As the settings say."""
        found = []
        begin, lines = 0, before
        while (end := block.find(b"\n", begin) + 1) > 0:
            # A slice, not search(block, begin): there ^ would mean the beginning of the block.
            line = block[begin:end].rstrip(b"\r\n")
            special = (self.pattern.search(line) is not None) != self.negate
            if lines and (lines == self.max_lines or (self.match == "after" and not special)):
                found.append(begin)
                lines = 0
            lines += 1
            if (self.match == "before" and not special) or (self.flush and self.flush.search(line)):
                found.append(end)
                lines = 0
            begin = end
        return found


def framer(
    pattern: str,
    *,
    negate: bool = False,
    match: Literal["after", "before"] = "after",
    flush_pattern: str | None = None,
    max_lines: int | None = None,
) -> Framer:
    """The framer for Filebeat's ``multiline`` settings.

    Raises ``DialectError`` when a pattern is not a regular expression.
    """
    source = pattern.encode()
    if (
        negate
        and match == "after"
        and source.startswith(b"^")
        and not (_LOOKS_FURTHER.search(source) or flush_pattern or max_lines)
    ):
        _compile(pattern)
        return Starts(source[1:])
    return Joins(_compile(pattern), negate, match, _compile(flush_pattern) if flush_pattern else None, max_lines)


def _compile(pattern: str) -> re.Pattern[bytes]:
    try:
        return re.compile(pattern.encode())
    except re.error as error:
        raise DialectError(f"{pattern!r} is not a regular expression: {error.msg}", position=error.pos) from error


# What would let a pattern reach past its line, or escape the ^ in front of it, when it is searched over a whole block.
_LOOKS_FURTHER = re.compile(rb"[|$]|\\[sSWDnZbB]|\[\^|\(\?[a-zA-Z<]")


_ANSI = rb"(?:\x1b\[[0-9;]*m)*"
_RECORD = (
    # A plain record begins with its date and time, in whatever colour.
    rb"%b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"
    # A structured one is an object on a line of its own; a time among its members tells it from a body that was logged.
    rb'|\{(?=[^\n]*"(?:@timestamp|timestamp)"[ ]*:)"[^\n]*\}[ \r]*\n'
) % _ANSI

PRESETS: dict[str, Framer] = {
    "spring-boot": Starts(rb"(?:%b)" % _RECORD),
    "my-example": Starts(rb"(?:%b)" % _RECORD),
}
"""The framing that belongs to a bundled pipeline: Logstash behind the beats input cannot frame, the agent must."""

DEFAULT: Framer = Lines()
