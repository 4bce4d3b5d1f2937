"""One process writes to a store; any number may read."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from shipper.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path


class WriterLock:
    """An advisory lock on the file ``lock`` in the store's folder; the kernel lets go of it when the process ends."""

    def __init__(self, folder: Path) -> None:
        """Take it; the folder is made if need be. Raises ``StateError`` when another process has it or it cannot be made."""
        path = folder / "lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StateError(
                f"{error.filename or path}: the store cannot be written there ({error.strerror}); choose another folder"
                " with SHIPPER_HOME or path.data"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise StateError(
                f"{folder}: another process writes to this store; stop it, or give this one a store of its own"
                " (output.store.path, SHIPPER_HOME)"
            ) from error

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._descriptor)
