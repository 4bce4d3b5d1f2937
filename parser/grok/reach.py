r"""How far the tree of an expression gets in a text: where each part can end, and where it fails at the latest.

``re`` only says whether an expression matches. Here every node is asked for *all* ends that it can have from a start, in the
order in which a backtracking engine would try them, and for the furthest place at which something in it was wanted and not
there. Each (node, start) is looked at once, so that no expression runs away: the cost is the product of the two sizes.

Exact but for groups that are referred back to: any text that such a group could have taken is accepted there, and both
branches of ``(?(group)…)``. Whoever asks compares with the compiled expression.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

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
    Special,
    width,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from parser.grok.dialect_parser import Parsed

_MOST_WANTED = 12


class Outcome(NamedTuple):
    """What came of a node: ``ends`` in the order of preference, none if it does not match."""

    ends: tuple[int, ...]
    reach: int
    """The furthest offset at which something was wanted and not there; -1 if everything was."""
    wanted: tuple[Node, ...]
    """What was wanted there: characters, or an assertion."""


@dataclass(slots=True)
class _Furthest:
    """Collects failures, and keeps the furthest."""

    reach: int = -1
    wanted: list[Node] = field(default_factory=list)

    def note(self, reach: int, wanted: Iterable[Node]) -> None:
        if reach < self.reach:
            return
        if reach > self.reach:
            self.reach, self.wanted = reach, []
        for node in wanted:
            if len(self.wanted) < _MOST_WANTED and not any(node is each for each in self.wanted):
                self.wanted.append(node)

    def outcome(self, ends: Iterable[int]) -> Outcome:
        return Outcome(tuple(ends), self.reach, tuple(self.wanted))


class Reach:
    """One text, and what was found out about the nodes of one expression in it."""

    def __init__(self, text: str, parsed: Parsed) -> None:
        self.text = text
        self._whole = parsed.tree
        self._captures = parsed.captures
        self._known: dict[tuple[int, int], Outcome] = {}
        self._runs: dict[charset.CharSet, re.Pattern[str]] = {}
        self._taken: dict[int, dict[tuple[int, int], None]] = {}

    def over(self, node: Node, starts: Iterable[int]) -> Outcome:
        """What comes of ``node`` from any of ``starts``, the first preferred."""
        furthest = _Furthest()
        ends: dict[int, None] = {}
        if isinstance(node, Repeat) and isinstance(node.body, Chars) and node.high is None and node.mode == "greedy":
            self._runs_over(node, node.body, starts, ends, furthest)
        else:
            for start in starts:
                outcome = self.at(node, start)
                ends.update(dict.fromkeys(outcome.ends))
                furthest.note(outcome.reach, outcome.wanted)
        return furthest.outcome(ends)

    def at(self, node: Node, start: int) -> Outcome:
        """What comes of ``node`` from ``start``."""
        if isinstance(node, Chars):
            if start < len(self.text) and ord(self.text[start]) in node.chars:
                return Outcome((start + 1,), -1, ())
            return Outcome((), start, (node,))
        key = id(node), start
        known = self._known.get(key)
        if known is None:
            self._known[key] = Outcome((), -1, ())  # what calls itself here without a step forward does not match
            known = self._known[key] = self._look(node, start)
        return known

    def _look(self, node: Node, start: int) -> Outcome:
        match node:
            case Sequence(items):
                furthest = _Furthest()
                places: tuple[int, ...] = (start,)
                for item in items:
                    outcome = self.over(item, places)
                    furthest.note(outcome.reach, outcome.wanted)
                    places = outcome.ends
                return furthest.outcome(places)
            case Choice(branches):
                return self._any(branches, start)
            case Capture(body, number):
                outcome = self.at(body, start)
                self._taken.setdefault(number, {}).update(dict.fromkeys((start, end) for end in outcome.ends))
                return outcome
            case Atomic(body):
                outcome = self.at(body, start)
                return outcome._replace(ends=outcome.ends[:1])
            case Repeat():
                return self._repeat(node, start)
            case Look():
                return self._lookaround(node, start)
            case Anchor(kind):
                return Outcome((start,), -1, ()) if self._holds(kind, start) else Outcome((), start, (node,))
            case Call(number):
                return self.at(self._captures[number - 1].body if number else self._whole, start)
            case Conditional(_, yes, no):
                return self._any((yes, no), start)
            case Backreference():
                ends = tuple(self._again(node, start))
                return Outcome(ends, -1, ()) if ends else Outcome((), start, (node,))
            case Absent(body):
                return Outcome(tuple(self._without(body, start)), -1, ())
            case Special(spelling):
                return self._special(spelling, node, start)
            case Chars():
                raise AssertionError

    def _any(self, branches: Iterable[Node], start: int) -> Outcome:
        furthest = _Furthest()
        ends: dict[int, None] = {}
        for branch in branches:
            outcome = self.at(branch, start)
            ends.update(dict.fromkeys(outcome.ends))
            furthest.note(outcome.reach, outcome.wanted)
        return furthest.outcome(ends)

    # ---- repeats

    def _run(self, chars: charset.CharSet, start: int) -> int:
        """The end of the characters of a set from ``start`` on."""
        run = self._runs.get(chars)
        if run is None:
            run = self._runs[chars] = re.compile(f"{charset.spell(chars)}*", re.DOTALL)
        found = run.match(self.text, start)
        return found.end() if found else start

    def _runs_over(
        self, node: Repeat, body: Chars, starts: Iterable[int], ends: dict[int, None], furthest: _Furthest
    ) -> None:
        """``X*`` from many starts: the ends of one run are listed once, however many starts lie in it."""
        lowest: dict[int, int] = {}
        for start in starts:
            end = self._run(body.chars, start)
            if end < start + node.low:
                furthest.note(end, (body,))
                continue
            stop = lowest.get(end, end + 1)
            ends.update(dict.fromkeys(range(stop - 1, start + node.low - 1, -1)))
            lowest[end] = min(stop, start + node.low)

    def _repeat(self, node: Repeat, start: int) -> Outcome:
        body, low, high, mode = node.body, node.low, node.high, node.mode
        if isinstance(body, Chars):
            end = self._run(body.chars, start)
            if end < start + low:
                return Outcome((), end, (body,))
            most = end if high is None else min(end, start + high)
            ends = range(start + low, most + 1) if mode == "lazy" else range(most, start + low - 1, -1)
            return Outcome(tuple(ends)[:1] if mode == "possessive" else tuple(ends), -1, ())
        furthest = _Furthest()
        found = dict.fromkeys(self._rounds(node, start, furthest))
        return furthest.outcome(tuple(found)[:1] if mode == "possessive" else found)

    def _rounds(self, node: Repeat, start: int, furthest: _Furthest) -> Iterator[int]:
        """The ends of a repeated group, depth first; a stack, since a text may have thousands of rounds."""
        low, high, lazy = node.low, node.high, node.mode == "lazy"
        seen = {(0, start)}

        def steps(count: int, at: int) -> Iterator[tuple[int, int]]:
            if lazy and count >= low:
                yield -1, at
            if high is None or count < high:
                outcome = self.at(node.body, at)
                furthest.note(outcome.reach, outcome.wanted)
                for end in outcome.ends:
                    if end > at or count < low:
                        yield (count + 1 if high is not None else min(count + 1, low)), end
            if not lazy and count >= low:
                yield -1, at

        stack = [steps(0, start)]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
            elif step[0] < 0:
                yield step[1]
            elif step not in seen:
                seen.add(step)
                stack.append(steps(*step))

    # ---- what has no width, and what is rare

    def _lookaround(self, node: Look, start: int) -> Outcome:
        if node.ahead:
            outcome = self.at(node.body, start)
            there = bool(outcome.ends)
        else:
            branches = node.body.branches if isinstance(node.body, Choice) else [node.body]
            outcome = Outcome((), -1, ())
            there = any(
                start >= size and start in self.at(branch, start - size).ends
                for branch in branches
                for size in (width(branch)[0],)
            )
        if there != node.negative:
            return Outcome((start,), -1, ())
        if node.ahead and not node.negative and outcome.reach > start:
            return outcome
        return Outcome((), start, (node,))

    def _holds(self, kind: str, at: int) -> bool:
        text, last = self.text, len(self.text)
        match kind:
            case "^":
                return at == 0 or (at < last and text[at - 1] == "\n")
            case "$":
                return at == last or text[at] == "\n"
            case "\\A":
                return at == 0
            case "\\z":
                return at == last
            case "\\Z":
                return at == last or (at == last - 1 and text[at] == "\n")
            case _:
                border = (at > 0 and _is_word(text[at - 1])) != (at < last and _is_word(text[at]))
                return border == (kind == "\\b")

    def _again(self, node: Backreference, start: int) -> Iterator[int]:
        for number in node.numbers:
            for begin, end in self._taken.get(number, ()):
                taken, there = self.text[begin:end], self.text[start : start + end - begin]
                if taken == there or (node.ignore_case and taken.lower() == there.lower()):
                    yield start + end - begin

    def _without(self, body: Node, start: int) -> list[int]:
        """The ends of a text without ``body``, the longest first."""
        last = len(self.text)
        for begin in range(start, len(self.text) + 1):
            ends = [end for end in self.at(body, begin).ends if end > begin]
            if ends and min(ends) <= last:
                last = min(ends) - 1
            if begin >= last:
                break
        return list(range(last, start - 1, -1))

    def _special(self, spelling: str, node: Node, start: int) -> Outcome:
        if spelling == "\\K":
            return Outcome((start,), -1, ())
        if start >= len(self.text):
            return Outcome((), start, (node,))
        end = start + 1
        while end < len(self.text) and unicodedata.combining(self.text[end]):
            end += 1
        return Outcome((end,), -1, ())


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
