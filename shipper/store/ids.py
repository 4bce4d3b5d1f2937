"""The ids of one partition, on disk: which documents it has.

Ids are random. One large index of them would have every batch change most of its pages, each written twice (to the WAL, then to
the file): more bytes than the documents themselves. So a new id goes into the small table ``new_ids``, which is poured
into ``ids``, in order, whenever it is full: a log-structured merge tree of two levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

SCHEMA = """
CREATE TABLE ids (id TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE new_ids (id TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
"""

_LIMIT = 1 << 15
"""Ids in ``new_ids``, about: a megabyte, which is what a batch writes at most."""

_FIND = (
    "SELECT d.id, CAST(d.source AS BLOB) FROM json_each(?1) j CROSS JOIN {} k ON k.id = j.value "
    "CROSS JOIN documents d ON d.seq = k.seq"
)
_TABLES = {0: (), 1: ("documents",), 2: ("ids", "new_ids")}
"""Where ids stand, by the version of the schema."""


class Ids:
    """The ids of the partition that ``connection`` has open; ``version``: its ``schema.version``. Raises ``sqlite3.Error``."""

    def __init__(self, connection: sqlite3.Connection, version: int) -> None:
        self._connection = connection
        self._tables = _TABLES[version]
        self._find = " UNION ALL ".join(map(_FIND.format, self._tables))
        self._new = 0
        if version > 1:
            self._new = connection.execute("SELECT count(*) FROM new_ids").fetchone()[0]

    def __iter__(self) -> Iterator[str]:
        """All of them."""
        for table in self._tables:
            for (name,) in self._connection.execute(f"SELECT id FROM {table}"):  # noqa: S608 - a constant
                yield name

    def sources(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The JSON stored under those of ``ids`` that are here."""
        if not self._find:
            return {}
        return dict(self._connection.execute(self._find, (orjson.dumps(ids).decode(),)).fetchall())

    def add(self, ids: Sequence[str], first: int) -> None:
        """Add ids that are not here, for documents numbered from ``first``, within the caller's transaction."""
        new = self._new + len(ids)
        self._connection.executemany(
            "INSERT INTO new_ids VALUES (?, ?)", zip(ids, range(first, first + len(ids)), strict=True)
        )
        if new > _LIMIT:
            # There is no conflict; but to undo the statement alone, SQLite would keep the pages that it changes in memory.
            self._connection.execute("INSERT OR ROLLBACK INTO ids SELECT id, seq FROM new_ids")
            self._connection.execute("DELETE FROM new_ids")
            new = 0
        self._new = new
