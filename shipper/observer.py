"""Snapshots of a running agent: taken in its main thread, seldom enough to cost it nothing, read by any other."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import PurePath
from typing import TYPE_CHECKING

from shipper.errors import StateError
from shipper.progress import InputProgress, Snapshot, add
from shipper.settings.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipper.delivery.queue import Depth
    from shipper.delivery.sender import Deliveries
    from shipper.files.harvester import Harvester
    from shipper.inputs import Input
    from shipper.settings import Settings
    from shipper.state.registry import Registry

MARKS = 16
"""How many looks at a growing file are remembered until its bytes are acknowledged."""
NOTED = 5.0
"""Seconds between notes of where files lag, for ``shipper files``."""
NAMED = 10
"""How many unreadable paths a snapshot names."""


class Lag:
    """How old the oldest byte of each file is that is not acknowledged.

    A byte is as old as the look that first saw it. At the first look at a file nobody knows when its bytes came: they are at
    least as old as its last change, and that is what they count as.
    """

    def __init__(self) -> None:
        self._marks: dict[int, list[tuple[int, float]]] = {}

    def look(self, file: int, size: int, acknowledged: int, now: float, changed: float) -> float:
        """Seconds; 0 when all is acknowledged. ``changed``: when the file was last written, on the clock of ``now``."""
        known = self._marks.get(file)
        if size <= acknowledged:
            self._marks[file] = []
            return 0.0
        if known is None:
            known = self._marks[file] = [(size, min(now, changed))]
        while known and known[0][0] <= acknowledged:
            known.pop(0)
        if not known or known[-1][0] < size:
            known.append((size, now))
        if len(known) > MARKS:  # each two become one that is as old as the older
            known[:] = [(later[0], earlier[1]) for earlier, later in zip(known[::2], known[1::2], strict=False)] + (
                known[-1:] if len(known) % 2 else []
            )
        return max(0.0, now - known[0][1])

    def keep(self, files: Iterable[int]) -> None:
        """Forget all others."""
        self._marks = {file: self._marks[file] for file in files if file in self._marks}


class Observer:
    """Makes the snapshots. ``latest`` may be read from any thread."""

    def __init__(self) -> None:
        self.latest = Snapshot(time.monotonic())
        self._lag = Lag()
        self._next = 0.0
        self._next_note = 0.0
        self._noted: dict[int, tuple[int, int, int]] | None = None
        self._behind: dict[int, tuple[int, int, int]] = {}

    def note(self, registry: Registry, now: float) -> None:
        """Let ``shipper files`` know which files lag. What cannot be written now is written later: it is for information."""
        if now < self._next_note or self._behind == self._noted:
            return
        self._next_note = now + NOTED
        with suppress(StateError):
            registry.note(self._behind)
            self._noted = self._behind

    def due(self, now: float) -> bool:
        """Whether it is time for the next one."""
        return now >= self._next

    def begin(self, settings: Settings, documents: Deliveries, depth: Depth, state: str) -> Snapshot:
        """A snapshot of the side of the output. ``state``: what is wrong with the caller's own, if anything."""
        snapshot = Snapshot(time.monotonic(), output=settings.output.kind, documents=documents, state=state)
        snapshot.trouble = redacted(documents.trouble, settings.secrets)
        snapshot.queue_bytes, snapshot.queue_limit = depth.bytes, depth.limit
        snapshot.spool_bytes, snapshot.spool_limit = depth.disk_bytes, depth.disk_limit
        snapshot.spool_damaged = depth.disk_damaged
        return snapshot

    def inputs(self, inputs: Iterable[Input], snapshot: Snapshot) -> None:
        """Add where the inputs stand."""
        seen = []
        self._behind = {}
        by_name: dict[str, InputProgress] = {}
        for at, each in enumerate(inputs):
            pipeline = PurePath(each.settings.pipeline or "").name
            name = each.settings.id or str(at)
            # One that a reload has removed may still be at its end when another has its name.
            progress = by_name.setdefault(name, InputProgress(name, pipeline))
            for harvester in each.harvest.harvesters:
                seen.append(harvester.entry.file)
                self._file(progress, harvester, snapshot.at)
            progress.unreadable += len(each.harvest.unreadable)
            progress.lost_bytes += each.harvest.lost
            progress.deleted += each.deleted
            add(progress.events, each.encoder.counts)
            room = NAMED - len(snapshot.unreadable)
            snapshot.unreadable += [f"{path} {why}" for path, why in list(each.harvest.unreadable.items())[:room]]
        snapshot.inputs = list(by_name.values())
        self._lag.keep(seen)

    def publish(self, snapshot: Snapshot) -> None:
        """It is complete. The next one is due in a second, or later where this one took long."""
        before, now = self.latest, time.monotonic()
        if snapshot.trouble and before.trouble:
            snapshot.trouble_since = before.trouble_since
        elif snapshot.trouble:
            snapshot.trouble_since = snapshot.at
        taken = snapshot.documents.delivered + snapshot.documents.rejected
        moved = taken != before.documents.delivered + before.documents.rejected
        snapshot.success = time.time() if moved else before.success
        snapshot.moved = snapshot.at if moved or not snapshot.queue_bytes else before.moved
        self.latest = snapshot
        self._next = now + max(1.0, 20 * (now - snapshot.at))

    def _file(self, progress: InputProgress, harvester: Harvester, now: float) -> None:
        progress.files += 1
        progress.read += harvester.reader.end
        with suppress(OSError):
            size, acknowledged = harvester.size(), harvester.acknowledged
            changed = now - max(0.0, time.time() - os.fstat(harvester.reader.content.descriptor).st_mtime)
            progress.lag_bytes += max(0, size - acknowledged)
            lag = self._lag.look(harvester.entry.file, size, acknowledged, now, changed)
            progress.lag_seconds = max(progress.lag_seconds, lag)
            if size > acknowledged:
                since = int(time.time() - lag)
                before = (self._noted or {}).get(harvester.entry.file)
                # A second more or less is no news.
                since = before[0] if before and abs(before[0] - since) <= 1 else since
                self._behind[harvester.entry.file] = (since, harvester.reader.end, size)
