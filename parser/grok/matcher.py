"""``Grok``: one expression, matched against texts; what the grok filter does for one string."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parser.grok.dictionary import load_dictionary
from parser.grok.expression import compile_expression
from parser.grok.values import CONVERSIONS, add, convert

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class Grok:
    """A compiled grok expression.

    Args:
        pattern: the expression.
        ecs_compatibility: which names the shipped patterns capture: "disabled" or "v1" ("v8" is the same).
        pattern_definitions: names and definitions of one's own.
        patterns_dir: directories with pattern files of one's own.
        named_captures_only: do not capture ``%{NAME}`` as the field ``NAME``.
        keep_empty_captures: keep what captured nothing, as "" or ``None``.

    Raises:
        GrokError: one of its kinds, naming the pattern and the position at fault.
    """

    def __init__(
        self,
        pattern: str,
        *,
        ecs_compatibility: str = "disabled",
        pattern_definitions: Mapping[str, str] | None = None,
        patterns_dir: Iterable[str | Path] = (),
        named_captures_only: bool = True,
        keep_empty_captures: bool = False,
    ) -> None:
        self.expression = compile_expression(
            pattern,
            dictionary=load_dictionary(ecs_compatibility, patterns_dir),
            pattern_definitions=pattern_definitions,
            named_captures_only=named_captures_only,
        )
        self._keep_empty = keep_empty_captures
        self._find = self.expression.match
        self._plan = tuple(
            (capture.path, capture.type if index == 0 else None, group)
            for capture in self.expression.captures
            for index, group in enumerate(capture.groups)
        )
        paths = {path for path, _, _ in self._plan}
        top = len(paths) == len(self._plan) and all(len(path) == 1 for path in paths)
        # The usual case: each group is a field of its own at the top.
        self._fields = (
            tuple((path[0], CONVERSIONS[kind] if kind else None, group) for path, kind, group in self._plan)
            if top and not keep_empty_captures
            else None
        )

    def match(self, text: str) -> dict[str, Any] | None:
        """The captured fields, nested as an event has them, or ``None`` if the text does not match.

        A field that is captured twice becomes an array; a name that is no valid field reference is ``None`` too.
        """
        found = self._find(text)
        if found is None:
            return None
        if self._fields is None:
            return self._nested(found)
        fields: dict[str, Any] = {}
        for name, conversion, group in self._fields:
            value = found[group]
            if value:
                fields[name] = value if conversion is None else conversion(value)
            elif value is not None and conversion is not None:
                fields[name] = conversion(value)
        return fields

    def _nested(self, found: Any) -> dict[str, Any] | None:
        fields: dict[str, Any] = {}
        for path, kind, group in self._plan:
            value = convert(found[group], kind)
            if value in (None, "") and not self._keep_empty:
                continue
            if not path or not add(fields, path, value):
                return None
        return fields
