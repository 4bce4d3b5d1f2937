r"""Sets of characters as sorted code-point ranges, and their spelling in Python's ``re``.

Oniguruma's classes know unions, intersections, POSIX brackets and Unicode properties beside ASCII ``\w``; Python's
know none of these together. Computing with ranges makes each of them exact, and case folding too.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

LAST = 0x10FFFF
_SCANNED = 0x1000
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class CharSet:
    """A set of code points: sorted, disjoint, not adjacent, inclusive ``ranges``."""

    ranges: Ranges

    def __contains__(self, code: int) -> bool:
        index = bisect_right(self.ranges, (code, LAST + 1)) - 1
        return index >= 0 and self.ranges[index][0] <= code <= self.ranges[index][1]

    def __or__(self, other: CharSet) -> CharSet:
        return from_ranges(self.ranges + other.ranges)

    def __and__(self, other: CharSet) -> CharSet:
        found: list[tuple[int, int]] = []
        a, b = self.ranges, other.ranges
        i = j = 0
        while i < len(a) and j < len(b):
            low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
            if low <= high:
                found.append((low, high))
            if a[i][1] < b[j][1]:
                i += 1
            else:
                j += 1
        return CharSet(tuple(found))

    def __invert__(self) -> CharSet:
        found: list[tuple[int, int]] = []
        start = 0
        for low, high in self.ranges:
            if low > start:
                found.append((start, low - 1))
            start = high + 1
        if start <= LAST:
            found.append((start, LAST))
        return CharSet(tuple(found))

    def __le__(self, other: CharSet) -> bool:
        return (self & other).ranges == self.ranges

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self.ranges)

    @property
    def single(self) -> int | None:
        """The only code point of the set, or ``None``."""
        ranges = self.ranges
        return ranges[0][0] if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else None


def from_ranges(ranges: Ranges | list[tuple[int, int]]) -> CharSet:
    """The set of all code points in ``ranges``, which may overlap and come in any order."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return CharSet(tuple(merged))


def of(text: str) -> CharSet:
    """The set of the characters of ``text``."""
    return from_ranges([(ord(char), ord(char)) for char in text])


def char(code: int) -> CharSet:
    """The set of one code point."""
    return CharSet(((code, code),))


EMPTY = CharSet(())
ANY = CharSet(((0, LAST),))
NEWLINE = char(10)
DIGIT = CharSet(((0x30, 0x39),))
SPACE = CharSet(((0x09, 0x0D), (0x20, 0x20)))
WORD = CharSet(((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)))
HEX = CharSet(((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)))
ASCII = CharSet(((0, 0x7F),))

# What Oniguruma calls them, in terms of Unicode's properties (enc-unicode.rb of Ruby, after UTS #18).
_BRACKETS = {
    "alnum": r"[\p{Alphabetic}\p{Nd}]",
    "alpha": r"\p{Alphabetic}",
    "ascii": r"[\x00-\x7f]",
    "blank": r"[\p{Zs}\t]",
    "cntrl": r"\p{Cc}",
    "digit": r"\p{Nd}",
    "graph": r"[^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}]",
    "lower": r"\p{Lowercase}",
    "print": r"[^\t-\r\x85\u2028\u2029\p{Cc}\p{Cn}\p{Cs}]",
    "punct": r"[\p{P}$+<=>^`|~]",
    "space": r"\p{White_Space}",
    "upper": r"\p{Uppercase}",
    "xdigit": r"[0-9A-Fa-f]",
    "word": r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]",
}


@cache
def bracket(name: str) -> CharSet | None:
    """The set of a POSIX bracket such as ``alpha``, in Unicode; ``None`` for an unknown name."""
    source = _BRACKETS.get(name)
    return None if source is None else _scan(source)


@cache
def unicode_property(name: str) -> CharSet | None:
    r"""The set of ``\p{name}``: POSIX names, categories, scripts and binary properties; ``None`` for an unknown name.

    The ``regex`` module holds the tables; it is imported here because hardly any expression needs them.
    """
    plain = name.replace(" ", "").replace("_", "").replace("-", "").lower()
    if plain == "any":
        return ANY
    if plain in _BRACKETS:
        return bracket(plain)
    import regex  # noqa: PLC0415 - 5 MB that only expressions with Unicode classes need

    try:
        return _scan(rf"\p{{{name}}}")
    except regex.error:
        return None


