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
from typing import TYPE_CHECKING, Self

from parser.watchdog import Watchdog
from shipper.delivery.builder import Builder
from shipper.delivery.ledger import Ledger
from shipper.delivery.queue import open_queue
from shipper.delivery.sender import Deliveries
from shipper.errors import ShipperError, StateError
from shipper.handover import Plan, adopt, plan, rearrange, stray
from shipper.inputs import Input
from shipper.outputs.target import target
from shipper.progress import Progress, Snapshot, add
from shipper.reloading import Reloading, same_way
from shipper.sending import Senders
from shipper.settings.redaction import redacted
from shipper.state.lock import Lock
from shipper.state.recovery import recover
from shipper.state.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shipper.files.harvester import Harvester
    from shipper.files.reader import Block
    from shipper.files.watch import Watch
    from shipper.observer import Observer
    from shipper.settings import Settings
    from shipper.state.registry import Entry

log = logging.getLogger(__name__)

WATCH_FOLDERS = 5.0
"""Seconds between looks for new folders to watch."""
POLL = 0.25
"""Seconds between looks at open files: the longest that a new line waits to be read."""
DELETE = 5.0
"""Seconds between looks for files that are complete and can be deleted, at most."""
HANDOVER = 5.0
"""Seconds without progress after which a reload waits no longer for an output that is to be replaced."""
CHECKPOINT = 1.0
"""Seconds between commits of the registry: what is sent again, at most, after a crash."""


