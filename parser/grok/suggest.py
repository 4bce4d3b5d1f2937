r"""Expressions proposed for sample lines, built step by step as a grok constructor does.

A step goes from one place in every sample to a later place in every sample: by a literal that all of them have there, or by
a named pattern that takes something in each. A specific pattern costs little, ``GREEDYDATA`` much; the cheapest ways from
the beginnings to the ends become expressions, their fields named after what is in them and what stands around them
(``naming``). Each is compiled and matched against every sample before it is proposed.
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import count as counting
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from parser.errors import GrokError
from parser.grok.dictionary import load_dictionary
from parser.grok.expression import compile_expression
from parser.grok.matcher import Grok
from parser.grok.naming import Part, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from parser.grok.dictionary import Dictionary

    _Match: TypeAlias = Callable[[str, int], re.Match[str] | None]

_BUILT_FROM = 40
"""Samples that an expression is built from; it is proved by all of them."""
_PLACES = 3000
_WAYS = 12

_WHOLE = (("HTTPD_COMBINEDLOG", "COMBINEDAPACHELOG"), ("HTTPD_COMMONLOG", "COMMONAPACHELOG"), ("HTTPD_ERRORLOG",))
"""Patterns for whole lines; of those beside each other the first that is defined."""
_CLOSING = {"[": "]", "(": ")", "{": "}", "<": ">", '"': '"', "'": "'"}
_KEY = re.compile(r"[A-Za-z_][\w.-]*=")
_ALWAYS_LITERAL = re.compile(r"HTTP/|---(?!\S)")
_RUN = re.compile(r"[^\W_]++(?!\.\w)")
_TARGET = re.compile(r" (?:/|\w+://|\*)").match
_SEPARATOR = re.compile(r"[^\w\s]")


class _Kind(NamedTuple):
    """A named pattern: what it costs, per use and per character, and which texts it may be proposed for."""

    pattern: str
    cost: float
    rate: float = 0.0
    fits: Callable[[str], object] = bool
    before: Callable[[str, int], object] | None = None
    """What has to stand behind it."""


_KINDS = (
    *(
        _Kind(name, cost)
        for name, cost in {
            "TIMESTAMP_ISO8601": 1.0, "HTTPDATE": 1.0, "SYSLOGTIMESTAMP": 1.0, "HTTPDERROR_DATE": 1.0, "DATESTAMP_RFC822": 1.0,
            "DATESTAMP_RFC2822": 1.0, "DATESTAMP_OTHER": 1.0, "CATALINA_DATESTAMP": 1.0, "DATESTAMP": 1.1, "LOGLEVEL": 1.0,
            "UUID": 1.0, "IP": 1.0, "MAC": 1.0, "EMAILADDRESS": 1.0, "DATE": 1.4, "TIME": 1.4,
        }.items()
    ),
    _Kind("URI", 1.2, fits=re.compile(r"\w+://").match),
    _Kind("JAVACLASS", 1.2, fits=re.compile(r"(?:[\w$]+\.)+[A-Z$][\w$]*(?:\.\w+)?\Z").match),
    _Kind("WORD", 1.2, fits=re.compile(r"(?:GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS|CONNECT|TRACE)\Z").match, before=_TARGET),
    _Kind("INT", 1.5),
    _Kind("URIPATHPARAM", 1.6, 0.01, re.compile(r"/").match),
    _Kind("UNIXPATH", 1.7, 0.01, re.compile(r"/.*/").match),
    _Kind("NUMBER", 1.7),
    _Kind("HOSTNAME", 1.9, 0.02, re.compile(r"(?=.*[A-Za-z])[^.]+\.").match),
    _Kind("BASE16NUM", 3.0, 0.0, re.compile(r"(?=.*\d)(?=.*[a-fA-F]).{8}").match),
    _Kind("WORD", 4.0, 0.03),
    _Kind("QUOTEDSTRING", 4.5, 0.08),
    _Kind("USERNAME", 4.3, 0.04, re.compile(r"\w[\w.-]*\w\Z").match),
    _Kind("NOTSPACE", 4.6, 0.06),
)  # fmt: skip
_SPECIFIC = 2.0
"""What costs less says what it takes: no literal and no vaguer pattern is proposed for the same text."""
# A character of DATA costs what it does at the end: otherwise separators that are chance would cut long texts.
_DATA = _Kind("DATA", 5.0, 0.3)
_DELIMITED = _Kind("DATA", 4.0, 0.3)
_QUOTED = _Kind("DATA", 3.0, 0.12)
_ENCLOSED = _Kind("DATA", 0.6, 0.12)
_REST = _Kind("GREEDYDATA", 6.0, 0.3)
_SPACE = _Kind("SPACE", 0.3)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An expression that matches all the samples. ``cost`` ranks it: the lower, the more it says about them."""

    expression: str
    cost: float


