"""The agent's database, read beside a running agent: no lock is taken, nothing is written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from shipper.errors import StateError
from shipper.state import database
from shipper.state.registry import Entry

if TYPE_CHECKING:
    from pathlib import Path


class Lag(NamedTuple):
    """What the agent last noted of a file that is not acknowledged to its end."""

    since: int
    """Seconds since 1970: at least so long its oldest byte has waited."""
    read: int
    size: int


class Known(NamedTuple):
    """A file of the registry."""

    output: str
    """The target whose acknowledgements these are."""
    entry: Entry
    lag: Lag | None
    owed: bool = False
    """Whether the offset is of what the spool has acknowledged, and the output was not known to have."""


def known_files(path: Path) -> list[Known]:
    """All of the database ``path``, oldest first; none where there is no database yet.

    Raises ``StateError``.
    """
    if not path.exists():
        return []
    log = path.with_name(f"{path.name}-wal")
    try:
        # Without its write-ahead log nobody has it open: it can be read as it is, and no file is made beside it.
        if not log.exists():
            found = _read(path, "immutable=1")
            if not log.exists():
                return found
        return _read(path, "mode=ro")
    except sqlite3.Error as error:
        raise StateError(f"{path}: cannot be read ({error})") from error


def rejects_kept(path: Path) -> tuple[int, int]:
    """How many rejected documents the database ``path`` holds, and how many bytes they take.

    Raises ``StateError``.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            row = connection.execute("SELECT count(*), sum(length(document) + length(reason)) FROM rejects").fetchone()
    except sqlite3.Error as error:
        raise StateError(f"{path}: cannot be read ({error})") from error
    return row[0], row[1] or 0


def _read(path: Path, how: str) -> list[Known]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=10)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > database.VERSION:
            raise StateError(f"{path}: written by a newer shipper (version {version} of its format)")
        connection.row_factory = sqlite3.Row
        connection.text_factory = database.text
        connection.execute("BEGIN")  # all of it as of one moment
        rows = connection.execute("SELECT * FROM files ORDER BY file").fetchall()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        lags = {row["file"]: row for row in connection.execute("SELECT * FROM lags")} if "lags" in tables else {}
        owed = {file for (file,) in connection.execute("SELECT file FROM owed")} if "owed" in tables else set()
    found = []
    for row in rows:
        there = set(row.keys())
        entry = Entry(**{name: row[name] for name in Entry.__slots__ if name in there})
        lag = lags.get(entry.file)
        noted = Lag(lag["since"], lag["read"], lag["size"]) if lag else None
        found.append(Known(row["output"], entry, noted, entry.file in owed))
    return found
