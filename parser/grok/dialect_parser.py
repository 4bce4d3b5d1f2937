r"""Reads Oniguruma's regular expressions, Ruby's syntax of them, into the tree of ``syntax``.

Follows what Joni 2.x in JRuby does, with its quirks: ``\w \d \s`` are ASCII while POSIX brackets and ``\p{}`` are
Unicode; ``a(?i)b|c`` is ``a(?i:b|c)``; ``a{2}?`` is ``(?:a{2})?``; ``a{1,2}+`` repeats, it is not possessive; beside
named groups, plain groups do not capture and numbered references are errors. Case-insensitive text is expanded to
sets here, so that the tree knows no flags.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from parser.grok import charset
from parser.grok.dialect_reader import CLASSES, DialectReader, Flags
from parser.grok.syntax import (
    Absent,
    Anchor,
    Atomic,
    Backreference,
    Call,
    Capture,
    Chars,
    Choice,
    Conditional,
    Look,
    Node,
    Repeat,
    Sequence,
    Special,
    width,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_ANCHORS = {"A": "\\A", "G": "\\A", "z": "\\z", "Z": "\\Z", "b": "\\b", "B": "\\B"}
_LINE_BREAKS = charset.from_ranges([(10, 13), (0x85, 0x85), (0x2028, 0x2029)])
_QUANTIFIERS = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_MAX_REPEAT = 100_000


@dataclass(slots=True)
class Parsed:
    """A parsed expression: its tree, and the captures in order of their numbers (1, 2, …)."""

    tree: Node
    captures: list[Capture] = field(default_factory=list)

    @property
    def named(self) -> bool:
        """Whether any group has a name; plain groups do not capture then."""
        return any(capture.name is not None for capture in self.captures)


class DialectParser(DialectReader):
    """One pass over ``source``. ``locate`` turns an offset of it into (pattern name, offset there) for messages."""

    def __init__(self, source: str, locate: Callable[[int], tuple[str | None, int]] | None = None) -> None:
        super().__init__(source, locate)
        self._captures: list[Capture] = []
        self._pending: list[tuple[Backreference | Call | Conditional, str, int]] = []

    def parse(self, *, dotall: bool = True) -> Parsed:
        """The tree of the whole source; ``dotall`` is Ruby's option ``m``, which grok sets.

        Raises:
            DialectError: where Oniguruma reports an error too, or Python has no way to say it.
        """
        tree = self._choice(Flags(dotall=dotall))
        if self._at < len(self._source):
            self._fail("unmatched close parenthesis", self._at)
        parsed = Parsed(tree, self._captures)
        self._resolve(parsed)
        return parsed

    # ---- structure

    def _choice(self, flags: Flags) -> Node:
        branches: list[Node] = []
        while True:
            items: list[Node] = []
            while self._at < len(self._source) and self._source[self._at] not in "|)":
                start = self._at
                node = self._atom(flags)
                if node is None:
                    self._no_quantifier(start)
                    continue
                items.append(self._quantified(node, flags))
            branches.append(items[0] if len(items) == 1 else Sequence(items))
            if not self._take("|"):
                return branches[0] if len(branches) == 1 else Choice(branches)

    def _no_quantifier(self, start: int) -> None:
        if self._source[start : start + 3] != "(?#" and self._peek() in ("*", "+", "?"):
            self._fail("target of repeat operator is not specified", self._at)

    def _atom(self, flags: Flags) -> Node | None:
        """The next node, or ``None`` for what is only a comment or white space."""
        start = self._at
        char = self._source[start]
        self._at += 1
        if char == "(":
            return self._group(flags, start)
        if char == "[":
            return Chars(self._class(flags, start))
        if char == ".":
            return Chars(charset.ANY if flags.dotall else ~charset.NEWLINE)
        if char in "^$":
            return Anchor(char)
        if char == "\\":
            return self._escape(flags, start)
        if char in "*+?":
            self._fail("target of repeat operator is not specified", start)
        if flags.extended and char in " \t\r\n\f\v":
            return None
        if flags.extended and char == "#":
            end = self._source.find("\n", start)
            self._at = len(self._source) if end < 0 else end + 1
            return None
        return self._literal(ord(char), flags)

    def _literal(self, code: int, flags: Flags) -> Chars:
        chars = charset.char(code)
        return Chars(charset.fold(chars) if flags.ignore_case else chars)

    def _quantified(self, node: Node, flags: Flags) -> Node:
        while self._at < len(self._source):
            if flags.extended and self._source[self._at] in " \t\r\n\f\v":
                self._at += 1
                continue
            start = self._at
            char = self._source[start]
            if char in _QUANTIFIERS:
                self._at += 1
                low, high = _QUANTIFIERS[char]
                mode = "lazy" if self._take("?") else "possessive" if self._take("+") else "greedy"
                node = self._repeat(node, low, high, mode)
                continue
            interval = self._interval() if char == "{" else None
            if interval is None:
                return node
            low, high = interval
            if self._peek() == "?" and low == high:
                node = Repeat(node, low, high, "greedy")  # the "?" then repeats it: 0 or 1 times
            else:
                node = self._repeat(node, low, high, "lazy" if self._take("?") else "greedy")
        return node

    @staticmethod
    def _repeat(node: Node, low: int, high: int | None, mode: str) -> Node:
        if isinstance(node, Repeat) and node.mode == mode == "greedy" and node.high is None and high is None:
            return Repeat(node.body, min(low, node.low), None, mode)  # a+* is a*
        if width(node) == (0, 0) and isinstance(node, (Anchor, Look)) and low > 0:
            return node
        return Repeat(node, low, high, mode)

    def _interval(self) -> tuple[int, int | None] | None:
        """``{2}``, ``{2,}``, ``{,2}``, ``{2,3}``; anything else is literal text."""
        start = self._at
        end = self._source.find("}", start)
        low_text, comma, high_text = self._source[start + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not (low_text or high_text) or not all(
            not t or (t.isascii() and t.isdigit()) for t in (low_text, high_text)
        ):
            return None
        low = int(low_text or 0)
        high = (int(high_text) if high_text else None) if comma else low
        if low > _MAX_REPEAT or (high is not None and high > _MAX_REPEAT):
            self._fail("too big number for repeat range", start)
        if high is not None and high < low:
            self._fail("upper is smaller than lower in repeat range", start)
        self._at = end + 1
        return low, high

    # ---- groups

    def _group(self, flags: Flags, start: int) -> Node | None:
        if not self._take("?"):
            capture = self._capture(None)
            capture.body = self._body(flags, start)
            return capture
        for opening, ahead, negative in (("=", True, False), ("!", True, True)):
            if self._take(opening):
                return Look(self._body(flags, start), ahead, negative)
        if self._take("<="):
            return self._lookbehind(flags, start, negative=False)
        if self._take("<!"):
            return self._lookbehind(flags, start, negative=True)
        if self._take(":"):
            return self._wrapped(self._body(flags, start))
        if self._take(">"):
            return Atomic(self._body(flags, start))
        if self._take("~"):
            return Absent(self._body(flags, start))
        if self._take("#"):
            end = self._source.find(")", self._at)
            if end < 0:
                self._fail("end pattern in group", start)
            self._at = end + 1
            return None
        if self._take("("):
            return self._conditional(flags, start)
        for opening, closing in (("<", ">"), ("'", "'")):
            if self._take(opening):
                capture = self._capture(self._name(closing))
                capture.body = self._body(flags, start)
                return capture
        return self._options(flags, start)

    @staticmethod
    def _wrapped(node: Node) -> Node:
        # (?:a*)* is not a**: keeping the group keeps the quantifiers apart
        return Sequence([node]) if isinstance(node, Repeat) else node

    def _capture(self, name: str | None) -> Capture:
        capture = Capture(Sequence([]), len(self._captures) + 1, name)
        self._captures.append(capture)
        return capture

    def _body(self, flags: Flags, start: int) -> Node:
        node = self._choice(flags)
        if not self._take(")"):
            self._fail("end pattern with unmatched parenthesis", start)
        return node

    def _name(self, closing: str) -> str:
        start = self._at
        end = self._source.find(closing, start)
        name = self._source[start:end] if end >= 0 else ""
        if end == start:
            self._fail("group name is empty", start)
        if end < 0 or ")" in name.partition("[")[0]:
            self._fail("invalid group name", start)
        if name[0].isdigit() or name[0] == "-":
            self._fail(f"invalid group name <{name}>", start)
        self._at = end + 1
        return name

    def _lookbehind(self, flags: Flags, start: int, *, negative: bool) -> Node:
        before = len(self._captures)
        body = self._body(flags, start)
        if negative and len(self._captures) > before:
            self._fail("invalid pattern in look-behind: a negative one cannot capture", start)
        branches = body.branches if isinstance(body, Choice) else [body]
        for branch in branches:
            low, high = width(branch)
            if low != high:
                self._fail("invalid pattern in look-behind: its length must be fixed", start)
        return Look(body, ahead=False, negative=negative)

    def _conditional(self, flags: Flags, start: int) -> Node:
        end = self._source.find(")", self._at)
        if end < 0:
            self._fail("invalid conditional pattern", start)
        name = self._source[self._at : end]
        if name[:1] + name[-1:] in ("<>", "''"):
            name = name[1:-1]
        self._at = end + 1
        body = self._body(flags, start)
        branches = body.branches if isinstance(body, Choice) else [body]
        if len(branches) > 2:
            self._fail("invalid conditional pattern", start)
        node = Conditional(0, branches[0], branches[1] if len(branches) == 2 else Sequence([]))
        self._pending.append((node, name, start))
        return node

    def _options(self, flags: Flags, start: int) -> Node:
        on = True
        while True:
            char = self._peek()
            self._at += 1
            match char:
                case "-":
                    on = False
                case "i":
                    flags = replace(flags, ignore_case=on)
                case "x":
                    flags = replace(flags, extended=on)
                case "m":
                    flags = replace(flags, dotall=on)
                case "u" | "d" | "a" if on:
                    flags = replace(flags, unicode=char == "u", ascii=char == "a")
                case ":":
                    return self._wrapped(self._body(flags, start))
                case ")":
                    return Sequence([self._choice(flags)])  # up to the enclosing group's end
                case _:
                    what = "(?P<name>…) is Python's, here it is (?<name>…)" if char == "P" else "undefined group option"
                    self._fail(what, start)

    # ---- escapes

    def _escape(self, flags: Flags, start: int) -> Node:
        char = self._peek()
        if char == "":
            self._fail("end pattern at escape", start)
        self._at += 1
        if char in CLASSES or char in "pP":
            return Chars(self._shorthand(char, flags, start))
        if char in _ANCHORS:
            return Anchor(_ANCHORS[char])
        if char == "R":
            crlf = Sequence([Chars(charset.char(13)), Chars(charset.char(10))])
            return Atomic(Choice([crlf, Chars(_LINE_BREAKS)]))
        if char in "KX":
            return Special("\\" + char)
        if char in "kg" and self._peek() in ("<", "'"):
            closing = ">" if self._source[self._at] == "<" else "'"
            end = self._source.find(closing, self._at + 1)
            if end < 0:
                self._fail("invalid group name", start)
            name = self._source[self._at + 1 : end]
            self._at = end + 1
            node: Backreference | Call = Backreference((), flags.ignore_case) if char == "k" else Call(0)
            self._pending.append((node, name, start))
            return node
        if char in "123456789":
            end = self._at
            while self._source[end : end + 1].isdigit() and end - self._at < 2:
                end += 1
            number = int(self._source[start + 1 : end])
            if number <= 9 or number <= self._source.count("("):
                self._at = end
                reference = Backreference((), flags.ignore_case)
                self._pending.append((reference, str(number), start))
                return reference
        self._at = start + 1
        return self._literal(self._character(start), flags)

    # ---- references

    def _resolve(self, parsed: Parsed) -> None:
        names: dict[str, list[int]] = {}
        for capture in parsed.captures:
            if capture.name is not None:
                names.setdefault(capture.name, []).append(capture.number)
        for node, name, start in self._pending:
            numbers = names.get(name)
            if numbers is None and name.lstrip("+-").isdigit():
                if parsed.named and not (isinstance(node, Call) and name == "0"):
                    self._fail("numbered backref/call is not allowed. (use name)", start)
                number = int(name)
                if name[0] == "-":
                    number = 1 + number + sum(1 for _ in parsed.captures)
                if number > len(parsed.captures) or (number == 0 and not isinstance(node, Call)):
                    self._fail("invalid backref number/name", start)
                numbers = [number]
            if numbers is None:
                self._fail(f"undefined name <{name}> reference", start)
            if isinstance(node, Backreference):
                node.numbers = tuple(reversed(numbers))
            elif len(numbers) > 1 and isinstance(node, Call):
                self._fail(f"multiplex definition name <{name}> call", start)
            else:
                node.number = numbers[-1]
