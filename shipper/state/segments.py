r"""The files of the spool: their format, and how much of one can be read.

A segment is a header, records, and an end mark; it is appended to, and never changed. All numbers are little-endian::

    header    8s magic "ELKSPOOL" | u32 version | u64 number | u64 first sequence | u32 crc32 of what is before it
    record    4s magic ff 00 "SP" | u32 marks | u32 length | u64 sequence | u32 documents | u32 crc32 of marks and body
              | u32 crc32 of the 28 bytes before it and the marks
              then the marks, (u64 file, u64 end) each, then the body
    end mark  a record without marks, body and documents

- The body is a bulk body (``outputs/batch.py``). It is JSON in UTF-8, so the byte ff, and with it a record's magic, cannot
  be in one: behind a damaged place the next record is found by its magic, and believed only with the right checksum.
- The marks say which files of the registry the documents come from, and up to which offset. They are checked with the
  header, so that they can be read without the bodies.
- Checksums begin with the segment's number, which is its file's name too (``00000001.spool``): what an older file left on
  the disk in the same blocks is not taken for a record. Sequences rise within a segment; a record whose does not is none.
- Beside a segment stands ``00000001.done``, an entry (u64 sequence | u32 crc32) for each record whose documents have their
  outcomes. It is not synced: what is missing in it, or damaged, is sent again.

Which end is a sound one: a segment that is closed ends with its end mark. Only the youngest may lack it, after a crash;
it may even end in the middle of a record (a *torn* one), which was never synced, so never counted as durable.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

VERSION = 1

_MAGIC = b"ELKSPOOL"
_HEADER = struct.Struct("<8sIQQ")
_RECORD_MAGIC = b"\xff\0SP"
_RECORD = struct.Struct("<4sIIQII")
_MARK = struct.Struct("<QQ")
_CRC = struct.Struct("<I")
_DONE = struct.Struct("<Q")
HEADER_BYTES = _HEADER.size + _CRC.size
RECORD_BYTES = _RECORD.size + _CRC.size
_MOST_MARKS = 1 << 20
_CHUNK = 1 << 20

Marks = tuple[tuple[int, int], ...]
"""(file, end) each."""


class Record(NamedTuple):
    """Where a record is in its segment, and what its header says."""

    sequence: int
    documents: int
    marks: Marks
    begin: int
    """Of the marks, which the body follows."""
    length: int
    """Of the body."""
    crc: int

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.begin + _MARK.size * len(self.marks) + self.length


@dataclass(slots=True)
class Scan:
    """What there is in a segment. Bodies were not looked at."""

    version: int = VERSION
    records: list[Record] = field(default_factory=list)
    sound: int = 0
    """The offset behind the last record; behind the end mark, where there is one."""
    closed: bool = False
    """Whether the end mark is there, with nothing behind it."""
    torn: int = 0
    """Bytes at the end that look like a write that did not come to its end."""
    damaged: int = 0
    """Bytes that are nothing of ours."""


def encode_header(number: int, first: int) -> bytes:
    """The beginning of a segment."""
    packed = _HEADER.pack(_MAGIC, VERSION, number, first)
    return packed + _CRC.pack(_crc(packed, number))


def encode_record(number: int, sequence: int, documents: int, marks: Marks, body: bytes) -> tuple[bytes, int]:
    """What stands before the body, and the checksum of marks and body."""
    packed_marks = b"".join(_MARK.pack(*mark) for mark in marks)
    crc = zlib.crc32(body, _crc(packed_marks, number))
    packed = _RECORD.pack(_RECORD_MAGIC, len(marks), len(body), sequence, documents, crc)
    return packed + _CRC.pack(_crc(packed + packed_marks, number)) + packed_marks, crc


def encode_end(number: int, sequence: int) -> bytes:
    """The end mark."""
    return encode_record(number, sequence, 0, (), b"")[0]


def encode_done(number: int, sequence: int) -> bytes:
    """An entry of the file of done records."""
    packed = _DONE.pack(sequence)
    return packed + _CRC.pack(_crc(packed, number))


def decode_done(data: bytes, number: int) -> set[int]:
    """The sequences in a file of done records, without those that are damaged."""
    size = _DONE.size + _CRC.size
    entries = (data[at : at + size] for at in range(0, len(data) - size + 1, size))
    return {
        _DONE.unpack_from(entry)[0]
        for entry in entries
        if _CRC.unpack_from(entry, _DONE.size)[0] == _crc(entry[: _DONE.size], number)
    }


def body_of(descriptor: int, record: Record, number: int) -> bytes | None:
    """A record's body; ``None`` when it is not what was written. Raises ``OSError``."""
    data = _pread(descriptor, record.end - record.begin, record.begin)
    if len(data) != record.end - record.begin or _crc(data, number) != record.crc:
        return None
    return data[_MARK.size * len(record.marks) :]


