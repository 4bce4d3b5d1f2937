"""The bounded queue in front of the senders: full means that the readers wait (back-pressure)."""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipper.outputs.batch import Batch


class BatchQueue:
    """Batches in order, bounded by their bytes (one batch always fits, however large)."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._batches: deque[Batch] = deque()
        self._condition = Condition()
        self._closed = False

    def put(self, batch: Batch, timeout: float) -> bool:
        """Add a batch; whether there was room for it within ``timeout`` seconds."""
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
        """The oldest batch, as soon as there is one; ``None`` when the queue is closed and empty."""
        with self._condition:
            self._condition.wait_for(lambda: self._batches or self._closed)
            if not self._batches:
                return None
            batch = self._batches.popleft()
            self._bytes -= len(batch.body)
            self._condition.notify_all()
            return batch

    def close(self) -> None:
        """No more batches will come."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
