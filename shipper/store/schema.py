"""What the store keeps on disk, and how its files are opened.

A store is a folder of **partitions**, ``000001.db``, ``000002.db`` …, each a SQLite database of its own. The highest number is
written to; the others are sealed and never change again, so that retention can drop whole files. ``lock`` is held by the
one process that writes.

A partition holds:

- ``documents``: one row per document. ``seq`` counts up over the whole store in order of arrival; ``timestamp`` is
  milliseconds since 1970 UTC; ``level``, ``service`` and ``logger`` are numbers of ``terms``, 0 where the document has none;
  ``source`` is the document's JSON, byte for byte as it came.
- ``terms``: the distinct levels, services and loggers. Few, so a condition on them is decided there, once, and counts by level
  and time never leave the index ``by_time``.
- ``ids`` and ``new_ids``: the ``seq`` of each id (``store/ids.py``).
- ``text``: the full-text index (FTS5, contentless), ``rowid`` = ``seq``.
- ``meta``: ``first_seq`` and, once sealed, ``seen`` (``store/seen.py``).

Words are what Unicode calls letters and digits, everything between them separates (``unicode61``), case is ignored, diacritics
count. So ``br.com.ContaServiceLog`` is the words *br com contaservicelog*: ``ContaServiceLog``, ``com.ContaServiceLog`` and
``Conta*`` find it, ``ContaService`` alone does not (a word is found whole or by its prefix). Elasticsearch's standard analysis
keeps ``a.b`` and ``a_b`` in one piece and finds neither ``ContaServiceLog`` nor ``ContaService`` in it; whatever it does find as
a word is found here too. Unlike it, a run of Chinese or Japanese characters is one word here.

Invariants: a batch is one transaction, synced before it is acknowledged (WAL, ``synchronous=FULL``); an id is in the store once,
over all partitions; a partition without its schema was never written to.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import quote

from shipper.errors import StateError
from shipper.store import ids

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION = 0x456C6B53
"""``application_id`` of a partition: "ElkS"."""
VERSION = 2
"""``user_version`` of a partition. Version 1 had an index of ``documents`` instead of ``ids``: it is read, and not added to."""

TEXT_COLUMNS = ("message", "logger", "trace", "error_type", "error_message", "stack_trace")

_SCHEMA = f"""
CREATE TABLE documents (
  seq INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, level INTEGER NOT NULL, service INTEGER NOT NULL,
  logger INTEGER NOT NULL, id TEXT NOT NULL, source TEXT NOT NULL);
{ids.SCHEMA}CREATE INDEX by_time ON documents (timestamp, level, service, logger);
CREATE TABLE terms (number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE VIRTUAL TABLE text USING fts5({", ".join(TEXT_COLUMNS)},
  content='', columnsize=0, tokenize='unicode61 remove_diacritics 0');
INSERT INTO text (text, rank) VALUES ('automerge', 16);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""  # noqa: S608 - constants of this module

_WRITER_CACHE_KIB = 4096
_READER_CACHE_KIB = 16384
_CHECKPOINT_PAGES = 4096
"""16 MiB: what many batches change is copied from the WAL once. SQLite's own 1,000 pages are little more than a batch."""
_BUSY_SECONDS = 5.0


def open_for_writing(path: Path, *, first_seq: int) -> sqlite3.Connection:
    """A connection to the partition at ``path``, which is made if need be; its numbers begin at ``first_seq`` then.

    Raises ``sqlite3.Error``, and ``StateError`` if the file is something else or newer than this program.
    """
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA secure_delete = OFF")
        if not version(connection, path):
            connection.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} INSERT INTO meta VALUES ('first_seq', {first_seq:d}); COMMIT;"  # noqa: S608 - a number
            )
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A read-only connection to the partition at ``path``; it sees what is committed, also while another process writes.

    Raises ``sqlite3.Error``, and ``StateError`` as above.
    """
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        return _reader(uri, path)
    except sqlite3.OperationalError:
        # Reading a WAL database makes its -shm file, which a reader without write permission cannot. Without a -wal
        # file nobody is writing, and everything is in the file itself.
        if not path.exists() or path.with_name(f"{path.name}-wal").exists():
            raise
        return _reader(f"{uri}&immutable=1", path)


def _reader(uri: str, path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the partition's schema, 1 … ``VERSION``; 0 for an empty file (made, and not yet written to).

    Raises ``StateError`` if it is another program's database, or a newer version's.
    """
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == APPLICATION and 1 <= found <= VERSION:
        return found
    if application == APPLICATION and found > VERSION:
        raise StateError(
            f"{path}: written by a newer shipper (store version {found}, this one knows {VERSION}); upgrade shipper"
        )
    if application == 0 and not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        return 0
    raise StateError(f"{path}: a database, but not of shipper's store; move it out of the store's folder")
