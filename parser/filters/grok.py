"""The grok filter: patterns take fields out of a text.

On the usual way (the field is a text, what is captured is new) everything is inline: a match, ``groups()`` into
locals, one assignment per top-level field. Where a captured field exists already, where a text is a list, where
``break_on_match`` is off, the functions of this module hold Logstash's rules.
"""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final

from parser.errors import GrokError
from parser.filters.base import Filter, emit_tags, emit_timeout, read_limit
from parser.grok import Capture, Expression, compile_expression, load_dictionary
from parser.grok.values import CONVERSIONS, to_integer
from parser.logstash import event as fields
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.regexes import certain_groups
from parser.logstash.text import ruby_text

if TYPE_CHECKING:
    from parser.codegen import Code
    from parser.filters.options import Options
    from parser.logstash.ast import Path
    from parser.logstash.event import Event

_INTEGERS: Final[dict[str, int]] = {}
_INTEGERS_LIMIT: Final = 4096
_Tree = dict[str, "Capture | _Tree"]


class GrokFilter(Filter):
    """``match`` is one or more expressions per field.

    ``matches`` holds (field reference, its path, compiled expressions) in Logstash's order. ``overwrite`` are the
    captures, by name, that replace a field instead of joining it; ``target`` is the path that captures go below.
    """

    name = "grok"

    def configure(self, options: Options) -> None:
        """Read the filter's own options."""
        self.break_on_match = options.boolean("break_on_match", default=True)
        self.keep_empty_captures = options.boolean("keep_empty_captures", default=False)
        self.named_captures_only = options.boolean("named_captures_only", default=True)
        self.overwrite = frozenset(options.strings("overwrite"))
        self.tag_on_failure = options.strings("tag_on_failure", ("_grokparsefailure",))
        self.tag_on_timeout = options.string("tag_on_timeout", "_groktimeout") or ""
        self.limit = read_limit(options)
        self.timeout_scope = options.one_of("timeout_scope", ("pattern", "event"), "pattern")
        ecs = options.one_of("ecs_compatibility", ("disabled", "v1", "v8"), options.context.ecs_compatibility)
        target = options.string("target")
        directories = (*options.context.patterns_dir, *map(FilePath, options.strings("patterns_dir")))
        files_glob = options.string("patterns_files_glob", "*") or "*"
        definitions = {name: ruby_text(text) for name, text in options.pairs("pattern_definitions")}
        try:
            self.target = parse_reference(target) if target else ()
            dictionary = load_dictionary(ecs, directories, files_glob)
            self.matches = tuple(
                (
                    field,
                    parse_reference(field),
                    tuple(
                        compile_expression(
                            ruby_text(source),
                            dictionary=dictionary,
                            pattern_definitions=definitions,
                            named_captures_only=self.named_captures_only,
                        )
                        for source in fields.ruby_array(sources)
                    ),
                )
                for field, sources in options.pairs("match")
            )
        except (GrokError, FieldReferenceError, OSError) as error:
            options.fail(str(error), "match")

    def writes(self) -> frozenset[str] | None:
        """The fields that the filter itself may change."""
        if self.target:
            return frozenset({self.target[0]})
        captures = [capture for _, _, expressions in self.matches for each in expressions for capture in each.captures]
        return frozenset(capture.path[0] for capture in captures if capture.path)

    def emit(self, code: Code) -> None:
        """Write the filter into the code."""
        if self.break_on_match and len(self.matches) == 1 and not self.keep_empty_captures:
            self._emit_inline(code)
            return
        done = code.local("ok")
        with code.block("try:"):
            code.line(f"{done} = {code.constant('grok', self._run)}(e)")
        self._emit_end(code, done)

    # The usual way, inline.

    def _emit_inline(self, code: Code) -> None:
        _, path, expressions = self.matches[0]
        text, done = code.local("v"), code.local("ok")
        code.line(f"{text} = {code.read(path)}")
        with code.block("try:"):
            if not all(self._inlines(expression) for expression in expressions):
                code.line(f"{done} = {code.constant('grok', self._run)}(e)")
            else:
                with code.block(f"if type({text}) is str:"):
                    self._emit_expressions(code, expressions, text, done)
                with code.block("else:"):
                    code.line(f"{done} = {code.constant('grok', self._run)}(e)")
        with code.block(f"except {code.constant('FieldSetError', fields.FieldSetError)}:"):
            code.line(f"{done} = False")
        self._emit_end(code, done)

    def _emit_end(self, code: Code, done: str) -> None:
        """What follows the ``try`` block that sets ``done``; a match that was stopped is no success and no failure."""
        emit_timeout(code, self.tag_on_timeout, done)
        if self.decorates:
            with code.block(f"if {done}:"):
                self.emit_success(code)
        with code.block(f"if {done} is False:"):
            emit_tags(code, self.tag_on_failure)

    def _inlines(self, expression: Expression) -> bool:
        paths = [self.target + capture.path for capture in expression.captures]
        leaves = set(paths)
        return (
            all(capture.path for capture in expression.captures)
            and not any(
                path[0] in ("tags", "@timestamp") or any(path[:end] in leaves for end in range(1, len(path)))
                for path in paths
            )
            and len(leaves) == len(paths)
        )

    def _emit_expressions(self, code: Code, expressions: tuple[Expression, ...], text: str, done: str) -> None:
        match = code.local("m")
        for index, expression in enumerate(expressions):
            word = "if" if index == 0 else "elif"
            with code.block(f"{word} ({match} := {code.constant('match', expression.match)}({text})) is not None:"):
                code.line(f"{done} = True")
                if expression.captures:
                    self._emit_captures(code, expression, match)
        with code.block("else:" if expressions else "if True:"):
            code.line(f"{done} = False")

    def _emit_captures(self, code: Code, expression: Expression, match: str) -> None:
        wanted = [group for capture in expression.captures for group in capture.groups]
        names = {group: code.local("g") for group in wanted}
        total = expression.pattern.groups
        code.line(f"({', '.join(names.get(group, '_') for group in range(1, total + 1))},) = {match}.groups()")
        certain = certain_groups(expression.pattern)
        optional: list[Capture] = []
        trees: dict[str, _Tree] = {}
        for capture in expression.captures:
            path = self.target + capture.path
            if len(capture.groups) == 1 and capture.groups[0] in certain:
                _plant(trees, path, capture)
            else:
                optional.append(capture)
        for key, tree in trees.items():
            self._emit_certain(code, key, tree, names)
        for capture in optional:
            self._emit_optional(code, capture, names)

    def _emit_certain(self, code: Code, key: str, tree: _Tree | Capture, names: dict[int, str]) -> None:
        """One top-level field, all of whose captures are there for sure."""
        if isinstance(tree, Capture):
            value = self._value(code, tree, names[tree.groups[0]])
            if tree.name in self.overwrite:
                code.line(f"e[{key!r}] = {value}")
                return
            with code.block(f"if e.get({key!r}) is None:"):
                code.line(f"e[{key!r}] = {value}")
            with code.block("else:"):
                self._emit_slow(code, tree, value)
            return
        node = code.local("n")
        with code.block(f"if ({node} := e.get({key!r})) is None:"):
            code.line(f"e[{key!r}] = {self._literal(code, tree, names)}")
        if all(isinstance(leaf, Capture) for leaf in tree.values()):
            free = " and ".join(f"{leaf!r} not in {node}" for leaf in tree)
            with code.block(f"elif type({node}) is dict and {free}:"):
                for leaf, capture in tree.items():
                    assert isinstance(capture, Capture)
                    code.line(f"{node}[{leaf!r}] = {self._value(code, capture, names[capture.groups[0]])}")
        with code.block("else:"):
            for capture in _leaves(tree):
                self._emit_slow(code, capture, self._value(code, capture, names[capture.groups[0]]))

    def _literal(self, code: Code, tree: _Tree, names: dict[int, str]) -> str:
        items = (
            f"{key!r}: {self._value(code, branch, names[branch.groups[0]]) if isinstance(branch, Capture) else self._literal(code, branch, names)}"
            for key, branch in tree.items()
        )
        return "{" + ", ".join(items) + "}"

    def _emit_optional(self, code: Code, capture: Capture, names: dict[int, str]) -> None:
        for index, group in enumerate(capture.groups):
            name = names[group]
            typed = index == 0 and capture.type is not None
            with code.block(f"if {name} is not None:" if typed else f"if {name}:"):
                value = self._value(code, capture, name) if typed else name
                path = self.target + capture.path
                if len(path) == 1 and index == 0:
                    if capture.name in self.overwrite:
                        code.line(f"e[{path[0]!r}] = {value}")
                        continue
                    with code.block(f"if e.get({path[0]!r}) is None:"):
                        code.line(f"e[{path[0]!r}] = {value}")
                    with code.block("else:"):
                        self._emit_slow(code, capture, value)
                elif len(path) == 2 and capture.name not in self.overwrite:
                    with code.block(f"if e.get({path[0]!r}) is None:"):
                        code.line(f"e[{path[0]!r}] = {{{path[1]!r}: {value}}}")
                    with code.block("else:"):
                        self._emit_slow(code, capture, value)
                else:
                    self._emit_slow(code, capture, value)

    def _emit_slow(self, code: Code, capture: Capture, value: str) -> None:
        function = fields.put if capture.name in self.overwrite else fields.capture
        code.line(f"{code.constant('capture', function)}(e, {self.target + capture.path!r}, {value})")

    @staticmethod
    def _value(code: Code, capture: Capture, name: str) -> str:
        if capture.type is None:
            return name
        conversion = CONVERSIONS[capture.type]
        if capture.type == "float":
            return f"{code.constant('float', conversion)}({name})"
        # Process ids, ports and statuses come again and again: a look into a dict is cheaper than int().
        known = code.local("i")
        memory = code.constant("ints", _INTEGERS)
        return f"({known} if ({known} := {memory}.get({name})) is not None else {code.constant('int', _remembered_int)}({name}))"

    # The whole of it, for all other cases.

    def _run(self, event: Event) -> bool:
        matched = False
        for _, path, expressions in self.matches:
            try:
                if self._match(event, fields.dig(event, path), expressions):
                    matched = True
                    if self.break_on_match:
                        break
            except (fields.FieldSetError, FieldReferenceError):
                continue
        return matched

    def _match(self, event: Event, value: Any, expressions: tuple[Expression, ...]) -> bool:
        if type(value) is list:
            results = [self._match_text(event, ruby_text(item), expressions) for item in value]
            return any(results)
        return self._match_text(event, ruby_text(value), expressions)

    def _match_text(self, event: Event, text: str, expressions: tuple[Expression, ...]) -> bool:
        matched = False
        for expression in expressions:
            match = expression.match(text)
            matched = match is not None
            if match is not None:
                self._capture(event, expression, match)
                if self.break_on_match:
                    break
        return matched

    def _capture(self, event: Event, expression: Expression, match: Any) -> None:
        for capture in expression.captures:
            for index, group in enumerate(capture.groups):
                value = match[group]
                if index == 0 and capture.type is not None and value is not None:
                    value = CONVERSIONS[capture.type](value)
                if (value is None or value == "") and not self.keep_empty_captures:
                    continue
                if not capture.path:
                    raise fields.FieldSetError(f"{capture.name!r} is not a field reference")
                self._set(event, capture, value)

    def _set(self, event: Event, capture: Capture, value: Any) -> None:
        path = self.target + capture.path
        if capture.name in self.overwrite:
            fields.put(event, path, value)
        elif path != ("@timestamp",):
            fields.capture(event, path, value)


def _remembered_int(text: str) -> int:
    number = to_integer(text)
    if len(_INTEGERS) < _INTEGERS_LIMIT and len(text) < 20:
        _INTEGERS[text] = number
    return number


def _plant(trees: dict[str, Any], path: Path, capture: Capture) -> None:
    for key in path[:-1]:
        trees = trees.setdefault(key, {})
    trees[path[-1]] = capture


def _leaves(tree: _Tree) -> list[Capture]:
    found: list[Capture] = []
    for branch in tree.values():
        found += [branch] if isinstance(branch, Capture) else _leaves(branch)
    return found
