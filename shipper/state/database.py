"""The agent's own database: one SQLite file, WAL, ``synchronous=FULL``. A commit that returned is on the disk.

Tables: ``files`` and ``cuts`` and ``salts`` (``registry.py``), ``rejects`` (``rejects.py``).
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from shipper.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

VERSION = 1

_SCHEMA = """
CREATE TABLE files (
    file          INTEGER PRIMARY KEY AUTOINCREMENT,
    output        TEXT NOT NULL,      -- acknowledged by whom: another output has its own offsets
    key           BLOB NOT NULL,      -- hash of the first line, see files/identity.py
    salt          INTEGER NOT NULL,   -- tells files with the same key apart
    path          TEXT NOT NULL,      -- where it was last seen
    device        INTEGER NOT NULL,
    inode         INTEGER NOT NULL,
    prefix_length INTEGER NOT NULL,   -- the fingerprint as of the offset
    prefix        BLOB NOT NULL,
    offset        INTEGER NOT NULL,   -- the end of the highest contiguous run of settled events
    tail          BLOB NOT NULL
) STRICT;
CREATE TABLE cuts (                   -- event boundaries that time or the end of a one-shot run decided
    file          INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    offset        INTEGER NOT NULL,
    PRIMARY KEY (file, offset)
) STRICT, WITHOUT ROWID;
CREATE TABLE salts (                  -- the next salt of a key; outlives the files, for ids must never be used again
    output        TEXT NOT NULL,
    key           BLOB NOT NULL,
    next          INTEGER NOT NULL,
    PRIMARY KEY (output, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE rejects (
    sequence      INTEGER PRIMARY KEY,
    at            TEXT NOT NULL,      -- UTC, ISO 8601
    output        TEXT NOT NULL,
    status        INTEGER NOT NULL,
    reason        TEXT NOT NULL,
    id            TEXT NOT NULL,
    document      BLOB NOT NULL,
    UNIQUE (output, id)
) STRICT;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, and make it where there is none. One connection belongs to one thread.

    Raises ``StateError``.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-512")
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"{path}: {explain(error)}") from error
    if version > VERSION:
        raise StateError(
            f"{path}: written by a newer shipper (version {version} of its format, this one knows {VERSION})"
        )
    return connection


class Transaction:
    """``with Transaction(connection, path):`` all of it, durably, or nothing. Raises ``StateError``."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def __enter__(self) -> None:
        self._run("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._run("COMMIT")
        elif self._connection.in_transaction:
            self._connection.rollback()

    def _run(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise StateError(f"{self._path}: {explain(error)}") from error


def explain(error: Exception) -> str:
    """What a database's error means for a person, and what to do."""
    text = str(error).lower()
    if isinstance(error, PermissionError) or "readonly" in text or "unable to open" in text:
        return f"cannot be written ({error}); give this user the right to, or choose another path.data"
    if "full" in text or "no space" in text:
        return "the disk is full; make room, the agent goes on where it stopped"
    if "not a database" in text or "malformed" in text:
        return (
            f"is damaged ({error}); move it away to begin with an empty one (ids keep what was delivered from doubling)"
        )
    return str(error)
