"""Regular expressions of a configuration: ``=~`` in conditions and ``gsub``, in Ruby's dialect.

Some are so simple that Python's own string methods do them; ``as_literal`` tells which.
"""

from __future__ import annotations

import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as sre_parser  # type: ignore[import-not-found]
from typing import TYPE_CHECKING, Any, Final

from parser.grok import translate

if TYPE_CHECKING:
    from collections.abc import Iterator

    import regex

    Pattern = re.Pattern[str] | regex.Pattern[str]

_INEXACT: Final = re.IGNORECASE | re.VERBOSE
_NAMED_GROUP: Final = re.compile(r"(?<!\\)\(\?<([A-Za-z_]\w*)>")


def compile_regex(source: str) -> Pattern:
    """Compile; ``.`` does not match a newline unless ``(?m)`` says so. Raises ``DialectError``."""
    return translate(f"(?-m:{source})")


def group_names(source: str) -> dict[str, int]:
    """The numbers of the named groups; beside named groups Ruby's other groups do not capture."""
    return {name: number for number, name in enumerate(_NAMED_GROUP.findall(source), 1)}


def as_literal(pattern: Pattern) -> tuple[str, str] | None:
    """``("in", text)`` or ``("startswith", text)`` if searching for the pattern is no more than that."""
    if not isinstance(pattern, re.Pattern) or pattern.flags & _INEXACT:
        return None
    operations = list(sre_parser.parse(pattern.pattern, pattern.flags))
    method = "in"
    if operations and operations[0] == (sre.AT, sre.AT_BEGINNING_STRING):
        method = "startswith"
        operations = operations[1:]
    if not operations or any(operation is not sre.LITERAL for operation, _ in operations):
        return None
    return method, "".join(chr(code) for _, code in operations)


def certain_groups(pattern: Pattern) -> frozenset[int]:
    """The groups that take part in every match and are never empty."""
    if not isinstance(pattern, re.Pattern):
        return frozenset()
    found: set[int] = set()
    _collect(sre_parser.parse(pattern.pattern, pattern.flags), found)
    return frozenset(found)


def _collect(items: sre_parser.SubPattern, found: set[int]) -> None:
    for operation, argument in items:
        if operation is sre.SUBPATTERN:
            group, _, _, inner = argument
            if group is not None and inner.getwidth()[0] > 0:
                found.add(group)
            _collect(inner, found)
        elif operation is sre.ATOMIC_GROUP:
            _collect(argument, found)
        elif operation in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT) and argument[0] > 0:
            _collect(argument[2], found)


def recurring_groups(pattern: Pattern) -> frozenset[int]:
    """The groups that look like they take the same few texts again and again: no free text, no id of a fixed length."""
    if not isinstance(pattern, re.Pattern):
        return frozenset()
    return frozenset(
        group
        for group, inner in _groups(sre_parser.parse(pattern.pattern, pattern.flags))
        if inner.getwidth()[0] != inner.getwidth()[1] and not _is_free(inner)
    )


def _groups(items: sre_parser.SubPattern) -> Iterator[tuple[int, sre_parser.SubPattern]]:
    for operation, argument in items:
        if operation is sre.SUBPATTERN and argument[0] is not None:
            yield argument[0], argument[3]
        for inner in _inside(operation, argument):
            yield from _groups(inner)


def _is_free(items: sre_parser.SubPattern) -> bool:
    return any(
        operation is sre.ANY or any(_is_free(inner) for inner in _inside(operation, argument))
        for operation, argument in items
    )


def _inside(operation: object, argument: Any) -> list[sre_parser.SubPattern]:
    """The patterns that an operation is made of."""
    if operation is sre.SUBPATTERN:
        return [argument[3]]
    if operation is sre.ATOMIC_GROUP:
        return [argument]
    if operation is sre.BRANCH:
        return list(argument[1])
    if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
        return [argument[2]]
    return []
