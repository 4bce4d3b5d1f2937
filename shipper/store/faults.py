"""SQLite's errors, as errors a person can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipper import faults
from shipper.errors import ShipperError, StateError, UnavailableError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_DAMAGED = (
    "move it and its -wal and -shm files out of the folder (`sqlite3 FILE .recover` may save what is in it): the store works"
    " on without it"
)


def explain(error: sqlite3.Error, path: Path) -> ShipperError:
    """``UnavailableError`` where waiting may help, ``StateError`` where a person must; names the file and what to do."""
    kind = UnavailableError if faults.is_passing(error) else StateError
    return kind(f"{path}: {faults.explain(error, _DAMAGED)}")


def explain_system(error: OSError, path: Path) -> UnavailableError:
    """The same for what fails around SQLite: syncing the folder."""
    return UnavailableError(f"{path}: {faults.explain_system(error)}")