class _Step(NamedTuple):
    cost: float
    part: Part
    to: tuple[int, ...]


def suggest(
    samples: Sequence[str],
    count: int = 3,
    *,
    ecs_compatibility: str = "disabled",
    patterns_dir: Sequence[str | Path] = (),
) -> list[Suggestion]:
    """The best expressions for ``samples``, the best first; each matches every one of them.

    Args:
        samples: lines, without their ends; blank ones are left out.
        count: how many at most.
        ecs_compatibility: whose field names are proposed, "disabled" (``level``) or "v1"/"v8" (``[log][level]``).
        patterns_dir: directories with pattern files of one's own, which an expression may use in vain: they are not proposed.

    Raises:
        GrokError: there is no sample.
    """
    lines = list(dict.fromkeys(line for line in samples if line.strip()))
    if not lines:
        raise GrokError("there is no sample line to build it from")
    dictionary = load_dictionary(ecs_compatibility, patterns_dir)
    ecs = ecs_compatibility != "disabled"
    found: dict[str, Suggestion] = {}
    kinds = _matchers(ecs_compatibility, tuple(patterns_dir))
    for cost, parts in _Constructor(lines[:_BUILT_FROM], dictionary, kinds).ways():
        expression = "\\A" + "".join(named(parts, ecs=ecs))
        if expression in found:
            continue
        grok = Grok(expression, ecs_compatibility=ecs_compatibility, patterns_dir=patterns_dir)
        if all(grok.match(line) is not None for line in lines):
            found[expression] = Suggestion(expression, round(cost, 2))
        if len(found) == count:
            break
    if not found:
        found[""] = Suggestion("\\A%{GREEDYDATA:message}", _REST.cost)
    return list(found.values())


@lru_cache(maxsize=8)
def _matchers(ecs_compatibility: str, directories: tuple[str | Path, ...]) -> tuple[tuple[_Kind, _Match], ...]:
    """The kinds that the dictionary has, each with its ``match``."""
    dictionary = load_dictionary(ecs_compatibility, directories)
    # Of re or of regex: alike here.
    return tuple(
        (kind, cast("_Match", compile_expression(f"%{{{kind.pattern}}}", dictionary=dictionary).pattern.match))
        for kind in _KINDS
        if kind.pattern in dictionary
    )


