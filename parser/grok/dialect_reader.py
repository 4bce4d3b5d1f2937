r"""Reads the single characters, escapes and classes of Oniguruma's expressions, Ruby's syntax of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parser.errors import DialectError
from parser.grok import charset
from parser.grok.charset import CharSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_CONTROL = {"t": 9, "v": 11, "n": 10, "r": 13, "b": 8, "f": 12, "a": 7, "e": 27}
CLASSES = {
    "d": charset.DIGIT,
    "D": ~charset.DIGIT,
    "w": charset.WORD,
    "W": ~charset.WORD,
    "s": charset.SPACE,
    "S": ~charset.SPACE,
    "h": charset.HEX,
    "H": ~charset.HEX,
}
_UNICODE_CLASSES = {"d": "digit", "w": "word", "s": "space"}
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Flags:
    """The options in force: what ``(?imx-imx)``, ``(?u)``, ``(?a)`` and ``(?d)`` change."""

    ignore_case: bool = False
    extended: bool = False
    dotall: bool = True
    unicode: bool = False  # (?u): \w \d \s are Unicode
    ascii: bool = False  # (?a): POSIX brackets are ASCII


class DialectReader:
    """A position in ``source``, and what can be read there without knowing the groups around it."""

    def __init__(self, source: str, locate: Callable[[int], tuple[str | None, int]] | None = None) -> None:
        self._source = source
        self._at = 0
        self._locate = locate

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _take(self, text: str) -> bool:
        if self._source.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _fail(self, message: str, offset: int) -> NoReturn:
        pattern, position = self._locate(offset) if self._locate else (None, offset)
        raise DialectError(message, pattern=pattern, position=position)

    def _character(self, start: int) -> int:
        """The code point that the escape at the current position (after its backslash) stands for."""
        char = self._peek()
        self._at += 1
        if char in _CONTROL:
            return _CONTROL[char]
        if char == "x":
            if self._peek() == "{":
                self._fail("invalid hex escape", start)
            return self._digits(_HEX_DIGITS, 2, 16, "invalid hex escape", start)
        if char == "u":
            if self._take("{"):
                code = self._digits(_HEX_DIGITS, 6, 16, "invalid Unicode escape", start)
                if not self._take("}"):
                    self._fail("invalid Unicode escape", start)
                return code
            code = self._digits(_HEX_DIGITS, 4, 16, "invalid Unicode escape", start)
            if self._at - start != 6:
                self._fail("invalid Unicode escape", start)
            return code
        if char in "01234567":
            self._at -= 1
            return self._digits(frozenset("01234567"), 3, 8, "invalid octal escape", start) & 0xFF
        if char == "c" or (char == "C" and self._take("-")):
            if self._at >= len(self._source):
                self._fail("too short control sequence", start)
            self._at += 1
            return ord(self._source[self._at - 1]) & 0x1F
        if char == "M" and self._take("-"):
            self._fail(r"\M- makes a byte that is no UTF-8", start)
        return ord(char)

    def _digits(self, digits: frozenset[str], most: int, base: int, message: str, start: int) -> int:
        end = self._at
        while end < len(self._source) and end - self._at < most and self._source[end] in digits:
            end += 1
        if end == self._at:
            self._fail(message, start)
        code = int(self._source[self._at : end], base)
        if code > charset.LAST:
            self._fail("too big wide-char value", start)
        self._at = end
        return code

    def _shorthand(self, char: str, flags: Flags, start: int) -> CharSet:
        r"""The set of ``\d \w \s \h``, their complements, and ``\p{…}``; the position is after ``char``."""
        if char not in "pP":
            unicode_name = _UNICODE_CLASSES.get(char.lower()) if flags.unicode else None
            if unicode_name is None:
                return CLASSES[char]
            chars = charset.bracket(unicode_name) or charset.EMPTY
            return ~chars if char.isupper() else chars
        end = self._source.find("}", self._at)
        if self._peek() != "{" or end < 0:
            return charset.char(ord(char))
        name = self._source[self._at + 1 : end]
        self._at = end + 1
        negative = name.startswith("^")
        if char == "P" and len(name) <= 2:
            self._fail(rf"\P{{{name}}} of a general category is an error in Logstash; \p{{^{name}}} is not", start)
        found = charset.unicode_property(name.removeprefix("^"))
        if found is None:
            self._fail(f"invalid character property name {{{name}}}", start)
        if negative != (char == "P"):
            found = ~found
        return charset.fold_ascii(found) if flags.ignore_case else found

    # ---- character classes

    def _class(self, flags: Flags, start: int) -> CharSet:
        """The set of ``[…]``; the position is after the opening bracket and ends after the closing one."""
        negated = self._take("^")
        result: CharSet | None = None
        ranges: list[tuple[int, int]] = []
        first = True
        empty = True
        while True:
            char = self._peek()
            here = self._at
            if char == "":
                self._fail("premature end of char-class", start)
            if char == "]" and (not first or "]" not in self._source[here + 1 :]):
                if first:
                    self._fail("empty char-class", start)
                self._at += 1
                break
            first = False
            if self._source.startswith("&&", here):
                self._at += 2
                part = charset.from_ranges(ranges)
                result = part if result is None else result & part
                ranges = []
                empty = False
                continue
            empty = False
            low = self._class_item(flags, ranges)
            if low is None:
                continue
            if self._peek() == "-" and self._source[self._at + 1 : self._at + 2] not in ("", "]"):
                dash = self._at
                self._at += 1
                if self._source[self._at] == "[" or self._source.startswith("&&", self._at):
                    ranges += [*self._folded(low, low, flags), (45, 45)]
                    continue
                before = len(ranges)
                high = self._class_item(flags, ranges)
                if high is None:
                    del ranges[before:]
                    self._fail("char-class value at end of range", dash)
                if high < low:
                    self._fail("empty range in char class", here)
                ranges += self._folded(low, high, flags)
                continue
            ranges += self._folded(low, low, flags)
        part = charset.from_ranges(ranges)
        chars = part if result is None else result & part
        if empty:
            self._fail("empty char-class", start)
        return ~chars if negated else chars

    @staticmethod
    def _folded(low: int, high: int, flags: Flags) -> list[tuple[int, int]]:
        if not flags.ignore_case:
            return [(low, high)]
        return list(charset.fold(CharSet(((low, high),))).ranges)

    def _class_item(self, flags: Flags, ranges: list[tuple[int, int]]) -> int | None:
        """One item of a class: a code point is returned, a set is put into ``ranges``."""
        start = self._at
        char = self._source[start]
        self._at += 1
        if char == "[":
            if self._peek() == ":":
                found = self._bracket(flags)
                if found is not None:
                    ranges += found.ranges
                    self._no_range(start)
                    return None
            ranges += self._class(flags, start).ranges
            return None
        if char != "\\":
            return ord(char)
        escaped = self._peek()
        if escaped == "":
            self._fail("end pattern at escape", start)
        if escaped in CLASSES or (escaped in "pP" and self._source[self._at + 1 : self._at + 2] == "{"):
            self._at += 1
            found = self._shorthand(escaped, flags, start)
            ranges += found.ranges
            self._no_range(start)
            return None
        if escaped in ("R", "X"):
            self._at += 1
            return ord(escaped)
        return self._character(start)

    def _no_range(self, start: int) -> None:
        r"""A set cannot begin a range: ``[\w-.]``."""
        if self._peek() == "-" and self._source[self._at + 1 : self._at + 2] not in ("", "]"):
            self._fail(r"unmatched range specifier in char-class: a '-' for itself is '\-', or comes last", start)

    def _bracket(self, flags: Flags) -> CharSet | None:
        """The set of ``[:name:]``, the position being at its first colon; ``None`` where it is no such bracket."""
        end = self._source.find(":]", self._at)
        name = self._source[self._at + 1 : end] if end >= 0 else ""
        found = charset.bracket(name.removeprefix("^")) if name.removeprefix("^").isalpha() else None
        if found is None:
            return None
        self._at = end + 2
        if flags.ascii:
            found &= charset.ASCII
        if name.startswith("^"):
            found = ~found
        return charset.fold_ascii(found) if flags.ignore_case else found
