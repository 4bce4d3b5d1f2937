"""The queue with a disk behind it (``queue.disk``): for outages that outlast the files.

Batches go through memory, and a batch that its output takes soon never touches the disk. One that has no outcomes after
``linger`` seconds is written to the spool, with all that were put since, in one write and one sync; that settles them in
the ledger: their files may be rotated away. From then on, until the spool is empty again, every batch takes that way, so
that none overtakes another for long, and the output gets them in the order in which they were read.

The life of a batch: *waiting* (in memory, or on disk only) → *taken* by a sender → *done*. It may be written to disk while
it waits and also while a sender has it: what is on its way during a crash of the output is safe too. It is settled by
whichever comes first, the disk or the output. Its record is removed by the output alone.

Full means: ``max_bytes`` wait in memory and the spool has its ``max_size``, or its disk takes nothing. Then ``put`` takes
nothing either (invariant 6), and it goes on by itself when there is room.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from shipper.delivery.queue import Depth, Queue
from shipper.outputs.batch import Batch
from shipper.state.spool import Item, marks_of
from shipper.state.spools import explain

if TYPE_CHECKING:
    from shipper.delivery.ledger import Ledger
    from shipper.state.spool import Place, Spool

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds between attempts to write to a disk that takes nothing."""


class _Entry:
    """A batch that is not done. ``places`` are its records on disk, if it has any."""

    __slots__ = ("batch", "places", "since")

    def __init__(self, batch: Batch, places: list[Place], since: float) -> None:
        self.batch = batch
        self.places = places
        self.since = since


