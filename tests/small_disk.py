"""A real file system that is soon full, for tests of what a full disk does. Needs root and a kernel that lets it mount."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


class SmallDisk:
    """A tmpfs of 1 MiB on a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not self._run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
            pytest.skip("a tmpfs cannot be mounted here (root in a machine of its own can)")

    def remount(self, how: str) -> None:
        """``ro``, ``rw``, ``size=2m``."""
        assert self._run("mount", "-o", f"remount,{how}")

    def fill(self) -> None:
        """Until not a byte more goes on it."""
        with (self.path / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(bytes(4096)):
                pass

    def unmount(self) -> None:
        """At the end, whoever still has it open."""
        assert self._run("umount", "-l")

    def _run(self, *command: str) -> bool:
        return subprocess.run([*command, str(self.path)], check=False, capture_output=True).returncode == 0
