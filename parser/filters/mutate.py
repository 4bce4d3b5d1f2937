"""The mutate filter: changes of fields, in Logstash's fixed order whatever the order they are written in."""

from __future__ import annotations

import copy
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from parser.decimals import MOST_DIGITS, decimal, whole
from parser.errors import DialectError
from parser.filters.base import Filter, emit_tags, static_path
from parser.logstash import event as fields
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.regexes import compile_regex, group_names
from parser.logstash.sprintf import Template
from parser.logstash.text import ruby_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from parser.codegen import Code
    from parser.filters.options import Options
    from parser.logstash.ast import Path
    from parser.logstash.event import Event

    Operation = Callable[[Event], None]

_TRUE: Final = re.compile(r"(?i:true|t|yes|y|1|1\.0)")
_FALSE: Final = re.compile(r"(?i:false|f|no|n|0|0\.0)|")
_NUMBER: Final = re.compile(r"[+-]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_HEX: Final = re.compile(r"[+-]?0[xX][0-9a-fA-F]+")
_BACKREFERENCE: Final = re.compile(r"\\(\\|\d|k<(\w+)>|&)")
_RUBY_BLANK: Final = " \t\n\v\f\r\0"


class MutateFilter(Filter):
    """Every option is a list of changes.

    ``renames``, ``copies``, ``replacements`` … hold them as (path or template, …) in the order they are made;
    ``operations`` are the functions that make them.
    """

    name = "mutate"

    def configure(self, options: Options) -> None:
        """Read the filter's own options."""
        self.tag_on_failure = options.strings("tag_on_failure", ("_mutate_error",))
        self.renames = self._named(options, "rename")
        self.copies = self._named(options, "copy")
        self.coercions = self._templated(options, "coerce")
        self.updates = self._templated(options, "update")
        self.replacements = self._templated(options, "replace")
        self.conversions = tuple(
            (self._path(options, field, "convert"), ruby_text(kind)) for field, kind in options.pairs("convert")
        )
        self.substitutions = self._substitutions(options)
        self.text_changes = tuple(
            (self._path(options, field, name), name) for name in TEXT_CHANGES for field in options.strings(name)
        )
        self.splits = self._separated(options, "split")
        self.joins = self._separated(options, "join")
        self.merges = tuple(
            (
                self._path(options, field, "merge"),
                tuple(self._path(options, ruby_text(item), "merge") for item in fields.ruby_array(added)),
            )
            for field, added in options.pairs("merge")
        )
        self.operations: list[tuple[Operation, frozenset[str] | None]] = []
        for path, template in self.coercions:
            self._add(_coerce(path, template), path)
        self._moves: dict[int, tuple[Path, Path]] = {}
        for old, new in self.renames:
            operation, source, target = _rename(old, new), static_path(old), static_path(new)
            self._add(operation, source, target)
            if source and target and not any(key.lstrip("-").isdigit() for key in source):
                self._moves[id(operation)] = source, target
        for path, template in self.updates:
            self._add(_update(path, template), path)
        for path, template in self.replacements:
            self._add(_replace(path, template), path)
        for path, kind in self.conversions:
            if kind not in _CONVERTERS:
                options.fail(f"'convert' knows {', '.join(_CONVERTERS)}, not {kind!r}", "convert")
            self._add(_convert(path, _CONVERTERS[kind]), path)
        for path, needle, replacement in self.substitutions:
            try:
                self._add(_gsub(path, needle, replacement), path)
            except DialectError as error:
                options.fail(f"'gsub' has the pattern {needle!r}, which is none: {error.message}", "gsub")
        for name, change in TEXT_CHANGES.items():
            for field in options.strings(name):
                path = self._path(options, field, name)
                self._add(_change_text(path, change), path)
        for path, separator in self.splits:
            self._add(_split(path, separator), path)
        for path, separator in self.joins:
            self._add(_join(path, separator), path)
        for path, added in self.merges:
            self._add(_merge(path, added), path)
        for old, new in self.copies:
            self._add(_copy(old, new), static_path(new))

    def emit(self, code: Code) -> None:
        """Write the filter into the code."""
        if not self.operations and not self.decorates:
            return
        with code.block("try:"):
            for operation, _ in self.operations:
                moved = self._moves.get(id(operation))
                if moved is None:
                    code.line(f"{code.constant('mutate', operation)}(e)")
                else:
                    _emit_rename(code, *moved)
            self.emit_success(code)
        with code.block("except Exception:"):
            emit_tags(code, self.tag_on_failure)

    def writes(self) -> frozenset[str] | None:
        """The fields that the filter itself may change."""
        found: set[str] = set()
        for _, names in self.operations:
            if names is None:
                return None
            found |= names
        return frozenset(found)

    def _add(self, operation: Operation, *paths: Path | None) -> None:
        names = None if None in paths else frozenset(path[0] for path in paths if path)
        self.operations.append((operation, names))

    @staticmethod
    def _path(options: Options, reference: str, option: str) -> Path:
        try:
            return parse_reference(reference)
        except FieldReferenceError as error:
            options.fail(str(error), option)

    def _templated(self, options: Options, option: str) -> tuple[tuple[Path, Template], ...]:
        return tuple(
            (self._path(options, field, option), Template(ruby_text(value))) for field, value in options.pairs(option)
        )

    @staticmethod
    def _named(options: Options, option: str) -> tuple[tuple[Template, Template], ...]:
        return tuple((Template(old), Template(ruby_text(new))) for old, new in options.pairs(option))

    def _separated(self, options: Options, option: str) -> tuple[tuple[Path, str], ...]:
        return tuple((self._path(options, field, option), ruby_text(value)) for field, value in options.pairs(option))

    def _substitutions(self, options: Options) -> tuple[tuple[Path, str, str], ...]:
        items = options.strings("gsub")
        if len(items) % 3:
            options.fail("'gsub' must be a list of field, pattern, replacement, field, …", "gsub")
        triples = zip(items[::3], items[1::3], items[2::3], strict=True)
        return tuple((self._path(options, field, "gsub"), needle, text) for field, needle, text in triples)


def _coerce(path: Path, default: Template) -> Operation:
    def coerce(event: Event) -> None:
        if fields.has(event, path) and fields.dig(event, path) is None:
            fields.put(event, path, default.render(event))

    return coerce


def _rename(old: Template, new: Template) -> Operation:
    source, target = static_path(old), static_path(new)

    def rename(event: Event) -> None:
        origin = source or parse_reference(old.render(event))
        goal = target or parse_reference(new.render(event))
        if fields.has(event, origin):
            fields.put(event, goal, fields.remove(event, origin))

    return rename


def _emit_rename(code: Code, source: Path, target: Path) -> None:
    """A rename inline, where both names are known and nothing on the way can be a list's index."""
    *parents, key = source
    parent = code.local("n") if parents else "e"
    test = (
        f"type({parent} := {code.read(tuple(parents))}) is dict and {key!r} in {parent}" if parents else f"{key!r} in e"
    )
    with code.block(f"if {test}:"):
        value = f"{parent}.pop({key!r})"
        if target[0] in ("tags", "@timestamp") or len(target) > 2:
            code.line(f"{code.constant('put', fields.put)}(e, {target!r}, {value})")
        elif len(target) == 1:
            code.line(f"e[{target[0]!r}] = {value}")
        else:
            moved, goal = code.local("v"), code.local("n")
            code.line(f"{moved} = {value}")
            with code.block(f"if type({goal} := e.get({target[0]!r})) is dict:"):
                code.line(f"{goal}[{target[1]!r}] = {moved}")
            with code.block(f"elif {goal} is None:"):
                code.line(f"e[{target[0]!r}] = {{{target[1]!r}: {moved}}}")
            with code.block("else:"):
                code.line(f"{code.constant('put', fields.put)}(e, {target!r}, {moved})")


def _copy(old: Template, new: Template) -> Operation:
    source, target = static_path(old), parse_reference(new.source)

    def copy_field(event: Event) -> None:
        value = fields.dig(event, source or parse_reference(old.render(event)))
        if type(value) in (dict, list):
            value = copy.deepcopy(value)
        if value is not None:
            fields.put(event, target, value)

    return copy_field


def _update(path: Path, value: Template) -> Operation:
    def update(event: Event) -> None:
        if fields.has(event, path):
            fields.put(event, path, value.render(event))

    return update


def _replace(path: Path, value: Template) -> Operation:
    def replace(event: Event) -> None:
        fields.put(event, path, value.render(event))

    return replace


def _convert(path: Path, converter: Callable[[Any], Any]) -> Operation:
    def convert(event: Event) -> None:
        value = fields.dig(event, path)
        if value is None or type(value) is dict:
            return
        if type(value) is list:
            converted = [item if item is None else converter(item) for item in value]
        else:
            converted = converter(value)
        if path == ("@timestamp",):
            raise fields.FieldSetError("@timestamp cannot be converted")
        fields.put(event, path, converted)

    return convert


def _change_text(path: Path, change: Callable[[str], str]) -> Operation:
    def change_text(event: Event) -> None:
        value = fields.dig(event, path)
        if type(value) is str:
            fields.put(event, path, change(value))
        elif type(value) is list:
            if change is _strip and not all(type(item) is str for item in value):
                raise ValueError("a list with something else than texts cannot be stripped")
            fields.put(event, path, [change(item) if type(item) is str else item for item in value])

    return change_text


def _replacer(text: str, needle: str) -> str | Callable[[re.Match[str]], str]:
    r"""Ruby's replacement text: ``\1``, ``\0`` and ``\k<name>`` are groups, ``\\`` is one backslash."""
    if "\\" not in text:
        return text
    names = group_names(needle)

    def expand(match: re.Match[str]) -> str:
        def part(reference: re.Match[str]) -> str:
            if reference[1] == "\\":
                return "\\"
            if reference[1] == "&":
                return match[0]
            group = names.get(reference[2], -1) if reference[2] else int(reference[1])
            return (match[group] or "") if 0 <= group <= match.re.groups else ""

        return _BACKREFERENCE.sub(part, text)

    return expand


def _gsub(path: Path, needle: str, replacement: str) -> Operation:
    template, text = Template(needle), Template(replacement)
    fixed = compile_regex(needle) if template.constant else None
    fixed_text = _replacer(replacement, needle) if text.constant else None

    def gsub(event: Event) -> None:
        value = fields.dig(event, path)
        if type(value) is not str and type(value) is not list:
            return
        pattern: Any = fixed or compile_regex(template.render(event))
        substitute = fixed_text if fixed_text is not None else _replacer(text.render(event), needle)
        if type(value) is str:
            fields.put(event, path, pattern.sub(substitute, value))
        else:
            fields.put(event, path, [pattern.sub(substitute, item) if type(item) is str else item for item in value])

    return gsub


def _split(path: Path, separator: str) -> Operation:
    def split(event: Event) -> None:
        value = fields.dig(event, path)
        if type(value) is not str:
            return
        # A single blank splits at any run of blanks, as Python's split() without an argument.
        parts = value.split(None if separator == " " else separator) if separator else list(value)
        while parts and not parts[-1]:
            parts.pop()
        fields.put(event, path, parts)

    return split


def _join(path: Path, separator: str) -> Operation:
    def join(event: Event) -> None:
        value = fields.dig(event, path)
        if type(value) is list:
            fields.put(event, path, separator.join(_joined(item, separator) for item in value))

    return join


def _joined(item: Any, separator: str) -> str:
    return separator.join(_joined(part, separator) for part in item) if type(item) is list else ruby_text(item)


def _merge(path: Path, added: tuple[Path, ...]) -> Operation:
    def merge(event: Event) -> None:
        target = fields.dig(event, path)
        for source in added:
            value = fields.dig(event, source)
            if (type(target) is dict) != (type(value) is dict):
                continue
            if type(target) is dict:
                target.update(value)
            elif type(target) is list:
                fields.put(event, path, [*target, *fields.ruby_array(value)])
                target = fields.dig(event, path)
            else:
                fields.put(event, path, [*fields.ruby_array(target), *fields.ruby_array(value)])

    return merge


def _decimal(text: str, *, thousands: str, point: str) -> Decimal:
    text = text.strip(_RUBY_BLANK)
    if len(text) < MOST_DIGITS and _HEX.fullmatch(text):
        return Decimal(int(text, 16))
    return decimal(text.replace(thousands, "").replace(point, "."), _NUMBER)


def _number(value: Any, *, thousands: str, point: str) -> Any:
    if isinstance(value, bool):
        return int(value)
    if type(value) is str:
        return _decimal(value, thousands=thousands, point=point)
    if isinstance(value, (int, float)):
        return value
    raise ValueError(f"{value!r} is not a number")


def _boolean(value: Any) -> Any:
    text = ruby_text(value)
    if _TRUE.fullmatch(text):
        return True
    return False if _FALSE.fullmatch(text) else value


def _string(value: Any) -> str:
    return ruby_text(value)


def _strip(text: str) -> str:
    return text.strip(_RUBY_BLANK)


def _lowercase(text: str) -> str:
    # Ruby has no rule for the sigma at a word's end.
    return text.lower() if "Σ" not in text else "".join(character.lower() for character in text)


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:].lower()


_CONVERTERS: Final[dict[str, Callable[[Any], Any]]] = {
    "integer": lambda value: whole(_number(value, thousands=",", point=".")),
    "float": lambda value: float(_number(value, thousands=",", point=".")),
    "integer_eu": lambda value: whole(_number(value, thousands=".", point=",")),
    "float_eu": lambda value: float(_number(value, thousands=".", point=",")),
    "string": _string,
    "boolean": _boolean,
}
TEXT_CHANGES: Final[dict[str, Callable[[str], str]]] = {
    "uppercase": str.upper,
    "capitalize": _capitalize,
    "lowercase": _lowercase,
    "strip": _strip,
}
