"""Field references: ``message``, ``[log][level]``, ``[a][[b][c]]``.

The rules are those of Logstash's strict tokenizer: either a bare name without brackets, or brackets only.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parser.logstash.ast import Path


class FieldReferenceError(ValueError):
    """The text is not a field reference."""


@functools.lru_cache(maxsize=4096)
def parse_reference(text: str) -> Path:
    """Turn a reference into its path of keys. Raises ``FieldReferenceError``."""
    if "[" not in text and "]" not in text:
        return (text,)
    path: list[str] = []
    depth = 0
    start = -1
    for position, character in enumerate(text):
        if character == "[":
            if start >= 0 and position > start:
                raise FieldReferenceError(f"{text!r} is not a field reference")
            depth += 1
            start = position + 1
        elif character == "]":
            if depth == 0 or (start == position):
                raise FieldReferenceError(f"{text!r} is not a field reference")
            if start >= 0:
                path.append(text[start:position])
            depth -= 1
            start = -1
        elif start < 0:
            raise FieldReferenceError(f"{text!r} is not a field reference: text outside of the brackets")
    if depth or not path:
        raise FieldReferenceError(f"{text!r} is not a field reference: a bracket is not closed")
    return tuple(path)
