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
6. What is missing is noticed (``manifest.py``): then the spool is ``damaged``, until somebody has made good for it.
7. Sequence numbers never come again: they begin at the time of the start in nanoseconds, or behind the highest there is.

The size is that of all segments that hold anything still to be delivered. One spool belongs to one target: acknowledgements
do too, and the documents of one target are not another's.

Nothing here is locked: ``delivery/spooled.py`` calls it under its lock, but for ``write``, which one thread may call
meanwhile; the files that it makes appear with ``publish``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from shipper.lock import FileLock
from shipper.state import manifest, segments
from shipper.state.manifest import Manifest
from shipper.state.segments import Record, files_of
from shipper.state.spool_segment import Segment, append, mend_end, sync_folder, write_end
from shipper.state.spools import SEGMENT_NAME, explain, folder_name, warn_of_others

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

SEGMENT_BYTES = 64 << 20
SEGMENT_RECORDS = 4096
"""A segment is closed at these sizes; the headers of at most two are held in memory."""


class Item(NamedTuple):
    """What to write: the documents of a batch, and the end of what they cover of each file."""

    body: bytes
    documents: int
    marks: segments.Marks


class Place(NamedTuple):
    """A record, and where it is."""

    segment: Segment
    record: Record


class Spool:
    """The segments of one target, oldest first."""

    def __init__(self, folder: Path, target: str, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        """``folder`` is that of all spools; this one's is below it. Raises ``StateError``."""
        self.max_bytes = max_bytes
        self.path = folder / folder_name(target)
        self._segment_bytes = max(1, min(segment_bytes, max_bytes // 4))
        self._segments: list[Segment] = []
        self._active: Segment | None = None
        self._descriptor = -1
        self._end = self._number = self._sequence = 0
        self._torn_off: list[tuple[Path, int, int, int]] = []
        self._noted: Manifest | None = None
        self.lost = 0
        """Documents that could not be read, as far as they can be counted."""
        self.damaged = False
        """Whether documents that were acknowledged are missing, or nobody knows."""
        self._lock = FileLock(self.path / "lock", other="give this one a queue.disk.path of its own")
        try:
            (self.path / "target").write_text(f"{target}\n", encoding="utf-8")
            self._load()
            warn_of_others(folder, self.path)
        except OSError as error:
            self._lock.release()
            raise explain(error, self.path) from error

    # --- writing: the one thread -------------------------------------------------------------------------------------

    def fits(self, length: int) -> bool:
        """Whether a body of so many bytes may be added within ``max_bytes``."""
        return self.size + length + (1 << 10) <= self.max_bytes

    def write(self, items: Sequence[Item]) -> list[Place]:
        """Make items durable. Raises ``OSError``: none of them is, then."""
        self._tidy()
        if self._active is None:
            self._begin()
        segment = self._active
        assert segment is not None
        places = []
        at, sequence = self._end, self._sequence
        try:
            for item in items:
                header, crc = segments.encode_record(segment.number, sequence, item.documents, item.marks, item.body)
                begin = at + segments.RECORD_BYTES
                at = segments.write_all(self._descriptor, (header, item.body), at)
                record = Record(sequence, item.documents, item.marks, begin, len(item.body), crc)
                places.append(Place(segment, record))
                sequence += 1
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._end)  # what is left of it is overwritten by the next attempt
            raise
        try:
            os.fsync(self._descriptor)
        except OSError:
            self._give_up()
            raise
        self._end, self._sequence = at, sequence
        return places

    def _begin(self) -> None:
        number = self._number + 1
        segment = Segment(self.path / f"{number:08}.spool", number)
        descriptor = os.open(segment.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self._end = segments.write_all(descriptor, [segments.encode_header(number, self._sequence)], 0)
            os.fsync(descriptor)
            sync_folder(self.path)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                segment.path.unlink()
            raise
        self._number = number
        segment.open = True
        self._active, self._descriptor = segment, descriptor

    def _close_active(self) -> None:
        """End the segment that is written to, with its end mark; without it is sound too, but not known to be whole."""
        segment, self._active = self._active, None
        assert segment is not None
        segment.open = False
        segment.records = None
        try:
            write_end(self._descriptor, segment.number, self._sequence, self._end)
        except OSError:
            self._torn_off.append((segment.path, segment.number, self._sequence, self._end))
        os.close(self._descriptor)

    def _give_up(self) -> None:
        """Leave the active segment as it was when it was last synced."""
        segment, self._active = self._active, None
        assert segment is not None
        segment.open = False
        os.close(self._descriptor)
        self._torn_off.append((segment.path, segment.number, self._sequence, self._end))

    def _tidy(self) -> None:
        """Cut off what failed writes have left, as soon as the disk allows it."""
        for each in list(self._torn_off):
            try:
                mend_end(*each)
            except FileNotFoundError:
                pass
            except OSError:
                continue  # the next attempt to write says what is wrong
            self._torn_off.remove(each)

    # --- under the lock of the queue ---------------------------------------------------------------------------------

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
    def waiting(self) -> bool:
        """Whether a record is left that was not given out."""
        return any(segment.left and len(segment.given) < segment.left + len(segment.done) for segment in self._segments)

    def files(self) -> frozenset[int]:
        """The files of the registry that have documents here. A file may be named for a while after its last one."""
        return frozenset().union(*(segment.files for segment in self._segments if segment.left))

    def publish(self, place: Place, *, given: bool) -> None:
        """Count a record that was written; ``given`` when it is on its way already. Then call ``settle``."""
        segment, record = place
        if segment not in self._segments:
            segment.size = segments.HEADER_BYTES + segments.RECORD_BYTES
            self._segments.append(segment)
        assert segment.records is not None
        segment.records.append(record)
        segment.size += record.end - record.begin + segments.RECORD_BYTES
        segment.length = record.end
        segment.left += 1
        segment.documents += record.documents
        segment.files.update(file for file, _ in record.marks)
        if given:
            segment.given.add(record.sequence)

    def note(self) -> None:
        """Write down what is in it, before anybody relies on that. Raises ``OSError``."""
        now = Manifest({each.number: each.length for each in self._segments if each.left}, self.damaged)
        if now == self._noted:
            return
        try:
            now.write(self.path)
        except FileNotFoundError:
            self.damaged = True  # the folder is gone: that there is no manifest says it as well
        else:
            self._noted = now

    def mended(self) -> None:
        """Somebody has made good for what is missing. Raises ``OSError``."""
        self.damaged = False
        self.note()

    def settle(self) -> None:
        """End the segment that is written to when it is large enough, or all in it is done; not while ``write`` runs."""
        segment = self._active
        if segment is None or segment not in self._segments:
            return
        records = segment.records or ()
        if not segment.left or self._end >= self._segment_bytes or len(records) >= SEGMENT_RECORDS:
            self._close_active()
            self.clean()

    def take(self) -> Place | None:
        """The oldest record that was not given out yet. Raises ``OSError``."""
        for segment in list(self._segments):
            if segment.left and len(segment.given) < segment.left + len(segment.done):
                if segment.records is None:
                    self._rescan(segment)
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
        segment, record = place
        try:
            body = segment.body(record)
        except FileNotFoundError:
            body = None
        if body is None:
            self._condemn(segment)
        return body

    def done(self, place: Place) -> None:
        """Every document of the record has its outcome."""
        segment, record = place
        if segment.left > 1 or segment.open:
            with contextlib.suppress(OSError):  # it would be sent once more after a crash
                append(segment.done_path, segments.encode_done(segment.number, record.sequence))
        self._count_done(segment, record)
        self.clean()

    def clean(self) -> None:
        """Remove the segments of which nothing is left."""
        done = [each for each in self._segments if not each.left and not each.open]
        if self._noted and any(each.number in self._noted.lengths for each in done):
            with contextlib.suppress(OSError):  # a crash now, and it is taken for damaged: rather twice than lost
                self.note()
        for segment in done:
            self._remove(segment)

    def close(self) -> None:
        """End the open segment, and let others have the folder."""
        if self._active is not None:
            if self._active not in self._segments:  # nothing was written to it
                self._segments.append(self._active)
            self._close_active()
        self.clean()
        self._tidy()
        self._lock.release()

    def _count_done(self, segment: Segment, record: Record) -> None:
        segment.done.add(record.sequence)
        segment.given.add(record.sequence)
        segment.left -= 1
        segment.documents -= record.documents

    def _remove(self, segment: Segment) -> None:
        try:
            if not segment.corrupt:
                segment.path.unlink(missing_ok=True)
            segment.done_path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", segment.path, error.strerror)
        self._segments.remove(segment)

    # --- what is damaged ---------------------------------------------------------------------------------------------

    def _condemn(self, segment: Segment) -> None:
        """A record cannot be read: find all that cannot, count them as lost, set the segment aside, and say so."""
        if segment.records is None:
            self._rescan(segment)
        bad = []
        for record in segment.records or ():
            if record.sequence in segment.done:
                continue
            try:
                if segment.body(record) is None:
                    bad.append(record)
            except FileNotFoundError:
                bad.append(record)
        for record in bad:
            self._count_done(segment, record)
        lost = sum(record.documents for record in bad)
        self.lost += lost
        self._damage()
        size = sum(record.length for record in bad)
        self._set_aside(segment, f"{lost} documents ({size} bytes) in it cannot be read")
        self.clean()

    def _damage(self) -> None:
        """Say durably that something is missing, before anything else happens to what is left."""
        self.damaged = True
        if self._noted and not self._noted.damaged:
            noted = self._noted._replace(damaged=True)
            with contextlib.suppress(OSError):  # where the folder is gone, there is no manifest: that says it too
                noted.write(self.path)
                self._noted = noted

    def _set_aside(self, segment: Segment, what: str) -> None:
        left = f"; the {segment.documents} documents in it that can are delivered" if segment.documents else ""
        if not segment.corrupt:
            to = segment.path.with_name(segment.path.name + ".corrupt")
            try:
                if segment.left:
                    append(segment.done_path, b"", sync=True)  # tells the next start that there is something left in it
                segment.path.rename(to)
                sync_folder(self.path)
            except FileNotFoundError:
                log.error("%s: %s: it is not there any more", segment.path, what)  # noqa: TRY400 - a traceback tells no more
                segment.corrupt = True
                return
            except OSError as error:
                what += f" (and it cannot be moved aside: {error.strerror})"
            else:
                segment.path = to
            segment.corrupt = True
        log.error("%s: %s%s. It is kept for you to look at, and may be deleted", segment.path, what, left)

    # --- beginning ---------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        names = [(int(match[1]), path) for path in self.path.iterdir() if (match := SEGMENT_NAME.fullmatch(path.name))]
        self._number = max((number for number, _ in names), default=0)
        newest = max((number for number, path in names if path.suffix != ".corrupt"), default=0)
        highest = 0
        kept = set()
        self._noted = manifest.read(self.path)
        self.damaged = self._noted is None or self._noted.damaged
        self._find_missing({number for number, _ in names})
        for number, path in sorted(names):
            segment = Segment(path, number)
            if segment.corrupt and not segment.done_path.exists():
                continue
            kept.add(segment.done_path)
            highest = max(highest, self._load_segment(segment, newest=number == newest))
        for stray in set(self.path.glob("*.done")) - kept:
            stray.unlink()  # of a segment that is gone
        sync_folder(self.path)
        self._sequence = max(highest + 1, time.time_ns())

    def _find_missing(self, there: set[int]) -> None:
        for number in sorted(set(self._noted.lengths if self._noted else ()) - there):
            log.error(
                "%s is not there, and held documents that the output has not taken", self.path / f"{number:08}.spool"
            )
            self._damage()

    def _load_segment(self, segment: Segment, *, newest: bool) -> int:
        """The highest sequence that was seen in it."""
        try:
            scan = segments.scan(segment.path, segment.number)
        except OSError as error:
            log.error("%s: %s; left as it is, and looked at again at the next start", segment.path, error.strerror)  # noqa: TRY400 - a traceback tells no more
            return 0
        if scan.version != segments.VERSION:
            self._set_aside(
                segment,
                f"written by a newer shipper (version {scan.version} of its format, this one knows {segments.VERSION});"
                " rename it back for that one to deliver",
            )
            return 0
        self._adopt(segment, scan)
        problem = ""
        missing = (self._noted.lengths.get(segment.number, 0) if self._noted else 0) - scan.sound
        if missing > 0 or (not segment.corrupt and (scan.damaged or (scan.torn and not newest))):
            problem = f"{max(scan.damaged + scan.torn, missing)} bytes in it cannot be read"
            self._damage()
        elif not scan.closed and not newest and not segment.corrupt:
            problem = "its end is missing"
        elif not scan.closed and newest:
            if scan.torn:
                log.warning(
                    "%s: its last %d bytes were not written to their end when the last run was ended; that was not durable"
                    " yet, and is read from its file again",
                    segment.path,
                    scan.torn,
                )
            with contextlib.suppress(OSError):
                sound = scan.sound or segments.HEADER_BYTES
                mend_end(segment.path, segment.number, 0, sound if scan.records else 0)
        self._segments.append(segment)
        if problem and not segment.corrupt:
            self._set_aside(segment, problem)
        self.clean()
        return max((record.sequence for record in scan.records), default=0)

    def _adopt(self, segment: Segment, scan: segments.Scan) -> None:
        """Take over what a scan has found; the headers of the records are forgotten until they are needed."""
        known = {record.sequence for record in scan.records}
        segment.done = segment.read_done() & known
        segment.given = set(segment.done)
        left = [record for record in scan.records if record.sequence not in segment.done]
        segment.left = len(left)
        segment.documents = sum(record.documents for record in left)
        segment.files = set(files_of(left))
        segment.size = segment.path.stat().st_size
        segment.length = scan.sound
        segment.records = None

    def _rescan(self, segment: Segment) -> None:
        """Read the headers again. Raises ``OSError``."""
        try:
            segment.records = segments.scan(segment.path, segment.number).records
        except FileNotFoundError:
            segment.records = []
        left = [record for record in segment.records if record.sequence not in segment.done]
        if len(left) < segment.left:  # damaged since the start
            lost = segment.documents - sum(record.documents for record in left)
            segment.left, segment.documents = len(left), segment.documents - lost
            segment.given &= {record.sequence for record in left} | segment.done
            self.lost += lost
            self._damage()
            self._set_aside(segment, f"{lost} documents in it cannot be read")
            self.clean()


def marks_of(segments_of_files: Iterable[tuple[int, int]]) -> segments.Marks:
    """(file, end) of many pieces: one for each file."""
    highest: dict[int, int] = {}
    for file, end in segments_of_files:
        highest[file] = max(end, highest.get(file, 0))
    return tuple(highest.items())
