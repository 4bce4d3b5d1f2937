"""The tree of an Oniguruma regular expression, as ``dialect_parser`` builds it and ``dialect`` writes it for Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parser.grok.charset import CharSet


@dataclass(slots=True)
class Chars:
    """One character out of a set; a literal is a set of one, the dot a set of all."""

    chars: CharSet


@dataclass(slots=True)
class Sequence:
    """Nodes one after the other; empty matches the empty string."""

    items: list[Node]


@dataclass(slots=True)
class Choice:
    """The first of the branches with which the rest matches too."""

    branches: list[Node]


@dataclass(slots=True)
class Capture:
    """A capturing group. ``name`` is ``None`` for a plain one; ``number`` counts captures from 1 in order of opening."""

    body: Node
    number: int
    name: str | None


@dataclass(slots=True)
class Atomic:
    """An atomic group, ``(?>…)``: not backtracked into."""

    body: Node


@dataclass(slots=True)
class Look:
    """A lookaround."""

    body: Node
    ahead: bool
    negative: bool


@dataclass(slots=True)
class Repeat:
    """``body`` from ``low`` to ``high`` times (``None``: any number); ``mode`` is "greedy", "lazy" or "possessive"."""

    body: Node
    low: int
    high: int | None
    mode: str


@dataclass(slots=True)
class Anchor:
    r"""A zero-width assertion, ``kind`` being its Oniguruma spelling: ``^ $ \A \z \Z \b \B``."""

    kind: str


@dataclass(slots=True)
class Backreference:
    """The text of a group: any of ``numbers``, the last first (a name may stand for several groups)."""

    numbers: tuple[int, ...]
    ignore_case: bool


@dataclass(slots=True)
class Call:
    r"""``\g<name>``: the group's expression once more; number 0 is the whole expression."""

    number: int


@dataclass(slots=True)
class Conditional:
    """``(?(group)yes|no)``: which of the two depends on whether the group took part."""

    number: int
    yes: Node
    no: Node


@dataclass(slots=True)
class Absent:
    """``(?~body)``: the longest text that does not contain a match of ``body``, or less."""

    body: Node


@dataclass(slots=True)
class Special:
    r"""What only the ``regex`` module knows, spelled as there: ``\K``, ``\X``."""

    spelling: str


Node = (
    Chars
    | Sequence
    | Choice
    | Capture
    | Atomic
    | Look
    | Repeat
    | Anchor
    | Backreference
    | Call
    | Conditional
    | Absent
    | Special
)


def width(node: Node) -> tuple[int, int | None]:
    """The least and the greatest number of characters that ``node`` can match; ``None`` is no limit."""
    match node:
        case Chars():
            return 1, 1
        case Sequence(items):
            pairs = [width(item) for item in items]
            low = sum(pair[0] for pair in pairs)
            highs = [pair[1] for pair in pairs]
            return low, None if None in highs else sum(high for high in highs if high is not None)
        case Choice(branches):
            pairs = [width(branch) for branch in branches]
            highs = [pair[1] for pair in pairs]
            return min(pair[0] for pair in pairs), (
                None if None in highs else max(high for high in highs if high is not None)
            )
        case Capture(body) | Atomic(body):
            return width(body)
        case Repeat(body, low, high):
            least, most = width(body)
            return least * low, most * high if most is not None and high is not None else (0 if most == 0 else None)
        case Conditional(_, yes, no):
            return width(Choice([yes, no]))
        case Backreference() | Call() | Absent() | Special():
            return 0, None
        case Look() | Anchor():
            return 0, 0
