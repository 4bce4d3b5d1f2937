r"""Writes an Oniguruma tree as a regular expression of Python's ``re``, or of ``regex`` where ``re`` cannot say it.

The result means exactly the same and is cheaper where that is possible: only groups that are wanted capture, atomic
groups without a choice inside vanish, repeats that could never give anything back become possessive (``re`` then needs
no stack), ``.*?`` runs to the next character at which the rest can begin, and ``(?:…)?`` is written as a choice, which
``re`` does faster.

Known difference: ``\b`` is Python's, to which a combining mark is no word character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parser.errors import DialectError
from parser.grok import charset
from parser.grok.dialect_parser import DialectParser, Parsed
from parser.grok.follow import Rest, consumes, first, refused
from parser.grok.simplify import begins_lines, begins_text, referenced, simplify
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
    import regex

    from parser.grok.charset import CharSet

    Pattern = re.Pattern[str] | regex.Pattern[str]

_ATOM, _SEQUENCE, _CHOICE = range(3)
_UNROLL = 48  # a repeated group up to this many characters long is written out instead
_MODES = {"greedy": "", "lazy": "?", "possessive": "+"}
_STOPS = 16  # ``.*?`` runs ahead only to a small set: with a big one it would stop at every other character


@dataclass(frozen=True, slots=True)
class Translation:
    """A compiled expression: ``groups[n]`` is the Python group of Oniguruma's capture ``n`` (from 1)."""

    pattern: Pattern
    captures: tuple[Capture, ...]
    groups: dict[int, int]
    anchored: bool
    """Whether a match can only begin at the start of the text, so that ``match`` may replace ``search``."""
    by_line: bool
    """Whether a match can only begin at the start of a line."""
    calls: bool
    """Whether groups are called: a group's value is then the last of ``captures(n)``."""


def translate(source: str, *, dotall: bool = True) -> Pattern:
    r"""A plain Oniguruma expression, as in ``=~`` and ``gsub``, compiled; ``\e`` and the like work.

    Every capturing group keeps its number. Use ``search``. ``dotall`` says whether ``.`` matches a newline: in grok it
    does, in Logstash's conditions and ``gsub`` it does not.

    Raises:
        DialectError: for what Oniguruma rejects or Python cannot say.
    """
    return compile_tree(DialectParser(source).parse(dotall=dotall), every_group=True).pattern


def compile_tree(parsed: Parsed, *, every_group: bool = False) -> Translation:
    r"""Compiles a parsed expression.

    Args:
        parsed: what ``DialectParser`` made.
        every_group: number plain groups too, and keep the start that ``\K`` sets; grok needs neither.

    Raises:
        DialectError: for what Python cannot say.
    """
    writer = _Writer(parsed, every_group=every_group)
    tree = simplify(parsed.tree, writer.groups)
    text, _ = writer.write(tree, None)
    anchored = not every_group and begins_text(tree, writer.referenced)
    pattern = _compile(text, by_regex=writer.by_regex)
    by_line = begins_lines(tree)
    return Translation(pattern, tuple(parsed.captures), writer.groups, anchored, by_line, writer.calls)


def _compile(text: str, *, by_regex: bool) -> Pattern:
    if not by_regex:
        try:
            return re.compile(text, re.DOTALL | re.MULTILINE)
        except (re.error, OverflowError, RecursionError) as error:
            raise DialectError(f"cannot be translated to Python: {error}") from error
    import regex  # noqa: PLC0415 - 5 MB that hardly any expression needs

    try:
        return regex.compile(text, regex.DOTALL | regex.MULTILINE | regex.VERSION0)
    except (regex.error, RecursionError) as error:
        raise DialectError(f"cannot be translated to Python: {error}") from error


