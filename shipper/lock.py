"""One process at a time: an advisory lock on a file, which the kernel lets go of when the process ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from shipper.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path


class FileLock:
    """Holds the lock from its making to ``release``. The file says which process that is."""

    def __init__(self, path: Path, *, other: str) -> None:
        """Take it; the folder is made if need be. ``other`` says what to do when another process has it.

        Raises ``StateError``.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
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
            raise StateError(f"{path.parent} is in use by another shipper (process {owner}); {other}") from error
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let go."""
        os.close(self._descriptor)
