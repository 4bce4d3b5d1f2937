"""The senders of an agent or a receiver: one for each worker of its output, all of them fed by one queue.

A sender that other settings have no use for any more is *retired*: it delivers what it has, and its counts stay.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shipper.delivery.retry import Backoff
from shipper.delivery.sender import Deliveries, Sender
from shipper.outputs import open_output
from shipper.progress import add
from shipper.settings import ElasticsearchOutputSettings, LogstashOutputSettings

if TYPE_CHECKING:
    from shipper.delivery.queue import Queue
    from shipper.settings import Settings

CLOSE = 5.0
"""Seconds for which senders that were told to stop are waited for."""


class Senders:
    """Made for one target and one queue; each delivers to a connection of its own."""

    def __init__(self, settings: Settings, queue: Queue) -> None:
        """Raises ``ShipperError`` where an output cannot be opened."""
        self._settings = settings
        self._queue = queue
        self._working = [self._sender() for _ in range(_workers(settings))]
        self._retired: list[Sender] = []

    @property
    def all(self) -> list[Sender]:
        """Those that work, then those that are retired."""
        return [*self._working, *self._retired]

    def start(self) -> None:
        """Begin to send."""
        for sender in self._working:
            sender.start()

    def check(self) -> None:
        """Look whether the output can be used. Raises ``OutputError``."""
        self._working[0].check()

    def supervise(self) -> None:
        """Raise what has ended one of them."""
        for sender in self.all:
            if sender.failure:
                raise sender.failure

    def counts(self) -> Deliveries:
        """What became of the documents so far."""
        total = Deliveries()
        for sender in self.all:
            add(total, sender.counts)
        return total

    def renew(self, settings: Settings) -> None:
        """Other hosts, credentials, certificates, numbers of workers for the same target: at once, also while it is down.

        So for every kind of output: a store is opened at its first batch, when the sender has let go of the one before.
        """
        self._settings = settings
        workers = _workers(settings)
        for sender in self._working[workers:]:
            sender.retire()
        self._retired += self._working[workers:]
        del self._working[workers:]
        # What a retired one has on its way goes to where the others send.
        for sender in (*self._working, *(each for each in self._retired if not each.ended)):
            sender.renew(open_output(settings), _backoff(settings))
        more = [self._sender() for _ in range(workers - len(self._working))]
        for sender in more:
            sender.start()
        self._working += more

    def stop(self) -> None:
        """Give up waiting for an output that does not answer."""
        for sender in self.all:
            sender.stop()

    def close(self) -> Deliveries:
        """Stop and end them; what became of the documents."""
        self.stop()
        deadline = time.monotonic() + CLOSE
        for sender in self.all:
            sender.close(max(0.0, deadline - time.monotonic()))
        counts = self.counts()
        counts.trouble = ""
        self._working, self._retired = [], []
        return counts

    def _sender(self) -> Sender:
        settings = self._settings
        return Sender(open_output(settings), self._queue, settings.path_data / "state.db", _backoff(settings))


def _workers(settings: Settings) -> int:
    return getattr(settings.output, "worker", 1)


def _backoff(settings: Settings) -> Backoff:
    output = settings.output
    if isinstance(output, ElasticsearchOutputSettings | LogstashOutputSettings):
        return Backoff(output.backoff.init, output.backoff.max)
    return Backoff()
