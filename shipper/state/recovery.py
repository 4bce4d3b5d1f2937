"""A damaged ``state.db`` is set aside, and the agent begins with an empty one.

Nothing is lost by that: the files are read again from their start, and the ids of their events keep the store and
Elasticsearch from having them twice (an output without ids gets them twice). To stop instead would leave a host without logs
until somebody comes. What is nowhere else, the rejects, is taken over as far as it can be read.

A kill at any moment loses nothing of that, for the next start goes on with it:

1. the new database is made as ``state.db.new``, with the rejects. Until it is whole and on the disk, the damaged one stays where
   it is, so the next start finds it damaged again, and begins anew;
2. it is renamed to ``state.db.whole-<time>``. From here on the next start finds that, and goes on with 3;
3. the damaged one, its write-ahead log first, is renamed to ``state.db.corrupt-<time>``, of the same time;
4. the new one gets the name ``state.db``. It has no log, and must not find another's under its name.

Found at the start, before anything is believed:

- what SQLite's own check finds: it knows structure, not values;
- a row whose seal does not fit: a flipped bit in an offset, a key or a salt is a valid value. The offset of a file would be
  caught by the fingerprint, but the file would then get another salt, and all its events other ids. (``copies`` are looked at
  by the registry: without one, no more is lost than a shortcut);
- a salt that is given already, a reference to a file that is not there.

A write-ahead log needs none of this: its frames have checksums, and behind a damaged one it ends, which is an older state.

A database of a newer version is not damaged. It is refused, and stays as it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shipper import faults
from shipper.errors import StateError
from shipper.state import database
from shipper.state.registry import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_WHOLE = "whole-"
_FILES = ("-wal", "-shm", "")
"""Behind a database's name; itself last."""
_PLAUSIBLE_VERSION = 1000
_NOT_DAMAGE = {3, 5, 6, 8, 10, 13, 14, 23}
"""PERM, BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN, AUTH: the disk's fault or the rights', not the content's."""

_SEALED = {
    "files": f"output, {', '.join(COLUMNS[1:])}",
    "cuts": "file, offset",
    "joins": "file, offset, next, until",
    "salts": "output, key, next",
    "owed": "file, spool, prefix_length, prefix, offset, tail",
}
"""The columns that a seal is of."""


def recover(path: Path) -> Path | None:
    """Look at the database, if there is one; where it was moved to, if it is damaged.

    For the one who has the lock of the folder. Raises ``StateError`` when it can be neither used nor moved.
    """
    whole = next(path.parent.glob(f"{path.name}.{_WHOLE}*"), None)
    problem = "found at the last start, which was cut off"
    if whole is None:
        if not path.exists() or (found := _problem(path)) is None:
            return None
        problem = found
    try:
        aside = _replace(path, whole or _rescue(path))
    except OSError as error:
        raise StateError(
            f"{path}: damaged ({problem}), and cannot be moved aside: {faults.explain_system(error)}"
        ) from error
    log.error(
        "%s was damaged (%s) and is now %s. The files are read again from their start; the ids of their events keep the"
        " store and Elasticsearch from having them twice",
        path,
        problem,
        aside.name,
    )
    return aside


def _rescue(path: Path) -> Path:
    """A database with the rejects of the damaged one and nothing else, on the disk. Raises ``OSError`` and ``StateError``."""
    new = path.with_name(f"{path.name}.new")
    for suffix in _FILES:
        new.with_name(new.name + suffix).unlink(missing_ok=True)
    with contextlib.closing(database.connect(new)) as connection:
        try:
            connection.execute("PRAGMA synchronous=OFF")  # it counts when it is whole, and is made durable then
            for row in _rejects(path):
                connection.execute("INSERT OR IGNORE INTO rejects VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            (taken,) = connection.execute("SELECT count(*) FROM rejects").fetchone()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StateError(f"{new}: {database.explain(error)}") from error
    _sync(new)
    whole = path.with_name(f"{path.name}.{_WHOLE}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    new.rename(whole)
    _sync(path.parent)
    if taken:
        log.warning("%s: %d rejected documents are taken over from the damaged one", path, taken)
    return whole


def _rejects(path: Path) -> Iterator[tuple[object, ...]]:
    """The rows of a damaged database that can be read, from both ends up to the damage; some of them twice."""
    for order in ("", "DESC"):
        with (
            contextlib.suppress(sqlite3.Error, UnicodeDecodeError),
            contextlib.closing(sqlite3.connect(path)) as damaged,
        ):
            for row in damaged.execute(
                f"SELECT sequence, at, output, status, reason, id, document FROM rejects ORDER BY sequence {order}"  # noqa: S608 - constants
            ):
                if tuple(map(type, row)) == (int, str, str, int, str, str, bytes):
                    yield row
            return


def _replace(path: Path, whole: Path) -> Path:
    """Set the damaged database aside, and put the new one in its place. Raises ``OSError``."""
    aside = path.with_name(whole.name.replace(_WHOLE, "corrupt-", 1))
    done = aside.exists()
    for suffix in _FILES:
        each = path.with_name(path.name + suffix)
        with contextlib.suppress(FileNotFoundError):
            if done:  # before a kill; since then a command, which has no lock, has made an empty one
                each.unlink()
            else:
                each.rename(aside.with_name(aside.name + suffix))
    _sync(path.parent)
    whole.rename(path)
    _sync(path.parent)
    return aside


def _problem(path: Path) -> str | None:
    """What is wrong with what it holds. Raises ``StateError`` for what is wrong with its disk, or for a newer version."""
    try:
        connection = database.connect(path)
    except StateError as error:
        cause = error.__cause__
        if isinstance(cause, UnicodeDecodeError) or (
            isinstance(cause, sqlite3.Error) and faults.code_of(cause) not in _NOT_DAMAGE
        ):
            return _line(cause)
        if cause is None and _version(path) > _PLAUSIBLE_VERSION:
            return "its version makes no sense"
        raise
    try:
        return next(_problems(connection), None)
    except sqlite3.Error as error:
        if faults.code_of(error) in _NOT_DAMAGE:
            raise StateError(f"{path}: {database.explain(error)}") from error
        return _line(error)
    except UnicodeDecodeError as error:
        return _line(error)
    finally:
        connection.close()


def _problems(connection: sqlite3.Connection) -> Iterator[str]:
    for (found,) in connection.execute("PRAGMA integrity_check(1)"):
        if found != "ok":
            yield _line(found)
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        yield "a cut of a file that is not there"
    for table, columns in _SEALED.items():
        for *values, seal in connection.execute(f"SELECT {columns}, seal FROM {table}"):  # noqa: S608 - constants
            if seal is not None and seal != database.seal(values):
                yield f"a row of {table} does not fit its checksum"
    if connection.execute(
        "SELECT 1 FROM files LEFT JOIN salts USING (output, key) WHERE next IS NULL OR salt >= next LIMIT 1"
    ).fetchone():
        yield "a salt that is given is not known as such"
    if connection.execute("SELECT 1 FROM cuts WHERE offset <= 0 LIMIT 1").fetchone():
        yield "a cut that cannot be"


def _line(found: object) -> str:
    return " ".join(str(found).split())[:100]


def _version(path: Path) -> int:
    """As the header of the file says; 0 when it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(60)
            return int.from_bytes(file.read(4), "big")
    except OSError:
        return 0


def _sync(path: Path) -> None:
    """Make a file durable, or the names in a folder. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
