"""The json filter: a text becomes fields."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import orjson

from parser.filters.base import Filter
from parser.logstash import event as fields
from parser.logstash.creation import TIMESTAMP_TAG, instant
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.text import ruby_text
from parser.timestamps import TimestampTextError

if TYPE_CHECKING:
    from parser.codegen import Code
    from parser.filters.options import Options
    from parser.logstash.event import Event

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class JsonFilter(Filter):
    """``source`` is parsed into ``target``, or into the event's top level where there is none."""

    name = "json"

    def configure(self, options: Options) -> None:
        """Read the filter's own options."""
        self.tag_on_failure = options.strings("tag_on_failure", ("_jsonparsefailure",))
        self.skip_on_invalid_json = options.boolean("skip_on_invalid_json", default=False)
        options.one_of("ecs_compatibility", ("disabled", "v1", "v8"), options.context.ecs_compatibility)
        target = options.string("target")
        try:
            self.source = parse_reference(options.required("source"))
            self.target = parse_reference(target) if target else None
        except FieldReferenceError as error:
            options.fail(str(error))

    def emit(self, code: Code) -> None:
        """Write the filter into the code."""
        value = code.local("v")
        with code.block(f"if ({value} := {code.read(self.source)}) is not None and {value} is not False:"):
            run = f"{code.constant('json', self._apply)}(e, {value})"
            if self.decorates:
                with code.block(f"if {run}:"):
                    self.emit_success(code)
            else:
                code.line(run)

    def writes(self) -> frozenset[str] | None:
        """The fields that the filter itself may change."""
        return frozenset({self.target[0]}) if self.target else None

    def _apply(self, event: Event, source: object) -> bool:
        try:
            parsed = parse_json(source)
        except ValueError:
            if not self.skip_on_invalid_json:
                self._fail(event)
            return False
        try:
            if self.target is not None:
                fields.put(event, self.target, parsed)
                return True
            if not isinstance(parsed, dict):
                self._fail(event)
                return False
            self._merge(event, parsed)
        except fields.FieldSetError:
            self._fail(event)
            return False
        return True

    def _merge(self, event: Event, parsed: dict[str, Any]) -> None:
        time = parsed.pop("@timestamp", None)
        if "tags" in parsed and not _are_tags(parsed["tags"]):
            raise fields.FieldSetError("tags takes a string or a list of strings")
        event.update(parsed)
        if time is None:
            return
        try:
            event["@timestamp"] = instant(time)
        except TimestampTextError:
            event["_@timestamp"] = _decimal_text(time) if isinstance(time, float) else ruby_text(time)
            fields.tag(event, TIMESTAMP_TAG)

    def _fail(self, event: Event) -> None:
        for name in self.tag_on_failure:
            fields.tag(event, name)


def _decimal_text(value: float) -> str:
    """A number with a fraction as Ruby's ``BigDecimal`` writes it, ``0.15e1``: that is what Logstash makes of one in JSON."""
    if not math.isfinite(value):
        return ruby_text(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    return f"{'-' if sign else ''}0.{''.join(map(str, digits))}e{exponent + len(digits)}"


def _are_tags(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, str)
        or (isinstance(value, list) and all(isinstance(item, str) for item in value))
    )


def parse_json(source: object) -> Any:
    """Parse as Jackson does: of several documents in one text the last one counts. Raises ``ValueError``."""
    if not isinstance(source, str):
        raise ValueError(f"{ruby_text(source)} is not a text")  # noqa: TRY004 - malformed data, not a bug
    try:
        return orjson.loads(source)
    except ValueError:
        return _parse_leniently(source)


def _parse_leniently(source: str) -> Any:
    """What orjson refuses and Jackson takes: several documents, halves of surrogate pairs, numbers of any size."""
    import json  # noqa: PLC0415 - only the rare text needs it

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    decoder = json.JSONDecoder(parse_constant=refuse)
    text = source.strip(" \t\r\n")
    position = 0
    parsed: Any = None
    while position < len(text):
        parsed, position = decoder.raw_decode(text, position)
        while position < len(text) and text[position] in " \t\r\n":
            position += 1
    if _SURROGATE.search(source):
        return _without_lone_surrogates(parsed)
    return parsed


def _without_lone_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "ignore").decode()
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_lone_surrogates(item) for key, item in value.items()}
    return value
