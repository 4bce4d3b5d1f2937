"""How far each file is acknowledged, durably.

Invariant 1: an offset in here is only ever the end of the highest contiguous run of settled events of its file.
Invariant 2: a ``commit`` that returned is on the disk. Outputs come first, the registry after them.
What the spool has acknowledged, and not the output, is in ``files`` too; ``owed`` keeps what was there before, for the day on
which the spool turns out to be damaged.
Invariant 5: a cut that time decided is in here before its event is sent.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from shipper.errors import StateError
from shipper.state import database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_Name = TypeVar("_Name")
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(slots=True)
class Entry:
    """A file as the registry knows it. ``prefix…tail`` are its fingerprint, see ``files/identity.py``."""

    file: int
    key: bytes
    salt: int
    path: str
    """As ``os`` has it: what is no UTF-8 in it is kept. ``discovery.shown`` is for documents and messages."""
    device: int
    inode: int
    prefix_length: int
    prefix: bytes
    offset: int
    tail: bytes
    born: int = 0
    """The inode's birth in nanoseconds since 1970; 0 where it is not known."""
    size: int = -1
    """What the file had on the disk (of an archive: packed) when it was read and acknowledged to its end; else -1."""
    modified: int = 0
    """When it had last been written then, in nanoseconds since 1970."""
    seen: int = 0
    """When a scan last found it, in seconds since 1970."""
    owner: object = None
    """Whoever has a harvester of it open or on its way; not kept."""

    @property
    def open(self) -> bool:
        """Whether anyone has."""
        return self.owner is not None


class Copy(NamedTuple):
    """A file that holds the beginning of another's content, as it was when that was found out."""

    size: int
    """On the disk; of an archive: packed."""
    modified: int
    born: int
    file: int
    """The entry of the original."""
    prefix_length: int
    prefix: bytes
    offset: int
    """How much of the original's content it has. With the others, its fingerprint."""
    tail: bytes


class Join(NamedTuple):
    """An event that begins in a file and ends in the one that took its name: its second span."""

    offset: int
    """Where the first file ends."""
    next: int
    """The other file's number."""
    until: int
    """Where the event ends in it; it begins at 0 there."""


