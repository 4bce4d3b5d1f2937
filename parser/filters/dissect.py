"""The dissect filter: a text is cut at fixed delimiters.

A mapping becomes one ``partition`` per delimiter. A delimiter that is missing leaves nothing behind it, so that the last
one is missing too: one look at the end tells whether the text fits.

Logstash has a quirk that is kept: a delimiter at the very beginning of the text is found, but not passed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from parser.decimals import decimal, whole
from parser.filters.base import Filter, emit_tags
from parser.logstash import event as fields
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.text import interpolated, ruby_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from parser.codegen import Code
    from parser.filters.options import Options
    from parser.logstash.ast import Path
    from parser.logstash.event import Event

_FIELD: Final = re.compile(r"(?s)(.*?)%\{([^}]*)\}")
_SUFFIX: Final = re.compile(r"(?s)(.+?)??(/\d{1,2}|->|/\d{1,2}->|->/\d{1,2})?", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_KINDS: Final = ("normal", "append", "indirect")  # in the order in which they are saved


class MappingError(ValueError):
    """A mapping that Logstash refuses too."""


@dataclass(frozen=True, slots=True)
class Field:
    """``%{name}`` of a mapping and the delimiter in front of it.

    ``order`` is the number of ``%{+name/2}``; ``padded`` says that the delimiter after it may repeat (``%{name->}``).
    """

    kind: Literal["skip", "normal", "append", "indirect"]
    name: str
    order: int
    padded: bool
    delimiter: str


def parse_mapping(mapping: str) -> tuple[Field, ...]:
    """The fields of a mapping; text behind the last one is the delimiter of a field that is skipped.

    Raises ``MappingError``.
    """
    found: list[Field] = []
    end = 0
    for match in _FIELD.finditer(mapping):
        found.append(_parse_field(match[2], match[1]))
        end = match.end()
    if not found:
        raise MappingError(f"{mapping!r} has no %{{field}}")
    last = mapping[end:].rpartition("}")[2]
    if last:
        found.append(_parse_field("?", last))
    return tuple(found)


def _parse_field(text: str, delimiter: str) -> Field:
    prefix = text[:1] if text[:1] in ("?", "+", "&") else ""
    if text[:2] in ("+&", "&+"):
        raise MappingError(f"%{{{text}}} cannot be appended to and name a field at once")
    match = _SUFFIX.fullmatch(text, len(prefix))
    assert match is not None
    name, suffix = match[1] or "", match[2] or ""
    if not name and prefix in ("+", "&"):
        raise MappingError(f"%{{{text}}} has no name")
    kinds: dict[str, Literal["skip", "normal", "append", "indirect"]] = {"?": "skip", "+": "append", "&": "indirect"}
    kind = kinds.get(prefix, "normal" if name else "skip")
    digits = suffix.replace("->", "").removeprefix("/") if kind == "append" else ""
    return Field(kind, name, int(digits or 0), "->" in suffix, delimiter)


class DissectFilter(Filter):
    """``mapping`` cuts texts, ``convert_datatype`` makes numbers of fields afterwards, whether a text did fit or not.

    ``mappings`` holds (field reference, its path, the mapping's fields), ``conversions`` (field reference, its path,
    "int" or "float" as written), both in Logstash's order.
    """

    name = "dissect"

    def configure(self, options: Options) -> None:
        """Read the filter's own options."""
        self.tag_on_failure = options.strings("tag_on_failure", ("_dissectfailure",))
        self.mappings: list[tuple[str, Path, tuple[Field, ...]]] = []
        try:
            for source, mapping in options.pairs("mapping"):
                if ruby_text(mapping):
                    self.mappings.append((source, parse_reference(source), parse_mapping(ruby_text(mapping))))
        except (MappingError, FieldReferenceError) as error:
            options.fail(str(error), "mapping")
        self.conversions: list[tuple[str, Path, str]] = []
        for target, kind in options.pairs("convert_datatype"):
            written = ruby_text(kind)
            if written.lower() not in _CONVERTERS:
                options.fail(f"'convert_datatype' knows int and float, not {written!r}", "convert_datatype")
            try:
                self.conversions.append((target, parse_reference(target), written))
            except FieldReferenceError as error:
                options.fail(str(error), "convert_datatype")

    def writes(self) -> frozenset[str] | None:
        """The fields that the filter itself may change."""
        found = {path[0] for _, path, _ in self.conversions}
        for _, _, parts in self.mappings:
            for field in parts:
                if field.kind == "indirect":
                    return None
                if field.kind != "skip":
                    found.add(field.name.lstrip("[").partition("]")[0])
        return frozenset(found)

    def emit(self, code: Code) -> None:
        """Write the filter into the code."""
        with code.block("try:"):
            for _, path, parts in self.mappings:
                self._emit_mapping(code, path, parts)
            for target, path, kind in self.conversions:
                function = code.constant("convert", _converter(target, path, kind))
                code.line(f"{function}(e)")
        with code.block("except ValueError:"):
            emit_tags(code, self.tag_on_failure)

    def _emit_mapping(self, code: Code, path: Path, parts: tuple[Field, ...]) -> None:
        text, found = code.local("v"), code.local("ok")
        code.line(f"{text} = {code.read(path)}")
        missing = "True" if len(path) > 1 else f"{path[0]!r} in e"
        if len(path) > 1:
            missing = f"{code.constant('has', fields.has)}(e, {path!r})"
        with code.block(f"if {text} is not None or {missing}:"):
            code.line(f"if type({text}) is not str: {text} = {code.constant('ruby_text', ruby_text)}({text})")
            values = self._emit_cuts(code, text, found, parts)
            with code.block(f"if {found}:"):
                self._emit_saves(code, parts, values)
                self.emit_success(code)
            with code.block("else:"):
                emit_tags(code, self.tag_on_failure)

    @staticmethod
    def _emit_cuts(code: Code, text: str, found: str, parts: tuple[Field, ...]) -> list[str]:
        """Write the cuts: a local for each field, and ``found``, which is true if all delimiters were."""
        values = [code.local("d") for _ in parts]
        prefix, delimiters = parts[0].delimiter, [field.delimiter for field in parts[1:]]
        if "" in delimiters:
            code.line(f"{found} = False")
            return values
        rest = values[-1]
        if prefix:
            code.line(f"{found} = {text}.startswith({prefix!r})")
            code.line(f"{rest} = {text}[{len(prefix)}:] if {found} else ''")
        else:
            code.line(f"{found} = {rest} = {text}")
        for at, delimiter in enumerate(delimiters):
            value = values[at]
            if prefix:
                code.line(f"{value}, {found}, {rest} = {rest}.partition({delimiter!r})")
            else:
                before = code.local("r")
                code.line(f"{value}, {found}, {rest} = ({before} := {rest}).partition({delimiter!r})")
                code.line(f"if not {value} and {found} and len({before}) == len({text}): {rest} = {before}")
            if parts[at].padded and len(delimiter) == 1:
                code.line(f"{rest} = {rest}.lstrip({delimiter!r})")
            elif parts[at].padded:
                with code.block(f"while {rest}.startswith({delimiter!r}):"):
                    code.line(f"{rest} = {rest}[{len(delimiter)}:]")
        return values

    @staticmethod
    def _emit_saves(code: Code, parts: tuple[Field, ...], values: list[str]) -> None:
        saved = [(field, value) for field, value in zip(parts, values, strict=True) if field.kind != "skip"]
        for field, value in sorted(saved, key=lambda each: (_KINDS.index(each[0].kind), each[0].order)):
            if field.kind == "indirect":
                others = zip(parts, values, strict=True)
                other = next((name for each, name in others if each.name == field.name and each is not field), "''")
                function = code.constant("indirect", _set_indirect)
                code.line(f"{function}(e, {field.name!r}, {other}, {value})")
            elif field.kind == "append":
                function = code.constant("append", _append)
                code.line(f"{function}(e, {field.name!r}, {field.delimiter or ' '!r}, {value})")
            elif "[" in field.name or "]" in field.name:
                code.line(f"{code.constant('set', _set)}(e, {field.name!r}, {value})")
            else:
                code.line(f"e[{field.name!r}] = {value}")


