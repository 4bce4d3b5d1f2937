"""The archives that have come: which of them are complete, and so may be read.

One at a time is unpacked, slice by slice, to see whether it holds what its checksums say. One that is cut off may be
growing still: it waits until it changes, and is taken as it is after five minutes without a change. One that is damaged,
or was left cut off, is reported once; what can be unpacked of it is read, and it is looked at again when it changes.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from shipper.files.content import Archive

if TYPE_CHECKING:
    from shipper.files.discovery import Found

log = logging.getLogger(__name__)

SLICE = 16 << 20
"""Bytes that are unpacked in one go."""
STALE = 300.0
"""Seconds after which an archive that has not changed and is not complete is taken for broken."""

_Node = tuple[int, int]


class _Offer(NamedTuple):
    file: Found
    archive: Archive | None
    """The archive, where it is open already."""


class Archives:
    """Those of one input."""

    def __init__(self) -> None:
        self._queue: dict[_Node, _Offer] = {}
        self._current: tuple[_Offer, Archive] | None = None
        self._incomplete: dict[_Node, tuple[int, int]] = {}
        self._reasons: dict[_Node, tuple[str, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._queue or self._current)

    def undecided(self) -> set[str]:
        """The paths of those that are not known to be complete yet."""
        offers = [*self._queue.values(), *([self._current[0]] if self._current else [])]
        incomplete = (self._reasons[node][0] for node in self._incomplete.keys() & self._reasons.keys())
        return {*(offer.file.path for offer in offers), *incomplete}

    def offer(self, file: Found, archive: Archive | None = None) -> None:
        """An archive that has come, or has changed. One that is given open already is not waited for: no look would find it."""
        self._queue[file.device, file.inode] = _Offer(file, archive)

    def waits(self, node: _Node, looked: tuple[int, int]) -> bool:
        """Whether an archive with this size and time of writing is looked at already, or not complete."""
        current, queued = self._current, self._queue.get(node)
        for offer in (current[0] if current else None, queued):
            if offer is not None and offer.file[1:] == (*node, *looked):
                return True
        if self._incomplete.get(node) == looked and time.time() - looked[1] / 1e9 < STALE:
            return True
        self._incomplete.pop(node, None)
        return False

    def verify(self, *, last: bool) -> tuple[Found, Archive | None] | None:
        """Go on with one of them: ``None`` where there is none; the archive with it once it may be read. It is open then.

        ``last``: no other look is to come, which would find one that is being renamed.
        """
        try:
            if self._current is None:
                if not self._queue:
                    return None
                offer = self._queue.pop(next(iter(self._queue)))
                file = offer.file
                self._current = (
                    offer,
                    offer.archive or Archive(os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)),
                )
            offer, archive = self._current
            file = offer.file
            if not archive.verify(SLICE):
                return file, None
            status = os.fstat(archive.descriptor)
        except OSError as error:
            self._end()
            if last or not isinstance(error, FileNotFoundError):
                self._say(file, f"cannot be read: {error.strerror}")
            return file, None
        node = (file.device, file.inode)
        looked = (status.st_size, status.st_mtime_ns)
        if (status.st_dev, status.st_ino) != node or looked != (file.size, file.modified):
            self._end()  # it is another, or has grown meanwhile: the next scan offers it again
            return file, None
        if archive.state == "cut off" and time.time() - status.st_mtime < STALE and offer.archive is None:
            self._incomplete[node] = looked
            self._say(file, "is packed with gzip and not complete: nothing of it is read before it is")
            self._end()
            return file, None
        if archive.state == "complete":
            self._reasons.pop(node, None)
        else:
            what = "ends too soon" if archive.state == "cut off" else "is damaged"
            left = f"only its first {archive.size()} bytes can be unpacked, they are shipped; the rest cannot be read"
            self._say(file, f"is packed with gzip and {what}: {left}")
        self._current = None
        return file, archive

    def keep(self, present: set[_Node]) -> None:
        """Forget those that are gone."""
        for node in [node for node, offer in self._queue.items() if offer.archive is None and node not in present]:
            del self._queue[node]
        for known in (self._incomplete, self._reasons):
            for node in known.keys() - present:
                del known[node]

    def troubles(self) -> dict[str, str]:
        """What is wrong with archives, by path."""
        return dict(self._reasons.values())

    def close(self) -> None:
        """Leave off."""
        self._end()
        for offer in self._queue.values():
            if offer.archive is not None:
                offer.archive.close()
        self._queue.clear()

    def _end(self) -> None:
        if self._current is not None:
            self._current[1].close()
            self._current = None

    def _say(self, file: Found, reason: str) -> None:
        self._reasons[file.device, file.inode] = (file.path, reason)
