"""Writing batches: each is one transaction, on disk before ``write`` returns, and no id is stored twice."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from typing import TYPE_CHECKING, NamedTuple

from shipper.store import seen
from shipper.store.columns import Columns, columns
from shipper.store.ids import Ids
from shipper.store.reader import number, partition_paths
from shipper.store.schema import TEXT_COLUMNS, VERSION, open_for_reading, open_for_writing, version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_INSERT = "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT))"
_MARKS = ", ".join("?" * (len(TEXT_COLUMNS) + 1))
_INSERT_TEXT = f"INSERT INTO text (rowid, {', '.join(TEXT_COLUMNS)}) VALUES ({_MARKS})"  # noqa: S608 - constants
_MAX_TERMS = 20_000
"""How many terms' numbers are kept in memory; beyond that (a logger name per request?) it starts anew."""


_LEAST = 8
"""A bounded store has at least this many partitions, so that the oldest eighth goes, not half of it."""

log = logging.getLogger(__name__)


class Written(NamedTuple):
    """What became of a batch."""

    stored: int
    """Documents that are new."""
    duplicates: int
    """Documents whose id was there already, in the store or earlier in the batch."""
    conflicts: int
    """How many of the duplicates differ from what is stored: parsed by another pipeline or at another time, or an id's collision."""
    invalid: list[tuple[int, str]]
    """Positions that are no JSON object, and why; they are not stored."""


