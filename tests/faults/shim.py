"""Faults below Python, in the C library's calls: ``shim.c``, compiled once per session and preloaded into an agent.

SQLite's writes and syncs are reached as well, without a mount and without root.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class CannotCompileError(Exception):
    """There is no C compiler, or this is no Linux."""


class Shim:
    """``environment`` is what a process needs; ``plan`` may be called at any time, also while it runs."""

    def __init__(self, folder: Path) -> None:
        """Compile it into ``folder``. Raises ``CannotCompileError``."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None or not sys.platform.startswith("linux"):
            raise CannotCompileError("a C compiler and Linux are needed for faults below Python")
        self._plan = folder / "plan.txt"
        library = folder / "shim.so"
        done = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise CannotCompileError(f"{compiler} failed: {done.stderr[:300]}")
        self.environment = {"LD_PRELOAD": str(library), "FAULT_PLAN": str(self._plan)}
        self.plan()

    def plan(self, *lines: str) -> None:
        """From now on these faults, and no others: see ``shim.c``."""
        new = self._plan.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.rename(self._plan)

    def fail(self, function: str, part: str, error: str) -> None:
        """``function`` on every file whose path contains ``part`` fails with the errno of that name."""
        self.plan(f"fail {function} {part} {getattr(errno, error)}")

    def kill(self, function: str, part: str, nth: int) -> None:
        """The ``nth`` such call is the last thing that the process does."""
        self.plan(f"kill {function} {part} {nth}")
