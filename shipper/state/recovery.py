"""A damaged ``state.db`` is set aside, and the agent begins with an empty one.

Nothing is lost by that: the files are read again from their start, and the ids of their events keep the store and
Elasticsearch from having them twice (an output without ids gets them twice). To stop instead would leave a host without logs
until somebody comes. What is nowhere else, the rejects, is taken over as far as it can be read.

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
from shipper.state.rejects import Rejects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_PLAUSIBLE_VERSION = 1000
_NOT_DAMAGE = {3, 5, 6, 8, 10, 13, 14, 23}
"""PERM, BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN, AUTH: the disk's fault or the rights', not the content's."""

_SEALED = {
    "files": f"output, {', '.join(COLUMNS[1:])}",
    "cuts": "file, offset",
    "joins": "file, offset, next, until",
    "salts": "output, key, next",
}
"""The columns that a seal is of."""


def recover(path: Path) -> Path | None:
    """Look at the database, if there is one; where it was moved to, if it is damaged.

    For the one who has the lock of the folder. Raises ``StateError`` when it can be neither used nor moved.
    """
    if not path.exists() or (problem := _problem(path)) is None:
        return None
    aside = path.with_name(f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    try:
        for suffix in ("-wal", "-shm", ""):  # the database last: before that, the next start finds it damaged again
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        _sync_folder(path.parent)
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
    _rescue_rejects(aside, path)
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


def _rescue_rejects(aside: Path, path: Path) -> None:
    found: dict[tuple[str, str], tuple[int, str, bytes]] = {}
    for order in ("", "DESC"):  # from both ends, up to the damage
        with (
            contextlib.suppress(sqlite3.Error, UnicodeDecodeError),
            contextlib.closing(sqlite3.connect(aside)) as damaged,
        ):
            rows = damaged.execute(
                f"SELECT output, id, status, reason, document FROM rejects ORDER BY sequence {order}"  # noqa: S608 - constants
            )
            for output, key, status, reason, document in rows:
                if isinstance(document, bytes) and isinstance(status, int):
                    found[str(output), str(key)] = (status, str(reason), document)
    rejects = Rejects(path)
    try:
        for (output, key), (status, reason, document) in found.items():
            rejects.add(output, [(key, status, reason, document)])
    finally:
        rejects.close()
    if found:
        log.warning("%s: %d rejected documents were taken over from %s", path, len(found), aside.name)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
