"""The agent: puts the parts together and supervises them.

The main thread does everything up to the encoded batch, and owns the registry; a sender thread per worker waits for the
output. Matching has to stay in the main thread: only there can a pattern that runs away be stopped (see DESIGN).

    scan → read → frame → parse → encode → queue ─▶ sender → output
                            registry ◀─ checkpoint ◀─ ledger ◀─ outcomes
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from parser.watchdog import Watchdog
from shipper.delivery.encoder import Encodings
from shipper.delivery.ledger import Ledger
from shipper.delivery.queue import BatchQueue
from shipper.delivery.retry import Backoff
from shipper.delivery.sender import Deliveries, Sender
from shipper.errors import StateError
from shipper.inputs import Input, pipeline_of
from shipper.outputs import open_output
from shipper.outputs.batch import Batch
from shipper.settings import ElasticsearchOutputSettings
from shipper.state.lock import Lock
from shipper.state.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shipper.delivery.encoder import Encoded
    from shipper.delivery.ledger import Segment
    from shipper.files.harvest import Harvester
    from shipper.files.reader import Block
    from shipper.files.watch import Watch
    from shipper.settings import Settings
    from shipper.state.registry import Entry

log = logging.getLogger(__name__)

WATCH_FOLDERS = 5.0
"""Seconds between looks for new folders to watch."""
POLL = 0.25
"""Seconds between looks at open files: the longest that a new line waits to be read."""
CHECKPOINT = 1.0
"""Seconds between commits of the registry: what is sent again, at most, after a crash."""


@dataclass(slots=True)
class Progress:
    """Where the agent stands, for those who watch it."""

    files: int = 0
    read: int = 0
    """Bytes read of the open files."""
    size: int = 0
    """Bytes that the open files have."""
    events: Encodings = field(default_factory=Encodings)
    documents: Deliveries = field(default_factory=Deliveries)


class Agent:
    """``with Agent(settings) as agent: agent.run()``. ``stop`` may be called from a signal handler or another thread."""

    def __init__(self, settings: Settings, *, watch: Callable[[Progress], None] | None = None) -> None:
        """Take the state's lock and open what is needed. ``watch`` is called about every 0.1 s, in the main thread.

        Raises ``ShipperError`` or ``ParserError``; nothing is left open then.
        """
        self._settings = settings
        self._watch = watch
        self._hinted = threading.Event()
        self._folders: Watch | None = None
        self._looked = 0.0
        self._stopping = False
        self._next_tick = self._next_checkpoint = self._next_folders = 0.0
        self._patience = 0.0
        self._waited_for = self._gave_up = False
        self._trouble = ""
        self._moved = (0, 0.0)
        self._ledger = Ledger()
        self._unsaved: dict[int, Entry] = {}
        self._queue = BatchQueue(settings.queue_max_bytes)
        self._batch = _Builder()
        enabled = [each for each in settings.inputs if each.enabled]
        pipelines = [pipeline_of(each) for each in enabled]
        limits = [pipeline.timeout for pipeline in pipelines if pipeline and pipeline.timeout]
        self._watchdog = Watchdog(min(limits, default=None))
        with contextlib.ExitStack() as opened:
            opened.callback(Lock(settings.path_data).release)
            self._registry = Registry(settings.path_data / "state.db", _target(settings))
            opened.callback(self._registry.close)
            self._inputs = [
                Input(settings, each, pipeline, self._registry)
                for each, pipeline in zip(enabled, pipelines, strict=True)
            ]
            for each in self._inputs:
                opened.callback(each.harvest.close)
            self._senders = [self._sender() for _ in range(getattr(settings.output, "worker", 1))]
            opened.callback(self._close_senders)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def stop(self) -> None:
        """Read nothing more, deliver what is read, end. It is heard within ``POLL``.

        A flag and nothing else: a lock, as of an event, might be held by the code that a signal has interrupted.
        """
        self._stopping = True

    def check(self) -> None:
        """Look whether the output can be used. Raises ``OutputError``."""
        self._senders[0].check()

    def progress(self) -> Progress:
        """Where the agent stands now."""
        progress = Progress()
        for each, harvester in self._harvesters():
            progress.files += 1
            progress.read += harvester.reader.end
            progress.size += harvester.size()
            del each
        for each in self._inputs:
            _add(progress.events, each.encoder.counts)
        for sender in self._senders:
            _add(progress.documents, sender.counts)
        return progress

    def unreadable(self) -> dict[str, str]:
        """The paths that were asked for and cannot be read, or not to their end, and why."""
        found = {path: why for each in self._inputs for path, why in each.harvest.unreadable.items()}
        return found | {harvester.path: harvester.trouble for _, harvester in self._harvesters() if harvester.trouble}

    def outstanding(self) -> dict[str, int]:
        """How many bytes of each open file are not acknowledged, where that is any."""
        left = {harvester.path: harvester.size() - harvester.entry.offset for _, harvester in self._harvesters()}
        return {path: size for path, size in left.items() if size > 0}

    def run(self, *, once: bool = False, patience: float = 30.0) -> bool:
        """Ship until stopped; with ``once``, until everything that is there now is shipped.

        After a stop, what has been read is still delivered; a stopped or one-shot run gives up when its output has
        taken nothing for ``patience`` seconds. Whether all that was read is durably settled; what is not is read again
        by the next run.

        Raises ``ShipperError`` when the agent's own state fails.
        """
        self._patience, self._waited_for = patience, once
        self._moved = (0, time.monotonic())
        with contextlib.ExitStack() as running:
            running.enter_context(self._watchdog)
            if not once:
                from shipper.files.watch import Watch  # noqa: PLC0415 - threads that a one-shot run has no use for

                self._folders = Watch(self._hinted.set)
                running.callback(self._folders.close)
            for sender in self._senders:
                sender.start()
            while not self._stopping:
                self._scan(once=once)
                if self._read() or (not self._stopping and self._flush(once=once)):
                    self._tick()
                    continue
                if once:
                    break
                if self._batch.count and time.monotonic() - self._batch.since > POLL:
                    self._enqueue()
                self._tick()
                # Not the hint alone: one that came too soon after the last look would keep this loop turning.
                if not self._hinted.wait(POLL):
                    continue
                time.sleep(max(0.0, POLL - (time.monotonic() - self._looked)))
            if not self._gave_up:
                self._moved = (self._moved[0], time.monotonic())
                self._enqueue()
            return self._drain()

    # --- reading -------------------------------------------------------------------------------------------------

    def _scan(self, *, once: bool) -> None:
        """Look for files that came, changed or went, and close those that are done with."""
        if self._look(once=once):
            for each in self._inputs:
                each.harvest.close_idle()

    def _look(self, *, once: bool) -> bool:
        """Open what has come and notice what has changed; whether all folders were looked through."""
        now = time.monotonic()
        # A folder where files come and go all the time must not keep the agent busy with looking.
        hinted = self._hinted.is_set() and now - self._looked >= POLL
        if hinted:
            self._hinted.clear()
        looked = False
        for each in self._inputs:
            replaced = each.harvest.check() if now >= self._next_tick else False
            if hinted or replaced or now >= each.next_scan:
                each.next_scan = math.inf if once else now + each.settings.check_interval
                each.harvest.scan(partial=once)
                self._looked = now
                looked = True
        if self._folders and (hinted or now >= self._next_folders):
            self._next_folders = now + WATCH_FOLDERS
            self._folders.folders({folder for each in self._inputs for folder in each.harvest.folders()})
        return looked

    def _harvesters(self) -> Iterator[tuple[Input, Harvester]]:
        for each in self._inputs:
            for harvester in list(each.harvest.harvesters):
                yield each, harvester

    def _read(self) -> bool:
        """One block of each file that has one, so that no file keeps the others waiting; whether there was any."""
        progress = False
        for each, harvester in self._harvesters():
            if self._stopping:
                return False
            block = harvester.read()
            if block is not None:
                progress = True
                self._ship(each, harvester, block)
        return progress

    def _flush(self, *, once: bool) -> bool:
        """Make events of what has waited long enough for its end (or, ``once``, of all that is left)."""
        progress = False
        now = time.monotonic()
        for each, harvester in self._harvesters():
            waited = now - harvester.quiet_since >= each.flush_after
            # Half of a line that can be read further is no event, however long the output kept us from it.
            if harvester.reader.pending and (once or harvester.truncated or waited) and harvester.at_end():
                block = harvester.flush(self._registry, lines=not (once or harvester.final))
                if block is not None:
                    progress = True
                    self._ship(each, harvester, block)
        return progress

    def _ship(self, each: Input, harvester: Harvester, block: Block) -> None:
        """Encode a block and add it to the batch that is being made."""
        encoded = each.encoder.encode(block, harvester.path, harvester.seed)
        segment = self._ledger.add(harvester.entry.file, block.offset + len(block.data), settled=not encoded.documents)
        if not encoded.documents:
            return
        limit = self._settings.batch_max_bytes
        if self._batch.bytes + len(encoded.body) > limit:
            self._enqueue()
        self._batch.add(encoded, segment)
        if self._batch.bytes >= limit:
            self._enqueue()

    # --- delivering ----------------------------------------------------------------------------------------------

    def _enqueue(self) -> None:
        """Hand the batch over; wait while the queue is full, which is the back-pressure on all reading."""
        if not self._batch.count:
            return
        batch, self._batch = self._batch.done(), _Builder()
        while not self._queue.put(batch, timeout=0.1):
            # What is rotated away meanwhile has to be open by then (invariant 6).
            self._look(once=self._waited_for)
            self._tick()
            if self._stuck():
                self._stopping = self._gave_up = True  # the batch stays unsettled, so the next run reads it again
                return

    def _drain(self) -> bool:
        """Wait for the outcomes of what is on its way, as long as there is progress."""
        self._queue.close()
        while not self._ledger.wait(0.1) and not self._stuck():
            self._tick()
        for sender in self._senders:
            sender.stop()
        self._checkpoint()
        if self._unsaved:
            self._registry.commit(self._unsaved.values())  # the last chance: what fails now is an error
        return self._ledger.wait(0)

    def _stuck(self) -> bool:
        """Whether a stopped or one-shot run has waited for its output for longer than there is patience for."""
        settled = sum(sender.counts.delivered + sender.counts.rejected for sender in self._senders)
        if settled != self._moved[0] or not (self._waited_for or self._stopping):
            self._moved = (settled, time.monotonic())
        return time.monotonic() - self._moved[1] > self._patience

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + 0.1
        for sender in self._senders:
            if sender.failure:
                raise sender.failure
        if now >= self._next_checkpoint:
            self._next_checkpoint = now + CHECKPOINT
            self._checkpoint()
        if self._watch:
            self._watch(self.progress())

    def _checkpoint(self) -> None:
        """What the ledger acknowledges, into the registry: after the output has it, never before (invariant 2)."""
        moved = self._ledger.acknowledged()
        for _, harvester in self._harvesters():
            harvester.acknowledged = moved.get(harvester.entry.file, harvester.acknowledged)
            if harvester.acknowledged > harvester.entry.offset and harvester.checkpoint():
                self._unsaved[harvester.entry.file] = harvester.entry
        if not self._unsaved:
            return
        try:
            self._registry.commit(self._unsaved.values())
        except StateError as error:
            # Not durable, so not done: they are committed with the next checkpoint.
            if self._trouble != str(error):
                self._trouble = str(error)
                log.warning("%s; trying again", error)
        else:
            self._unsaved.clear()
            self._trouble = ""

    def _close_senders(self) -> None:
        self._queue.close()
        for sender in self._senders:
            sender.stop()
        deadline = time.monotonic() + 5.0
        for sender in self._senders:
            sender.close(max(0.0, deadline - time.monotonic()))

    # --- putting together ----------------------------------------------------------------------------------------

    def _sender(self) -> Sender:
        settings = self._settings.output
        backoff = Backoff()
        if isinstance(settings, ElasticsearchOutputSettings):
            backoff = Backoff(settings.backoff.init, settings.backoff.max)
        return Sender(
            open_output(self._settings),
            self._queue,
            self._ledger,
            self._settings.path_data / "state.db",
            backoff,
        )


class _Builder:
    """A batch in the making."""

    def __init__(self) -> None:
        self.count = self.bytes = 0
        self.since = 0.0
        self._bodies: list[bytes] = []
        self._segments: list[Segment] = []

    def add(self, encoded: Encoded, segment: Segment) -> None:
        if not self.count:
            self.since = time.monotonic()
        self.count += encoded.documents
        self.bytes += len(encoded.body)
        self._bodies.append(encoded.body)
        self._segments.append(segment)

    def done(self) -> Batch:
        return Batch(b"".join(self._bodies), self.count, self._segments)


def _target(settings: Settings) -> str:
    """Whose acknowledgements the registry keeps. Not the hosts: a node more makes no other cluster."""
    output = settings.output
    match output.kind:
        case "elasticsearch":
            return f"elasticsearch {output.target}"
        case "file":
            return f"file {output.path / output.filename}"
        case "store":
            return f"store {settings.store_path}"
        case "console":
            return "console"


def _add(total: Encodings | Deliveries, part: Encodings | Deliveries) -> None:
    for name in part.__slots__:
        value, more = getattr(total, name), getattr(part, name)
        setattr(total, name, value or more if isinstance(value, str) else value + more)