class Agent:
    """``with Agent(settings) as agent: agent.run()``. ``stop`` may be called from a signal handler or another thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        watch: Callable[[Progress], None] | None = None,
        pulse: Callable[[], None] | None = None,
        observer: Observer | None = None,
        loader: Callable[[], Settings] | None = None,
        reloaded: Callable[[Settings], None] | None = None,
    ) -> None:
        """Take the state's lock and open what is needed.

        ``watch`` and ``pulse`` are called about every 0.1 s in the main thread, for as long as its loop turns; ``observer``
        gets a snapshot about every second. For ``reload``: ``loader`` reads the settings again, and raises ``ShipperError``
        where they are wrong; ``reloaded`` is told which settings are in use after that, whether they are new or not.

        Raises ``ShipperError`` or ``ParserError``; nothing is left open then.
        """
        self._settings = settings
        self._watch = watch
        self._pulse = pulse
        self._observer = observer
        self._reloading = Reloading(loader, reloaded)
        self._ended = False
        self._past = Deliveries()
        self._hinted = threading.Event()
        self._folders: Watch | None = None
        self._looked = self._shipped = 0.0
        self._stopping = False
        self._next_tick = self._next_checkpoint = self._next_flush = self._next_folders = self._next_delete = 0.0
        self._patience = 0.0
        self._waited_for = self._gave_up = False
        self._trouble = ""
        self._moved = (0, 0.0)
        self._ledger = Ledger()
        self._unsaved: dict[int, Entry] = {}
        self._batch = Builder()
        made = plan(settings)
        self._watchdog = Watchdog(made.event_limit)
        with contextlib.ExitStack() as opened:
            opened.callback(Lock(settings.path_data).release)
            self._open(made)
            self._opened = opened.pop_all()

    def _open(self, made: Plan) -> None:
        """What belongs to the output's target and to the queue; ``_parts`` closes it."""
        settings = self._settings = made.settings
        with contextlib.ExitStack() as parts:
            self._queue = open_queue(settings, self._ledger)
            parts.callback(self._queue.release)
            recover(settings.path_data / "state.db")
            self._registry = Registry(settings.path_data / "state.db", target(settings))
            parts.callback(self._registry.close)
            self._inputs: list[Input] = []
            parts.callback(self._close_inputs)
            self._inputs += [Input(settings, own, pipeline, self._registry) for own, pipeline in made.inputs]
            self._senders = Senders(settings, self._queue)
            parts.callback(self._close_senders)
            self._parts = parts.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()
        self._opened.close()

    def reload(self) -> None:
        """Go on with the settings that ``loader`` gives; those that run go on where it finds a mistake. Only a flag, as ``stop``."""
        self._reloading.asked = True

    def stop(self) -> None:
        """Read nothing more, deliver what is read, end. It is heard within ``POLL``.

        A flag and nothing else: a lock, as of an event, might be held by the code that a signal has interrupted.
        """
        self._stopping = self._ended = True

    def check(self) -> None:
        """Look whether the output can be used. Raises ``OutputError``."""
        self._senders.check()

    def progress(self) -> Progress:
        """Where the agent stands now."""
        progress = Progress()
        for _, harvester in self._harvesters():
            progress.files += 1
            progress.read += harvester.reader.end
            progress.size += harvester.size()
        for each in self._inputs:
            files, size = each.harvest.at_their_ends()
            progress.files += files
            progress.read += size
            progress.size += size
            add(progress.events, each.encoder.counts)
        for counts in (self._past, self._senders.counts()):
            add(progress.documents, counts)
        return progress

    def unreadable(self) -> dict[str, str]:
        """The paths that were asked for and cannot be read, or not to their end, and why."""
        found = {path: why for each in self._inputs for path, why in each.harvest.unreadable.items()}
        for _, harvester in self._harvesters():
            if harvester.trouble:
                found[harvester.path] = harvester.trouble
            elif self._waited_for and harvester.reader.blank and not harvester.final:
                found[harvester.path] = (
                    f"has nothing but NUL bytes from byte {harvester.reader.end:,} on, which its writer is going to fill: "
                    "run it again for what comes there"
                )
        return found

    def lost(self) -> int:
        """How many bytes were gone before they were read, as far as that is known."""
        return sum(each.harvest.lost for each in self._inputs)

    def outstanding(self) -> dict[str, int]:
        """How many bytes of each open file are not acknowledged, where that is any."""
        files = [harvester for each in self._inputs for harvester in each.harvest.held()]
        left = {harvester.path: harvester.size() - harvester.entry.offset for harvester in files}
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
            while True:
                self._senders.start()
                complete = self._work(once=once)
                if self._reloading.successor is None or self._ended:
                    return complete
                self._switch(self._reloading.successor)

    def _work(self, *, once: bool) -> bool:
        """Read and deliver, until stopped or, ``once``, through; whether all that was read is settled."""
        while not self._stopping:
            if self._reloading.staged:
                self._apply(self._reloading.staged)
            self._scan(once=once)
            busy = self._read()
            if not self._stopping and (not busy or self._is_flush_due(once=once)):
                busy |= self._flush(once=once)
            if busy:
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
        if once and any(each.settings.on_complete == "delete" for each in self._inputs):
            self._delete_at_the_end()
        return self._drain()

    def _delete_at_the_end(self) -> None:
        """A one-shot run deletes what is delivered, and ships what was written to it meanwhile."""
        while not (self._ledger.wait(0.1) and self._queue.empty()) and not self._stuck():
            self._tick()
        self._checkpoint()
        self._delete_complete(once=True)
        while not self._stopping and (self._read() or self._flush(once=True)):
            self._tick()
        if not self._gave_up:
            self._enqueue()

    # --- reading -------------------------------------------------------------------------------------------------

    def _scan(self, *, once: bool) -> None:
        """Look for files that came, changed or went, and close those that are done with."""
        if self._look(once=once):
            if not once:
                self._delete_complete(once=False)
            for each in self._inputs:
                each.harvest.close_idle(self._shipped)

    def _look(self, *, once: bool) -> bool:
        """Open what has come and notice what has changed; whether all folders were looked through."""
        now = time.monotonic()
        # A folder where files come and go all the time must not keep the agent busy with looking.
        hinted = self._hinted.is_set() and now - self._looked >= POLL
        if hinted:
            self._hinted.clear()
        looked = False
        # The copy of what one input reads may be another's.
        replaced = now >= self._next_tick and True in {each.harvest.check() for each in self._inputs}
        for each in self._inputs:
            if hinted or replaced or now >= each.next_scan:
                each.next_scan = math.inf if once else now + each.settings.check_interval
                each.harvest.scan(partial=once)
                self._looked = now
                looked = True
        if self._folders and (hinted or now >= self._next_folders):
            self._next_folders = now + WATCH_FOLDERS
            self._folders.folders({folder for each in self._inputs for folder in each.harvest.folders()})
        return looked

    def _delete_complete(self, *, once: bool) -> None:
        """``on_complete: delete``."""
        inputs = [each for each in self._inputs if each.settings.on_complete == "delete" and not each.removed]
        now = time.monotonic()
        if not inputs or (not once and now < self._next_delete) or self._trouble:
            return
        from shipper.completion import delete_complete  # noqa: PLC0415 - only where it is wanted

        self._next_delete = now + min(DELETE, *(each.settings.on_complete_quiet for each in inputs))
        owed = self._queue.undelivered() | self._unsaved.keys()
        for each in inputs:
            delete_complete(each, self._registry, owed, once=once)

    def _harvesters(self) -> Iterator[tuple[Input, Harvester]]:
        for each in self._inputs:
            for harvester in list(each.harvest.harvesters):
                yield each, harvester

    def _read(self) -> bool:
        """One block of each file that has one, so that no file keeps the others waiting; whether there was any."""
        progress = False
        for each in self._inputs:
            for harvester in each.harvest.reading():
                if self._stopping:
                    return False
                block = harvester.read()
                if block is not None:
                    progress = True
                    self._ship(each, harvester, block)
            progress |= each.harvest.work()
        return progress

    def _flush(self, *, once: bool) -> bool:
        """Make events of what has waited long enough for its end (or, ``once``, of all that is left)."""
        progress = False
        now = time.monotonic()
        for each, harvester in self._harvesters():
            waited = once or now - harvester.quiet_since >= each.flush_after
            block = None
            if harvester.successor is not None:
                block = each.harvest.end_of(harvester, waited=waited)
                progress |= harvester.successor is None
            elif harvester.reader.pending and (waited or harvester.given_up):
                block = self._end_of(harvester, once=once)
            if block is not None:
                progress = True
                self._ship(each, harvester, block)
        return progress

    def _is_flush_due(self, *, once: bool) -> bool:
        """Whether to look at what waits while there is still something to read: files that are quiet do not wait for busy ones."""
        now = time.monotonic()
        if once or now < self._next_flush:
            return False
        self._next_flush = now + POLL
        return True

    def _end_of(self, harvester: Harvester, *, once: bool) -> Block | None:
        """What is left of a file as an event, where there is no more to come."""
        if harvester.truncated and not (harvester.given_up or once):
            return None  # the next look may find a copy of it that goes on
        try:
            # Half of a line that can be read further is no event, however long the output kept us from it.
            if not harvester.at_end():
                return None
        except OSError as error:
            harvester.troubled(f"cannot be looked at: {error.strerror}")
            return None
        return harvester.flush(self._registry, lines=not (once or harvester.final))

    def _ship(self, each: Input, harvester: Harvester, block: Block) -> None:
        """Encode a block and add it to the batch that is being made."""
        self._shipped = time.monotonic()
        encoded = each.encoder.encode(block, harvester.path, harvester.seed)
        done = not encoded.documents
        segments = [self._ledger.add(harvester.entry.file, block.end, settled=done)]
        if block.borrowed and harvester.joined:  # an event of two files: settled together
            segments.append(self._ledger.add(harvester.joined.next, harvester.joined.until, settled=done))
        if done:
            return
        limit = self._settings.batch_max_bytes
        if self._batch.bytes + len(encoded.body) > limit:
            self._enqueue()
        self._batch.add(encoded, *segments)
        if self._batch.bytes >= limit:
            self._enqueue()

    # --- delivering ----------------------------------------------------------------------------------------------

    def _enqueue(self) -> None:
        """Hand the batch over; wait while the queue is full, which is the back-pressure on all reading."""
        if not self._batch.count:
            return
        batch, self._batch = self._batch.done(), Builder()
        while not self._queue.put(batch, timeout=0.1):
            # What is rotated away meanwhile has to be open by then (invariant 6).
            self._scan(once=self._waited_for)
            self._tick()
            if self._stuck():
                self._stopping = self._gave_up = True  # the batch stays unsettled, so the next run reads it again
                return

    def _drain(self) -> bool:
        """Wait for the outcomes of what is on its way, as long as there is progress."""
        self._queue.close()
        while not (self._ledger.wait(0.1) and (not self._waited_for or self._queue.empty())) and not self._stuck():
            self._tick()
            if self._ledger.wait(0):
                time.sleep(0.05)  # what is on disk only is still to be delivered
        self._senders.stop()
        self._checkpoint()
        for each in self._inputs:
            self._unsaved.update({entry.file: entry for entry in each.harvest.at_rest()})
        if self._unsaved:
            self._registry.commit(self._unsaved.values())  # the last chance: what fails now is an error
        return self._ledger.wait(0) and (not self._waited_for or self._queue.empty())

    def _stuck(self) -> bool:
        """Whether a stopped or one-shot run has waited for its output for longer than there is patience for."""
        counts = self._senders.counts()
        settled = counts.delivered + counts.rejected
        if settled != self._moved[0] or not (self._waited_for or self._stopping):
            self._moved = (settled, time.monotonic())
        patience = min(self._patience, HANDOVER) if self._reloading.successor and not self._ended else self._patience
        return time.monotonic() - self._moved[1] > patience

    def _tick(self) -> None:
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + 0.1
        if self._pulse:
            self._pulse()
        self._senders.supervise()
        if now >= self._next_checkpoint:
            self._next_checkpoint = now + CHECKPOINT
            self._checkpoint()
        if self._reloading.asked and not self._stopping:
            self._take_over()
        if self._watch:
            self._watch(self.progress())
        if self._observer and self._observer.due(now):
            self._observe(self._observer)

    def _observe(self, observer: Observer) -> None:
        """Let those who watch from outside know where the agent stands."""
        snapshot = Snapshot(time.monotonic(), output=self._settings.output.kind, state=self._trouble)
        for counts in (self._past, self._senders.counts()):
            add(snapshot.documents, counts)
        snapshot.settings, snapshot.reloads = self._reloading.refused, self._reloading.count
        snapshot.trouble = redacted(snapshot.documents.trouble, self._settings.secrets)
        depth = self._queue.depth()
        snapshot.queue_bytes, snapshot.queue_limit = depth.bytes, depth.limit
        snapshot.spool_bytes, snapshot.spool_limit = depth.disk_bytes, depth.disk_limit
        observer.inputs(self._inputs, snapshot)
        observer.publish(snapshot)
        observer.note(self._registry, snapshot.at)

    def _checkpoint(self) -> None:
        """What the ledger acknowledges, into the registry: after the output has it, never before (invariant 2)."""
        for file, offset in self._ledger.acknowledged().items():
            for each in self._inputs:
                harvester = each.harvest.harvester(file)
                if harvester is not None and offset > harvester.acknowledged:
                    harvester.acknowledged = offset
                    if harvester.checkpoint():
                        self._unsaved[file] = harvester.entry
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

    def _close_inputs(self) -> None:
        for each in self._inputs:
            each.harvest.close()

    def _close_senders(self) -> None:
        self._queue.close()
        add(self._past, self._senders.close())

    # --- other settings ------------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        """Read the settings again. What can go on goes on; another target, or another queue, needs a new beginning."""
        new = self._reloading.read(self._settings)
        if new is None:
            return
        if same_way(self._settings, new.settings):
            self._settings = new.settings
            self._senders.renew(new.settings)
            self._reloading.staged = new
        else:
            log.info("reload: what was read goes to the output there was, then the new one begins")
            self._moved = (self._moved[0], time.monotonic())
            self._reloading.successor = new
            self._stopping = True

    def _apply(self, staged: Plan) -> None:
        """Other inputs and pipelines, between two rounds of reading."""
        self._reloading.staged = None
        self._watchdog.limit(staged.event_limit)
        self._inputs = rearrange(self._inputs, staged, self._registry)
        self._next_folders = 0.0
        self._reloading.taken_over(staged.settings)

    def _switch(self, successor: Plan) -> None:
        """Begin anew, with another target or queue. Open files that no look would find again are taken along."""
        before = self._settings
        taken = stray(self._inputs)
        self._parts.close()
        self._ledger = Ledger()
        self._unsaved.clear()
        self._batch = Builder()
        self._stopping = self._gave_up = False
        self._reloading.successor = self._reloading.staged = None
        made = successor
        try:
            self._open(made)
        except ShipperError as error:
            self._reloading.refuse(error)
            made = plan(before)
            self._open(made)
        self._watchdog.limit(made.event_limit)
        adopt(taken, self._inputs, self._settings, self._registry)
        self._next_folders = 0.0
        self._moved = (0, time.monotonic())
        if self._reloading.refused:
            self._reloading.tell(self._settings)
        else:
            self._reloading.taken_over(successor.settings)
