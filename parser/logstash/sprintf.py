"""Templates: text with ``%{field}``, ``%{+yyyy.MM.dd}`` (Joda) and ``%{{yyyy}}`` (java.time) in it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from parser.logstash.event import Event, dig
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.text import interpolated
from parser.logstash.timeformat import TimestampFormat
from parser.timestamps import TimestampPatternError, epoch_millis

if TYPE_CHECKING:
    from collections.abc import Callable

    from parser.logstash.ast import Path


class Template:
    """A compiled template.

    ``source`` is its text; ``constant`` is true if nothing in it is replaced. ``field`` is the path of the field that
    is all of it, as in ``%{[log][level]}``, or ``None``.
    """

    __slots__ = ("_parts", "constant", "field", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._parts: list[str | Callable[[Event], str]] = []
        paths: list[Path] = []
        for kind, text in split(source):
            self._parts.append(text if kind == "text" else self._compile(text, paths))
        self.field = paths[0] if paths and len(self._parts) == 1 else None
        self.constant = all(isinstance(part, str) for part in self._parts)

    @staticmethod
    def _compile(whole: str, paths: list[Path]) -> Callable[[Event], str]:
        if whole.startswith("%{{"):
            return _time(lambda: TimestampFormat(whole[3:-2], java_time=True))
        inner = whole[2:-1]
        if inner in ("", "+", "+%s"):
            return _epoch
        if inner.startswith("+"):
            return _time(lambda: TimestampFormat(inner[1:]))
        with contextlib.suppress(FieldReferenceError):
            paths.append(parse_reference(inner))

        def field(event: Event) -> str:
            value = dig(event, parse_reference(inner))
            return whole if value is None else interpolated(value)

        return field

    def render(self, event: Event) -> str:
        """The text for this event. Raises ``ValueError`` for a reference or a time pattern that is none."""
        return "".join(part if isinstance(part, str) else part(event) for part in self._parts)


def split(source: str) -> list[tuple[str, str]]:
    """A template's parts: ("text", literal) and ("field", what is between the braces, and they), as Logstash reads it."""
    parts: list[tuple[str, str]] = []
    position = 0
    while (start := source.find("%{", position)) >= 0:
        closing = "}}" if source.startswith("%{{", start) else "}"
        end = source.find(closing, start)
        if end < 0:
            break
        if start > position:
            parts.append(("text", source[position:start]))
        position = end + len(closing)
        parts.append(("field", source[start:position]))
    if position < len(source) or not parts:
        parts.append(("text", source[position:]))
    return parts


def _time(compile_format: Callable[[], TimestampFormat]) -> Callable[[Event], str]:
    try:
        ready = compile_format()
    except TimestampPatternError as error:
        message = str(error)

        def fail(_event: Event) -> str:
            raise ValueError(message)

        return fail
    return lambda event: ready.format(event["@timestamp"]) if "@timestamp" in event else ""


def _epoch(event: Event) -> str:
    return str(epoch_millis(event["@timestamp"]) // 1000) if "@timestamp" in event else ""
