"""How far each file is acknowledged, durably.

Invariant 1: an offset in here is only ever the end of the highest contiguous run of settled events of its file.
Invariant 2: a ``commit`` that returned is on the disk. Outputs come first, the registry after them.
Invariant 5: a cut that time decided is in here before its event is sent.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shipper.errors import StateError
from shipper.state import database

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(slots=True)
class Entry:
    """A file as the registry knows it. ``prefix…tail`` are its fingerprint, see ``files/identity.py``."""

    file: int
    key: bytes
    salt: int
    path: str
    device: int
    inode: int
    prefix_length: int
    prefix: bytes
    offset: int
    tail: bytes
    open: bool = False
    """Whether a harvester has it; not kept."""


class Registry:
    """The entries, in memory and in the database. Used by the agent's main thread only."""

    def __init__(self, path: Path, output: str) -> None:
        """``output`` says in few words whose acknowledgements these are; a file that went to one output is new to another.

        Raises ``StateError`` where the database cannot be used.
        """
        self.path = path
        self._output = output
        self._connection = database.connect(path)
        rows = self._query(f"SELECT {', '.join(_COLUMNS)} FROM files WHERE output = ? ORDER BY file", output)
        self._entries = {row[0]: Entry(*row) for row in rows}

    def entries(self) -> list[Entry]:
        """All that are known, oldest first."""
        return list(self._entries.values())

    def register(
        self, *, key: bytes, path: str, device: int, inode: int, prefix_length: int = 0, prefix: bytes = b""
    ) -> Entry:
        """A file that was not known: its salt is one that no other file with this key ever had.

        ``prefix`` is the digest of its first ``prefix_length`` bytes.
        """
        with self._transaction():
            salt = self._query(
                "INSERT INTO salts VALUES (?, ?, 1) ON CONFLICT (output, key) DO UPDATE SET next = next + 1 RETURNING next - 1",
                self._output,
                key,
            )[0][0]
            entry = Entry(0, key, salt, path, device, inode, prefix_length, prefix, 0, b"")
            values = [getattr(entry, column) for column in _COLUMNS[1:]]
            marks = ", ".join("?" * len(values))
            entry.file = self._query(
                f"INSERT INTO files (output, {', '.join(_COLUMNS[1:])}) VALUES (?, {marks}) RETURNING file",
                self._output,
                *values,
            )[0][0]
        self._entries[entry.file] = entry
        return entry

    def commit(self, entries: Iterable[Entry]) -> None:
        """Make the given entries durable as they are now, and forget the cuts that they have passed."""
        assignments = ", ".join(f"{column} = ?" for column in _COLUMNS[1:])
        with self._transaction():
            for entry in entries:
                values = [getattr(entry, column) for column in _COLUMNS[1:]]
                self._query(f"UPDATE files SET {assignments} WHERE file = ?", *values, entry.file)
                self._query("DELETE FROM cuts WHERE file = ? AND offset <= ?", entry.file, entry.offset)

    def cut(self, entry: Entry, offset: int) -> None:
        """Make it durable that an event ends at ``offset``."""
        with self._transaction():
            self._query("INSERT OR IGNORE INTO cuts VALUES (?, ?)", entry.file, offset)

    def cuts(self, entry: Entry) -> list[int]:
        """The cuts beyond the acknowledged offset, ascending."""
        rows = self._query("SELECT offset FROM cuts WHERE file = ? AND offset > ? ORDER BY 1", entry.file, entry.offset)
        return [row[0] for row in rows]

    def forget(self, entry: Entry) -> None:
        """Remove a file that is gone. Its salt stays used."""
        with self._transaction():
            self._query("DELETE FROM files WHERE file = ?", entry.file)
        self._entries.pop(entry.file, None)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: {database.explain(error)}") from error

    def _transaction(self) -> database.Transaction:
        return database.Transaction(self._connection, self.path)


_COLUMNS = ("file", "key", "salt", "path", "device", "inode", "prefix_length", "prefix", "offset", "tail")
