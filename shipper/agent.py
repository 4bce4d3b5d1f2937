"""The agent: puts the parts together and supervises them.

The main thread does everything up to the encoded batch, and owns the registry; a sender thread per worker waits for the
output. Matching has to stay in the main thread: only there can a pattern that runs away be stopped (see DESIGN).

    Reading: scan → read → frame ─▶ Publisher: parse → encode ─▶ queue ─▶ sender → output
         registry ◀─ checkpoint ◀──────────────────────────── ledger ◀─ outcomes
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Self

from parser.watchdog import Watchdog
from shipper.delivery.ledger import Ledger
from shipper.delivery.patience import Patience
from shipper.delivery.queue import open_queue
from shipper.delivery.sender import Deliveries
from shipper.errors import ShipperError, StateError
from shipper.handover import Plan, adopt, plan, stray
from shipper.outputs.target import target
from shipper.progress import add
from shipper.publishing import Publisher
from shipper.reading import POLL, Reading
from shipper.reloading import Reloading
from shipper.sending import Senders
from shipper.state.lock import Lock
from shipper.state.recovery import recover
from shipper.state.registry import Registry
from shipper.state.spools import manifests

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipper.files.harvester import Harvester
    from shipper.files.reader import Block
    from shipper.inputs import Input
    from shipper.observer import Observer
    from shipper.progress import Progress
    from shipper.settings import Settings

log = logging.getLogger(__name__)

HANDOVER = 5.0
"""Seconds without progress after which a reload waits no longer for an output that is to be replaced."""
CHECKPOINT = 1.0
"""Seconds between commits of the registry: what is sent again, at most, after a crash."""


class Agent:
    """``with Agent(settings) as agent: agent.run()``. ``stop`` may be called from a signal handler or another thread.

    Its parts belong to one target and one queue: a reload that changes these makes new parts. They do not know each other.
    """

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
        self._watch = watch
        self._pulse = pulse
        self._observer = observer
        self._reloading = Reloading(loader, reloaded)
        self._ended = self._once = self._unmended = False
        self._patience = Patience(0.0)
        self._past = Deliveries()
        self._next_tick = self._next_checkpoint = 0.0
        made = plan(settings)
        self._watchdog = Watchdog(made.event_limit)
        with contextlib.ExitStack() as opened:
            opened.callback(Lock(settings.path_data).release)
            self._open(made)
            self._opened = opened.pop_all()

    def _open(self, made: Plan) -> None:
        """What belongs to the output's target and to the queue; ``_parts`` closes it."""
        self._made = made
        settings = self._settings = made.settings
        with contextlib.ExitStack() as parts:
            ledger = Ledger()
            self._queue = open_queue(settings, ledger)
            parts.callback(self._queue.release)
            recover(settings.path_data / "state.db")
            self._registry = Registry(settings.path_data / "state.db", target(settings))
            parts.callback(self._registry.close)
            self._publisher = Publisher(self._queue, ledger, settings.batch_max_bytes, self._wait_for_room)
            self._make_good()
            self._reading = Reading(made, self._registry, self._ship, self._queue)
            parts.callback(self._reading.close)
            self._senders = Senders(settings, self._queue)
            parts.callback(self._close_senders)
            self._parts = parts.pop_all()

    def _make_good(self) -> None:
        """What a spool has lost is read again from where the output has it: ids keep what was not lost from doubling.

        Where that cannot be written now, it is tried again: what is left in the spool goes out meanwhile, and may make room.
        """
        settings, queue, registry = self._settings, self._queue, self._registry
        there = manifests(settings.path_data, settings.spool_path, target(settings)) if registry.owed else {}
        self._unmended = False
        try:
            for spool in list(registry.owed):
                own, found = spool == queue.spool, there.get(spool)
                if found is None or (own and queue.damaged):
                    for entry in registry.rewind(spool):
                        log.warning(
                            "%s is read again from byte %d, as far as it is there: its queue on disk is damaged, or gone",
                            entry.path,
                            entry.offset,
                        )
                elif not own and not found.lengths:
                    registry.delivered(spool)
        except StateError as error:
            self._unmended = True
            log.warning("%s; what a damaged queue on disk has lost is read again when it can be written", error)
            return
        if queue.damaged:
            queue.mended()

    @property
    def _can_make_good(self) -> bool:
        """Whether a spool has lost something that was not made good for, and nothing speaks against it now."""
        return (self._queue.damaged or self._unmended) and not self._reading.trouble

    def _begin_anew(self) -> None:
        """With the settings that there are: that makes good for what the spool has lost."""
        self._reloading.successor = self._reloading.staged or self._made

    def _close_senders(self) -> None:
        self._queue.close()
        add(self._past, self._senders.close())

    def _documents(self) -> Deliveries:
        total = self._senders.counts()
        add(total, self._past)
        return total

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
        self._ended = True

    def check(self) -> None:
        """Look whether the output can be used. Raises ``OutputError``."""
        self._senders.check()

    def progress(self) -> Progress:
        """Where the agent stands now."""
        progress = self._reading.progress()
        progress.documents = self._documents()
        return progress

    def unreadable(self) -> dict[str, str]:
        """The paths that were asked for and cannot be read, or not to their end, and why."""
        return self._reading.unreadable()

    def lost(self) -> int:
        """How many bytes were gone before they were read, as far as that is known."""
        return self._reading.lost()

    def outstanding(self) -> dict[str, int]:
        """How many bytes of each open file are not acknowledged, where that is any."""
        return self._reading.outstanding()

    # --- the loop ------------------------------------------------------------------------------------------------

    def run(self, *, once: bool = False, patience: float = 30.0) -> bool:
        """Ship until stopped; with ``once``, until everything that is there now is shipped.

        After a stop, what has been read is still delivered; a stopped or one-shot run gives up when its output has
        taken nothing for ``patience`` seconds. Whether all that was read is durably settled; what is not is read again
        by the next run.

        Raises ``ShipperError`` when the agent's own state fails.
        """
        self._patience, self._once = Patience(patience), once
        with self._watchdog:
            while True:
                self._patience.renew()
                self._reading.start(once=once)
                self._senders.start()
                complete = self._work()
                if self._can_make_good and not self._ended and self._reloading.successor is None:
                    self._begin_anew()
                if self._reloading.successor is None or self._ended:
                    return complete and not (self._queue.damaged or self._unmended)
                self._switch(self._reloading.successor)

    @property
    def _stopping(self) -> bool:
        """Whether nothing more is read, be it only until the successor begins."""
        return self._ended or self._publisher.gave_up or self._reloading.successor is not None

    def _work(self) -> bool:
        """Read and deliver, until stopped or, in a one-shot run, through; whether all that was read is settled."""
        while not self._stopping:
            if self._reloading.staged:
                self._apply(self._reloading.staged)
            self._reading.look()
            busy = self._reading.read()
            if not self._stopping and (not busy or self._reading.is_flush_due()):
                busy |= self._reading.flush()
            if busy:
                self._tick()
                continue
            if self._once:
                break
            self._publisher.enqueue(older_than=POLL)
            self._tick()
            self._reading.wait()
        if not self._publisher.gave_up:
            self._patience.renew()
        self._publisher.enqueue()
        if self._once and any(each.settings.on_complete == "delete" for each in self._reading.inputs):
            self._delete_at_the_end()
        return self._drain()

    def _ship(self, each: Input, harvester: Harvester, block: Block) -> bool:
        """A block on its way; whether to read on."""
        self._publisher.ship(each, harvester, block)
        return not self._stopping

    def _wait_for_room(self) -> bool:
        """While the queue is full; whether to wait on."""
        # What is rotated away meanwhile has to be open by then (invariant 6).
        self._reading.look()
        self._tick()
        return not self._is_stuck()

    def _delete_at_the_end(self) -> None:
        """A one-shot run deletes what is delivered, and ships what was written to it meanwhile."""
        self._wait_for_outcomes()
        self._checkpoint()
        self._reading.delete_complete()
        while not self._stopping and (self._reading.read() or self._reading.flush()):
            self._tick()
        self._publisher.enqueue()

    def _drain(self) -> bool:
        """Wait for the outcomes of what is on its way, as long as there is progress."""
        self._queue.close()
        self._wait_for_outcomes()
        self._senders.stop()
        self._checkpoint()
        self._reading.finish()
        return self._publisher.wait(0, delivered=self._once)

    def _wait_for_outcomes(self) -> None:
        while not self._publisher.wait(0.1, delivered=self._once) and not self._is_stuck():
            self._tick()

    def _is_stuck(self) -> bool:
        """Whether a stopped or one-shot run has waited for its output for longer than there is patience for."""
        if not (self._once or self._stopping):
            self._patience.renew()
        handover = HANDOVER if self._reloading.successor and not self._ended else None
        return self._patience.is_over(self._senders.counts(), most=handover)

    # --- supervision ---------------------------------------------------------------------------------------------

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
        if self._can_make_good and not self._stopping:
            self._begin_anew()
        if self._reloading.asked and not self._stopping:
            self._take_over()
        if self._watch:
            self._watch(self.progress())
        if self._observer and self._observer.due(now):
            self._observe(self._observer)

    def _checkpoint(self) -> None:
        """What the ledger acknowledges, into the registry: after the output has it, never before (invariant 2)."""
        self._reading.checkpoint(self._publisher.acknowledged())

    def _observe(self, observer: Observer) -> None:
        """Let those who watch from outside know where the agent stands."""
        snapshot = observer.begin(self._settings, self._documents(), self._queue.depth(), self._reading.trouble)
        snapshot.settings, snapshot.reloads = self._reloading.refused, self._reloading.count
        observer.inputs(self._reading.inputs, snapshot)
        observer.publish(snapshot)
        observer.note(self._registry, snapshot.at)

    # --- other settings ------------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        """Read the settings again. What can go on goes on; another target, or another queue, needs a new beginning."""
        new = self._reloading.read(self._settings)
        if self._reloading.successor is not None:
            self._patience.renew()
        elif new is not None:
            self._settings = new.settings
            self._publisher.limit = new.settings.batch_max_bytes
            self._senders.renew(new.settings)

    def _apply(self, staged: Plan) -> None:
        """Other inputs and pipelines, between two rounds of reading."""
        self._reloading.staged = None
        self._watchdog.limit(staged.event_limit)
        self._made = staged
        self._reading.rearrange(staged)
        self._reloading.taken_over(staged.settings)

    def _switch(self, successor: Plan) -> None:
        """Begin anew, with another target or queue. Open files that no look would find again are taken along."""
        before, made = self._made, successor
        taken = stray(self._reading.inputs)
        self._parts.close()
        self._reloading.successor = self._reloading.staged = None
        try:
            self._open(successor)
        except ShipperError as error:
            self._reloading.refuse(error)
            made = before
            self._open(made)
        self._watchdog.limit(made.event_limit)
        adopt(taken, self._reading.inputs, self._settings, self._registry)
        if self._reloading.refused:
            self._reloading.tell(self._settings)
        elif successor is not before:
            self._reloading.taken_over(successor.settings)