def _scan(source: str) -> CharSet:
    import regex  # noqa: PLC0415 - see above

    pattern = regex.compile(rf"(?V0){source}+")
    found: list[tuple[int, int]] = []
    for start in range(0, LAST + 1, _SCANNED):  # in pieces: the whole would take 13 MB
        piece = array("I", range(start, start + _SCANNED)).tobytes().decode("utf-32", "surrogatepass")
        found += [(start + match.start(), start + match.end() - 1) for match in pattern.finditer(piece)]
    return from_ranges(found)


@cache
def _folded() -> dict[int, tuple[int, ...]]:
    """Code point → all code points with the same simple case folding; only those that have company."""
    classes: dict[str, list[int]] = {}
    for code in (*range(0x0590), *range(0x10A0, 0x2C00), *range(0x2C00, 0x2E00), *range(0xA640, 0xABC0), *_FAR):
        folded = chr(code).casefold()
        if len(folded) > 1:
            folded = chr(code).lower()  # ß folds to two letters, and is yet another case of ẞ
        if len(folded) == 1:
            classes.setdefault(folded, []).append(code)
    return {code: tuple(group) for group in classes.values() if len(group) > 1 for code in group}


_FAR = (*range(0xFF21, 0xFF5B), *range(0x10400, 0x10600), *range(0x10C80, 0x10D00), *range(0x118A0, 0x118E0))


def fold(chars: CharSet) -> CharSet:
    """``chars`` and everything that differs from one of them only in case."""
    extra: list[tuple[int, int]] = []
    if len(chars) <= 256:
        table = _folded() if any(high > 0x7F for _, high in chars.ranges) else None
        for low, high in chars.ranges:
            for code in range(low, high + 1):
                same = _ascii_case(code) if table is None else table.get(code, ())
                extra += [(other, other) for other in same]
    else:
        extra = [(other, other) for code, same in _folded().items() if code in chars for other in same]
    return from_ranges(chars.ranges + tuple(extra))


def fold_ascii(chars: CharSet) -> CharSet:
    """``chars`` and the other case of its ASCII letters: all that Oniguruma folds of a POSIX bracket or a property."""
    return chars | (fold(chars & ASCII) & ASCII)


def _ascii_case(code: int) -> tuple[int, ...]:
    if not (0x41 <= code <= 0x5A or 0x61 <= code <= 0x7A):
        return ()
    special = {0x4B: (0x212A,), 0x53: (0x17F,)}  # the Kelvin sign is a k, the long s an s
    upper = code & ~0x20
    return (upper, upper | 0x20, *special.get(upper, ()))


_IN_CLASS = {0x5C: "\\\\", 0x5D: "\\]", 0x5B: "\\[", 0x5E: "\\^", 0x2D: "\\-", 0x26: "\\&", 0x7E: "\\~", 0x7C: "\\|"}
_NAMED = {9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}
_META = frozenset(b"\\.^$*+?{}[]|()#")


def spell_char(code: int) -> str:
    """One character outside a class, as Python's ``re`` reads it."""
    if code in _NAMED:
        return _NAMED[code]
    if code in _META:
        return "\\" + chr(code)
    return _spell(code)


def _spell(code: int) -> str:
    if 0x20 <= code < 0x7F or (code >= 0xA1 and chr(code).isprintable()):
        return chr(code)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def spell(chars: CharSet) -> str:
    """The set as one item of a Python regular expression compiled with DOTALL."""
    code = chars.single
    if code is not None:
        return spell_char(code)
    if chars.ranges == ANY.ranges:
        return "."
    if not chars.ranges:
        return "(?!)"
    negated = chars.ranges[0][0] == 0 and chars.ranges[-1][1] == LAST
    shown = ~chars if negated else chars
    inside = "".join(_spell_range(low, high) for low, high in shown.ranges)
    return f"[{'^' if negated else ''}{inside}]"


def _spell_range(low: int, high: int) -> str:
    first = _IN_CLASS.get(low) or _NAMED.get(low) or _spell(low)
    if low == high:
        return first
    last = _IN_CLASS.get(high) or _NAMED.get(high) or _spell(high)
    return first + last if high == low + 1 else f"{first}-{last}"
