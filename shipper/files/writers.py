"""Who has a file open for writing, as far as this process may see: on Linux, from ``/proc``."""

from __future__ import annotations

import os
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


def _writes(info: str) -> bool:
    with open(info, encoding="ascii") as file:
        for line in file:
            if line.startswith("flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False
