"""Batches to an output until every document has an outcome; then, and only then, their segments are settled.

A document is sent again as long as its output may take it some day, with growing waits and without end; one that its
output will never take goes to the rejects, durably, and counts as settled. A request that is refused as a whole (400) is
sent in parts, to find the document that it is for. Documents of a batch that were delivered are
not sent again with those that were not.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shipper.errors import OutputError, StateError, TooLargeError, UnfitError
from shipper.outputs.batch import Rejection
from shipper.state.rejects import Rejects

if TYPE_CHECKING:
    from pathlib import Path

    from shipper.delivery.queue import Queue
    from shipper.delivery.retry import Backoff
    from shipper.outputs.base import Output
    from shipper.outputs.batch import Batch, Outcomes

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Deliveries:
    """What became of the documents so far."""

    delivered: int = 0
    duplicates: int = 0
    """Of the delivered ones: were there already."""
    failure_store: int = 0
    """Of the delivered ones: Elasticsearch put them into its failure store."""
    rejected: int = 0
    retries: int = 0
    trouble: str = ""
    """Why nothing goes on at the moment; empty when all is well."""


_ALL_REFUSED = 8
"""After so many refused documents, and none that was taken, it is not the documents."""


@dataclass(slots=True)
class _Sifting:
    """A batch that was refused as a whole, while it is sent in parts."""

    refused: list[Batch] = field(default_factory=list)
    """A document each."""
    taken: bool = False
    """Whether the output has taken any part."""


class Sender:
    """A thread that takes batches from the queue and delivers them to an output of its own."""

    def __init__(
        self,
        output: Output,
        queue: Queue,
        state: Path,
        backoff: Backoff,
    ) -> None:
        """``state`` is the agent's database, for the rejects."""
        self.counts = Deliveries()
        self.failure: BaseException | None = None
        self._retired = False
        self._output = output
        self._queue = queue
        self._state = state
        self._backoff = backoff
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._renewed: deque[tuple[Output, Backoff]] = deque()
        self._rejects: Rejects | None = None
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Give up waiting for an output that does not answer; what is not settled is sent again after the next start."""
        self._stop.set()
        self._wake.set()

    def renew(self, output: Output, backoff: Backoff) -> None:
        """Go on with another output for the same target, from the next attempt on; a wait for that ends now."""
        self._renewed.append((output, backoff))
        self._wake.set()

    def retire(self) -> None:
        """End after the next batch: others go on."""
        self._retired = True

    @property
    def ended(self) -> bool:
        """Whether it was started, and sends nothing any more."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def close(self, timeout: float = 5.0) -> None:
        """End the thread, and let go of the output. A request that is under way is waited for ``timeout`` seconds."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join(timeout)
        elif not self._thread.ident:
            self._output.close()

    def check(self) -> None:
        """Look whether the output can be used; before ``start``. Raises ``OutputError``."""
        self._output.check()

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self._retired:
                try:
                    batch = self._queue.get()
                except StateError as error:
                    self._pause(str(error))
                    continue
                if batch is None:
                    break
                if self._deliver(batch):
                    self._queue.done(batch)
        except BaseException as error:  # noqa: BLE001 - a thread's end must be seen by the agent, whatever it was
            self.failure = error
        finally:
            self._take_renewed()
            self._output.close()
            if self._rejects:
                self._rejects.close()

    def _deliver(self, batch: Batch, sifting: _Sifting | None = None) -> bool:
        """Whether every document is settled; not, when the sender was stopped meanwhile.

        ``sifting``: it is part of a batch that was refused as a whole; a document that still is, is noted there.
        """
        while True:
            self._take_renewed()
            try:
                outcomes = self._send(batch)
            except TooLargeError as error:
                return self._split(batch, str(error), sifting)
            except UnfitError as error:
                if sifting:
                    return self._part_refused(batch, sifting, error)
                settled = self._sift(batch)
                if settled is not None:
                    return settled
                if not self._pause(str(error)):
                    return False
                continue
            except OutputError as error:
                if not self._pause(str(error)):
                    return False
                continue
            if outcomes.rejected and not self._reject(batch, outcomes.rejected):
                return False
            self.counts.delivered += batch.count - len(outcomes.retry) - len(outcomes.rejected)
            self.counts.duplicates += outcomes.duplicates
            self.counts.failure_store += outcomes.failure_store
            if sifting and len(outcomes.retry) < batch.count:
                sifting.taken = True
            if not outcomes.retry:
                self._recovered()
                return True
            if len(outcomes.retry) < batch.count:
                self._backoff.reset()  # some went through: the output is alive
            batch = batch.select(outcomes.retry)
            self.counts.retries += batch.count
            if not self._pause(f"{self._output.name}: {outcomes.reason or 'not taken yet'}"):
                return False

    def _send(self, batch: Batch) -> Outcomes:
        try:
            return self._output.send(batch)
        except OutputError as error:
            _let_go(error)
            raise

    def _split(self, batch: Batch, reason: str, sifting: _Sifting | None) -> bool:
        if batch.count == 1:
            return self._reject(batch, [Rejection(0, 413, reason)])
        return self._halves(batch, sifting)

    def _halves(self, batch: Batch, sifting: _Sifting | None) -> bool:
        half = batch.count // 2
        return self._deliver(batch.select(range(half)), sifting) and self._deliver(
            batch.select(range(half, batch.count)), sifting
        )

    def _sift(self, batch: Batch) -> bool | None:
        """Find the documents for which the whole was refused, keep those among the rejects, and deliver the others.

        ``None`` when nothing of it was taken: then nobody knows that it is the documents, and it is sent again later.
        """
        if batch.count == 1:
            return None
        sifting = _Sifting()
        try:
            if not self._halves(batch, sifting):
                return False
        except UnfitError:
            return None
        if not sifting.taken:
            return None
        return all(self._again(each) for each in sifting.refused)

    def _part_refused(self, batch: Batch, sifting: _Sifting, error: UnfitError) -> bool:
        if batch.count > 1:
            return self._halves(batch, sifting)
        sifting.refused.append(batch)
        if len(sifting.refused) >= _ALL_REFUSED and not sifting.taken:
            raise error
        return True

    def _again(self, batch: Batch) -> bool:
        """A document that was refused while others were taken: after a wait, so that it is not for the moment, once more."""
        if not self._pause(f"{self._output.name} refuses a document"):
            return False
        last = _Sifting(taken=True)
        if not self._deliver(batch, last):
            return False
        return not last.refused or self._reject(batch, [Rejection(0, 400, "the output refuses each request with it")])

    def _reject(self, batch: Batch, rejected: list[Rejection]) -> bool:
        """Keep documents, as soon as the disk takes them; not, when the sender was stopped meanwhile.

        The batch is not sent again for that: what was delivered of it may not be known by its id any more by then (a data
        stream that has rolled over).
        """
        ids, documents = batch.ids(), batch.documents()
        rows = [(ids[at], status, reason, documents[at]) for at, status, reason in rejected]
        while True:
            try:
                if self._rejects is None:
                    self._rejects = Rejects(self._state)
                self._rejects.add(self._output.name, rows)
            except StateError as error:
                if not self._pause(str(error)):
                    return False
            else:
                break
        if not self.counts.rejected:
            # Not the reason: it may hold what stood in the log.
            log.warning(
                "%s rejects documents (status %d); they are kept: see `shipper rejects list`",
                self._output.name,
                rejected[0].status,
            )
        self.counts.rejected += len(rejected)
        return True

    def _pause(self, trouble: str) -> bool:
        """Wait before the next attempt; whether there shall be one."""
        wait = self._backoff.next()
        if trouble != self.counts.trouble:
            log.warning("%s; trying again until it works", trouble)
            self.counts.trouble = trouble
        self._wake.wait(wait)
        self._take_renewed()
        return not self._stop.is_set()

    def _take_renewed(self) -> None:
        if not self._renewed:
            return
        self._wake.clear()  # first: another one that comes now wakes again
        if self._stop.is_set():
            self._wake.set()
        while self._renewed:
            self._output.close()
            self._output, self._backoff = self._renewed.popleft()

    def _recovered(self) -> None:
        self._backoff.reset()
        if self.counts.trouble:
            log.info("%s takes documents again", self._output.name)
            self.counts.trouble = ""


def _let_go(error: BaseException | None) -> None:
    """Empty the frames in which an error and its causes were raised.

    A library that keeps what it raises in a variable (``elastic_transport``, ``urllib3``) makes a circle of error, traceback
    and frame, and the frames hold the batch: megabytes for each failed attempt, until the garbage collector has its day.
    """
    seen: set[int] = set()
    while error and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