def scan(path: Path, number: int) -> Scan:
    """Read the headers of a segment. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _scan(descriptor, os.fstat(descriptor).st_size, number)
    finally:
        os.close(descriptor)


def _scan(descriptor: int, size: int, number: int) -> Scan:
    found = Scan()
    header = _pread(descriptor, HEADER_BYTES, 0)
    if len(header) < HEADER_BYTES or (not any(header) and _next_record(descriptor, HEADER_BYTES, size, number) == size):
        found.torn = size
        return found
    magic, version, _, _ = _HEADER.unpack_from(header)
    if magic == _MAGIC and _crc_ok(header, _HEADER.size, b"", number):
        found.version = version
        if version != VERSION:
            return found
    else:
        found.damaged += HEADER_BYTES  # the records have checksums of their own
    at = found.sound = HEADER_BYTES
    while at < size:
        record = _record_at(descriptor, at, number)
        if record and record.end <= size:
            before = found.records[-1].sequence if found.records else -1
            if record.length and record.sequence <= before:  # what a write that failed has left behind a shorter one
                found.damaged += record.end - at
                at = record.end
                continue
            at = found.sound = record.end
            if record.length:
                found.records.append(record)
                found.closed = False
            else:
                found.closed = True
            continue
        after = _next_record(descriptor, at + 1, size, number)
        if after == size and (record or _is_torn(descriptor, at, size)):
            found.torn = size - at
        else:
            found.damaged += after - at
        found.closed = False
        at = after
    return found


def _record_at(descriptor: int, at: int, number: int) -> Record | None:
    header = _pread(descriptor, RECORD_BYTES, at)
    if len(header) < RECORD_BYTES or not header.startswith(_RECORD_MAGIC):
        return None
    _, marks, length, sequence, documents, crc = _RECORD.unpack_from(header)
    if marks > _MOST_MARKS:
        return None
    packed = _pread(descriptor, marks * _MARK.size, at + RECORD_BYTES) if marks else b""
    if len(packed) != marks * _MARK.size or not _crc_ok(header, _RECORD.size, packed, number):
        return None
    return Record(sequence, documents, tuple(_MARK.iter_unpack(packed)), at + RECORD_BYTES, length, crc)


def _next_record(descriptor: int, at: int, size: int, number: int) -> int:
    """The offset of the first sound header from ``at`` on; ``size`` when there is none."""
    while at < size:
        chunk = _pread(descriptor, _CHUNK + len(_RECORD_MAGIC) - 1, at)
        where = chunk.find(_RECORD_MAGIC)
        while where >= 0:
            if _record_at(descriptor, at + where, number):
                return at + where
            where = chunk.find(_RECORD_MAGIC, where + 1)
        at += _CHUNK
    return size


def _is_torn(descriptor: int, at: int, size: int) -> bool:
    """Whether what is left may be the beginning of a write, or blocks that were allotted and never written."""
    if size - at < RECORD_BYTES:
        return True
    header = _pread(descriptor, RECORD_BYTES, at)
    if header.startswith(_RECORD_MAGIC):
        marks = _RECORD.unpack_from(header)[1]
        return bool(at + RECORD_BYTES + marks * _MARK.size > size)
    while at < size and not any(chunk := _pread(descriptor, _CHUNK, at)):
        at += len(chunk) or size
    return at >= size


def _crc(data: bytes, number: int) -> int:
    return zlib.crc32(data, number & 0xFFFFFFFF)


def _crc_ok(header: bytes, at: int, more: bytes, number: int) -> bool:
    return bool(_CRC.unpack_from(header, at)[0] == _crc(header[:at] + more, number))


def _pread(descriptor: int, length: int, offset: int) -> bytes:
    """All of ``length`` bytes, as far as the file goes: one read gives at most 2 GiB, and may give less."""
    data = os.pread(descriptor, length, offset)
    while 0 < len(data) < length and (more := os.pread(descriptor, length - len(data), offset + len(data))):
        data += more
    return data


def write_all(descriptor: int, parts: Sequence[bytes], offset: int) -> int:
    """Write the parts one after the other; the offset behind them. Raises ``OSError``."""
    for part in parts:
        view = memoryview(part)
        while view:
            written = os.pwrite(descriptor, view, offset)
            offset += written
            view = view[written:]
    return offset


def files_of(records: Iterable[Record]) -> frozenset[int]:
    """The files that the documents of these records come from."""
    return frozenset(file for record in records for file, _ in record.marks)
