"""The date filter: a text becomes ``@timestamp``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parser.filters.base import Filter, emit_tags
from parser.logstash.event import Event, put
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.sprintf import Template
from parser.timestamps import Reader, Timestamp, TimestampPatternError, zone
from parser.timestamps.reader import MILLIS

if TYPE_CHECKING:
    from parser.codegen import Code
    from parser.filters.options import Options


class DateFilter(Filter):
    """``match`` is a field and the patterns to try on it.

    ``field`` and ``patterns`` are the option ``match``; ``target`` the path that is set; ``timezone`` the zone for texts
    that have none (a template, if it names fields); ``reader`` turns a value of the field into a ``Timestamp`` or
    ``None`` and is ``None`` itself where the zone depends on the event.
    """

    name = "date"

    def configure(self, options: Options) -> None:
        """Read the filter's own options."""
        match = options.strings("match")
        if len(match) < 2:
            options.fail("'match' must be a field and at least one pattern", "match")
        self.patterns = match[1:]
        self.tag_on_failure = options.strings("tag_on_failure", ("_dateparsefailure",))
        self.locale = options.string("locale")
        self.timezone = options.string("timezone", "UTC") or ""
        self._now = options.context.now
        try:
            self.field = parse_reference(match[0])
            self.target = parse_reference(options.string("target", "@timestamp") or "")
            self._zone_of = Template(self.timezone)
            self._readers: dict[str, Reader] = {}
            checked = self._reader_for(self.timezone if self._zone_of.constant else "UTC")
            self.reader = checked if self._zone_of.constant else None
        except FieldReferenceError as error:
            options.fail(str(error))
        except TimestampPatternError as error:
            options.fail(str(error), "timezone" if "time zone" in str(error) else "match")

    def _reader_for(self, name: str) -> Reader:
        reader = self._readers.get(name)
        if reader is None:
            reader = Reader(self.patterns, zone(name), locale=self.locale, now=self._now)
            self._readers[name] = reader
        return reader

    def _read_in_zone(self, event: Event, value: object) -> Timestamp | None:
        try:
            return self._reader_for(self._zone_of.render(event))(value)
        except TimestampPatternError:
            return None

    def emit(self, code: Code) -> None:
        """Write the filter into the code."""
        value, instant = code.local("v"), code.local("d")
        with code.block(f"if ({value} := {code.read(self.field)}) is not None:"):
            code.line(f"if type({value}) is list: {value} = {value}[0] if {value} else ''")
            if self.reader is None:
                code.line(f"{instant} = {code.constant('date', self._read_in_zone)}(e, {value})")
            else:
                self._emit_reading(code, self.reader, value, instant)
            with code.block(f"if {instant} is not None:"):
                if len(self.target) == 1 and self.target[0] != "tags":
                    code.line(f"e[{self.target[0]!r}] = {instant}")
                else:
                    code.line(f"{code.constant('put', put)}(e, {self.target!r}, {instant})")
                self.emit_success(code)
            with code.block("else:"):
                emit_tags(code, self.tag_on_failure)

    @staticmethod
    def _emit_reading(code: Code, reader: Reader, value: str, instant: str) -> None:
        """Look into the reader's memory inline; call it for what is not there."""
        prefix, fraction = code.local("p"), code.local("f")
        memory, millis = code.constant("seconds", reader.seconds), code.constant("millis", MILLIS)
        known = (
            f"type({value}) is str and"
            f" ({prefix} := {memory}.get({value}[:20] if len({value}) == 23 else {value}[:20] + {value}[23:])) is not None"
            f" and ({fraction} := {millis}.get({value}[20:23])) is not None"
        )
        with code.block(f"if {known}:"):
            code.line(f"{instant} = {code.constant('Timestamp', Timestamp)}({prefix} + {fraction})")
        with code.block("else:"):
            code.line(f"{instant} = {code.constant('date', reader)}({value})")

    def writes(self) -> frozenset[str]:
        """The fields that the filter itself may change."""
        return frozenset({self.target[0]})
