"""SQLite's errors, as errors a person can act on."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from shipper.errors import ShipperError, StateError, UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

_PASSING = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, or move the store (path.data)",
    sqlite3.SQLITE_IOERR: "reading or writing failed; look at the disk (dmesg), quota and free space",
    sqlite3.SQLITE_BUSY: "locked by another process for too long",
    sqlite3.SQLITE_LOCKED: "locked by another connection for too long",
}
_LASTING = {
    sqlite3.SQLITE_READONLY: "cannot be written: the file, its folder or the file system is read-only for this user",
    sqlite3.SQLITE_PERM: "no permission",
    sqlite3.SQLITE_AUTH: "no permission",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; it and its folder must be there, readable, and writable for the agent",
    sqlite3.SQLITE_CORRUPT: (
        "damaged; move it and its -wal and -shm files out of the folder (`sqlite3 FILE .recover` may save what is in it): "
        "the store works on without it"
    ),
    sqlite3.SQLITE_NOTADB: "not a database, or its first page is damaged; move it out of the folder: the store works on without it",
}


def explain(error: sqlite3.Error, path: Path) -> ShipperError:
    """``UnavailableError`` where waiting may help, ``StateError`` where a person must; names the file and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _PASSING:
        return UnavailableError(f"{path}: {_PASSING[code]} ({error})")
    return StateError(f"{path}: {_LASTING.get(code, 'the store cannot be used')} ({error})")


def explain_system(error: OSError, path: Path) -> UnavailableError:
    """The same for what fails around SQLite: syncing the folder."""
    return UnavailableError(f"{path}: {error.strerror or error}; look at the disk (dmesg), quota and free space")
