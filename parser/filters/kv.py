r"""The kv filter: ``a=1 b="x y"`` becomes fields.

The expression that scans a text is put together as Logstash does it. A backslash may escape a delimiter; the few texts
that have one pay for that, the others are scanned with an expression that knows of none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parser.codegen import Code
from parser.errors import DialectError
from parser.filters.base import Filter, emit_tags, emit_timeout, read_limit, text_of
from parser.filters.mutate import TEXT_CHANGES
from parser.logstash import event as fields
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.regexes import compile_regex
from parser.logstash.sprintf import Template

if TYPE_CHECKING:
    from collections.abc import Callable

    from parser.filters.options import Options
    from parser.logstash.event import Event
    from parser.logstash.regexes import Pattern

_TRANSFORMATIONS: Final = ("lowercase", "uppercase", "capitalize")
_QUOTES: Final = (('"', '"'), ("'", "'"))
_BRACKETS: Final = ((r"\(", r"\)"), (r"\[", r"\]"), ("<", ">"))


class KvFilter(Filter):
    """``source`` is scanned for keys and values, which go below ``target``, or to the event's top level.

    ``scan`` and ``scan_escaped`` are the expressions for texts without and with a backslash: a group for the key, and
    one for each form of a value; ``expressions`` is their source. ``defaults`` are the pairs of ``default_keys``,
    ``classes`` what stands between the brackets of ``trim_key`` and its like, ``transformations`` the names of changes.
    """

    name = "kv"

    def configure(self, options: Options) -> None:
        """Read the filter's own options."""
        options.one_of("ecs_compatibility", ("disabled", "v1", "v8"), options.context.ecs_compatibility)
        self.tag_on_failure = options.strings("tag_on_failure", ("_kv_filter_error",))
        self.tag_on_timeout = options.string("tag_on_timeout", "_kv_filter_timeout") or ""
        self.limit = read_limit(options)
        self.allow_duplicate_values = options.boolean("allow_duplicate_values", default=True)
        self.allow_empty_values = options.boolean("allow_empty_values", default=False)
        self.recursive = options.boolean("recursive", default=False)
        self.prefix = Template(options.string("prefix", "") or "")
        self.include_keys = tuple(map(Template, options.strings("include_keys")))
        self.exclude_keys = tuple(map(Template, options.strings("exclude_keys")))
        self.defaults = dict(options.pairs("default_keys"))
        target = options.string("target")
        try:
            self.source = parse_reference(options.string("source", "message") or "")
            self.target = parse_reference(target) if target else None
        except FieldReferenceError as error:
            options.fail(str(error))
        self.classes: dict[str, str] = {}
        self.transformations: dict[str, str] = {}
        self.trim_key = self._class(options, "trim_key", "^[{0}]+|[{0}]+$")
        self.trim_value = self._class(options, "trim_value", "^[{0}]+|[{0}]+$")
        self.remove_char_key = self._class(options, "remove_char_key", "[{0}]")
        self.remove_char_value = self._class(options, "remove_char_value", "[{0}]")
        self.transform_key = self._transformation(options, "transform_key")
        self.transform_value = self._transformation(options, "transform_value")
        self._configure_scan(options)
        self._parse = self._compile()

    def _configure_scan(self, options: Options) -> None:
        field_split = options.string("field_split", " ") or ""
        value_split = options.string("value_split", "=") or ""
        field_pattern = options.string("field_split_pattern")
        value_pattern = options.string("value_split_pattern")
        brackets = options.boolean("include_brackets", default=True)
        lenient = options.one_of("whitespace", ("lenient", "strict"), "lenient") == "lenient"
        for name, text in (
            ("value_split", value_split),
            ("field_split_pattern", field_pattern),
            ("value_split_pattern", value_pattern),
        ):
            if text == "":
                options.fail(f"'{name}' must not be empty", name)
        fields_end = f"(?:{field_pattern})" if field_pattern else f"[{field_split}]"
        splitter = f"(?:{value_pattern})" if value_pattern else f"[{value_split}]"
        if lenient:
            splitter = f" *{splitter} *"
        quotes = _QUOTES + _BRACKETS if brackets else _QUOTES

        def scan(*, escapes: bool) -> str:
            until = _until_with_escapes if escapes else _until
            if field_pattern or value_pattern:
                key = until(pattern=f"{splitter}|{fields_end}")
            else:
                key = until(characters=value_split + field_split)
            plain = until(pattern=fields_end) if field_pattern else until(characters=field_split)
            values = [f"{left}(?:{until(characters=right)})?{right}" for left, right in quotes]
            return f"{key}{splitter}(?:{'|'.join([*values, plain])})?(?:{fields_end}|$)"

        try:
            self.splitter = compile_regex(splitter)
            self.expressions = scan(escapes=False), scan(escapes=True)
            self.scan, self.scan_escaped = map(compile_regex, self.expressions)
        except DialectError as error:
            options.fail(f"what splits fields and values is no regular expression: {error}")
        self._values = 1 + len(quotes)

    def _class(self, options: Options, name: str, form: str) -> Pattern | None:
        characters = options.string(name)
        if characters is None:
            return None
        self.classes[name] = characters
        try:
            return compile_regex(form.format(characters))
        except DialectError as error:
            options.fail(f"'{name}' cannot stand between the brackets of a regular expression: {error}", name)

    def _transformation(self, options: Options, name: str) -> Callable[[str], str] | None:
        if name not in options:
            return None
        self.transformations[name] = options.one_of(name, _TRANSFORMATIONS, "lowercase")
        return TEXT_CHANGES[self.transformations[name]]

    def writes(self) -> frozenset[str] | None:
        """The fields that the filter itself may change."""
        return frozenset({self.target[0]}) if self.target else None

    def emit(self, code: Code) -> None:
        """Write the filter into the code."""
        done = code.local("ok")
        with code.block("try:"):
            code.line(f"{done} = {code.constant('kv', self._run)}(e, {code.read(self.source)})")
        emit_timeout(code, self.tag_on_timeout, done)
        with code.block("except ValueError:"):
            code.line(f"{done} = None")
            emit_tags(code, self.tag_on_failure)
        if self.decorates:
            with code.block(f"if {done}:"):
                self.emit_success(code)

    def _run(self, event: Event, value: Any) -> bool:
        found: dict[str, Any] = {}
        if type(value) is str:
            self._parse(value, event, found)
        elif type(value) is list:
            for item in value:
                if type(item) is str:
                    self._parse(item, event, found)
        if self.defaults:
            found = {**self.defaults, **found}
        if not found:
            return False
        if self.target is not None:
            fields.put(event, self.target, found)
            return True
        for key, item in found.items():
            if key[:1] in ("@", "[") or key == "tags" or "]" in key or "[" in key:
                _put_named(event, key, item)
            else:
                event[key] = item
        return True

    def _compile(self) -> Callable[[str, Event, dict[str, Any]], None]:
        """The function that adds the pairs of a text to a dict: a loop with the steps that the options ask for."""
        code = Code()
        search, scan = code.constant("search", self.splitter.search), code.constant("scan", self.scan.findall)
        escaped = code.constant("scan", self.scan_escaped.findall)
        with code.block("def parse(text, e, found):"):
            # Where no value begins, no key does; and looking for keys would take long.
            code.line(f"if {search}(text) is None: return")
            if self.include_keys:
                code.line(f"included = ({', '.join(text_of(code, key) for key in self.include_keys)},)")
            if self.exclude_keys:
                code.line(f"excluded = ({', '.join(text_of(code, key) for key in self.exclude_keys)},)")
            if self.prefix.source:
                code.line(f"prefix = {text_of(code, self.prefix)}")
            with code.block(f"for groups in ({escaped} if '\\\\' in text else {scan})(text):"):
                self._emit_pair(code)
        exec(compile(code.source, "<kv>", "exec"), code.namespace)  # noqa: S102 - our own source; texts are in it by repr()
        parse: Callable[[str, Event, dict[str, Any]], None] = code.namespace["parse"]
        return parse

    def _emit_pair(self, code: Code) -> None:
        if self.scan.groups == 1 + self._values:
            names = [code.local("v") for _ in range(self._values)]
            code.line(f"key, {', '.join(names)} = groups")
            # One form matched, the others are empty; most often it is the last.
            code.line(f"value = {' or '.join(reversed(names))}")
        else:
            code.line("key, *values = groups")
            code.line("value = next(filter(None, values), '')")
        if not self.allow_empty_values:
            code.line("if not value: continue")
        for pattern in (self.trim_key, self.remove_char_key):
            if pattern:
                code.line(f"key = {code.constant('sub', pattern.sub)}('', key)")
        if self.transform_key:
            code.line(f"key = {code.constant('change', self.transform_key)}(key)")
        if self.include_keys:
            code.line("if key not in included: continue")
        if self.exclude_keys:
            code.line("if key in excluded: continue")
        if self.prefix.source:
            code.line("key = prefix + key")
        for pattern in (self.trim_value, self.remove_char_value):
            if pattern:
                code.line(f"value = {code.constant('sub', pattern.sub)}('', value)")
        if self.transform_value:
            code.line(f"value = {code.constant('change', self.transform_value)}(value)")
        if not self.allow_duplicate_values:
            # In a text, Logstash looks for the value as a part of it.
            code.line("if key in found and value in found[key]: continue")
        if self.recursive:
            code.line("inner = {}")
            code.line("parse(value, e, inner)")
            code.line("if inner: value = inner")
        with code.block("if key not in found:"):
            code.line("found[key] = value")
        with code.block("elif type(found[key]) is list:"):
            code.line("found[key].append(value)")
        with code.block("else:"):
            code.line("found[key] = [found[key], value]")


def _until(*, characters: str = "", pattern: str = "") -> str:
    """A group for one or more characters before one of ``characters``, or before ``pattern``."""
    return f"((?:(?!{pattern}).)+)" if pattern else f"([^{characters}]+)"


def _until_with_escapes(*, characters: str = "", pattern: str = "") -> str:
    r"""The same where ``\`` lets the next character through."""
    return rf"((?:(?!{pattern})(?:\\.|.))+)" if pattern else rf"((?:\\.|[^{characters}])+)"


def _put_named(event: Event, reference: str, value: Any) -> None:
    path = parse_reference(reference)
    if path == ("@metadata",) and type(value) is not dict:
        raise fields.FieldSetError("@metadata takes nothing but a hash")
    fields.put(event, path, value)
