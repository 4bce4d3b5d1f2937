"""One owner of the state (invariant 9): a second instance refuses to start."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from shipper.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path


class Lock:
    """An advisory lock on ``shipper.lock``, which the kernel lets go of when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take it. Raises ``StateError`` when another process has it or the folder cannot be written."""
        path = folder / "shipper.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StateError(
                f"{path}: cannot be written ({error.strerror}); choose another folder with SHIPPER_HOME or path.data"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StateError(
                f"{folder} is in use by another shipper (process {owner}); stop it, or give this one a folder of its own"
                " with SHIPPER_HOME or path.data"
            ) from error
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)
