"""Searching the store: newest first, counted, or over time. For the command line, and for a web page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from shipper.query.kql import parse
from shipper.query.plan import Plan
from shipper.query.tree import Compare, Everything, Match, Node, both, either

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from shipper.store import Partition, Store

_SECOND = 1000
_DAY = 86_400 * _SECOND
_WIDTHS = (
    *(_SECOND * n for n in (1, 2, 5, 10, 15, 30)),
    *(60 * _SECOND * n for n in (1, 2, 5, 10, 15, 30)),
    *(3600 * _SECOND * n for n in (1, 2, 3, 6, 12)),
    *(_DAY * n for n in (1, 2, 7, 14, 30, 90, 365, 3650, 36500)),
)
_CHUNK = 500
_MONDAY = -3 * _DAY
"""1969-12-29, a Monday: buckets of weeks begin on one."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which documents: those the tree finds whose timestamp is in [``since``, ``until``), milliseconds since 1970 UTC."""

    tree: Node = field(default_factory=Everything)
    since: int | None = None
    until: int | None = None

    @classmethod
    def of(
        cls,
        query: str | Node = "",
        *,
        services: Sequence[str] = (),
        levels: Sequence[str] = (),
        since: int | None = None,
        until: int | None = None,
    ) -> Selection:
        """From a query, and any of these services and levels, if some are given; ``WARN+`` is WARN and anything worse.

        Raises ``QueryError``.
        """
        parts = [parse(query) if isinstance(query, str) else query]
        if services:
            parts.append(either(*(Match("service.name", name) for name in services)))
        if levels:
            parts.append(either(*map(_level, levels)))
        return cls(both(*parts), since, until)


def _level(level: str) -> Node:
    return Compare("log.level", ">=", level[:-1]) if level.endswith("+") else Match("log.level", level)


class Hit(NamedTuple):
    """A document that was found. ``timestamp`` is in milliseconds since 1970 UTC, ``source`` the JSON as stored."""

    timestamp: int
    seq: int
    """Its place in the order of arrival."""
    id: str
    source: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The JSON, parsed."""
        try:
            document: dict[str, Any] = orjson.loads(self.source)
        except orjson.JSONDecodeError:  # a surrogate without its other half, which orjson refuses
            import json  # noqa: PLC0415

            document = json.loads(self.source)
        return document


class Bucket(NamedTuple):
    """``start`` in milliseconds since 1970 UTC; ``counts`` by level in upper case, ``""`` for documents without one."""

    start: int
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """Documents of all levels."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts over time: buckets of ``width`` milliseconds without gaps, from the first document found to the last."""

    width: int
    buckets: list[Bucket]

    @property
    def total(self) -> int:
        """Documents in all buckets."""
        return sum(bucket.total for bucket in self.buckets)


def search(store: Store, selection: Selection, limit: int = 20, *, zone: tzinfo | None = None) -> list[Hit]:
    """The newest ``limit`` documents by timestamp, newest first; of equal timestamps the one that arrived last.

    Raises ``QueryError``, ``StateError`` or ``UnavailableError``, as do the others here. ``zone``: of times in the query
    that have none; the machine's by default.
    """
    return list(scan(store, selection, limit, zone=zone))


def scan(store: Store, selection: Selection, limit: int | None = None, *, zone: tzinfo | None = None) -> Iterator[Hit]:
    """As ``search``, one by one, all of them by default: their places are collected first, the documents read as they are taken."""
    plan = Plan(selection.tree, selection.since, selection.until, zone=zone)
    with store.read() as reader:
        places: list[tuple[int, int, Partition]] = []
        for partition in sorted(reader.partitions, key=lambda each: each.latest, reverse=True):
            if limit is not None and len(places) >= limit and (limit == 0 or partition.latest < places[limit - 1][0]):
                break
            if _overlaps(partition, selection):
                places += [(*place, partition) for place in plan.newest(partition, limit)]
                places.sort(key=_by_time, reverse=True)
        for start in range(0, len(places) if limit is None else min(limit, len(places)), _CHUNK):
            end = start + _CHUNK if limit is None else min(start + _CHUNK, limit)
            yield from _fetch(places[start:end])


def count(store: Store, selection: Selection, *, zone: tzinfo | None = None) -> int:
    """How many documents there are."""
    plan = Plan(selection.tree, selection.since, selection.until, zone=zone)
    with store.read() as reader:
        return sum(plan.count(partition) for partition in reader.partitions if _overlaps(partition, selection))


def histogram(store: Store, selection: Selection, buckets: int = 30, *, zone: tzinfo | None = None) -> Histogram | None:
    """Counts by level over time, in at most ``buckets`` buckets of a round width; ``None`` when nothing is found.

    Buckets begin at round local times of ``zone`` (the machine's by default; its offset at the first document is kept throughout).
    """
    plan = Plan(selection.tree, selection.since, selection.until, zone=zone)
    with store.read() as reader:
        partitions = [partition for partition in reader.partitions if _overlaps(partition, selection)]
        found = list(filter(None, map(plan.ends, partitions)))
        if not found:
            return None
        first, last = min(low for low, _ in found), max(high for _, high in found)
        width, origin = _layout(first, last, max(buckets, 1), zone)
        counts: dict[int, Counter[str]] = {}
        for partition in partitions:
            for index, level, number in plan.counts(partition, origin, width, last):
                counts.setdefault(index, Counter())[level] += number
    return Histogram(
        width,
        [Bucket(origin + index * width, dict(counts.get(index, {}))) for index in range((last - origin) // width + 1)],
    )


def _overlaps(partition: Partition, selection: Selection) -> bool:
    since, until = selection.since, selection.until
    return (since is None or partition.latest >= since) and (until is None or partition.earliest < until)


def _by_time(place: tuple[int, int, Partition]) -> tuple[int, int]:
    return place[:2]


def _fetch(places: list[tuple[int, int, Partition]]) -> Iterator[Hit]:
    hits: dict[int, Hit] = {}
    for partition in {place[2] for place in places}:
        wanted = ", ".join(str(seq) for _, seq, each in places if each is partition)
        sql = f"SELECT timestamp, seq, id, CAST(source AS BLOB) FROM documents WHERE seq IN ({wanted})"  # noqa: S608 - numbers
        for row in partition.run(sql):
            hits[row[1]] = Hit(*row)
    for _, seq, _ in places:
        yield hits[seq]


def _layout(first: int, last: int, buckets: int, zone: tzinfo | None) -> tuple[int, int]:
    """Width of a bucket, and start of the first."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=first)
    offset = (moment.astimezone(zone).utcoffset() or timedelta()) // timedelta(milliseconds=1)
    for width in _WIDTHS:
        base = (_MONDAY if width % (7 * _DAY) == 0 else 0) - offset
        origin = (first - base) // width * width + base
        if (last - origin) // width < buckets:
            break
    return width, origin
