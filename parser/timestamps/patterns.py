"""The syntax of a date pattern: runs of letters stand for fields, the rest is text.

Joda's patterns and java.time's are written alike; what a letter means, whoever reads or writes by it says.
"""

from __future__ import annotations

import re
from typing import Final

from parser.timestamps.errors import TimestampPatternError

_DIGITS: Final = "yYuCMdHmsSDwexkKh"  # the letters of a pattern that stand for digits
# The letters of plain numbers: what each sets, and its most digits.
NUMBERS: Final = {
    "d": ("day", 2), "H": ("hour", 2), "m": ("minute", 2), "s": ("second", 2), "D": ("ordinal", 3),
    "w": ("week", 2), "e": ("weekday", 1), "x": ("weekyear", 9), "k": ("hour24", 2), "K": ("hour12", 2),
    "h": ("clock12", 2),
}  # fmt: skip


def split_pattern(pattern: str) -> list[tuple[str, str]]:
    """A pattern's parts: ("field", letters) and ("text", literal); quotes are resolved."""
    parts = []
    for match in re.finditer(r"''|'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z'])|(')", pattern):
        quoted, letters, _, plain, stray = match.groups()
        if letters:
            parts.append(("field", letters))
        elif stray:
            raise TimestampPatternError(f"{pattern!r} has a quote that does not end")
        else:
            text = "'" if match[0] == "''" else quoted.replace("''", "'") if quoted is not None else plain
            parts.append(("text", text))
    return parts


def reading_parts(pattern: str) -> list[tuple[str, str, bool]]:
    """``split_pattern`` for reading: the flag says that digits follow at once, which fixes a field's width."""
    parts = split_pattern(pattern)
    following = [kind == "field" and text[0] in _DIGITS and not text.startswith("MMM") for kind, text in parts[1:]]
    return [(kind, text, adjacent) for (kind, text), adjacent in zip(parts, [*following, False], strict=False)]
