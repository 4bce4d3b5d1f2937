"""The side of the files: which there are, what is read of them, and how far the registry has them."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from shipper.errors import StateError
from shipper.handover import rearrange
from shipper.inputs import Input
from shipper.progress import Progress, add

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shipper.delivery.queue import Queue
    from shipper.files.harvester import Harvester
    from shipper.files.reader import Block
    from shipper.files.watch import Watch
    from shipper.handover import Plan
    from shipper.state.registry import Entry, Registry

    Ship = Callable[[Input, Harvester, Block], bool]

log = logging.getLogger(__name__)

CHECK = 0.1
"""Seconds between looks whether open files were truncated or written anew."""
WATCH_FOLDERS = 5.0
"""Seconds between looks for new folders to watch."""
POLL = 0.25
"""Seconds between looks at open files: the longest that a new line waits to be read."""
DELETE = 5.0
"""Seconds between looks for files that are complete and can be deleted, at most."""


class Reading:
    """The inputs at work, for one registry. Used by the agent's main thread only.

    - ``ship`` gets each file's blocks in order, each once. It may wait, and ``look`` meanwhile.
    - In a round every file has its turn: none keeps the others waiting.
    - The registry gets what ``checkpoint`` is told, never how far is read (invariants 1 and 2). What it could not take stays
      unsaved until it can; nothing is deleted until then.
    """

    def __init__(self, made: Plan, registry: Registry, ship: Ship, queue: Queue) -> None:
        """``ship`` takes a block; whether to read on. ``queue``: who else knows what is not delivered."""
        self.inputs = [Input(made.settings, own, pipeline, registry) for own, pipeline in made.inputs]
        self._registry = registry
        self._trouble = ""
        """Why the last checkpoint could not be written; empty when it was."""
        self._told = ""
        self._ship = ship
        self._queue = queue
        self._once = False
        self._acknowledged: dict[int, int] = {}
        self._unsaved: dict[int, Entry] = {}
        self._hinted = threading.Event()
        self._watch: Watch | None = None
        self._looked = self._shipped = 0.0
        self._next_check = self._next_flush = self._next_folders = self._next_delete = 0.0

    def start(self, *, once: bool) -> None:
        """Before the first round. ``once``: a one-shot run reads what is there, to its end."""
        self._once = once
        if not once and self._watch is None:
            from shipper.files.watch import Watch  # noqa: PLC0415 - threads that a one-shot run has no use for

            self._watch = Watch(self._hinted.set)

    def close(self) -> None:
        """Close every file; watch no more."""
        if self._watch:
            self._watch.close()
        for each in self.inputs:
            each.harvest.close()

    def rearrange(self, staged: Plan) -> None:
        """Go on with other inputs and pipelines, between two rounds."""
        self.inputs = rearrange(self.inputs, staged, self._registry)
        self._next_folders = 0.0

    # --- where it stands -----------------------------------------------------------------------------------------

    def progress(self) -> Progress:
        """What there is and what is read of it; nothing of documents."""
        progress = Progress()
        for each in self.inputs:
            opened = each.harvest.harvesters
            files, size = each.harvest.at_their_ends()
            progress.files += files + len(opened)
            progress.read += size + sum(harvester.reader.end for harvester in opened)
            progress.size += size + sum(harvester.size() for harvester in opened)
            add(progress.events, each.encoder.counts)
        return progress

    def unreadable(self) -> dict[str, str]:
        """The paths that were asked for and cannot be read, or not to their end, and why."""
        found = {path: why for each in self.inputs for path, why in each.harvest.unreadable.items()}
        for _, harvester in self._harvesters():
            if why := harvester.unread(once=self._once):
                found[harvester.path] = why
        return found

    def lost(self) -> int:
        """How many bytes were gone before they were read, as far as that is known."""
        return sum(each.harvest.lost for each in self.inputs)

    def outstanding(self) -> dict[str, int]:
        """How many bytes of each open file are not acknowledged, where that is any."""
        files = [harvester for each in self.inputs for harvester in each.harvest.held()]
        left = {harvester.path: harvester.size() - harvester.entry.offset for harvester in files}
        return {path: size for path, size in left.items() if size > 0}

    @property
    def trouble(self) -> str:
        """Why the registry does not keep what it is told; empty when all is well."""
        return self._registry.displaced() or self._trouble or self._registry.trouble()

    # --- looking -------------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Until the next round is due."""
        # Not the hint alone: one that came too soon after the last look would keep the agent's loop turning.
        if self._hinted.wait(POLL):
            time.sleep(max(0.0, POLL - (time.monotonic() - self._looked)))

    def look(self) -> None:
        """Look for files that came, changed or went, where that is due, and close those that are done with."""
        if self._scan():
            if not self._once:
                self.delete_complete()
            for each in self.inputs:
                each.harvest.close_idle(self._shipped)

    def _scan(self) -> bool:
        """Open what has come and notice what has changed; whether all folders were looked through."""
        now = time.monotonic()
        # A folder where files come and go all the time must not keep the agent busy with looking.
        hinted = self._hinted.is_set() and now - self._looked >= POLL
        if hinted:
            self._hinted.clear()
        looked = replaced = False
        if now >= self._next_check:
            self._next_check = now + CHECK
            replaced = True in {each.harvest.check() for each in self.inputs}
        for each in self.inputs:
            # The copy of what one input reads may be another's.
            if hinted or replaced or now >= each.next_scan:
                each.next_scan = math.inf if self._once else now + each.settings.check_interval
                each.harvest.scan(partial=self._once)
                self._looked = now
                looked = True
        if self._watch and (hinted or now >= self._next_folders):
            self._next_folders = now + WATCH_FOLDERS
            self._watch.folders({folder for each in self.inputs for folder in each.harvest.folders()})
        return looked

    def delete_complete(self) -> None:
        """``on_complete: delete``, where it is due."""
        inputs = [each for each in self.inputs if each.settings.on_complete == "delete" and not each.removed]
        now = time.monotonic()
        if not inputs or (not self._once and now < self._next_delete):
            return
        # What was rejected is nowhere else, where no later start finds the registry: its files are read again then.
        if self._trouble or self._registry.displaced():
            return
        from shipper.completion import delete_complete  # noqa: PLC0415 - only where it is wanted

        self._next_delete = now + min(DELETE, *(each.settings.on_complete_quiet for each in inputs))
        owed = self._queue.undelivered() | self._registry.undelivered() | self._unsaved.keys()
        for each in inputs:
            delete_complete(each, self._registry, owed, once=self._once)

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self) -> bool:
        """One block of each file that has one; whether there was anything to do."""
        busy = False
        for each in self.inputs:
            for harvester in each.harvest.reading():
                block = harvester.read()
                if block is not None:
                    busy = True
                    self._shipped = time.monotonic()
                    if not self._ship(each, harvester, block):
                        return True
            busy |= each.harvest.work()
        return busy

    def is_flush_due(self) -> bool:
        """Whether to ``flush`` while there is still something to read: files that are quiet do not wait for busy ones."""
        now = time.monotonic()
        if self._once or now < self._next_flush:
            return False
        self._next_flush = now + POLL
        return True

    def flush(self) -> bool:
        """Make events of what has waited long enough for its end (in a one-shot run, of all that is left); whether there was any."""
        progress = False
        now = time.monotonic()
        for each, harvester in self._harvesters():
            waited = self._once or now - harvester.quiet_since >= each.flush_after
            block = None
            if harvester.successor is not None:
                block = each.harvest.end_of(harvester, waited=waited)
                progress |= harvester.successor is None
            elif harvester.reader.pending and (waited or harvester.given_up):
                block = self._end_of(harvester)
            if block is not None:
                progress = True
                self._shipped = time.monotonic()
                self._ship(each, harvester, block)
        return progress

    def _harvesters(self) -> Iterator[tuple[Input, Harvester]]:
        for each in self.inputs:
            for harvester in list(each.harvest.harvesters):
                yield each, harvester

    def _end_of(self, harvester: Harvester) -> Block | None:
        """What is left of a file as an event, where there is no more to come."""
        if harvester.truncated and not (harvester.given_up or self._once):
            return None  # the next look may find a copy of it that goes on
        try:
            # Half of a line that can be read further is no event, however long the output kept us from it.
            if not harvester.at_end():
                return None
        except OSError as error:
            harvester.troubled(f"cannot be looked at: {error.strerror}")
            return None
        return harvester.flush(self._registry, lines=not (self._once or harvester.final))

    # --- what is acknowledged ------------------------------------------------------------------------------------

    def checkpoint(self, acknowledged: Mapping[int, int]) -> None:
        """Offsets that have moved, by file, into the registry. Where it cannot be written, with the next checkpoint."""
        self._acknowledged.update(acknowledged)
        self._trouble = ""
        try:
            self._commit()
        except StateError as error:
            self._trouble = str(error)  # not durable, so not done: they are committed with the next checkpoint
        self._tell()

    def _tell(self) -> None:
        """Say in the log, once, what is wrong with the registry."""
        told, self._told = self._told, self.trouble
        if self._told in {"", told}:
            return
        if self._registry.displaced():
            log.error("%s. Until then nothing is deleted that is complete; the rest is shipped as ever", self._told)
        else:
            log.warning("%s; trying again", self._told)

    def finish(self) -> None:
        """What is still unsaved, and which files are read to their ends: what fails now is a ``StateError``."""
        for each in self.inputs:
            self._unsaved.update({entry.file: entry for entry in each.harvest.at_rest()})
        self._commit()

    def _commit(self) -> None:
        registry, queue = self._registry, self._queue
        if not (self._acknowledged or self._unsaved or registry.owed):
            return
        # First: what an entry says may be committed by others too.
        holds = queue.secure()
        registry.spooled = queue.spool if holds else ""
        for file, offset in self._acknowledged.items():
            for each in self.inputs:
                harvester = each.harvest.harvester(file)
                if harvester is not None and offset > harvester.acknowledged:
                    harvester.acknowledged = offset
                    if harvester.checkpoint():
                        self._unsaved[file] = harvester.entry
        self._acknowledged.clear()
        if self._unsaved:
            registry.commit(self._unsaved.values())
            self._unsaved.clear()
        if not holds and queue.spool in registry.owed:
            registry.delivered(queue.spool)
