"""Who has a file open for writing, as far as this process may see: on Linux, from ``/proc``."""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container


class Writers(NamedTuple):
    """What was found."""

    processes: dict[tuple[int, int], int]
    """Device and inode of a file → a process that has it open for writing."""
    complete: bool
    """Whether every process could be looked at; another user's cannot."""


def writers(places: Container[tuple[int, int]]) -> Writers:
    """The processes that have one of the files open for writing; ``places`` are devices and inodes."""
    found: dict[tuple[int, int], int] = {}
    complete = True
    try:
        processes = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return Writers({}, complete=False)
    for process in processes:
        try:
            descriptors = os.listdir(f"/proc/{process}/fd")
        except PermissionError:
            complete = False
            continue
        except OSError:
            continue  # it has ended
        for each in descriptors:
            try:
                status = os.stat(f"/proc/{process}/fd/{each}")
                place = (status.st_dev, status.st_ino)
                if place in places and place not in found and _writes(f"/proc/{process}/fdinfo/{each}"):
                    found[place] = process
            except OSError:
                continue
    return Writers(found, complete)


def is_written(descriptor: int) -> bool:
    """Whether somebody may have the file open for writing: it is so where that cannot be told.

    The kernel gives a lease for reading only where nobody has, and only to the file's owner and to root. It is given back at
    once; should the file be opened for writing in between, the signal that this is told by is one that does nothing.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (OSError, AttributeError):
        return True
    return False


def _writes(info: str) -> bool:
    with open(info, encoding="ascii") as file:
        for line in file:
            if line.startswith("flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False