class SpooledQueue(Queue):
    """Owns the spool and a thread that writes to it, until ``release``."""

    def __init__(self, spool: Spool, ledger: Ledger, *, max_bytes: int, batch_bytes: int, linger: float) -> None:
        """``max_bytes`` bounds what waits in memory; small records are sent together, up to ``batch_bytes``."""
        self._spool = spool
        self._ledger = ledger
        self.damaged, self.spool = spool.damaged, spool.name
        self._max_bytes = max_bytes
        self._batch_bytes = batch_bytes
        self._linger = linger
        self._condition = threading.Condition()
        self._waiting: deque[_Entry] = deque()
        self._taken: dict[int, _Entry] = {}
        self._bytes = 0
        self._closed = self._released = self._writing = False
        self._full = False
        self._retry_at = 0.0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def put(self, batch: Batch, timeout: float) -> bool:
        """As ``Queue``. Raises what has ended the thread that writes."""
        with self._condition:
            self._raise_failure()
            room = self._condition.wait_for(
                lambda: not self._waiting or self._bytes + len(batch.body) <= self._max_bytes, timeout
            )
            if room:
                self._waiting.append(_Entry(batch, [], time.monotonic()))
                self._bytes += len(batch.body)
                self._condition.notify_all()
            return room

    def get(self) -> Batch | None:
        """As ``Queue``; what is on disk comes first, for it is older. Raises what has ended the thread that writes."""
        with self._condition:
            while True:
                self._condition.wait_for(lambda: self._waiting or self._spool.waiting or self._closed or self._failure)
                self._raise_failure()
                entry = None
                if self._spool.waiting:
                    try:
                        entry = self._from_disk()
                    except OSError as error:
                        raise explain(error, self._spool.path) from error
                    if entry is None:
                        self._condition.notify_all()
                        continue  # damaged, and reported
                elif self._waiting:
                    entry = self._waiting.popleft()
                    self._bytes -= len(entry.batch.body)
                if entry is None:
                    return None
                self._taken[id(entry.batch)] = entry
                self._condition.notify_all()
                return entry.batch

    def done(self, batch: Batch) -> None:
        """As ``Queue``."""
        with self._condition:
            entry = self._taken.pop(id(batch))
            if not self._released:  # else its files may be another queue's by now: it is sent once more
                for place in entry.places:
                    self._spool.done(place)
                self._settle()
            self._condition.notify_all()
        if not entry.places:
            self._ledger.settle(batch.segments)

    def close(self) -> None:
        """As ``Queue``. What is not done is put on disk after its time, as ever."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def release(self) -> None:
        """As ``Queue``. Batches that neither the disk nor the output has are not settled."""
        with self._condition:
            self._released = self._closed = True
            self._condition.notify_all()
        self._thread.join(10)
        if not self._thread.is_alive():  # a disk that hangs keeps it; the process ends all the same
            self._spool.close()

    def empty(self) -> bool:
        """As ``Queue``."""
        with self._condition:
            return not self._waiting and not self._taken and not self._spool.left

    def depth(self) -> Depth:
        """As ``Queue``."""
        with self._condition:
            memory = len(self._waiting) + len(self._taken)
            spool = self._spool
            return Depth(memory, self._bytes, self._max_bytes, spool.size, spool.max_bytes, spool.lost)

    def undelivered(self) -> frozenset[int]:
        """As ``Queue``."""
        with self._condition:
            return self._spool.files()

    def secure(self) -> bool:
        """As ``Queue``."""
        with self._condition:
            try:
                self._spool.note()
            except OSError as error:
                if (
                    self._spool.holds
                ):  # else the manifest has more than there is: taken for damaged, nothing is lost by that
                    raise explain(error, self._spool.path) from error
            self.damaged = self._spool.damaged
            return self._spool.holds

    def mended(self) -> None:
        """As ``Queue``."""
        with self._condition:
            self._spool.mended()
            self.damaged, self.spool = self._spool.damaged, self._spool.name

    def _settle(self) -> None:
        if not self._writing:
            self._spool.settle()

    # --- reading -----------------------------------------------------------------------------------------------------

    def _from_disk(self) -> _Entry | None:
        """The oldest records, as many as make a batch; ``None`` when there was none to be read. Raises ``OSError``."""
        places: list[Place] = []
        bodies: list[bytes] = []
        size = 0
        try:
            while (place := self._spool.take()) is not None:
                if places and size + place.record.length > self._batch_bytes:
                    self._spool.give_back(place)
                    break
                places.append(place)
                if (body := self._spool.read(place)) is None:
                    places.pop()
                else:
                    bodies.append(body)
                    size += len(body)
        except OSError:
            for each in places:
                self._spool.give_back(each)
            raise
        finally:
            self.damaged = self._spool.damaged
            self._settle()
        if not places:
            return None
        count = sum(place.record.documents for place in places)
        return _Entry(Batch(b"".join(bodies), count), places, 0.0)

    # --- writing -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._write()
        except BaseException as error:  # noqa: BLE001 - a thread's end must be seen by the agent, whatever it was
            with self._condition:
                self._failure = error
                self._condition.notify_all()

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure

    def _write(self) -> None:
        while True:
            with self._condition:
                while not self._ending() and (wait := self._due_in()) != 0:
                    self._condition.wait(wait)
                if self._ending():
                    return
                entries = self._to_write()
                self._writing = True
            places: list[Place] = []
            try:
                places = self._spool.write([_item(entry.batch) for entry in entries])
            except OSError as error:
                self._failed(error)
            with self._condition:
                self._writing = False
                written = [self._written(entry, place) for entry, place in zip(entries, places, strict=False)]
                self._spool.settle()
                self._condition.notify_all()
            if places:
                self._ledger.settle([segment for batch in written if batch for segment in batch.segments])
                self._recovered()

    def _ending(self) -> bool:
        return self._released

    def _undurable(self) -> list[_Entry]:
        """In the order in which they were put."""
        return [entry for entry in (*self._taken.values(), *self._waiting) if not entry.places]

    def _due_in(self) -> float | None:
        """Seconds until there is something to write; 0 for now, ``None`` when that is up to others."""
        entries = self._undurable()
        if not entries:
            return None
        full = not self._spool.fits(len(entries[0].batch.body))
        if full != self._full:
            self._full = full
            if full and self._spool.max_bytes:
                log.warning("%s has reached queue.disk.max_size; reading waits for the output", self._spool.path)
        if full:
            return None
        now = time.monotonic()
        due = now if self._spool.left else min(entry.since for entry in entries) + self._linger
        return max(0.0, due - now, self._retry_at - now)

    def _to_write(self) -> list[_Entry]:
        entries: list[_Entry] = []
        size = 0
        for entry in self._undurable():
            size += len(entry.batch.body) + 1024
            if not self._spool.fits(size):
                break
            entries.append(entry)
        return entries

    def _written(self, entry: _Entry, place: Place) -> Batch | None:
        """Count a batch as durable; where it is by now, it stays. ``None`` when the output was quicker, and has settled it."""
        taken = id(entry.batch) in self._taken and self._taken[id(entry.batch)] is entry
        waits = not taken and entry in self._waiting
        self._spool.publish(place, given=not waits)
        if taken:
            entry.places = [place]
        elif waits:
            self._waiting.remove(entry)
            self._bytes -= len(entry.batch.body)
        else:
            self._spool.done(place)
            return None
        return entry.batch

    def _failed(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + RETRY
        text = str(explain(error, self._spool.path))
        if text != self.trouble:
            log.warning("%s; trying again, nothing is lost meanwhile", text)
            self.trouble = text

    def _recovered(self) -> None:
        if self.trouble:
            log.info("%s can be written again", self._spool.path)
            self.trouble = ""


def _item(batch: Batch) -> Item:
    return Item(batch.body, batch.count, marks_of((segment.file, segment.end) for segment in batch.segments))
