"""The queries that answer a selection in one partition, chosen by what they cost.

A text condition can drive a query (look up each row the index finds) or be a test on rows found otherwise, in the order of ``by_time``.
The first is right for rare words; for frequent ones the second is ten times faster: the newest twenty are among the first rows
looked at. SQLite cannot know which it is. The full-text index can, at 0.03 µs per match.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shipper.query.sql import IN_INDEX, compile_tree, matches

if TYPE_CHECKING:
    from datetime import tzinfo

    from shipper.query.tree import Node
    from shipper.store import Partition

_FREQUENT = 0.02
"""Share of a partition's documents from which on a text condition no longer drives the query."""
_MAX_LEVELS = 30


class Plan:
    """A compiled selection: what ``tree`` finds in [``since``, ``until``), milliseconds since 1970 UTC.

    Every method raises ``StateError`` or ``UnavailableError``, the constructor ``QueryError``.
    """

    def __init__(
        self, tree: Node, since: int | None = None, until: int | None = None, *, zone: tzinfo | None = None
    ) -> None:
        condition = compile_tree(tree, zone=zone)
        bounds = [f"timestamp {sign} {bound:d}" for sign, bound in ((">=", since), ("<", until)) if bound is not None]
        self._bounds = " AND ".join(bounds) or "1"
        self._where = " AND ".join([*bounds, condition.where])
        self._parameters = {**condition.parameters, "after": 0}
        self._texts = condition.texts
        self._text = None if bounds else condition.text

    def newest(self, partition: Partition, limit: int | None) -> list[tuple[int, int]]:
        """(timestamp, seq) of the newest documents, all of them for ``None``."""
        sql = f"SELECT timestamp, seq FROM documents WHERE {self._condition(partition)} ORDER BY timestamp DESC, seq DESC LIMIT :limit"  # noqa: S608 - compiled; values are parameters, here and below
        parameters = {**self._parameters, "limit": -1 if limit is None else limit}
        return cast("list[tuple[int, int]]", partition.run(sql, parameters))

    def arrived(
        self, partition: Partition, after: int, end: int, *, last: int | None = None
    ) -> list[tuple[int, int, str, bytes]]:
        """(timestamp, seq, id, source) of the documents with ``after`` < seq ≤ ``end`` in order of arrival, or the last few of them."""
        partition.define("matches", 2, matches)
        sql = (
            "SELECT timestamp, seq, id, CAST(source AS BLOB) FROM documents"  # noqa: S608
            f" WHERE seq > :after AND seq <= :end AND {self._where} ORDER BY seq DESC LIMIT :limit"
        )
        parameters = {**self._parameters, "after": after, "end": end, "limit": -1 if last is None else last}
        return cast("list[tuple[int, int, str, bytes]]", partition.run(sql, parameters))[::-1]

    def count(self, partition: Partition) -> int:
        """How many documents."""
        if self._text is not None:
            return _number(partition, "SELECT count(*) FROM text WHERE text MATCH :text", text=self._text)
        sql = f"SELECT count(*) FROM documents WHERE {self._condition(partition)}"  # noqa: S608
        return int(partition.run(sql, self._parameters)[0][0])

    def ends(self, partition: Partition) -> tuple[int, int] | None:
        """The first and the last timestamp, ``None`` if there is none."""
        where = self._condition(partition)
        if self._texts:
            sql = f"SELECT min(timestamp), max(timestamp) FROM documents WHERE {where}"  # noqa: S608
            low, high = partition.run(sql, self._parameters)[0]
            return None if low is None else (low, high)
        # Without the text index, walking by_time from either end stops at the first document found.
        sql = f"SELECT timestamp FROM documents WHERE {where} ORDER BY timestamp"  # noqa: S608
        first = partition.run(f"{sql} LIMIT 1", self._parameters)
        if not first:
            return None
        return first[0][0], partition.run(f"{sql} DESC LIMIT 1", self._parameters)[0][0]

    def counts(self, partition: Partition, origin: int, width: int, last: int) -> list[tuple[int, str, int]]:
        """(bucket, level in upper case, documents): bucket n begins at ``origin`` + n · ``width``; ``last`` is in the last one."""
        where = self._condition(partition)
        rows: list[tuple[int, int, int]] = []
        levels = [] if self._texts else partition.run(f"SELECT DISTINCT level FROM documents WHERE {self._bounds}")  # noqa: S608
        if 0 < len(levels) <= _MAX_LEVELS:
            # Counting in index order, a bucket at a time, sorts nothing and is five times as fast as GROUP BY.
            columns = ", ".join(f"count(*) FILTER (WHERE level = {level:d})" for (level,) in levels)
            sql = f"SELECT {columns} FROM documents WHERE timestamp >= :low AND timestamp < :high AND {where}"  # noqa: S608
            low, high = max(origin, partition.earliest), min(last, partition.latest)
            for index in range((low - origin) // width, (high - origin) // width + 1):
                start = origin + index * width
                found = partition.run(sql, {**self._parameters, "low": start, "high": start + width})[0]
                rows += [(index, level, number) for (level,), number in zip(levels, found, strict=True) if number]
        else:
            sql = f"SELECT (timestamp - :origin) / :width, level, count(*) FROM documents WHERE {where} GROUP BY 1, 2"  # noqa: S608
            rows = cast(
                "list[tuple[int, int, int]]", partition.run(sql, {**self._parameters, "origin": origin, "width": width})
            )
        numbers = ", ".join({str(level) for _, level, _ in rows})
        names = dict(partition.run(f"SELECT number, upper(text) FROM terms WHERE number IN ({numbers})"))  # noqa: S608
        return [(index, names.get(level, ""), number) for index, level, number in rows]

    def _condition(self, partition: Partition) -> str:
        """The condition, for a partition that is read as a whole."""
        partition.define("matches", 2, matches)
        if not self._texts:
            return self._where
        documents = _number(partition, "SELECT count(*) FROM documents")
        for text in self._texts:
            if (
                _number(partition, "SELECT count(*) FROM text WHERE text MATCH :text", text=text)
                < documents * _FREQUENT
            ):
                return self._where
        return self._where.replace(IN_INDEX, f"+{IN_INDEX}")


def _number(partition: Partition, sql: str, **parameters: object) -> int:
    return int(partition.run(sql, parameters)[0][0])