def _set(event: Event, name: str, value: str) -> None:
    path = parse_reference(name)
    if len(path) == 1:
        # Not what `put` does: nothing is asked of @timestamp and tags here.
        event[path[0]] = value
    else:
        fields.put(event, path, value)


def _append(event: Event, name: str, joint: str, value: str) -> None:
    path = parse_reference(name)
    if fields.has(event, path):
        before = fields.dig(event, path)
        if before is None:
            raise fields.FieldSetError(f"{name} is null, so nothing can be appended")
        value = interpolated(before) + joint + value
    _set(event, name, value)


def _set_indirect(event: Event, name: str, other: str, value: str) -> None:
    path = parse_reference(name)
    if fields.has(event, path):
        present = fields.dig(event, path)
        other = "null" if present is None else interpolated(present)
    if other:
        _set(event, other, value)


def _converter(target: str, path: Path, kind: str) -> Callable[[Event], None]:
    """A function that makes a number of a field, or tags the event with what was wrong."""
    missing, wrong = f"_dataconversionnullvalue_{target}_{kind}", f"_dataconversionuncoercible_{target}_{kind}"
    number = _CONVERTERS[kind.lower()]

    def convert(event: Event) -> None:
        value = fields.dig(event, path)
        if value is None:
            fields.tag(event, missing)
            return
        text = interpolated(value) if type(value) in (str, int, float) else ""
        try:
            converted = number(decimal(text, _DECIMAL))
        except ValueError:
            converted = None
        if converted is None:
            fields.tag(event, wrong)
        else:
            fields.put(event, path, converted)

    return convert


def _finite(decimal: Decimal) -> float | None:
    """JSON has no infinity, and Logstash's decimals have no limit."""
    number = float(decimal)
    return number if math.isfinite(number) else None


_CONVERTERS: Final[dict[str, Callable[[Decimal], Any]]] = {"int": whole, "float": _finite}
