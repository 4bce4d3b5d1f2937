"""A segment of the spool at work: what is known of its file, and what is done to it. The format is in ``segments.py``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shipper.state import segments

if TYPE_CHECKING:
    from pathlib import Path

    from shipper.state.segments import Record


class Segment:
    """A file of the spool."""

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

    def read_done(self) -> set[int]:
        """The sequences of its records that are done. Raises ``OSError``."""
        try:
            return segments.decode_done(self.done_path.read_bytes(), self.number)
        except FileNotFoundError:
            return set()

    def body(self, record: Record) -> bytes | None:
        """A record's body; ``None`` when it is damaged. Raises ``OSError``."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return segments.body_of(descriptor, record, self.number)
        finally:
            os.close(descriptor)


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
    """Add to a file; it is made if need be. Raises ``OSError``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, data)
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