class Registry:
    """The entries, in memory and in the database. Used by the agent's main thread only."""

    def __init__(self, path: Path, output: str) -> None:
        """``output`` says in few words whose acknowledgements these are; a file that went to one output is new to another.

        Raises ``StateError`` where the database cannot be used.
        """
        self.path = path
        self._output = output
        self._connection = database.connect(path)
        rows = self._query(f"SELECT {', '.join(COLUMNS)} FROM files WHERE output = ? ORDER BY file", output)
        self._entries: dict[int, Entry] = {}
        self._places: dict[tuple[int, int], dict[int, Entry]] = {}
        self._keys: dict[bytes, dict[int, Entry]] = {}
        self._nested = False
        self.spooled = ""
        """The spool that may be the only one to have what offsets are of: to be said before these are committed."""
        self.owed: dict[str, set[int]] = {}
        """Spool → the files of which that is so."""
        for file, spool in self._query("SELECT file, spool FROM owed JOIN files USING (file) WHERE output = ?", output):
            self.owed.setdefault(spool, set()).add(file)
        for row in rows:
            self._index(Entry(*row))
        self._copies: dict[tuple[int, int], Copy] = {}
        self._copied: dict[int, dict[tuple[int, int], Copy]] = {}
        for row in self._query("SELECT * FROM copies WHERE output = ?", output):
            if row[-1] == database.seal(row[:-1]):
                self._index_copy(row[:2], Copy(*row[3:-1]))

    def entries(self) -> list[Entry]:
        """All that are known, oldest first."""
        return list(self._entries.values())

    def entry(self, file: int) -> Entry | None:
        """The entry with this number."""
        return self._entries.get(file)

    def at(self, device: int, inode: int) -> list[Entry]:
        """Those whose file was last seen under this inode, oldest first."""
        return list(self._places.get((device, inode), {}).values())

    def like(self, key: bytes) -> list[Entry]:
        """Those whose file begins with the same line, oldest first."""
        return list(self._keys.get(key, {}).values())

    def move(self, entry: Entry, path: str, device: int, inode: int, born: int = 0) -> None:
        """The file of an entry is elsewhere now; durable with the next ``commit``."""
        self._unindex(entry)
        entry.path, entry.device, entry.inode, entry.born = path, device, inode, born
        self._index(entry)

    def rename(self, entry: Entry, path: str) -> None:
        """The file of an entry has another name now; durable with the next ``commit``."""
        entry.path = path

    def copy(self, device: int, inode: int) -> Copy | None:
        """What is known of the file under this inode as a copy of another."""
        return self._copies.get((device, inode))

    def copies(self, entry: Entry) -> list[Copy]:
        """What is known of the copies of an entry's file."""
        return list(self._copied.get(entry.file, {}).values())

    def keep_copy(self, device: int, inode: int, copy: Copy) -> None:
        """Make it durable that this file is a copy."""
        with self._transaction():
            self._keep("copies", device, inode, self._output, *copy)
        self._index_copy((device, inode), copy)

    def settle_copy(self, key: bytes, path: str, device: int, inode: int, copy: Copy) -> None:
        """A copy is a file of its own from now on, all of which is acknowledged."""
        length, prefix, offset, tail = copy[4:]
        entry = Entry(0, key, 0, path, device, inode, length, prefix, offset, tail, copy.born, copy.size, copy.modified)
        self._register(entry)

    def undelivered(self) -> frozenset[int]:
        """The files of which the output is not known to have all that is acknowledged."""
        return frozenset().union(*self.owed.values())

    def delivered(self, spool: str) -> None:
        """The output has all that this spool had acknowledged."""
        files = self.owed.get(spool, set())
        others = frozenset().union(*(owing for name, owing in self.owed.items() if name != spool))
        with self._transaction():
            for file in files:
                self._query("DELETE FROM owed WHERE file = ? AND spool = ?", file, spool)
                if file not in others:
                    self._pass(self._entries[file])
        self.owed.pop(spool, None)

    def rewind(self, spool: str) -> list[Entry]:
        """Go back to what the output has of the files that this spool had more of; which they are. All of them, or none."""
        entries = [self._entries[file] for file in sorted(self.owed[spool])]
        owed = dict(self.owed)
        before = [(entry.offset, entry.tail, entry.size, entry.modified) for entry in entries]
        query = "SELECT offset, tail FROM owed WHERE file = ? AND spool = ?"
        try:
            with self.together():
                for entry in entries:
                    [(offset, tail)] = self._query(query, entry.file, spool)
                    if offset < entry.offset:
                        # Its prefix holds as it is.
                        entry.offset, entry.tail, entry.size, entry.modified = offset, tail, -1, 0
                self.commit(entries)
                self.delivered(spool)
        except StateError:
            self.owed = owed
            for entry, (offset, tail, size, modified) in zip(entries, before, strict=True):
                entry.offset, entry.tail, entry.size, entry.modified = offset, tail, size, modified
            raise
        return entries

    def _index(self, entry: Entry) -> None:
        self._entries[entry.file] = entry
        self._places.setdefault((entry.device, entry.inode), {})[entry.file] = entry
        self._keys.setdefault(entry.key, {})[entry.file] = entry

    def _unindex(self, entry: Entry) -> None:
        _remove(self._places, (entry.device, entry.inode), entry.file)
        _remove(self._keys, entry.key, entry.file)

    def _index_copy(self, place: tuple[int, int], copy: Copy) -> None:
        if (before := self._copies.get(place)) is not None:
            _remove(self._copied, before.file, place)
        self._copies[place] = copy
        self._copied.setdefault(copy.file, {})[place] = copy

    def _drop(self, file: int) -> None:
        """From memory, with its copies, as the database does."""
        if (entry := self._entries.pop(file, None)) is not None:
            self._unindex(entry)
        for files in self.owed.values():
            files.discard(file)
        for place in self._copied.pop(file, {}):
            del self._copies[place]

    def register(
        self,
        *,
        key: bytes,
        path: str,
        device: int,
        inode: int,
        prefix_length: int = 0,
        prefix: bytes = b"",
        born: int = 0,
    ) -> Entry:
        """A file that was not known: its salt is one that no other file with this key ever had.

        ``prefix`` is the digest of its first ``prefix_length`` bytes.
        """
        return self._register(Entry(0, key, 0, path, device, inode, prefix_length, prefix, 0, b"", born))

    def _register(self, entry: Entry) -> Entry:
        with self._transaction():
            known = self._query("SELECT next FROM salts WHERE output = ? AND key = ?", self._output, entry.key)
            entry.salt = known[0][0] if known else 0
            self._keep("salts", self._output, entry.key, entry.salt + 1)
            entry.seen = int(time.time())
            marks = ", ".join(_MARKS)
            entry.file = self._query(
                f"INSERT INTO files (output, {', '.join(COLUMNS[1:])}, seal) VALUES (?, {marks}, ?) RETURNING file",
                self._output,
                *self._sealed(entry),
            )[0][0]
        self._index(entry)
        return entry

    def _sealed(self, entry: Entry) -> list[object]:
        """The values of an entry's row, with their seal."""
        values = [getattr(entry, column) for column in COLUMNS[1:]]
        seal = database.seal((self._output, *values))
        values[COLUMNS.index("path") - 1] = database.encoded(entry.path)
        return [*values, seal]

    def commit(self, entries: Iterable[Entry]) -> None:
        """Make the given entries durable as they are now, and forget the cuts that they have passed."""
        assignments = ", ".join(f"{column} = {mark}" for column, mark in zip(COLUMNS[1:], _MARKS, strict=True))
        owing = self.owed.get(self.spooled, set())
        others = self.undelivered() - owing
        new: set[int] = set()
        with self._transaction():
            for entry in entries:
                if self.spooled and entry.file not in owing and self._keep_owed(entry):
                    new.add(entry.file)
                self._query(
                    f"UPDATE files SET {assignments}, seal = ? WHERE file = ?", *self._sealed(entry), entry.file
                )
                if entry.file not in owing and entry.file not in new and entry.file not in others:
                    self._pass(entry)
        if new:
            self.owed.setdefault(self.spooled, set()).update(new)

    def _keep_owed(self, entry: Entry) -> bool:
        """What the output has of a file, before the database has more; whether it moves on at all."""
        [row] = self._query("SELECT prefix_length, prefix, offset, tail FROM files WHERE file = ?", entry.file)
        if entry.offset <= row[2]:
            return False
        self._keep("owed", entry.file, self.spooled, *row)
        return True

    def _pass(self, entry: Entry) -> None:
        """The cuts up to its offset are not needed any more."""
        self._query("DELETE FROM cuts WHERE file = ? AND offset <= ?", entry.file, entry.offset)
        self._query("DELETE FROM joins WHERE file = ? AND offset <= ?", entry.file, entry.offset)

    def cut(self, entry: Entry, offset: int) -> None:
        """Make it durable that an event ends at ``offset``."""
        with self._transaction():
            self._keep("cuts", entry.file, offset)

    def cuts(self, entry: Entry) -> list[int]:
        """The cuts beyond the acknowledged offset, ascending."""
        rows = self._query("SELECT offset FROM cuts WHERE file = ? AND offset > ? ORDER BY 1", entry.file, entry.offset)
        return [row[0] for row in rows]

    def join(self, entry: Entry, offset: int, following: Entry, until: int) -> None:
        """Make it durable that the event at the end of a file, ``offset``, goes on in the ``following`` one, ``until`` there."""
        with self._transaction():
            self._keep("cuts", entry.file, offset)
            self._keep("cuts", following.file, until)
            self._keep("joins", entry.file, offset, following.file, until)

    def joined(self, entry: Entry) -> Join | None:
        """The event that goes on in another file, where there is one beyond the acknowledged offset."""
        rows = self._query(
            "SELECT offset, next, until FROM joins WHERE file = ? AND offset > ?", entry.file, entry.offset
        )
        return Join(*rows[0]) if rows else None

    def joints(self) -> dict[int, Entry]:
        """By the number of the file that goes on with it: the entries with such an event beyond their acknowledged offsets."""
        rows = self._query("SELECT file, offset, next FROM joins")
        return {to: entry for file, offset, to in rows if (entry := self._entries.get(file)) and offset > entry.offset}

    def forget(self, entry: Entry) -> None:
        """Remove a file that is gone. Its salt stays used."""
        self.forget_all((entry,))

    def forget_all(self, entries: Iterable[Entry]) -> None:
        """Remove files that are gone, all or none of them."""
        entries = list(entries)
        with self._transaction():
            for entry in entries:
                self._query("DELETE FROM files WHERE file = ?", entry.file)
        for entry in entries:
            self._drop(entry.file)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is registered within is made durable in one go, at the end; of a failure nothing is left, in memory either."""
        known = set(self._entries)
        try:
            with database.Transaction(self._connection, self.path):
                self._nested = True
                yield
        except BaseException:
            for file in self._entries.keys() - known:
                self._drop(file)
            raise
        finally:
            self._nested = False

    def note(self, lags: Mapping[int, tuple[int, int, int]]) -> None:
        """For ``shipper files``: (since, read, size) of each file that is not acknowledged to its end, all others are."""
        with self._transaction():
            self._query("DELETE FROM lags")
            for file, lag in lags.items():
                self._query("INSERT INTO lags SELECT file, ?, ?, ? FROM files WHERE file = ?", *lag, file)

    def trouble(self) -> str:
        """Why the database cannot be written, whatever of it was to be; empty when all is well."""
        return self._connection.trouble()

    def displaced(self) -> str:
        """Why a later start does not find what is written; empty when all is well."""
        return self._connection.displaced()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: {database.explain(error)}") from error

    def _keep(self, table: str, *values: object) -> None:
        """A row, sealed, in place of one with the same primary key."""
        marks = ", ".join("?" * (len(values) + 1))
        self._query(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", *values, database.seal(values))

    def _transaction(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._nested else database.Transaction(self._connection, self.path)


def _remove(index: dict[_Name, dict[_Key, _Value]], name: _Name, key: _Key) -> None:
    found = index.get(name, {})
    found.pop(key, None)
    if not found:
        index.pop(name, None)


COLUMNS = ("file", "key", "salt", "path", "device", "inode", "prefix_length", "prefix", "offset", "tail",
            "born", "size", "modified", "seen")  # fmt: skip
_MARKS = ["CAST(? AS TEXT)" if column == "path" else "?" for column in COLUMNS[1:]]
"""A text is given as its bytes where it need be no UTF-8."""
