"""What an error of the disk or of SQLite means for a person, and what to do about it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_PASSING = {
    13: "the disk is full; make room, and it goes on where it stopped",
    10: "reading or writing failed; look at the disk (dmesg), quota and free space",
    5: "locked by another process for too long",
    6: "locked by another connection for too long",
}
"""SQLite's primary result codes (sqlite.org/rescode.html) that go away: FULL, IOERR, BUSY, LOCKED."""
_LASTING = {
    8: "cannot be written: the file, its folder or the file system is read-only for this user",
    3: "no permission",
    23: "no permission",
    14: "cannot be opened; it and its folder must be there, readable, and writable for the agent",
}
"""READONLY, PERM, AUTH, CANTOPEN."""
_DAMAGED = {11, 26}
"""CORRUPT, NOTADB."""


def code_of(error: sqlite3.Error) -> int:
    """The primary result code; 0 for an error that is not SQLite's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_passing(error: sqlite3.Error) -> bool:
    """Whether it may go away by itself, or by making room."""
    return code_of(error) in _PASSING


def explain(error: sqlite3.Error, damaged: str) -> str:
    """What it means; ``damaged`` is what to do with a database that is broken."""
    code = code_of(error)
    if code in _DAMAGED:
        return f"is damaged ({error}); {damaged}"
    meaning = _PASSING.get(code) or _LASTING.get(code)
    return f"{meaning} ({error})" if meaning else str(error)


def explain_system(error: OSError) -> str:
    """The same for what the system says."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk is full; make room, and it goes on where it stopped ({error.strerror})"
        case errno.EROFS:
            return (
                "the file system is read-only; make it writable again (mount, dmesg), and it goes on where it stopped"
            )
        case errno.EIO:
            return f"reading or writing failed; look at the disk (dmesg), quota and free space ({error.strerror})"
        case errno.EACCES | errno.EPERM:
            return "no permission; give this user the right to it, or choose another path"
    return error.strerror or str(error)
