"""The bounded queue in front of the senders: full means that the readers wait (back-pressure).

Without ``queue.disk`` it is in memory only, and batches are settled when their documents have outcomes. With it,
``spooled.py`` puts batches on disk while the output does not take them, and that settles them too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from threading import Condition
from typing import TYPE_CHECKING, NamedTuple

from shipper.outputs.target import target

if TYPE_CHECKING:
    from shipper.delivery.ledger import Ledger
    from shipper.outputs.batch import Batch
    from shipper.settings import Settings


class Depth(NamedTuple):
    """What is on its way: put, and without its outcomes."""

    batches: int
    """Held in memory."""
    bytes: int
    """Of those that no sender has yet."""
    limit: int
    """Of ``bytes``: then reading stops."""
    disk_bytes: int = 0
    """The size of the files of what is on disk."""
    disk_limit: int = 0
    """Of ``disk_bytes``; 0 where there is no queue on disk."""
    disk_damaged: int = 0
    """Documents that were on disk and could not be read again."""


class Queue(ABC):
    """What readers and senders share. Safe to use from any thread."""

    trouble: str = ""
    """Why nothing can be put on disk at the moment."""
    damaged: bool = False
    """Whether documents that were settled by the disk are gone from it."""
    spool: str = ""
    """The name of the spool that settles, where there is one."""

    @abstractmethod
    def put(self, batch: Batch, timeout: float) -> bool:
        """Add a batch; whether there was room for it within ``timeout`` seconds."""

    @abstractmethod
    def get(self) -> Batch | None:
        """The oldest batch, as soon as there is one; ``None`` when the queue is closed and empty.

        Raises ``StateError`` when it cannot be read from the disk now.
        """

    @abstractmethod
    def done(self, batch: Batch) -> None:
        """Every document of a batch that ``get`` gave has its outcome, durably: settle its segments."""

    @abstractmethod
    def close(self) -> None:
        """No more batches will come."""

    @abstractmethod
    def empty(self) -> bool:
        """Whether the output has taken all that was put, also what was only on disk."""

    @abstractmethod
    def depth(self) -> Depth:
        """What is on its way."""

    def undelivered(self) -> frozenset[int]:
        """The files of the registry of which documents are settled that the output has not taken yet."""
        return frozenset()

    def secure(self) -> bool:
        """Before anybody relies on what is settled: whether the output may not have all of it. Raises ``StateError``."""
        return False

    def mended(self) -> None:
        """What was ``damaged`` is made good for."""
        self.damaged = False

    def release(self) -> None:
        """Let go of what is open; after the senders have ended."""
        return


class BatchQueue(Queue):
    """Batches in order, bounded by their bytes (one batch always fits, however large)."""

    def __init__(self, max_bytes: int, ledger: Ledger) -> None:
        self._max_bytes = max_bytes
        self._ledger = ledger
        self._bytes = 0
        self._taken = 0
        self._batches: deque[Batch] = deque()
        self._condition = Condition()
        self._closed = False

    def put(self, batch: Batch, timeout: float) -> bool:
        """As ``Queue``."""
        with self._condition:
            room = self._condition.wait_for(
                lambda: not self._batches or self._bytes + len(batch.body) <= self._max_bytes, timeout
            )
            if room:
                self._batches.append(batch)
                self._bytes += len(batch.body)
                self._condition.notify_all()
            return room

    def get(self) -> Batch | None:
        """As ``Queue``; never an error."""
        with self._condition:
            self._condition.wait_for(lambda: self._batches or self._closed)
            if not self._batches:
                return None
            batch = self._batches.popleft()
            self._bytes -= len(batch.body)
            self._taken += 1
            self._condition.notify_all()
            return batch

    def done(self, batch: Batch) -> None:
        """As ``Queue``."""
        with self._condition:
            self._taken -= 1
        self._ledger.settle(batch.segments)

    def close(self) -> None:
        """As ``Queue``."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def empty(self) -> bool:
        """As ``Queue``."""
        with self._condition:
            return not self._batches and not self._taken

    def depth(self) -> Depth:
        """As ``Queue``."""
        with self._condition:
            return Depth(len(self._batches) + self._taken, self._bytes, self._max_bytes)


LINGER = 2.0
"""Seconds that a batch may be without its outcomes before it is put on disk: longer than a request takes."""


def open_queue(settings: Settings, ledger: Ledger, *, linger: float = LINGER) -> Queue:
    """The queue that the settings ask for; call its ``release`` in the end.

    ``linger`` is for ``queue.disk``: 0 puts every batch on disk at once, for somebody who waits for it to be safe.
    Raises ``StateError``.
    """
    from shipper.state import spools  # noqa: PLC0415 - only where it is used

    disk = settings.queue_disk
    size = disk.max_size if disk is not None and disk.enabled else 0
    path = spools.choose(settings.path_data, settings.spool_path, target(settings))
    if not size and not spools.has_documents(path, target(settings)):
        return BatchQueue(settings.queue_max_bytes, ledger)
    from shipper.delivery.spooled import SpooledQueue  # noqa: PLC0415 - only where it is used
    from shipper.state.spool import Spool  # noqa: PLC0415 - as above

    if size:
        spools.remember(settings.path_data, path)
    # Switched off with something in it, it is emptied, and takes nothing more.
    spool = Spool(path, target(settings), max_bytes=size)
    return SpooledQueue(
        spool, ledger, max_bytes=settings.queue_max_bytes, batch_bytes=settings.batch_max_bytes, linger=linger
    )
