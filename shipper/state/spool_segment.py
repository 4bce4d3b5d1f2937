"""A segment of the spool at work: what is known of its file, and how it is written. The format is in ``segments.py``."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from shipper.state import segments
from shipper.state.segments import Record, files_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class Segment:
    """A file of the spool, and the counts of what is in it."""

    def __init__(self, path: Path, number: int) -> None:
        self.path = path
        self.number = number
        self.size = 0
        self.length = 0
        """The bytes in which its records are, as far as they are known to be on the disk."""
        self.records: list[Record] | None = []
        """``None`` where they are not in memory; they can be scanned again."""
        self.given: set[int] = set()
        """Sequences that were handed out, or are known to be lost."""
        self.done: set[int] = set()
        self.left = 0
        """Records that are not done."""
        self.documents = 0
        """In the records that are left."""
        self.files: set[int] = set()
        self.open = False
        """Whether it is still written to; it is not removed then."""
        self.corrupt = path.suffix == ".corrupt"

    @property
    def done_path(self) -> Path:
        """The file of its records that are done."""
        return self.path.with_name(f"{self.number:08}.done")

    @property
    def waiting(self) -> bool:
        """Whether a record is left that was not given out."""
        return self.left > 0 and len(self.given) < self.left + len(self.done)

    def add(self, record: Record, *, given: bool) -> None:
        """Count a record that was written to it."""
        assert self.records is not None
        self.records.append(record)
        self.size += record.end - record.begin + segments.RECORD_BYTES
        self.length = record.end
        self.left += 1
        self.documents += record.documents
        self.files.update(file for file, _ in record.marks)
        if given:
            self.given.add(record.sequence)

    def count_done(self, record: Record) -> None:
        """A record is not left any more: delivered, or lost, or both where a sender had it already."""
        if record.sequence in self.done:
            return
        self.done.add(record.sequence)
        self.given.add(record.sequence)
        self.left -= 1
        self.documents -= record.documents

    def adopt(self, scan: segments.Scan) -> None:
        """Take over what a scan has found; the headers are forgotten until they are needed. Raises ``OSError``."""
        self.done = self.read_done() & {record.sequence for record in scan.records}
        self.given = set(self.done)
        left = [record for record in scan.records if record.sequence not in self.done]
        self.left = len(left)
        self.documents = sum(record.documents for record in left)
        self.files = set(files_of(left))
        self.size = self.path.stat().st_size
        self.length = scan.sound
        self.records = None

    def read_done(self) -> set[int]:
        """The sequences of its records that are done. Raises ``OSError``."""
        try:
            return segments.decode_done(self.done_path.read_bytes(), self.number)
        except FileNotFoundError:
            return set()

    def body(self, record: Record) -> bytes | None:
        """A record's body; ``None`` when it is damaged, or the file gone. Raises ``OSError``."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return segments.body_of(descriptor, record, self.number)
        finally:
            os.close(descriptor)


class Item(NamedTuple):
    """What to write: the documents of a batch, and the end of what they cover of each file."""

    body: bytes
    documents: int
    marks: segments.Marks


class Place(NamedTuple):
    """A record, and where it is."""

    segment: Segment
    record: Record


class SegmentWriter:
    """Begins a segment, adds to it, and ends it; nothing here knows of the others. What holds is 1 and 3 of ``spool.py``.

    One thread calls ``write``. The rest is for whoever has the lock of the queue, and not while ``write`` runs.
    """

    def __init__(self, folder: Path, *, number: int, sequence: int) -> None:
        """``number`` is the highest of a segment that there is, ``sequence`` the next one of a record."""
        self._folder = folder
        self._number = number
        self._sequence = sequence
        self.segment: Segment | None = None
        """The one that is written to, if there is one."""
        self._descriptor = -1
        self._end = 0
        self._torn_off: list[tuple[Path, int, int, int]] = []

    def write(self, items: Sequence[Item]) -> list[Place]:
        """Make items durable. Raises ``OSError``: none of them is, then."""
        self.tidy()
        segment = self.segment or self._begin()
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

    def end_segment(self) -> None:
        """End the segment with its end mark; without it is sound too, but not known to be whole."""
        segment, self.segment = self.segment, None
        assert segment is not None
        segment.open = False
        segment.records = None
        try:
            write_end(self._descriptor, segment.number, self._sequence, self._end)
        except OSError:
            self._torn_off.append((segment.path, segment.number, self._sequence, self._end))
        os.close(self._descriptor)

    def tidy(self) -> None:
        """Cut off what failed writes have left, as soon as the disk allows it."""
        for each in list(self._torn_off):
            try:
                mend_end(*each)
            except FileNotFoundError:
                pass
            except OSError:
                continue  # the next attempt to write says what is wrong
            self._torn_off.remove(each)

    def _begin(self) -> Segment:
        number = self._number + 1
        segment = Segment(self._folder / f"{number:08}.spool", number)
        descriptor = os.open(segment.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self._end = segments.write_all(descriptor, [segments.encode_header(number, self._sequence)], 0)
            os.fsync(descriptor)
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                segment.path.unlink()
            raise
        self._number = number
        segment.size = segments.HEADER_BYTES + segments.RECORD_BYTES  # its header and its end mark
        segment.open = True
        self.segment, self._descriptor = segment, descriptor
        return segment

    def _give_up(self) -> None:
        """Leave the segment as it was when it was last synced."""
        segment, self.segment = self.segment, None
        assert segment is not None
        segment.open = False
        os.close(self._descriptor)
        self._torn_off.append((segment.path, segment.number, self._sequence, self._end))


def mend_end(path: Path, number: int, sequence: int, end: int) -> None:
    """Cut a segment off behind ``end`` and close it there; with nothing in it, remove it. Raises ``OSError``."""
    if end <= segments.HEADER_BYTES:
        path.unlink()
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, end)
        write_end(descriptor, number, sequence, end)
    finally:
        os.close(descriptor)


def write_end(descriptor: int, number: int, sequence: int, at: int) -> None:
    """Write the end mark, durably. Raises ``OSError``."""
    segments.write_all(descriptor, [segments.encode_end(number, sequence)], at)
    os.fsync(descriptor)


def append(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Add to a file, all or nothing; it is made if need be. Raises ``OSError``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        written = os.write(descriptor, data)
        if written < len(data):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def marks_of(segments_of_files: Iterable[tuple[int, int]]) -> segments.Marks:
    """(file, end) of many pieces: one for each file."""
    highest: dict[int, int] = {}
    for file, end in segments_of_files:
        highest[file] = max(end, highest.get(file, 0))
    return tuple(highest.items())
