"""What can come after a node of an expression: the knowledge that lets the writer drop backtracking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parser.grok import charset
from parser.grok.syntax import (
    Anchor,
    Atomic,
    Capture,
    Chars,
    Choice,
    Look,
    Node,
    Repeat,
    Sequence,
    width,
)

if TYPE_CHECKING:
    from parser.grok.charset import CharSet

# What follows a node: the next node and what follows that; ``None`` is "anything may follow, or the end".
Rest = tuple[Node, "Rest"] | None


def refused(rest: Rest, chars: CharSet, *, within: bool) -> bool:
    """Whether ``rest`` cannot match before a character of ``chars``; ``within``: nor behind one (it was repeated)."""
    while rest is not None:
        node, rest = rest
        verdict = _verdict(node, chars, within=within)
        if verdict is not None:
            return verdict
    return False


def _verdict(node: Node, chars: CharSet, *, within: bool) -> bool | None:
    """``True``: cannot match there. ``False``: may consume a character. ``None``: may match without consuming one."""
    match node:
        case Chars(own):
            return not (own & chars).ranges
        case Sequence(items):
            return next((v for v in (_verdict(item, chars, within=within) for item in items) if v is not None), None)
        case Choice(branches):
            verdicts = [_verdict(branch, chars, within=within) for branch in branches]
            return False if False in verdicts else None if None in verdicts else True
        case Capture(body) | Atomic(body):
            return _verdict(body, chars, within=within)
        case Repeat(body, low):
            verdict = _verdict(body, chars, within=within)
            return verdict if low > 0 or verdict is False else None
        case Look(body, True, negative):
            if negative:
                return True if isinstance(body, Chars) and chars <= body.chars else None
            return _verdict(body, chars, within=within) or None
        case Look():
            return None
        case Anchor("$" | "\\Z"):
            return True if 10 not in chars else None
        case Anchor("\\z"):
            return True
        case Anchor("\\b"):
            return True if within and chars <= charset.WORD else None
        case Anchor("^"):
            return True if within and 10 not in chars else None
        case Anchor():
            return None
        case _:
            return False


def first(rest: Rest) -> CharSet | None:
    """The characters with which ``rest`` can begin, or ``None`` where it may begin with none or with unknown ones."""
    found = charset.EMPTY
    while rest is not None:
        node, rest = rest
        own, optional = _first_of(node)
        if own is None:
            return None
        found |= own
        if not optional:
            return found
    return None


def _first_of(node: Node) -> tuple[CharSet | None, bool]:
    match node:
        case Chars(chars):
            return chars, False
        case Sequence(items):
            found = charset.EMPTY
            for item in items:
                own, optional = _first_of(item)
                if own is None:
                    return None, True
                found |= own
                if not optional:
                    return found, False
            return found, True
        case Choice(branches):
            found, any_optional = charset.EMPTY, False
            for branch in branches:
                own, optional = _first_of(branch)
                if own is None:
                    return None, True
                found |= own
                any_optional = any_optional or optional
            return found, any_optional
        case Capture(body) | Atomic(body):
            return _first_of(body)
        case Repeat(body, low):
            own, optional = _first_of(body)
            return own, optional or low == 0
        case Look() | Anchor():
            return charset.EMPTY, True
        case _:
            return None, True


def consumes(rest: Rest) -> bool:
    """Whether ``rest`` takes at least one character."""
    while rest is not None:
        node, rest = rest
        if width(node)[0] > 0:
            return True
    return False
