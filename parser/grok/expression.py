r"""Compiles a grok expression to one Python pattern and the list of the fields that it captures."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parser.grok.dialect import compile_tree
from parser.grok.dialect_parser import DialectParser
from parser.grok.references import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parser.grok.dialect import Pattern
    from parser.grok.dictionary import Dictionary
    from parser.grok.references import Expanded

_REFERENCE_PARTS = re.compile(r"\[([^\[\],]+)\]")


@dataclass(frozen=True, slots=True)
class Capture:
    """A field that an expression fills.

    ``name`` is the field as written, ``[log][level]``; ``path`` its parts, empty where the name is no valid field
    reference (adding a value then fails, and so does the event, as in Logstash). ``type`` is ``None``, "int" or
    "float" and holds for the first of ``groups`` only. ``groups`` are the pattern's groups that feed the field, in
    Logstash's order; a group that took no part in a match gives ``None``.
    """

    name: str
    path: tuple[str, ...]
    type: str | None
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. ``match`` is the quickest way to a match object, or ``None``; see ``anchored``.

    ``expanded`` is the source with definitions in place of references, still in Oniguruma's syntax.

    ``captures`` come in Logstash's order: by the full names ``PATTERN:field:type``, in order of first appearance; a
    field may come more than once.
    """

    source: str
    pattern: Pattern
    captures: tuple[Capture, ...]
    anchored: bool
    match: Callable[[str], Any] = field(repr=False)
    expanded: Expanded = field(repr=False)


def compile_expression(
    source: str,
    *,
    dictionary: Dictionary,
    pattern_definitions: Mapping[str, str] | None = None,
    named_captures_only: bool = True,
) -> Expression:
    r"""Compiles ``source``.

    Args:
        source: an expression with ``%{NAME:field:type}``, ``(?<field>…)`` and anything else Oniguruma knows.
        dictionary: where names are looked up.
        pattern_definitions: more names, which win over the dictionary's.
        named_captures_only: do not capture ``%{NAME}`` as the field ``NAME``.

    Raises:
        UnknownPatternError, CircularPatternError, DialectError: each names the pattern and the position at fault.
    """
    if pattern_definitions:
        chomped = {name: definition.rstrip("\r\n") for name, definition in pattern_definitions.items()}
        dictionary = dictionary.with_definitions(chomped)
    expanded = expand(source, dictionary, named_captures_only=named_captures_only)
    parsed = DialectParser(expanded.text, expanded.locate).parse()
    done = compile_tree(parsed)
    groups: dict[str, list[int]] = {}
    for capture in done.captures:
        if capture.name is not None:
            groups.setdefault(capture.name, []).append(done.groups[capture.number])
    captures = tuple(_capture(name, tuple(numbers)) for name, numbers in groups.items())
    find: Callable[[str], Any] = done.pattern.match if done.anchored else done.pattern.search
    if done.by_line and not done.anchored:
        find = _at_line_starts(done.pattern)
    match = _last_captures(find) if done.calls else find
    return Expression(source, done.pattern, captures, done.anchored, match, expanded)


def _capture(full_name: str, groups: tuple[int, ...]) -> Capture:
    """``PATTERN:field:type``, split as jls-grok does: without a field, the pattern's name is the field's."""
    pattern, name, kind, *_ = [*full_name.rstrip(":").split(":"), "", "", ""][:4]
    name = name or pattern
    return Capture(name, field_path(name), kind if kind in ("int", "float") else None, groups)


def field_path(name: str) -> tuple[str, ...]:
    """``[a][b]`` → ("a", "b"), ``a.b`` → ("a.b",); empty for what is no valid field reference."""
    if "[" not in name and "]" not in name:
        return (name,)
    parts = _REFERENCE_PARTS.findall(name)
    return tuple(parts) if "".join(f"[{part}]" for part in parts) == name else ()


class _LastCaptures:
    r"""A match of the ``regex`` module whose groups were called: a group's text is the one it took last."""

    __slots__ = ("_match",)

    def __init__(self, match: Any) -> None:
        self._match = match

    def __getitem__(self, number: int) -> str | None:
        if number == 0:
            return str(self._match[0])
        taken = self._match.captures(number)
        return str(taken[-1]) if taken else None

    def group(self, *numbers: int) -> Any:
        """As ``re.Match.group``."""
        if len(numbers) == 1:
            return self[numbers[0]]
        return tuple(self[number] for number in numbers) if numbers else self[0]

    def groups(self) -> tuple[str | None, ...]:
        """As ``re.Match.groups``."""
        return tuple(self[number] for number in range(1, self._match.re.groups + 1))


def _at_line_starts(pattern: Pattern) -> Callable[[str], Any]:
    """``search`` for what begins with ``^``: re would try every character of a line that does not match."""
    at_start, anywhere = pattern.match, pattern.search

    def match(text: str) -> Any:
        found = at_start(text)
        return anywhere(text, 1) if found is None and "\n" in text else found

    return match


def _last_captures(find: Callable[[str], Any]) -> Callable[[str], Any]:
    def match(text: str) -> _LastCaptures | None:
        found = find(text)
        return None if found is None else _LastCaptures(found)

    return match
