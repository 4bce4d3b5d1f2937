r"""Makes the tree of an expression simpler without changing what it matches, and finds out where it can begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parser.grok import charset
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
)

if TYPE_CHECKING:
    from collections.abc import Container


def simplify(node: Node, wanted: Container[int]) -> Node:
    """Sequences without sequences, choices of single characters as sets, no groups that have no effect.

    ``wanted`` are the numbers of the captures to keep.
    """
    match node:
        case Sequence(items):
            flat: list[Node] = []
            for item in items:
                done = simplify(item, wanted)
                if isinstance(done, Sequence):
                    flat += done.items
                else:
                    flat.append(done)
            return flat[0] if len(flat) == 1 else Sequence(flat)
        case Choice(branches):
            done_branches = [simplify(branch, wanted) for branch in branches]
            if all(isinstance(branch, Chars) for branch in done_branches):
                joined = charset.EMPTY
                for branch in done_branches:
                    if isinstance(branch, Chars):
                        joined |= branch.chars
                return Chars(joined)
            return Choice(done_branches)
        case Capture(body, number, name):
            inner = simplify(body, wanted)
            return Capture(inner, number, name) if number in wanted else inner
        case Atomic(body):
            inner = simplify(body, wanted)
            return inner if _single_way(inner) else Atomic(inner)
        case Look(body, ahead, negative):
            return Look(simplify(body, wanted), ahead, negative)
        case Repeat(body, low, high, mode):
            inner = simplify(body, wanted)
            if low == high == 1:
                return inner
            if isinstance(inner, Repeat) and _same_run(inner, low, high, mode):
                return Repeat(inner.body, min(low, inner.low), None, mode)
            return Repeat(inner, low, high, mode)
        case Conditional(number, yes, no):
            return Conditional(number, simplify(yes, wanted), simplify(no, wanted))
        case Absent(body):
            return Absent(simplify(body, wanted))
        case _:
            return node


def _same_run(inner: Repeat, low: int, high: int | None, mode: str) -> bool:
    """Whether a repeat of ``inner``, as in ``(?:a+)+``, is one repeat: in Python the two may take forever to fail."""
    endless = inner.high is None and high is None and inner.low <= 1 and low <= 1
    return endless and mode == inner.mode == "greedy" and isinstance(inner.body, Chars)


def _single_way(node: Node) -> bool:
    """Whether ``node`` matches in one way at most, so that nothing could be backtracked into."""
    match node:
        case Chars() | Anchor() | Look() | Backreference():
            return True
        case Sequence(items):
            return all(_single_way(item) for item in items)
        case Capture(body):
            return _single_way(body)
        case Repeat(body, low, high, mode):
            return mode == "possessive" or (low == high and _single_way(body))
        case Atomic():
            return True
        case _:
            return False


def begins_text(node: Node, kept: frozenset[int], *, plain: bool = True) -> bool:
    r"""Whether ``node`` matches nowhere but at the start of the text, or fails elsewhere if it failed there.

    A greedy ``.*`` in front anchors an expression in Oniguruma, even behind a zero-width assertion; one without, and
    ``.*?``, may as well be anchored: later starts see no more than the first one did. ``kept`` are the groups
    that something refers to; ``plain``: no assertion stands before the node.
    """
    items = node.items if isinstance(node, Sequence) else [node]
    for item in items:
        match item:
            case Anchor("\\A"):
                return True
            case Anchor() | Look():
                plain = False
            case Repeat(Chars(chars), low, None, mode):
                every = chars.ranges == charset.ANY.ranges and low <= 1
                return every and (mode == "greedy" or (mode == "lazy" and plain))
            case Capture(body, number) if number not in kept:
                return begins_text(body, kept, plain=plain)
            case Choice(branches):
                return all(begins_text(branch, kept, plain=plain) for branch in branches)
            case _:
                return False
    return False


def begins_lines(node: Node) -> bool:
    """Whether ``node`` can only match at the start of a line, because each way through it begins with ``^``."""
    match node:
        case Anchor("^"):
            return True
        case Sequence(items):
            return bool(items) and begins_lines(items[0])
        case Choice(branches):
            return all(begins_lines(branch) for branch in branches)
        case Capture(body) | Atomic(body):
            return begins_lines(body)
        case _:
            return False


def referenced(node: Node) -> frozenset[int]:
    """The numbers of the captures that a backreference, a call or a condition looks at."""
    found: set[int] = set()
    _collect_referenced(node, found)
    return frozenset(found)


def _collect_referenced(node: Node, found: set[int]) -> None:
    match node:
        case Backreference(numbers):
            found.update(numbers)
        case Call(number):
            found.add(number)
        case Conditional(number, yes, no):
            found.add(number)
            _collect_referenced(yes, found)
            _collect_referenced(no, found)
        case Sequence(parts) | Choice(parts):
            for part in parts:
                _collect_referenced(part, found)
        case Capture(body) | Atomic(body) | Look(body) | Repeat(body) | Absent(body):
            _collect_referenced(body, found)
        case _:
            pass
