r"""Replaces ``%{NAME:field:type}`` by definitions, textually, as jls-grok does.

``%{NAME}`` becomes ``(?:definition)``, ``%{NAME:field}`` becomes ``(?<NAME:field>definition)``: a name with colons says
which pattern, which field and which type. ``%{NAME:field=definition}`` also defines ``NAME`` from there on. What stands
between such a reference and its closing brace is ignored (``%{INT;whatever}``).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parser.errors import CircularPatternError, GrokError, UnknownPatternError

if TYPE_CHECKING:
    import regex

    from parser.grok.dictionary import Dictionary

# [A-z] takes in [ \ ] ^ _ and the backtick, as in jls-grok.
_REFERENCE = re.compile(r"%\{(?P<name>(?P<pattern>[A-z0-9]+)(?::(?P<field>[@\[\]A-z0-9_:.-]+))?)(?P<rest>=?)[^}]*\}")
_WITH_DEFINITION = (
    r"%\{(?P<name>(?P<pattern>[A-z0-9]+)(?::(?P<field>[@\[\]A-z0-9_:.-]+))?)"
    r"(?:=(?P<definition>(?:(?:[^{}\\]+|\\.+)+|(?P<curly>\{(?:(?>[^{}]+|(?>\\[{}])+)|(?&curly))*\})+)+))?"
    r"[^}]*\}"
)
_MOST = 10_000  # references in one expression, the limit of jls-grok


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference that was replaced: ``text[begin:end]`` of the expanded expression stands for it.

    ``written`` is the reference itself, which stood at ``offset`` of the definition of ``pattern`` (``None``: the
    expression); ``name`` is what it names.
    """

    name: str
    written: str
    pattern: str | None
    offset: int
    begin: int
    end: int


@dataclass(slots=True)
class Expanded:
    """An expression without references. ``locate`` finds out where a character of it came from.

    ``references`` are all that were replaced, each behind those in its definition.
    """

    text: str = ""
    references: list[Reference] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)
    _origins: list[tuple[str | None, int]] = field(default_factory=list)

    def locate(self, offset: int) -> tuple[str | None, int]:
        """(name of the definition, or ``None`` for the expression itself; offset in it)."""
        index = max(bisect_right(self._starts, offset) - 1, 0)
        if not self._starts:
            return None, offset
        pattern, start = self._origins[index]
        return pattern, start + max(offset - self._starts[index], 0)

    def mark(self, length: int, pattern: str | None, offset: int) -> None:
        """From ``length`` on, the text comes from ``offset`` of the definition of ``pattern``."""
        self._starts.append(length)
        self._origins.append((pattern, offset))


def expand(source: str, dictionary: Dictionary, *, named_captures_only: bool = True) -> Expanded:
    """The expression with all references replaced.

    Raises:
        UnknownPatternError: for a name in no dictionary.
        CircularPatternError: for a definition that leads back to itself.
    """
    expansion = _Expansion(dictionary, named_captures_only=named_captures_only)
    expansion.add(source, None, ())
    expansion.result.text = "".join(expansion.texts)
    return expansion.result


class _Expansion:
    def __init__(self, dictionary: Dictionary, *, named_captures_only: bool) -> None:
        self.result = Expanded()
        self.texts: list[str] = []
        self._dictionary = dictionary
        self._inline: dict[str, str] = {}
        self._named_only = named_captures_only
        self._length = 0
        self._count = 0

    def add(self, source: str, pattern: str | None, path: tuple[str, ...]) -> None:
        """Appends ``source``, the definition of ``pattern``; ``path`` are the patterns that led here, and itself."""
        at = 0
        while (found := _next_reference(source, at)) is not None:
            self._literal(source[at : found.start()], pattern, at)
            self._reference(found, pattern, path)
            at = found.end()
        self._literal(source[at:], pattern, at)

    def _literal(self, text: str, pattern: str | None, offset: int) -> None:
        if text:
            self.result.mark(self._length, pattern, offset)
            self.texts.append(text)
            self._length += len(text)

    def _reference(self, found: re.Match[str] | regex.Match[str], pattern: str | None, path: tuple[str, ...]) -> None:
        name, start = found["pattern"], found.start()
        self._count += 1
        if self._count > _MOST:
            raise GrokError(f"more than {_MOST} references to patterns", pattern=pattern, position=start)
        if "definition" in found.groupdict() and found["definition"] is not None:
            self._inline[name] = found["definition"]
        definition = self._inline.get(name)
        if definition is None:
            definition = self._dictionary.get(name)
        if definition is None:
            near = self._dictionary.closest(name)
            hint = f"; did you mean {near}?" if near else ""
            raise UnknownPatternError(f"{found[0]} is not defined{hint}", pattern=pattern, position=start)
        if name in path:
            circle = " → ".join((*path[path.index(name) :], name))
            raise CircularPatternError(f"a definition leads back to itself: {circle}", pattern=pattern, position=start)
        captured = found["name"]
        opening = "(?:" if self._named_only and ":" not in captured else f"(?<{captured}>"
        begin = self._length
        self._literal(opening, pattern, start)
        self.add(definition, name, (*path, name))
        self._literal(")", pattern, start)
        self.result.references.append(Reference(name, found[0], pattern, start, begin, self._length))


def _next_reference(source: str, at: int) -> re.Match[str] | regex.Match[str] | None:
    found = _REFERENCE.search(source, at)
    if found is None or not found["rest"]:
        return found
    import regex  # noqa: PLC0415 - only an inline definition needs recursion to be recognised

    with_definition = regex.compile(_WITH_DEFINITION).match(source, found.start())
    return with_definition or found
