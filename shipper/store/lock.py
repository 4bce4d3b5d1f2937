"""One process writes to a store; any number may read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipper.lock import FileLock

if TYPE_CHECKING:
    from pathlib import Path


class WriterLock(FileLock):
    """The lock on a store's folder, the file ``lock`` in it."""

    def __init__(self, folder: Path) -> None:
        """Take it; the folder is made if need be. Raises ``StateError`` when another process has it or it cannot be made."""
        super().__init__(
            folder / "lock",
            other="stop it, or give this one a store of its own (output.store.path, SHIPPER_HOME)",
        )