class _Constructor:
    """The ways through the samples, as the cheapest paths through the places that steps lead to."""

    def __init__(self, lines: list[str], dictionary: Dictionary, kinds: tuple[tuple[_Kind, _Match], ...]) -> None:
        self._lines = lines
        self._ends = tuple(map(len, lines))
        self._kinds = kinds
        known = dictionary.names()
        self._whole = [next(name for name in names if name in known) for names in _WHOLE if {*names} & known]
        self._dictionary = dictionary

    def ways(self) -> Iterator[tuple[float, tuple[Part, ...]]]:
        """All the ways that were kept, the cheapest first."""
        start = tuple(0 for _ in self._lines)
        kept: dict[tuple[int, ...], list[tuple[float, int, tuple[Part, ...]]]] = {start: [(0.0, 0, ())]}
        heap = [(0, start)]
        order = counting(1)
        for _ in range(_PLACES):
            if not heap:
                break
            _, place = heapq.heappop(heap)
            if place == self._ends:
                continue
            before = heapq.nsmallest(_WAYS, kept[place])
            for step in self._steps(place, first=place == start):
                if step.to not in kept:
                    kept[step.to] = []
                    heapq.heappush(heap, (sum(step.to), step.to))
                kept[step.to] += [
                    (cost + step.cost, next(order), (*parts, step.part))
                    for cost, _, parts in before
                    if not (parts and parts[-1].pattern and step.part.pattern and step.part.pattern != "SPACE")
                    or parts[-1].pattern == "SPACE"
                ]
        for cost, _, parts in sorted(kept.get(self._ends, ())):
            yield cost, parts

    def _steps(self, place: tuple[int, ...], *, first: bool) -> Iterator[_Step]:
        rests = [line[at:] for line, at in zip(self._lines, place, strict=True)]
        blanks = [len(rest) - len(rest.lstrip()) for rest in rests]
        if any(blanks):
            yield from self._blank(rests, blanks, place)
            return
        if first:
            yield from self._whole_lines(place)
        if all(rests):
            named = self._named(place)
            yield from named
            specific = {step.to for step in named if step.cost < _SPECIFIC}
            vaguer = (*self._literals(rests, place), *self._up_to(rests, place))
            yield from (step for step in vaguer if step.to not in specific)
        if not any(at and _in_word(line[at - 1]) for line, at in zip(self._lines, place, strict=True)):
            yield self._step(_REST, place, self._ends)

    def _step(self, kind: _Kind, place: tuple[int, ...], to: tuple[int, ...]) -> _Step:
        values = tuple(line[a:b] for line, a, b in zip(self._lines, place, to, strict=True))
        mean = sum(map(len, values)) / len(values)
        return _Step(kind.cost + kind.rate * mean, Part(kind.pattern, "", values), to)

    def _literal(self, text: str, place: tuple[int, ...], cost: float) -> _Step:
        return _Step(cost, Part("", text, ()), tuple(at + len(text) for at in place))

    def _blank(self, rests: list[str], blanks: list[int], place: tuple[int, ...]) -> Iterator[_Step]:
        if blanks == [1] * len(blanks) and len({rest[0] for rest in rests}) == 1:
            yield self._literal(rests[0][0], place, 0.1)
        else:
            step = self._step(_SPACE, place, tuple(at + more for at, more in zip(place, blanks, strict=True)))
            # Blanks in some samples only: where the lines begin that is indentation, elsewhere hardly the layout.
            yield step if all(blanks) or not any(place) else step._replace(cost=3.0)

    def _whole_lines(self, place: tuple[int, ...]) -> Iterator[_Step]:
        for name in self._whole:
            match = compile_expression(f"\\A%{{{name}}}\\z", dictionary=self._dictionary).match
            if all(match(line) is not None for line in self._lines):
                yield _Step(1.0, Part(name, "", tuple(self._lines), whole=True), self._ends)
        del place

    def _literals(self, rests: list[str], place: tuple[int, ...]) -> Iterator[_Step]:
        one = rests[0]
        for pattern, cost in ((_ALWAYS_LITERAL, 0.2), (_KEY, 0.3)):
            if (found := pattern.match(one)) and all(rest.startswith(found[0]) for rest in rests):
                yield self._literal(found[0], place, cost)
        if _SEPARATOR.match(one) or one[0] == "_":
            if all(rest[0] == one[0] for rest in rests):
                yield self._literal(one[0], place, 0.2)
        elif len(rests) > 1 and (found := _RUN.match(one)):
            same = all((other := _RUN.match(rest)) and other[0] == found[0] for rest in rests)
            # The same number everywhere is rather chance than part of the layout.
            if same and not found[0].isdigit():
                # What stands in brackets by itself varies: it is a thread, a module.
                alone = place[0] and self._lines[0][place[0] - 1] == "[" and one[found.end() : found.end() + 1] == "]"
                yield self._literal(found[0], place, 4.5 if alone else 1.1)

    def _named(self, place: tuple[int, ...]) -> list[_Step]:
        best: dict[tuple[int, ...], _Step] = {}
        for kind, match in self._kinds:
            to = []
            for line, at in zip(self._lines, place, strict=True):
                found = match(line, at)
                end = found.end() if found else at
                if end == at or not kind.fits(line[at:end]) or _cuts(line, end):
                    break
                if kind.before and not kind.before(line, end):
                    break
                to.append(end)
            else:
                step = self._step(kind, place, tuple(to))
                if step.to == self._ends and step.cost > _SPECIFIC and line[at - 1 : at] != "=":
                    # The last word of a line is rather a short message than a field, but for a key's value.
                    step = step._replace(cost=step.cost + 3.0)
                if step.to not in best or step.cost < best[step.to].cost:
                    best[step.to] = step
        return list(best.values())

    def _up_to(self, rests: list[str], place: tuple[int, ...]) -> Iterator[_Step]:
        """Anything up to the next closing bracket, or to a separator that each sample has."""
        before = {line[at - 1] if at else "" for line, at in zip(self._lines, place, strict=True)}
        closing = _CLOSING.get(before.pop()) if len(before) == 1 else None
        for separator in [closing] if closing else (" - ", " : ", ": ", " | ", "|", "\t", ";", ","):
            ends = [rest.find(separator) for rest in rests]
            if min(ends) > 0:
                to = tuple(at + end for at, end in zip(place, ends, strict=True))
                kind = _DELIMITED if separator in "|;\t" else _DATA
                if closing:
                    kind = _QUOTED if closing in "\"'" else _ENCLOSED
                yield self._step(kind, place, to)


def _cuts(line: str, end: int) -> bool:
    """Whether a word or number goes on at ``end``."""
    return end < len(line) and _in_word(line[end]) and _in_word(line[end - 1])


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"
