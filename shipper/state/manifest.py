"""What a spool has to hold, written down beside its segments: so that it is noticed when something of it is missing.

A segment tells what is damaged in it, not that its end was cut off at the border of a record, or that it is not there. The
manifest names the segments that hold something, with the length up to which the registry relies on them. It is written
before the registry takes over an offset that only the spool has acknowledged, and before a segment is removed.

Where something is missing, the manifest is removed before anything else is changed, and comes back under another name when
that is made good for. To the registry, a spool that no manifest names is gone. A full disk lets files be removed.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, NamedTuple

from shipper.state.spool_segment import sync_folder

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "manifest"


class Manifest(NamedTuple):
    """Of one spool."""

    spool: str
    """Its name for the registry, and no other's: another spool under the same path has another one."""
    lengths: dict[int, int]
    """The number of each segment that holds something, and the bytes that it has at least."""

    def write(self, folder: Path) -> None:
        """Durably, in place of the one before. Raises ``OSError``."""
        new = folder / f"{_NAME}.new"
        with new.open("w", encoding="ascii") as file:
            json.dump({"spool": self.spool, "segments": self.lengths}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / _NAME)
        sync_folder(folder)


def read(folder: Path) -> Manifest | None:
    """The manifest of a spool; ``None`` where there is none that can be understood. Raises ``OSError``."""
    try:
        found = json.loads((folder / _NAME).read_bytes())
        lengths = {int(number): int(length) for number, length in found["segments"].items()}
        return Manifest(str(found["spool"]), lengths)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def remove(folder: Path) -> None:
    """Durably; a folder that is gone has none. Raises ``OSError``."""
    with contextlib.suppress(FileNotFoundError):
        (folder / _NAME).unlink(missing_ok=True)
        sync_folder(folder)
