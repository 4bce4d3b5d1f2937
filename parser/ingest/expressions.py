r"""Regular expressions for the cluster: Oniguruma's own for its grok processor, Java's for its gsub processor.

Elasticsearch's grok runs on Joni, as Logstash's does, so an expression goes there as it is written. What changes is
what stands around it: every group gets a name of our own, so that a script can put each capture where it belongs;
``.`` matches newlines; and the expression is searched for inside of one that always matches, because a processor that
fails costs an exception.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parser.errors import DialectError
from parser.grok import charset
from parser.grok.dialect_parser import DialectParser
from parser.grok.syntax import (
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
)
from parser.logstash.regexes import group_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parser.grok.charset import CharSet
    from parser.grok.dialect_parser import Parsed
    from parser.grok.dialect_reader import Flags
    from parser.grok.references import Expanded, Reference

_BACKREFERENCE: Final = re.compile(r"\\(\\|\d|k<(\w+)>|&)")
_FIELD: Final = re.compile(r"%\{([A-z0-9]+(?::[@\[\]A-z0-9_:.-]+)?)")
_SHORT: Final = 8  # a definition of so few characters says more than its name
_ESCAPE: Final = re.compile(r"\\(?:u\{([0-9A-Fa-f]+)\}|.)", re.DOTALL)
_MODES: Final = {"greedy": "", "lazy": "?", "possessive": "+"}


@dataclass(frozen=True, slots=True)
class Renamed:
    """An expression whose groups are ``prefix`` and a number; ``groups`` are these names, by the names they had."""

    text: str
    groups: dict[str, tuple[str, ...]]


class _Spans(DialectParser):
    """A parser that remembers where groups open, and where they are referred to."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.openings: dict[int, tuple[int, int]] = {}
        self.references: list[tuple[Backreference | Call | Conditional, int, int]] = []

    def _capture(self, name: str | None) -> Capture:
        capture = super()._capture(name)
        length = 1 if name is None else len(name) + 4  # "(", or "(?<name>"
        self.openings[capture.number] = self._at - length, self._at
        return capture

    def _escape(self, flags: Flags, start: int) -> Node:
        node = super()._escape(flags, start)
        if isinstance(node, (Backreference, Call)):
            self.references.append((node, start, self._at))
        return node

    def _conditional(self, flags: Flags, start: int) -> Node:
        end = self._source.find(")", self._at) + 1
        node = super()._conditional(flags, start)
        if isinstance(node, Conditional):
            self.references.append((node, start, end))
        return node


def rename(expression: Expanded, prefix: str, definitions: dict[str, str]) -> Renamed:
    """Give every group that captures a name of its own.

    A definition without such a group becomes a reference again, so that people can read the result; it is put into
    ``definitions``, under a name that no dictionary has.
    """
    source = expression.text
    parser = _Spans(source)
    parsed = parser.parse()
    names = {
        capture.number: f"{prefix}{capture.number}"
        for capture in parsed.captures
        if capture.name is not None or not parsed.named
    }
    changes = [(*parser.openings[number], f"(?<{name}>") for number, name in names.items()]
    changes += [(start, end, _reference(node, names)) for node, start, end in parser.references]
    changes += _folded(expression, changes, definitions)
    pieces: list[str] = []
    position = 0
    for start, end, new in sorted(changes):
        pieces += [_escaped(source[position:start]), new]
        position = end
    pieces.append(_escaped(source[position:]))
    groups: dict[str, tuple[str, ...]] = {}
    for capture in parsed.captures:
        if capture.name is not None:
            groups[capture.name] = (*groups.get(capture.name, ()), names[capture.number])
    return Renamed("".join(pieces), groups)


def _folded(
    expression: Expanded, changes: list[tuple[int, int, str]], definitions: dict[str, str]
) -> list[tuple[int, int, str]]:
    """What can be a reference again: the outermost definitions in which nothing changes."""
    folded: list[tuple[int, int, str]] = []
    covered = 0
    for reference in sorted(expression.references, key=lambda each: (each.begin, -each.end)):
        # Between "(?:" or "(?<NAME:field>" and ")"; a group of its own is renamed, and stays.
        opening = "(?:" if expression.text.startswith("(?:", reference.begin) else f"(?<{_name(reference)}>"
        begin, end = reference.begin + len(opening), reference.end - 1
        if begin < covered or any(begin <= start < end for start, _, _ in changes):
            continue
        definition = _escaped(expression.text[begin:end])
        name = f"LOGSTASH_{reference.name}"
        if len(definition) < _SHORT or definitions.setdefault(name, definition) != definition:
            continue
        if opening == "(?:":
            begin, end = reference.begin, reference.end
        folded.append((begin, end, f"%{{{name}}}"))
        covered = reference.end
    return folded


def _name(reference: Reference) -> str:
    """What the group of a reference is called."""
    found = _FIELD.match(reference.written)
    assert found is not None
    return found[1]


def _escaped(text: str) -> str:
    r"""What is left of %{ is text; and Joni alone, outside of JRuby, does not know ``\u{1F600}``."""
    return _ESCAPE.sub(_literal_code_point, text.replace("%{", "%\\{"))


