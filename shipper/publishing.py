"""From a block that was read to a batch in the queue, and from what is settled back to an offset."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shipper.delivery.builder import Builder

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipper.delivery.ledger import Ledger
    from shipper.delivery.queue import Queue
    from shipper.files.harvester import Harvester
    from shipper.files.reader import Block
    from shipper.inputs import Input


class Publisher:
    """Fills one queue. Used by the agent's main thread only.

    - The ledger has every block that was shipped, in its file's order. What does not reach the queue is never settled, and so
      nothing behind it is acknowledged (invariant 1).
    - One batch is in the making; a queue that is full holds up ``ship``, and so all reading (invariants 6 and 8).
    """

    def __init__(self, queue: Queue, ledger: Ledger, limit: int, waiting: Callable[[], bool]) -> None:
        """``waiting`` is called each 0.1 s for which the queue is full; whether to wait on."""
        self.limit = limit
        """Bytes of a batch, at most."""
        self.gave_up = False
        """``waiting`` has said so: nothing goes into the queue any more."""
        self._queue = queue
        self._ledger = ledger
        self._waiting = waiting
        self._batch = Builder()

    def ship(self, each: Input, harvester: Harvester, block: Block) -> None:
        """Encode a block and add it to the batch that is being made."""
        encoded = each.encoder.encode(block, harvester.path, harvester.seed)
        done = not encoded.documents
        segments = [self._ledger.add(harvester.entry.file, block.end, settled=done)]
        if block.borrowed and harvester.joined:  # an event of two files: settled together
            segments.append(self._ledger.add(harvester.joined.next, harvester.joined.until, settled=done))
        if done:
            return
        if self._batch.bytes + len(encoded.body) > self.limit:
            self.enqueue()
        self._batch.add(encoded, *segments)
        if self._batch.bytes >= self.limit:
            self.enqueue()

    def enqueue(self, *, older_than: float = 0.0) -> None:
        """Hand the batch over; wait while the queue is full, which is the back-pressure on all reading."""
        if not self._batch.count or time.monotonic() - self._batch.since < older_than:
            return
        batch, self._batch = self._batch.done(), Builder()
        while not self.gave_up and not self._queue.put(batch, timeout=0.1):
            self.gave_up = not self._waiting()  # then the batch stays unsettled, so the next run reads it again

    def acknowledged(self) -> dict[int, int]:
        """The offsets that have moved since the last call, by file of the registry."""
        return self._ledger.acknowledged()

    def wait(self, timeout: float, *, delivered: bool) -> bool:
        """Wait, at most so long, until all that was shipped is settled, or even ``delivered``, not just on disk; whether it is."""
        if not self._ledger.wait(timeout):
            return False
        if not delivered or self._queue.empty():
            return True
        time.sleep(timeout / 2)  # what is on disk only is still to be delivered
        return False