class _Writer:
    """One translation. ``groups`` and ``by_regex`` hold what was found out while writing."""

    def __init__(self, parsed: Parsed, *, every_group: bool) -> None:
        self.referenced = referenced(parsed.tree)
        self.by_regex = False
        self.calls = False
        self._keep = every_group
        named = parsed.named
        wanted = [
            capture.number
            for capture in parsed.captures
            if capture.name is not None or (not named and (every_group or capture.number in self.referenced))
        ]
        # Numbers are known beforehand, since a reference may come before its group.
        self.groups = {number: index for index, number in enumerate(wanted, 1)}

    def write(self, node: Node, rest: Rest) -> tuple[str, int]:
        """The text for ``node``, and how tightly it binds."""
        match node:
            case Chars(chars):
                return charset.spell(chars), _ATOM
            case Sequence(items):
                return self._sequence(items, rest)
            case Choice(branches):
                return "|".join(self.write(branch, rest)[0] for branch in branches), _CHOICE
            case Capture(body):
                return f"({self.write(body, rest)[0]})", _ATOM
            case Atomic(body):
                return f"(?>{self.write(body, None)[0]})", _ATOM
            case Look():
                return self._look(node), _ATOM
            case Repeat():
                return self._repeat(node, rest)
            case Anchor(kind):
                return self._anchor(kind, rest), _ATOM
            case Backreference(numbers, ignore_case):
                texts = [f"\\{self.groups[n]}" for n in numbers]
                flag = "i" if ignore_case else ""
                return f"(?{flag}:{'|'.join(texts)})", _ATOM
            case Call(number):
                self.by_regex = self.calls = True
                return f"(?{self.groups.get(number, 0)})", _ATOM
            case Conditional(number, yes, no):
                return f"(?({self.groups[number]}){self._branch(yes, rest)}|{self._branch(no, rest)})", _ATOM
            case Absent(body):
                return self._absent(body), _ATOM
            case Special(spelling):
                if spelling == "\\K" and not self._keep:
                    return "", _SEQUENCE  # it moves the start of the match, which grok does not look at
                self.by_regex = True
                return spelling, _ATOM

    def _branch(self, node: Node, rest: Rest) -> str:
        text, level = self.write(node, rest)
        return f"(?:{text})" if level == _CHOICE else text

    def _sequence(self, items: list[Node], rest: Rest) -> tuple[str, int]:
        follows: list[Rest] = [rest]
        for item in reversed(items):
            follows.append((item, follows[-1]))
        texts: list[str] = []
        for item, follow in zip(items, reversed(follows[:-1]), strict=True):
            text, level = self.write(item, follow)
            texts.append(f"(?:{text})" if level == _CHOICE else text)
        return "".join(texts), _SEQUENCE

    def _look(self, node: Look) -> str:
        opening = "(?" + ("" if node.ahead else "<") + ("!" if node.negative else "=")
        body = node.body
        if not node.ahead and isinstance(body, Choice) and len({width(branch) for branch in body.branches}) > 1:
            # re wants one width for all branches: one lookbehind each
            looks = [f"{opening}{self.write(branch, None)[0]})" for branch in body.branches]
            return "".join(looks) if node.negative else f"(?:{'|'.join(looks)})"
        return f"{opening}{self.write(body, None)[0]})"

    def _anchor(self, kind: str, rest: Rest) -> str:
        match kind:
            case "^":
                return "^" if consumes(rest) else r"(?:\A|^(?!\Z))"  # not behind the last newline
            case "\\z":
                return r"\Z"
            case "\\Z":
                return r"(?=\n?\Z)"
            case "\\B":
                return r"(?:\B|\A\Z)"  # re's does not match in empty text
            case _:
                return kind

    def _absent(self, body: Node) -> str:
        low, high = width(body)
        if low != high or low == 0:
            raise DialectError("(?~…) of a text without a fixed length cannot be translated to Python")
        text = self.write(body, None)[0]
        free = "." * (low - 1)
        return f"(?:{free}(?:.(?<!{text}))*|.{{0,{max(low - 2, 0)}}})" if low > 1 else f"(?:.(?<!{text}))*"

    # ---- repeats

    def _repeat(self, node: Repeat, rest: Rest) -> tuple[str, int]:
        body, low, high, mode = node.body, node.low, node.high, node.mode
        if high == 0 and not _captures_in(body):
            return "", _SEQUENCE
        if width(body) == (0, 0):
            low, high = min(low, 1), 1  # once says it all, and re refuses to repeat it
            if low == 1:
                return self.write(body, rest)
        if isinstance(body, Chars):
            return self._repeat_char(body.chars, low, high, mode, rest)
        if high == 1 and low == 0:
            text, _ = self.write(body, rest)
            if mode == "lazy":
                return f"(?:|{text})", _ATOM
            return (f"(?>{text}|)" if mode == "possessive" else f"(?:{text}|)"), _ATOM
        again: Rest = None if mode == "possessive" else (Repeat(body, 0, None, "greedy"), rest)
        text, level = self.write(body, again)
        atom = text if level == _ATOM and text[-1:] not in "*+?}" else f"(?:{text})"
        if mode == "greedy" and high is not None and high <= 3 and len(text) <= _UNROLL and not _captures_in(body):
            unrolled = atom if level == _CHOICE else text
            optional = ""
            for _ in range(high - low):
                optional = f"(?:{unrolled}{optional}|)"
            return unrolled * low + optional, _SEQUENCE
        return atom + _count(low, high) + _MODES[mode], _SEQUENCE

    def _repeat_char(self, chars: CharSet, low: int, high: int | None, mode: str, rest: Rest) -> tuple[str, int]:
        item = charset.spell(chars)
        if low == high:
            return (item + _count(low, high) if low > 1 else item), _SEQUENCE
        if mode == "lazy" and high is None and low <= 1:
            ahead = self._run_ahead(chars, rest)
            if ahead is not None:
                return item * low + ahead, _SEQUENCE
        if mode == "greedy" and refused(rest, chars, within=low > 0):
            mode = "possessive"
        return item + _count(low, high) + _MODES[mode], _SEQUENCE

    def _run_ahead(self, chars: CharSet, rest: Rest) -> str | None:
        """``X*?`` where the rest can only begin with a few characters: skip to the first of them at once."""
        stops = first(rest)
        if stops is None or len(stops) > _STOPS:
            return None
        free = chars & ~stops
        if not free.ranges:
            return None
        passed = charset.spell(free)
        if not (chars & stops).ranges:
            return f"{passed}*+"
        return f"{passed}*+(?:|{charset.spell(chars)}+?)"


def _captures_in(node: Node) -> bool:
    match node:
        case Capture():
            return True
        case Sequence(parts) | Choice(parts):
            return any(_captures_in(part) for part in parts)
        case Atomic(body) | Look(body) | Repeat(body) | Absent(body):
            return _captures_in(body)
        case Conditional(_, yes, no):
            return _captures_in(yes) or _captures_in(no)
        case _:
            return False


def _count(low: int, high: int | None) -> str:
    match low, high:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _, None:
            return f"{{{low},}}"
        case _ if low == high:
            return f"{{{low}}}"
        case _:
            return f"{{{low},{high}}}"