def _literal_code_point(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return escape[0]
    code = int(escape[1], 16)
    return f"\\x{code:02x}" if code < 0x80 else chr(code)


def _reference(node: Backreference | Call | Conditional, names: Mapping[int, str]) -> str:
    match node:
        case Backreference(numbers):
            return "(?:" + "|".join(rf"\k<{names[number]}>" for number in numbers) + ")"
        case Call(0):
            raise DialectError(r"\g<0> calls the whole expression, which is only a part of it in Elasticsearch")
        case Call(number):
            return f"\\g<{names[number]}>"
        case Conditional(number):
            return f"(?(<{names[number]}>)"


def first_of(branches: Iterable[tuple[str, str, bool]], *, dotall: bool = True) -> str:
    r"""One expression that always matches at the start of a text, and tells which of the branches was found first.

    A branch is (expression, name of a group that is empty where it was found, whether it can only match at the start).
    """
    mode = "m" if dotall else "-m"
    texts = [
        f"(?{mode}:{text})(?<{marker}>)" if anchored else f"(?m:.*?)(?{mode}:{text})(?<{marker}>)"
        for text, marker, anchored in branches
    ]
    return rf"\A(?:{'|'.join([*texts, ''])})"


def java_regex(source: str) -> str:
    """A pattern of ``gsub``, for ``java.util.regex``. Raises ``DialectError`` for what Java has no way to say."""
    parsed = DialectParser(f"(?-m:{source})").parse()
    return "(?dmU)" + _JavaWriter(parsed).write(parsed.tree)


def java_groups(source: str) -> int:
    """How many groups of the pattern capture."""
    parsed = DialectParser(source).parse()
    return sum(capture.name is not None or not parsed.named for capture in parsed.captures)


def code_points(characters: str) -> tuple[tuple[int, int], ...]:
    """The ranges of ``[characters]``. Raises ``DialectError``."""
    tree = DialectParser(f"[{characters}]").parse().tree
    if not isinstance(tree, Chars):
        raise DialectError(f"[{characters}] is no set of characters")
    return tree.chars.ranges


def java_replacement(text: str, source: str) -> str:
    """Ruby's replacement text, as Java has it."""
    count = java_groups(source)
    names = group_names(source)
    pieces: list[str] = []
    position = 0
    for found in _BACKREFERENCE.finditer(text):
        pieces.append(_java_literal(text[position : found.start()]))
        position = found.end()
        if found[1] == "\\":
            pieces.append("\\\\")
        elif found[1] == "&":
            pieces.append("$0")
        else:
            group = names.get(found[2], -1) if found[2] else int(found[1])
            pieces.append(f"${group}" if 0 <= group <= count else "")
    return "".join([*pieces, _java_literal(text[position:])])


def _java_literal(text: str) -> str:
    """Literal text; a digit is escaped, for it may stand behind a group's number."""
    return re.sub(r"[\\$0-9]", lambda found: f"\\{found[0]}", text)


class _JavaWriter:
    def __init__(self, parsed: Parsed) -> None:
        wanted = [c.number for c in parsed.captures if c.name is not None or not parsed.named]
        self._groups = {number: index for index, number in enumerate(wanted, 1)}

    def write(self, node: Node) -> str:
        """The text for ``node``, in a group of its own where it needs one."""
        match node:
            case Chars(chars):
                return _java_set(chars)
            case Sequence(items):
                return "".join(
                    f"(?:{self.write(item)})" if isinstance(item, Choice) else self.write(item) for item in items
                )
            case Choice(branches):
                return "|".join(map(self.write, branches))
            case Capture(body, number):
                return f"({'' if number in self._groups else '?:'}{self.write(body)})"
            case Atomic(body):
                return f"(?>{self.write(body)})"
            case Look(body, ahead, negative):
                return f"(?{'' if ahead else '<'}{'!' if negative else '='}{self.write(body)})"
            case Repeat(body, low, high, mode):
                text = self.write(body)
                if not isinstance(body, (Chars, Capture, Atomic)):
                    text = f"(?:{text})"
                return f"{text}{{{low},{'' if high is None else high}}}{_MODES[mode]}"
            case Anchor(kind):
                return "^(?!(?<=\\n)\\z)" if kind == "^" else kind
            case Backreference(numbers, ignore_case) if len(numbers) == 1:
                return f"(?{'i' if ignore_case else ''}:\\{self._groups[numbers[0]]})"
            case Special("\\X"):
                return "\\X"
            case _:
                raise DialectError("this is syntax of Ruby's regular expressions that Java's do not have")


def _java_set(chars: CharSet) -> str:
    single = chars.single
    if single is not None:
        return _java_char(single)
    if chars.ranges == charset.ANY.ranges:
        return "(?s:.)"
    if not chars.ranges:
        return "(?!)"
    negated = chars.ranges[0][0] == 0 and chars.ranges[-1][1] == charset.LAST
    shown = ~chars if negated else chars
    spelled = "".join(_java_char(low) + ("" if low == high else f"-{_java_char(high)}") for low, high in shown.ranges)
    return f"[{'^' if negated else ''}{spelled}]"


def _java_char(code: int) -> str:
    if chr(code).isascii() and chr(code).isalnum():
        return chr(code)
    if 0x20 < code < 0x7F:
        return "\\" + chr(code)
    return f"\\x{{{code:x}}}"
