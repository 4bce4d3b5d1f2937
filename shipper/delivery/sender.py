"""Batches to an output until every document has an outcome; then, and only then, their segments are settled.

A document is sent again as long as its output may take it some day, with growing waits and without end; one that its
output will never take goes to the rejects, durably, and counts as settled. Documents of a batch that were delivered are
not sent again with those that were not.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipper.errors import OutputError, StateError, TooLargeError
from shipper.outputs.batch import Rejection
from shipper.state.rejects import Rejects

if TYPE_CHECKING:
    from pathlib import Path

    from shipper.delivery.ledger import Ledger
    from shipper.delivery.queue import BatchQueue
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


class Sender:
    """A thread that takes batches from the queue and delivers them to an output of its own."""

    def __init__(
        self,
        output: Output,
        queue: BatchQueue,
        ledger: Ledger,
        state: Path,
        backoff: Backoff,
    ) -> None:
        """``state`` is the agent's database, for the rejects."""
        self.counts = Deliveries()
        self.failure: BaseException | None = None
        self._output = output
        self._queue = queue
        self._ledger = ledger
        self._state = state
        self._backoff = backoff
        self._stop = threading.Event()
        self._rejects: Rejects | None = None
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Give up waiting for an output that does not answer; what is not settled is sent again after the next start."""
        self._stop.set()

    def close(self, timeout: float = 5.0) -> None:
        """End the thread, and let go of the output. A request that is under way is waited for ``timeout`` seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        elif not self._thread.ident:
            self._output.close()

    def check(self) -> None:
        """Look whether the output can be used; before ``start``. Raises ``OutputError``."""
        self._output.check()

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and (batch := self._queue.get()) is not None:
                if self._deliver(batch):
                    self._ledger.settle(batch.segments)
        except BaseException as error:  # noqa: BLE001 - a thread's end must be seen by the agent, whatever it was
            self.failure = error
        finally:
            self._output.close()
            if self._rejects:
                self._rejects.close()

    def _deliver(self, batch: Batch) -> bool:
        """Whether every document is settled; not, when the sender was stopped meanwhile."""
        while True:
            try:
                outcomes = self._output.send(batch)
                self._account(batch, outcomes)
            except TooLargeError as error:
                return self._split(batch, str(error))
            except (OutputError, StateError) as error:
                if not self._pause(str(error)):
                    return False
                continue
            if not outcomes.retry:
                self._recovered()
                return True
            if len(outcomes.retry) < batch.count:
                self._backoff.reset()  # some went through: the output is alive
            batch = batch.select(outcomes.retry)
            self.counts.retries += batch.count
            if not self._pause(f"{self._output.name}: {outcomes.reason or 'not taken yet'}"):
                return False

    def _split(self, batch: Batch, reason: str) -> bool:
        if batch.count > 1:
            half = batch.count // 2
            return self._deliver(batch.select(range(half))) and self._deliver(batch.select(range(half, batch.count)))
        while True:
            try:
                self._reject(batch, [Rejection(0, 413, reason)])
            except StateError as error:
                if not self._pause(str(error)):
                    return False
            else:
                return True

    def _account(self, batch: Batch, outcomes: Outcomes) -> None:
        if outcomes.rejected:
            self._reject(batch, outcomes.rejected)
        self.counts.delivered += batch.count - len(outcomes.retry) - len(outcomes.rejected)
        self.counts.duplicates += outcomes.duplicates
        self.counts.failure_store += outcomes.failure_store

    def _reject(self, batch: Batch, rejected: list[Rejection]) -> None:
        if self._rejects is None:
            self._rejects = Rejects(self._state)
        ids, documents = batch.ids(), batch.documents()
        self._rejects.add(
            self._output.name,
            [(ids[at], status, reason, documents[at]) for at, status, reason in rejected],
        )
        if not self.counts.rejected:
            # Not the reason: it may hold what stood in the log.
            log.warning(
                "%s rejects documents (status %d); they are kept in %s",
                self._output.name,
                rejected[0].status,
                self._state,
            )
        self.counts.rejected += len(rejected)

    def _pause(self, trouble: str) -> bool:
        """Wait before the next attempt; whether there shall be one."""
        wait = self._backoff.next()
        if trouble != self.counts.trouble:
            log.warning("%s; trying again until it works", trouble)
            self.counts.trouble = trouble
        return not self._stop.wait(wait)

    def _recovered(self) -> None:
        self._backoff.reset()
        if self.counts.trouble:
            log.info("%s takes documents again", self._output.name)
            self.counts.trouble = ""
