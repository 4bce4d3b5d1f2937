"""The agent's own database: one SQLite file, WAL, ``synchronous=FULL``. A commit that returned is on the disk.

Tables: ``files``, ``copies``, ``cuts``, ``joins``, ``salts``, ``owed`` and ``lags`` (``registry.py``), ``rejects`` (``rejects.py``). A database
of an older version is brought to the current one when it is opened, in one transaction: what it knows is kept.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import zlib
from typing import TYPE_CHECKING, Any

from shipper import faults
from shipper.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

VERSION = 5

_SCHEMA = """
CREATE TABLE files (
    file          INTEGER PRIMARY KEY AUTOINCREMENT,
    output        TEXT NOT NULL,      -- acknowledged by whom: another output has its own offsets
    key           BLOB NOT NULL,      -- hash of the first line, see files/identity.py
    salt          INTEGER NOT NULL,   -- tells files with the same key apart
    path          TEXT NOT NULL,      -- where it was last seen; its bytes as they are, though they be no UTF-8
    device        INTEGER NOT NULL,
    inode         INTEGER NOT NULL,
    prefix_length INTEGER NOT NULL,   -- the fingerprint as of the offset
    prefix        BLOB NOT NULL,
    offset        INTEGER NOT NULL,   -- the end of the highest contiguous run of settled events
    tail          BLOB NOT NULL,
    born          INTEGER NOT NULL DEFAULT 0,   -- the inode's birth, in nanoseconds since 1970; 0: not known
    size          INTEGER NOT NULL DEFAULT -1,  -- what the file had on the disk when it was read to its end; -1: it was not
    modified      INTEGER NOT NULL DEFAULT 0,   -- and when it had last been written then, in nanoseconds
    seen          INTEGER NOT NULL DEFAULT 0,   -- when a scan last found it, in seconds since 1970
    seal          INTEGER             -- checksum of all but the first column, see recovery.py; NULL: of an older version
) STRICT;
CREATE TABLE joins (                  -- events that begin in one file and end in the one that took its name
    file          INTEGER PRIMARY KEY REFERENCES files ON DELETE CASCADE,
    offset        INTEGER NOT NULL,   -- where the first file ends
    next          INTEGER NOT NULL REFERENCES files (file) ON DELETE CASCADE,
    until         INTEGER NOT NULL,   -- where the event ends in the next
    seal          INTEGER             -- checksum of the row, as in cuts and salts; NULL: of an older version
) STRICT;
CREATE TABLE cuts (                   -- event boundaries that time or the end of a one-shot run decided
    file          INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    offset        INTEGER NOT NULL,
    seal          INTEGER,
    PRIMARY KEY (file, offset)
) STRICT, WITHOUT ROWID;
CREATE TABLE salts (                  -- the next salt of a key; outlives the files, for ids must never be used again
    output        TEXT NOT NULL,
    key           BLOB NOT NULL,
    next          INTEGER NOT NULL,
    seal          INTEGER,
    PRIMARY KEY (output, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE lags (                   -- files with bytes that are not acknowledged, as of the agent's last note
    file          INTEGER PRIMARY KEY REFERENCES files ON DELETE CASCADE,
    since         INTEGER NOT NULL,   -- how long the oldest of them has been there, in seconds since 1970
    read          INTEGER NOT NULL,   -- the offset up to which it was read
    size          INTEGER NOT NULL
) STRICT;
CREATE TABLE owed (                   -- files whose offset the spool has acknowledged: what the output had of them before
    file          INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    spool         TEXT NOT NULL,      -- the name of the spool that has the rest
    prefix_length INTEGER NOT NULL,   -- the fingerprint as of that
    prefix        BLOB NOT NULL,
    offset        INTEGER NOT NULL,
    tail          BLOB NOT NULL,
    seal          INTEGER NOT NULL,
    PRIMARY KEY (file, spool)
) STRICT, WITHOUT ROWID;
CREATE TABLE copies (                 -- files that hold the beginning of another's content, which is read there
    device        INTEGER NOT NULL,
    inode         INTEGER NOT NULL,
    output        TEXT NOT NULL,
    size          INTEGER NOT NULL,   -- on the disk, when that was found out
    modified      INTEGER NOT NULL,
    born          INTEGER NOT NULL,
    file          INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,  -- the original
    prefix_length INTEGER NOT NULL,   -- the fingerprint of all its content
    prefix        BLOB NOT NULL,
    offset        INTEGER NOT NULL,
    tail          BLOB NOT NULL,
    seal          INTEGER NOT NULL,
    PRIMARY KEY (output, device, inode)
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

_MIGRATIONS = {
    1: """
ALTER TABLE files ADD COLUMN born INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN size INTEGER NOT NULL DEFAULT -1;
ALTER TABLE files ADD COLUMN modified INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN seal INTEGER;
CREATE TABLE joins (
    file          INTEGER PRIMARY KEY REFERENCES files ON DELETE CASCADE,
    offset        INTEGER NOT NULL,
    next          INTEGER NOT NULL REFERENCES files (file) ON DELETE CASCADE,
    until         INTEGER NOT NULL
) STRICT;
CREATE TABLE lags (
    file          INTEGER PRIMARY KEY REFERENCES files ON DELETE CASCADE,
    since         INTEGER NOT NULL,
    read          INTEGER NOT NULL,
    size          INTEGER NOT NULL
) STRICT;
""",
    2: """
CREATE TABLE copies (
    device        INTEGER NOT NULL,
    inode         INTEGER NOT NULL,
    output        TEXT NOT NULL,
    size          INTEGER NOT NULL,
    modified      INTEGER NOT NULL,
    born          INTEGER NOT NULL,
    file          INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    prefix_length INTEGER NOT NULL,
    prefix        BLOB NOT NULL,
    offset        INTEGER NOT NULL,
    tail          BLOB NOT NULL,
    seal          INTEGER NOT NULL,
    PRIMARY KEY (output, device, inode)
) STRICT, WITHOUT ROWID;
""",
    3: """
ALTER TABLE joins ADD COLUMN seal INTEGER;
ALTER TABLE cuts ADD COLUMN seal INTEGER;
ALTER TABLE salts ADD COLUMN seal INTEGER;
""",
    4: """
CREATE TABLE owed (
    file          INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    spool         TEXT NOT NULL,
    prefix_length INTEGER NOT NULL,
    prefix        BLOB NOT NULL,
    offset        INTEGER NOT NULL,
    tail          BLOB NOT NULL,
    seal          INTEGER NOT NULL,
    PRIMARY KEY (file, spool)
) STRICT, WITHOUT ROWID;
""",
}
"""From the version to the one after it."""

HELD = 30.0
"""Seconds for which a failed write counts: on a full disk one that needs no more room works, between others that do not."""
_PARTS = ("", "-wal")
"""Behind the database's name: where what is committed is."""


class Connection(sqlite3.Connection):
    """Knows whether what is written to the database is kept. ``Transaction`` tells it of what failed."""

    def __init__(self, path: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self._path = path
        self._trouble = ""
        self._failed = 0.0
        self._places: dict[Path, tuple[int, int]] = {}

    def settle(self) -> None:
        """It is open: these are its files."""
        for part in _PARTS:
            path = self._path.with_name(self._path.name + part)
            with contextlib.suppress(OSError):  # a file system on which SQLite cannot have a log, for one
                status = path.stat()
                self._places[path] = (status.st_dev, status.st_ino)

    def failed(self, trouble: str) -> None:
        """A write has failed, and why."""
        self._trouble, self._failed = trouble, time.monotonic()

    def trouble(self) -> str:
        """Why the database cannot be written; empty when none of the last writes has failed.

        Nobody may have anything to write any more: so that it has an end then too, something is written to find out.
        """
        if self._trouble and time.monotonic() - self._failed >= HELD and not self.in_transaction:
            try:
                self.execute(f"PRAGMA user_version={VERSION}")  # as it is: one page
            except sqlite3.Error as error:
                self.failed(f"{self._path}: {explain(error)}")
            else:
                self._trouble = ""
        return self._trouble

    def displaced(self) -> str:
        """What has happened where its names lead to other files now, or to none; empty while all is well."""
        if all(_is_at(path, place) for path, place in self._places.items()):
            return ""
        return (
            f"{self._path}, or its write-ahead log, was deleted, moved or replaced while it was in use: what is written"
            " to it is not found at the next start. Restart the agent: it goes on from what is there"
        )


def _is_at(path: Path, place: tuple[int, int]) -> bool:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # it cannot be told: a write that fails tells more
    return (status.st_dev, status.st_ino) == place


def text(data: bytes) -> str:
    """A text of the database: one that is a path need not be UTF-8."""
    return data.decode("utf-8", "surrogateescape")


def encoded(path: str) -> bytes:
    """What such a text is written as."""
    return path.encode("utf-8", "surrogateescape")


def connect(path: Path) -> Connection:
    """Open the database, and make it where there is none. One connection belongs to one thread.

    Raises ``StateError``.
    """
    with contextlib.ExitStack() as failed:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False, factory=Connection
            )
            failed.callback(connection.close)
            connection.text_factory = text
            version = _prepare(connection)
            connection.settle()
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:  # a damaged name in the schema need not be UTF-8
            raise StateError(f"{path}: {explain(error)}") from error
        if version > VERSION:
            raise StateError(
                f"{path}: written by a newer shipper (version {version} of its format, this one knows {VERSION})"
            )
        failed.pop_all()
    return connection


def _prepare(connection: sqlite3.Connection) -> int:
    """Its version; a database of an older one, or a new one, is brought to this one's."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA cache_size=-512")
    connection.execute("BEGIN IMMEDIATE")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version < 0:
        raise sqlite3.DatabaseError(f"malformed: version {version}")
    steps = [_SCHEMA] if version == 0 else [_MIGRATIONS[step] for step in range(version, VERSION)]
    for statement in ";\n".join(steps).split(";\n"):
        connection.execute(statement)
    if steps:
        connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")
    return version


class Transaction:
    """``with Transaction(connection, path):`` all of it, durably, or nothing. Raises ``StateError``."""

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def __enter__(self) -> None:
        self._roll_back()
        self._run("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._run("COMMIT")
        else:
            if isinstance(error, StateError):
                self._connection.failed(str(error))
            self._roll_back()

    def _run(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except sqlite3.Error as error:
            trouble = f"{self._path}: {explain(error)}"
            self._connection.failed(trouble)
            self._roll_back()
            raise StateError(trouble) from error

    def _roll_back(self) -> None:
        """Where the disk fails even in this, the next transaction begins with it."""
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.rollback()


def explain(error: Exception) -> str:
    """What a database's error means for a person, and what to do."""
    if isinstance(error, sqlite3.Error):
        return faults.explain(error, "the next start of the agent sets it aside, and begins with an empty one")
    return faults.explain_system(error) if isinstance(error, OSError) else f"is damaged ({error})"


def seal(values: Iterable[object]) -> int:
    """A checksum over the values of a row: SQLite has none of its own, and a flipped bit in an offset is an offset too."""
    return zlib.crc32(ascii(tuple(values)).encode())