class Writer:
    """The open end of the store: the active partition, and what is known of the sealed ones.

    After a ``sqlite3.Error`` nothing of the batch is stored, and this object must be closed: another one begins with
    what is on disk. ``path`` is the file in use, for messages.
    """

    def __init__(
        self, folder: Path, *, partition_documents: int, partition_bytes: int, max_bytes: int | None = None
    ) -> None:
        self._folder = folder
        self._partition_documents = partition_documents
        self._partition_bytes = partition_bytes if max_bytes is None else min(partition_bytes, max_bytes // _LEAST)
        self._max_bytes = max_bytes
        self._sealed: list[_Sealed] = []
        self._filters = seen.Filters()
        self._active: sqlite3.Connection | None = None
        paths = partition_paths(folder)
        self.path = paths.pop() if paths else folder / "000001.db"
        try:
            for path in paths:
                self._add_sealed(path)
            self._open_active(first_seq=self._sealed[-1].last_seq + 1 if self._sealed else 1)
            self._drop_oldest()
        except BaseException:
            self.close()
            raise

    def write(self, ids: Sequence[str], documents: Sequence[bytes]) -> Written:
        """Store what is new. Raises ``sqlite3.Error``."""
        arrived = time.time_ns() // 1_000_000
        invalid: list[tuple[int, str]] = []
        rows: list[tuple[str, bytes, Columns]] = []
        for position, document in enumerate(documents):
            try:
                rows.append((ids[position], document, columns(document, arrived=arrived)))
            except ValueError as error:
                invalid.append((position, f"not a JSON object: {error}"))
        if self._count >= self._partition_documents or self._size() >= self._partition_bytes:
            self._roll_over()
        fresh, different = self._fresh(rows)
        if fresh:
            self._insert(fresh)
        return Written(len(fresh), len(rows) - len(fresh), different, invalid)

    def close(self) -> None:
        """Close every file. What is committed stays."""
        for sealed in self._sealed:
            sealed.close()
        if self._active is not None:
            self._active.close()

    @property
    def _database(self) -> sqlite3.Connection:
        assert self._active is not None
        return self._active

    def _open_active(self, *, first_seq: int) -> None:
        self._active = open_for_writing(self.path, first_seq=first_seq)
        found = version(self._active, self.path)
        self._ids = Ids(self._active, found)
        # A new file's name must survive a power cut as surely as the commits in it.
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        first, last = self._active.execute(
            "SELECT (SELECT value FROM meta WHERE name = 'first_seq'), (SELECT max(seq) FROM documents)"
        ).fetchone()
        self._next = first if last is None else last + 1
        self._count: int = self._next - first
        self._page_size: int = self._active.execute("PRAGMA page_size").fetchone()[0]
        self._terms: dict[str | None, int] = {None: 0}
        if found < VERSION:
            self._roll_over()

    def _size(self) -> int:
        pages: int = self._database.execute("PRAGMA page_count").fetchone()[0]
        return pages * self._page_size

    def _roll_over(self) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta VALUES ('seen', ?)", (seen.build(self._ids),))
        try:
            # A sealed file needs no -wal and -shm beside it, and can then be read by who may not write.
            self._database.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise  # a reader has it open: it stays as it is
        self._database.close()
        self._active = None
        self._add_sealed(self.path)
        self.path = self._folder / f"{number(self.path) + 1:06d}.db"
        self._open_active(first_seq=self._next)
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Delete sealed partitions, oldest first, until the others and a full active one fit into ``max_bytes``."""
        if self._max_bytes is None:
            return
        sizes = [each.path.stat().st_size for each in self._sealed]
        while self._sealed and sum(sizes) + self._partition_bytes > self._max_bytes:
            dropped = self._sealed.pop(0)
            self._filters.drop()
            dropped.close()
            for ending in ("", "-wal", "-shm"):
                dropped.path.with_name(f"{dropped.path.name}{ending}").unlink(missing_ok=True)
            log.info("%s: dropped, the oldest %d MiB of the store: max_bytes", dropped.path, sizes.pop(0) >> 20)

    def _add_sealed(self, path: Path) -> None:
        self.path, active = path, self.path
        sealed = _Sealed(path)
        self._sealed.append(sealed)
        self._filters.add(sealed.seen())
        self.path = active

    def _fresh(self, rows: list[tuple[str, bytes, Columns]]) -> tuple[list[tuple[str, bytes, Columns]], int]:
        """The rows whose ids are new; how many of the others differ from what is stored, or came first, under their id."""
        ids = [row[0] for row in rows]
        stored = self._ids.sources(ids)
        for partition, indexes in self._filters.candidates(ids).items():
            stored |= self._sealed[partition].ids.sources([ids[index] for index in indexes])
        if not stored and len(set(ids)) == len(ids):
            return rows, 0
        fresh, different = [], 0
        for row in rows:
            name, document, _ = row
            if name in stored:
                different += stored[name] != document
            else:
                stored[name] = document
                fresh.append(row)
        return fresh, different

    def _insert(self, rows: list[tuple[str, bytes, Columns]]) -> None:
        """Store rows whose ids are new, in one transaction."""
        database, first = self._database, self._next
        database.execute("BEGIN IMMEDIATE")
        try:
            number_of = self._numbers(rows)
            database.executemany(
                _INSERT,
                [
                    (seq, c.timestamp, number_of[c.level], number_of[c.service], number_of[c.logger], name, document)
                    for seq, (name, document, c) in enumerate(rows, first)
                ],
            )
            self._ids.add([row[0] for row in rows], first)
            database.executemany(_INSERT_TEXT, [(seq, *row[2].text) for seq, row in enumerate(rows, first)])
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        self._next += len(rows)
        self._count += len(rows)

    def _numbers(self, rows: list[tuple[str, bytes, Columns]]) -> dict[str | None, int]:
        """The number of every level, service and logger of these rows, and perhaps more; new ones are added to the partition."""
        if len(self._terms) > _MAX_TERMS:
            self._terms = {None: 0}
        numbers = self._terms
        for _, _, c in rows:
            for text in (c.level, c.service, c.logger):
                if text not in numbers:
                    self._database.execute("INSERT OR IGNORE INTO terms (text) VALUES (?)", (text,))
                    found = self._database.execute("SELECT number FROM terms WHERE text = ?", (text,)).fetchone()
                    numbers[text] = found[0]
        return numbers


class _Sealed:
    """A partition that is only asked whether it has an id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_for_reading(path)
        try:
            self._connection.execute("PRAGMA cache_size = -256")
            self.last_seq = 0
            found = version(self._connection, path)
            self.ids = Ids(self._connection, found)
            self._begun = found > 0
            if self._begun:
                first, last = self._connection.execute(
                    "SELECT (SELECT value FROM meta WHERE name = 'first_seq'), (SELECT max(seq) FROM documents)"
                ).fetchone()
                self.last_seq = first - 1 if last is None else last
        except BaseException:
            self._connection.close()
            raise

    def seen(self) -> bytes:
        """The filter of its ids, as it was kept or, if the partition was not sealed in order, made from them."""
        if not self._begun:
            return seen.build(())
        found = self._connection.execute("SELECT value FROM meta WHERE name = 'seen'").fetchone()
        if found and len(found[0]) == seen.BYTES:
            return bytes(found[0])
        return seen.build(self.ids)

    def close(self) -> None:
        self._connection.close()
