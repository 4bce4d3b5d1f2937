r"""Why a text does not match an expression: how far the expression gets, what it wanted next, and what stood there.

The expression is taken part by part, in the concatenation it is and into groups: the longest part that matches *somewhere*
is followed, with all the ends that it can have (``reach``), to the first part that matches behind none of them. Of those
ends the one counts from which that part got furthest; where it got nowhere, the one that the engine would take first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from parser.errors import GrokError
from parser.grok.dialect_parser import DialectParser
from parser.grok.dictionary import load_dictionary
from parser.grok.matcher import Grok
from parser.grok.reach import Outcome, Reach
from parser.grok.references import expand
from parser.grok.syntax import Anchor, Atomic, Capture, Chars, Choice, Look, Node, Repeat, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from parser.grok.dialect_reader import Flags
    from parser.grok.references import Expanded, Reference

_AT_THE_END = ("$", "\\z", "\\Z")
_AT_THE_START = ("^", "\\A")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something that would have been taken: ``text`` as written, in the definition of ``pattern`` (``None``: the expression)."""

    text: str
    pattern: str | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An optional part that was passed over: ``text`` as written; it got as far as ``reach`` and wanted ``wanted`` there."""

    text: str
    reach: int
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Where an expression stopped. All offsets are 0-based; those of the source in the expression, the others in the text.

    ``source[:begin]`` matches ``text[start:at]``, and what was wanted next is ``source[begin:end]``, all of which failed
    at ``at``. Inside, it got as far as ``reach``, where one of ``wanted`` would have been taken.
    """

    begin: int
    end: int
    start: int
    at: int
    reach: int
    wanted: tuple[Wanted, ...]
    pattern: str | None
    """The named pattern that was wanted next, if it is one."""
    definition: str | None
    """Its definition."""
    end_is_wanted: bool
    """Nothing was wanted but that the text, or its line, ended at ``at``."""
    blanks: int
    """How much white space stood before what would have been taken: the expression has too little of it."""
    elsewhere: int | None
    """Where the expression would match if it were not for the anchor at its beginning."""
    left_out: LeftOut | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an expression makes of a text.

    ``fields`` are captured by all of it, or by the part of it that matches. ``failure`` is ``None`` where it matches, and
    where it does not for a reason beside the text: ``bad_field``, or else a group that is referred back to.
    """

    source: str
    text: str
    matched: bool
    fields: dict[str, Any]
    failure: Failure | None
    bad_field: str | None = None
    """The text matches, but this field cannot be set: it is no field reference, or leads through a value. Logstash tags the event."""


def explain(
    source: str,
    text: str,
    *,
    ecs_compatibility: str = "disabled",
    pattern_definitions: Mapping[str, str] | None = None,
    patterns_dir: Iterable[str | Path] = (),
) -> Explanation:
    """Match, and find out why not.

    Args: as those of ``Grok``.

    Raises:
        GrokError: the expression does not compile.
    """
    directories = tuple(patterns_dir)

    def grok(expression: str) -> Grok:
        return Grok(
            expression,
            ecs_compatibility=ecs_compatibility,
            pattern_definitions=pattern_definitions,
            patterns_dir=directories,
        )

    whole = grok(source)
    dictionary = load_dictionary(ecs_compatibility, directories).with_definitions(pattern_definitions)
    failure = _Search(source, text, expand(source, dictionary)).failure()
    if failure is None:
        fields = whole.match(text)
        bad_field = None
        if fields is None and whole.expression.match(text) is not None:
            names = [capture.name for capture in whole.expression.captures]
            bad_field = next(
                (each.name for each in whole.expression.captures if not each.path), names[-1] if names else None
            )
        return Explanation(source, text, fields is not None, fields or {}, None, bad_field)
    try:
        # The same part once more, and it has to end in the same place.
        taken = grok(f"(?:{source[: failure.begin]})(?=[\\s\\S]{{{len(text) - failure.at}}}\\z)").match(text)
    except GrokError:  # the part ends within a group
        taken = None
    if failure.pattern is not None:
        failure = replace(failure, definition=dictionary.get(failure.pattern))
    return Explanation(source, text, matched=False, fields=taken or {}, failure=failure)


class _Traced(DialectParser):
    """A parser that remembers where each node stands in the source; a node may stand for nested groups."""

    def __init__(self, source: str, expanded: Expanded) -> None:
        super().__init__(source, expanded.locate)
        self.spans: dict[int, list[tuple[int, int]]] = {}
        self._started: dict[int, int] = {}
        self._alive: list[Node] = []  # an id is a node's own only as long as the node lives

    def _atom(self, flags: Flags) -> Node | None:
        start = self._at
        node = super()._atom(flags)
        if node is not None:
            self._alive.append(node)
            self._started[id(node)] = start
            self.spans.setdefault(id(node), []).append((start, self._at))
        return node

    def _quantified(self, node: Node, flags: Flags) -> Node:
        start = self._started[id(node)]
        done = super()._quantified(node, flags)
        if done is not node:
            self._alive.append(done)
            self.spans.setdefault(id(done), []).append((start, self._at))
        return done


@dataclass(slots=True)
class _Stop:
    """The part that failed, the places where it was tried, and the parts beside it with the places of each."""

    node: Node
    starts: tuple[int, ...]
    items: list[Node]
    index: int
    tried: list[tuple[int, ...]]


class _Search:
    def __init__(self, source: str, text: str, expanded: Expanded) -> None:
        parser = _Traced(expanded.text, expanded)
        self._parsed = parser.parse()
        self._spans = parser.spans
        self._source, self._text, self._expanded = source, text, expanded
        self._reach = Reach(text, self._parsed)
        self._own = {
            (reference.begin, reference.end): reference
            for reference in expanded.references
            if reference.pattern is None
        }

    def failure(self) -> Failure | None:
        tree = self._parsed.tree
        everywhere = tuple(range(len(self._text) + 1))
        if self._reach.over(tree, everywhere).ends:
            return None  # only a backreference can be the reason
        stop = self._descend(tree, everywhere)
        at, outcome = self._best(stop)
        begin, end = self._span(stop)
        path = self._path(stop, at)
        reference = self._reference(stop.node)
        return Failure(
            begin=begin,
            end=end,
            start=path[0],
            at=at,
            reach=max(outcome.reach, at),
            wanted=self._wanted(outcome),
            pattern=reference.name if reference else None,
            definition=None,
            end_is_wanted=isinstance(stop.node, Anchor) and stop.node.kind in _AT_THE_END,
            blanks=self._blanks(stop.node, at),
            elsewhere=self._elsewhere(),
            left_out=self._left_out(stop, path, max(outcome.reach, at)),
        )

    # ---- the part that fails

    def _descend(self, node: Node, starts: tuple[int, ...]) -> _Stop:
        stop = _Stop(node, starts, [node], 0, [starts])
        while self._reference(stop.node) is None:
            node, starts = stop.node, stop.starts
            if isinstance(node, Sequence):
                tried = [starts]
                for item in node.items:
                    ends = self._reach.over(item, tried[-1]).ends
                    if not ends:
                        break
                    tried.append(ends)
                index = len(tried) - 1
                stop = _Stop(node.items[index], tried[-1], node.items, index, tried)
                continue
            at, _ = self._best(stop)
            inner = self._inner(node, at)
            if inner is None:
                break
            stop = _Stop(inner, (at,), [*stop.items[: stop.index], inner], stop.index, [*stop.tried[:-1], (at,)])
        return stop

    def _inner(self, node: Node, at: int) -> Node | None:
        """What to look into, if the part got anywhere inside."""
        outcome = self._reach.at(node, at)
        if outcome.reach <= at:
            return None
        match node:
            case Capture(body) | Atomic(body) | Repeat(body, 1) | Look(body, True, False):
                return body
            case Choice(branches):
                got = [branch for branch in branches if self._reach.at(branch, at).reach == outcome.reach]
                return got[0] if len(got) == 1 else None
            case _:
                return None

    def _best(self, stop: _Stop) -> tuple[int, Outcome]:
        outcomes = [(start, self._reach.at(stop.node, start)) for start in stop.starts]
        return max(outcomes, key=lambda each: each[1].reach - each[0])

    def _path(self, stop: _Stop, at: int) -> list[int]:
        """Where each of the parts began, the way to ``at`` that the engine prefers."""
        good = {at}
        goods = [good]
        for item, starts in zip(reversed(stop.items[: stop.index]), reversed(stop.tried[:-1]), strict=True):
            good = {start for start in starts if not good.isdisjoint(self._reach.at(item, start).ends)}
            goods.append(good)
        goods.reverse()
        path = [next(start for start in stop.tried[0] if start in goods[0])]
        for item, good in zip(stop.items[: stop.index], goods[1:], strict=True):
            path.append(next(end for end in self._reach.at(item, path[-1]).ends if end in good))
        return path

    # ---- in words of the source

    def _reference(self, node: Node) -> Reference | None:
        """The reference of the expression itself that ``node`` stands for."""
        return next((self._own[span] for span in self._spans.get(id(node), ()) if span in self._own), None)

    def _span(self, stop: _Stop) -> tuple[int, int]:
        """Which part of the source failed; a literal goes on with the literals behind it."""
        reference = self._reference(stop.node)
        if reference is not None:
            return reference.offset, reference.offset + len(reference.written)
        spans = self._spans.get(id(stop.node))
        if spans is None:
            return 0, len(self._source)
        begin, end = spans[-1]
        if _is_literal(stop.node):
            for item in stop.items[stop.index + 1 :]:
                following = self._spans.get(id(item))
                if not _is_literal(item) or following is None:
                    break
                end = following[-1][1]
        return self._offset(begin), self._offset(end)

    def _offset(self, place: int) -> int:
        """The offset in the expression of an offset in the expanded one, between two of its parts."""
        for (begin, end), reference in self._own.items():
            if place == begin:
                return reference.offset
            if begin < place <= end:
                return reference.offset + len(reference.written)
        if place == 0:
            return 0
        _, before = self._expanded.locate(place - 1)
        return before + 1

    def _wanted(self, outcome: Outcome) -> tuple[Wanted, ...]:
        found: dict[Wanted, None] = {}
        for node in outcome.wanted:
            spans = self._spans.get(id(node))
            if spans:
                begin, end = spans[0]
                pattern, _ = self._expanded.locate(begin)
                found[Wanted(self._expanded.text[begin:end], pattern)] = None
        return tuple(found)

    # ---- what may help

    def _blanks(self, node: Node, at: int) -> int:
        behind = len(self._text) - len(self._text[at:].lstrip())
        return behind - at if behind > at and self._reach.at(node, behind).ends else 0

    def _elsewhere(self) -> int | None:
        tree = self._parsed.tree
        items: list[Node] = tree.items if isinstance(tree, Sequence) else [tree]
        if not (items and isinstance(items[0], Anchor) and items[0].kind in _AT_THE_START):
            return None
        rest = Sequence(items[1:])
        return next((at for at in range(1, len(self._text) + 1) if self._reach.at(rest, at).ends), None)

    def _left_out(self, stop: _Stop, path: list[int], reach: int) -> LeftOut | None:
        """An optional part before the one that failed, which got further than that."""
        for item, start in zip(stop.items[: stop.index], path, strict=False):
            if isinstance(item, Repeat) and item.low == 0:
                outcome = self._reach.at(item, start)
                if outcome.reach > reach:
                    begin, end = self._spans[id(item)][-1]
                    text = self._source[self._offset(begin) : self._offset(end)]
                    return LeftOut(text, outcome.reach, self._wanted(outcome))
        return None


def _is_literal(node: Node) -> bool:
    return isinstance(node, Chars) and node.chars.single is not None
