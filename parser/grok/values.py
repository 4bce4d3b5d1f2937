"""What becomes of captured text: Ruby's number conversions, and Logstash's way of adding a value to an event."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_INTEGER = re.compile(r"[ \t-\r]*([+-]?[0-9]+(?:_[0-9]+)*)")
_FLOAT = re.compile(r"[ \t-\r]*([+-]?(?:[0-9][0-9_]*(?:\.[0-9][0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?)")


def to_integer(text: str) -> int:
    """``String#to_i``: the number in front, underscores between digits allowed, else 0. Of any size."""
    try:
        if text.isascii() and text.isdigit():
            return int(text)
        found = _INTEGER.match(text)
        return int(found[1]) if found else 0
    except ValueError:  # more digits than sys.set_int_max_str_digits allows: no log's number
        return 0


def to_float(text: str) -> float:
    """``String#to_f``: the number in front, else 0.0; too large ones are infinite."""
    found = _FLOAT.match(text)
    return float(found[1].replace("_", "")) if found else 0.0


CONVERSIONS: dict[str, Callable[[str], int | float]] = {"int": to_integer, "float": to_float}


def convert(text: str | None, kind: str | None) -> Any:
    """A captured text as ``kind`` ("int", "float" or ``None``: as it is); ``None``, a group that took no part, stays."""
    return text if text is None or kind is None else CONVERSIONS[kind](text)


def add(fields: dict[str, Any], path: tuple[str, ...], value: Any) -> bool:
    """Adds a value where the field reference ``path`` points, as the grok filter does.

    A field that is not there (or null) is set; a string becomes an array with the value added, an array gets it added;
    a number, boolean or object stays as it is. Returns ``False`` if the path leads through something that is no object.
    """
    *parents, last = path
    for part in parents:
        inner = fields.setdefault(part, {})
        if not isinstance(inner, dict):
            return False
        fields = inner
    present = fields.get(last)
    if present is None:
        fields[last] = value
    elif isinstance(present, str):
        fields[last] = [present, value]
    elif isinstance(present, list):
        present.append(value)
    return True
