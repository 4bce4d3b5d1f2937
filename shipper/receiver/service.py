"""The receiver: puts the parts together and supervises them.

As in the agent, the main thread does all matching (only there can a pattern that runs away be stopped), and a sender thread
per worker waits for the output. The protocol has a thread of its own.

    clients ⇄ server → take → parse → encode → queue ─▶ sender → output
                 ◀─── acknowledge ◀─── ledger ◀─── outcomes, or the spool's sync

The ledger's "files" are connections, and its "offsets" how many of a connection's events are settled: a client is told of
an event when it and all before it are delivered, dropped by the pipeline, among the rejects, or synced to the spool
(``queue.disk``). What it was not told of it sends again, also to another receiver.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from copy import copy
from pathlib import PurePath
from typing import TYPE_CHECKING, Self

from parser.watchdog import Watchdog
from shipper.delivery.builder import Builder
from shipper.delivery.ledger import Ledger
from shipper.delivery.patience import Patience
from shipper.delivery.queue import open_queue
from shipper.errors import InputError, SettingsError, StateError
from shipper.inputs import pipeline_of
from shipper.lumberjack.bounds import Bounds
from shipper.lumberjack.decoder import Limits
from shipper.lumberjack.exchange import Chunk, Ended
from shipper.lumberjack.server import Server
from shipper.progress import InputProgress, add
from shipper.receiver.documents import Documents, NotAnEventError
from shipper.receiver.identity import Identities
from shipper.receiver.tls import server_context
from shipper.sending import Senders
from shipper.state.lock import Lock
from shipper.state.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shipper.delivery.encoder import Encoded, Encodings
    from shipper.delivery.ledger import Segment
    from shipper.delivery.sender import Deliveries
    from shipper.lumberjack.traffic import Traffic
    from shipper.observer import Observer
    from shipper.settings import Settings

log = logging.getLogger(__name__)

_WAIT = 0.02
"""Seconds that a batch which is not full waits for more."""
_FIRST = 1 << 62
"""Connections are counted from here in the ledger: a spool keeps these numbers, and no file of a registry has such a one."""


class _Acknowledging(Ledger):
    """A ledger that tells the server at once what has moved."""

    def __init__(self, tell: Callable[[dict[int, int]], None]) -> None:
        super().__init__()
        self._tell = tell

    def settle(self, segments: Iterable[Segment]) -> None:
        super().settle(segments)
        if moved := self.acknowledged():
            self._tell(moved)


class Receiver:
    """``with Receiver(settings) as receiver: receiver.run()``. ``stop`` may be called from a signal handler."""

    def __init__(
        self, settings: Settings, *, pulse: Callable[[], None] | None = None, observer: Observer | None = None
    ) -> None:
        """Take the state's lock, listen, and open what is needed.

        ``pulse`` is called in the main thread, at least every 0.25 s for as long as its loop turns; ``observer`` gets a
        snapshot about every second. Raises ``ShipperError`` or ``ParserError``; nothing is left open then.
        """
        own = settings.receive
        if own is None:
            raise SettingsError("receive is missing: it says where to listen and which certificate to show")
        self._settings = settings
        self._pulse = pulse
        self._observer = observer
        self._stopping = self._gave_up = False
        self._patience = Patience(0.0)
        self._batch = Builder()
        self._ids = Identities()
        self._broken: set[int] = set()
        self._told: dict[int, int] = {}
        """Of the connections that are open: how many of their events are acknowledged."""
        self._telling = threading.Lock()
        pipeline = pipeline_of(own)
        self._documents = Documents(settings, own, pipeline, self._ids)
        self._watchdog = Watchdog(pipeline.timeout if pipeline else None)
        context = server_context(own.ssl) if own.tls else None
        with contextlib.ExitStack() as opened:
            opened.callback(Lock(settings.path_data).release)
            try:
                self._server = Server(
                    *own.address,
                    context=context,
                    limits=Limits(event_bytes=own.max_event_bytes),
                    bounds=Bounds(
                        memory_bytes=own.max_unfinished_bytes,
                        max_connections=own.max_connections,
                        idle=own.client_inactivity_timeout,
                    ),
                )
            except OSError as error:
                raise InputError(f"receive.host: {own.host} cannot be listened on: {error.strerror}") from error
            opened.callback(self._server.close)
            recover(settings.path_data / "state.db")
            self._ledger = _Acknowledging(self._tell)
            self._queue = open_queue(settings, self._ledger, linger=0.0)
            self._next_note = 0.0
            opened.callback(self._queue.release)
            self._senders = Senders(settings, self._queue)
            opened.callback(self._senders.close)
            opened.callback(self._queue.close)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self._server.address

    @property
    def traffic(self) -> Traffic:
        """What came in."""
        return self._server.traffic

    @property
    def events(self) -> Encodings:
        """What became of the events."""
        return self._documents.counts

    def documents(self) -> Deliveries:
        """What the output did with the documents."""
        return self._senders.counts()

    def stop(self) -> None:
        """Accept nothing more, deliver what came, acknowledge it, end. A flag and nothing else: see ``Agent.stop``."""
        self._stopping = True

    def check(self) -> None:
        """Look whether the output can be used. Raises ``OutputError``."""
        self._senders.check()

    def run(self, *, patience: float = 30.0) -> bool:
        """Receive until stopped; then deliver what was taken, unless the output takes nothing for ``patience`` seconds.

        Whether all that was received is settled; what is not, its clients send again.
        """
        self._patience = Patience(patience)
        with self._watchdog:
            self._senders.start()
            self._server.start()
            while not self._stopping:
                self._tick()
                # While nothing is on its way, there is nothing to wait for: the client may not go on before it is told.
                self._turn(0.25 if not self._batch.count else 0.0 if self._queue.empty() else _WAIT)
            self._server.stop()
            return self._drain()

    # --- one after the other -----------------------------------------------------------------------------------------

    def _turn(self, timeout: float) -> bool:
        """Take what comes within ``timeout`` seconds, or else send what there is; whether anything came."""
        chunk = self._server.take(timeout)
        if chunk is None:
            self._enqueue()
            return False
        if isinstance(chunk, Ended):
            with self._telling:
                end = self._told.pop(chunk.connection, 0)
            self._ids.ended(chunk.connection, min(end, chunk.acknowledged))
            self._broken.discard(chunk.connection)
        elif chunk.connection not in self._broken:
            self._told.setdefault(chunk.connection, 0)
            self._encode(chunk)
        return True

    def _encode(self, chunk: Chunk) -> None:
        self._ids.acknowledged(chunk.connection, self._told[chunk.connection])
        try:
            self._add(self._documents.encode(chunk.events, chunk.connection, chunk.end), chunk.connection, chunk.end)
        except NotAnEventError as error:
            end = chunk.end - len(chunk.events) + error.position
            self._broken.add(chunk.connection)
            self._add(error.before, chunk.connection, end)
            self._server.reject(chunk.connection, str(error))

    def _add(self, encoded: Encoded, connection: int, end: int) -> None:
        segment = self._ledger.add(_FIRST + connection, end, settled=not encoded.documents)
        if not encoded.documents:
            return
        limit = self._settings.batch_max_bytes
        if self._batch.bytes + len(encoded.body) > limit:
            self._enqueue()
        self._batch.add(encoded, segment)
        if self._batch.bytes >= limit or time.monotonic() - self._batch.since > 10 * _WAIT:
            self._enqueue()

    def _enqueue(self) -> None:
        """Hand the batch over; wait while the queue is full: then nothing is taken, and soon nothing is read."""
        if not self._batch.count:
            return
        batch, self._batch = self._batch.done(), Builder()
        while not self._queue.put(batch, timeout=0.1):
            self._tick()
            if self._stuck():
                self._gave_up = True  # nobody was told of it
                return
        self._patience.renew()

    def _tell(self, moved: dict[int, int]) -> None:
        """From any thread."""
        moved = {connection - _FIRST: end for connection, end in moved.items()}
        self._server.acknowledge(moved)
        with self._telling:
            for connection, end in moved.items():
                if connection in self._told:
                    self._told[connection] = max(end, self._told[connection])

    def _tick(self) -> None:
        now = time.monotonic()
        if not self._stopping:
            self._patience.renew()
        self._senders.supervise()
        if now >= self._next_note:
            self._next_note = now + 1.0
            if self._queue.damaged:
                self._queue.mended()  # what is missing has been said; there is no file to read it from again
            with contextlib.suppress(
                StateError
            ):  # the next one tries again; what it cannot tell then is what is missing
                self._queue.secure()
        if self._pulse:
            self._pulse()
        if self._observer and self._observer.due(now):
            self._observe(self._observer)

    def _observe(self, observer: Observer) -> None:
        """Let those who watch from outside know where the receiver stands."""
        snapshot = observer.begin(self._settings, self.documents(), self._queue.depth(), self._queue.trouble)
        own = self._settings.receive
        pipeline = PurePath(own.pipeline).name if own and own.pipeline else ""
        progress = InputProgress("receive", pipeline)
        add(progress.events, self.events)
        snapshot.inputs = [progress]
        snapshot.traffic = copy(self.traffic)
        observer.publish(snapshot)

    def _drain(self) -> bool:
        while not self._gave_up and self._turn(0.0):
            self._tick()
        self._queue.close()
        while not self._ledger.wait(0.1) and not self._stuck():
            self._tick()
        self._server.close()
        return self._ledger.wait(0)

    def _stuck(self) -> bool:
        """Whether a stopped receiver has waited for its output for longer than there is patience for."""
        return self._stopping and self._patience.is_over(self.documents())
