"""Encoded batches on disk, for as long as an output does not take them. The format of its files is in ``segments.py``.

What holds, whatever is killed, full or broken:

1. A record that ``write`` returned is on the disk: its file is synced, and so is the folder that names the file.
2. A segment is removed only when every record in it is ``done``: its documents have outcomes, and those are durable.
3. A write that failed leaves nothing behind that counts. After a failed *sync* nobody knows what is on the disk (the
   kernel reports it once and forgets): the segment is cut back to what was synced before, and another one begun.
4. What cannot be read is never a reason to stop: its segment is set aside as ``*.spool.corrupt``, which is reported once
   with what is in it; the records in it that are sound are delivered from there. Such a file stays for a person to see.
5. A record may be given out again after a crash (its entry in ``*.done`` is not synced); the ids of its documents keep
   them from doubling. None is left out.
6. What is missing is noticed (``manifest.py``): then the spool is ``damaged``, until somebody has made good for it. A kill
   does not make that forgotten, for it is said on the disk before what is damaged there is changed.
7. Sequence numbers never come again: they begin at the time of the start in nanoseconds, or behind the highest there is.

The size is that of all segments that hold anything still to be delivered. One spool belongs to one target: acknowledgements
do too, and the documents of one target are not another's.

``spool_segment.py`` writes it, ``spool_integrity.py`` loads it and sets aside what is damaged; here it is given out, counted
and removed.

Nothing here is locked: ``delivery/spooled.py`` calls it under its lock, but for ``write``, which one thread may call
meanwhile; the files that it makes appear with ``publish``.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from shipper.lock import FileLock
from shipper.state import segments
from shipper.state.spool_integrity import Integrity, load
from shipper.state.spool_segment import Item, Place, SegmentWriter, append, marks_of
from shipper.state.spools import explain, folder_name, warn_of_others

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Item", "Place", "Spool", "marks_of"]

log = logging.getLogger(__name__)


SEGMENT_BYTES = 64 << 20
SEGMENT_RECORDS = 4096
"""A segment is closed at these sizes; the headers of at most two are held in memory."""


class Spool:
    """The segments of one target, oldest first."""

    def __init__(self, folder: Path, target: str, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        """``folder`` is that of all spools; this one's is below it. Raises ``StateError``."""
        self.max_bytes = max_bytes
        self.path = folder / folder_name(target)
        self._segment_bytes = max(1, min(segment_bytes, max_bytes // 4))
        self._lock = FileLock(self.path / "lock", other="give this one a queue.disk.path of its own")
        try:
            self._name_target(f"{target}\n".encode())
            self._integrity = Integrity(self.path)
            self._segments, number, sequence = load(self.path, self._integrity)
            self.clean()
            warn_of_others(folder, self.path)
        except OSError as error:
            self._lock.release()
            raise explain(error, self.path) from error
        self._writer = SegmentWriter(self.path, number=number, sequence=sequence)

    def _name_target(self, name: bytes) -> None:
        """For those who look at the folder. Where it is there already, not again: the disk may be full. Raises ``OSError``."""
        path = self.path / "target"
        if not path.exists() or path.read_bytes() != name:
            path.write_bytes(name)

    def write(self, items: Sequence[Item]) -> list[Place]:
        """Make items durable; the one thread calls it. Raises ``OSError``: none of them is, then."""
        return self._writer.write(items)

    # --- under the lock of the queue ---------------------------------------------------------------------------------

    def fits(self, length: int) -> bool:
        """Whether a body of so many bytes may be added within ``max_bytes``."""
        return self.size + length + (1 << 10) <= self.max_bytes

    @property
    def size(self) -> int:
        """What the segments take of the disk."""
        return sum(segment.size for segment in self._segments)

    @property
    def left(self) -> int:
        """Records that are not done."""
        return sum(segment.left for segment in self._segments)

    @property
    def documents(self) -> int:
        """Documents in the records that are not done."""
        return sum(segment.documents for segment in self._segments)

    @property
    def lost(self) -> int:
        """Documents that could not be read, as far as they can be counted."""
        return self._integrity.lost

    @property
    def damaged(self) -> bool:
        """Whether documents that were acknowledged are missing, or nobody knows."""
        return self._integrity.damaged

    @property
    def name(self) -> str:
        """Its own: another spool under the same path has another one."""
        return self._integrity.spool

    @property
    def holds(self) -> bool:
        """Whether the output is not known to have all that was ever in it."""
        return bool(self.left or self._integrity.unread or self._integrity.damaged)

    @property
    def waiting(self) -> bool:
        """Whether a record is left that was not given out."""
        return any(segment.waiting for segment in self._segments)

    def files(self) -> frozenset[int]:
        """The files of the registry that have documents here. A file may be named for a while after its last one."""
        return frozenset().union(*(segment.files for segment in self._segments if segment.left))

    def publish(self, place: Place, *, given: bool) -> None:
        """Count a record that was written; ``given`` when it is on its way already. Then call ``settle``."""
        if place.segment not in self._segments:
            self._segments.append(place.segment)
        place.segment.add(place.record, given=given)

    def note(self) -> None:
        """Write down what is in it, before anybody relies on that. Raises ``OSError``."""
        self._integrity.note(self._segments)

    def mended(self) -> None:
        """Somebody has made good for what is missing; it has another ``name`` then."""
        self._integrity.mended()
        with contextlib.suppress(OSError):  # a disk may be full until something is delivered; the next note tries again
            self.note()

    def settle(self) -> None:
        """End the segment that is written to when it is large enough, done or set aside; not while ``write`` runs."""
        segment = self._writer.segment
        if segment is None or segment not in self._segments:
            return
        large = segment.length >= self._segment_bytes or len(segment.records or ()) >= SEGMENT_RECORDS
        if large or segment.corrupt or not segment.left:
            self._writer.end_segment()
            self.clean()

    def take(self) -> Place | None:
        """The oldest record that was not given out yet. Raises ``OSError``."""
        for segment in list(self._segments):
            if segment.waiting:
                if segment.records is None:
                    self._integrity.rescan(segment)
                    self.clean()
                for record in segment.records or ():
                    if record.sequence not in segment.given:
                        segment.given.add(record.sequence)
                        return Place(segment, record)
        return None

    def give_back(self, place: Place) -> None:
        """It was not used."""
        place.segment.given.discard(place.record.sequence)

    def read(self, place: Place) -> bytes | None:
        """A record's body; ``None`` when it is damaged: then it is counted as lost. Raises ``OSError``."""
        body = place.segment.body(place.record)
        if body is None:
            self._integrity.condemn(place.segment)
            self.clean()
        return body

    def done(self, place: Place) -> None:
        """Every document of the record has its outcome."""
        segment, record = place
        if segment.left > 1 or segment.open:
            with contextlib.suppress(OSError):  # it would be sent once more after a crash
                append(segment.done_path, segments.encode_done(segment.number, record.sequence))
        segment.count_done(record)
        self.clean()

    def clean(self) -> None:
        """Remove the segments of which nothing is left."""
        done = [each for each in self._segments if not each.left and not each.open]
        if any(each.number in self._integrity.expected for each in done):
            with contextlib.suppress(OSError):  # a crash now, and it is taken for damaged: rather twice than lost
                self.note()
        for segment in done:
            try:
                if not segment.corrupt:
                    segment.path.unlink(missing_ok=True)
                segment.done_path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s cannot be removed: %s", segment.path, error.strerror)
            self._segments.remove(segment)

    def close(self) -> None:
        """End the open segment, and let others have the folder."""
        if self._writer.segment is not None:
            if self._writer.segment not in self._segments:  # nothing was written to it
                self._segments.append(self._writer.segment)
            self._writer.end_segment()
        self.clean()
        self._writer.tidy()
        self._lock.release()
