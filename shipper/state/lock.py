"""One owner of the state (invariant 9): a second instance refuses to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipper.lock import FileLock

if TYPE_CHECKING:
    from pathlib import Path


class Lock(FileLock):
    """The lock on the agent's folder, the file ``shipper.lock`` in it."""

    def __init__(self, folder: Path) -> None:
        """Take it. Raises ``StateError`` when another process has it or the folder cannot be written."""
        super().__init__(
            folder / "shipper.lock",
            other="stop it, or give this one a folder of its own with SHIPPER_HOME or path.data",
        )
