"""The bytes of a file as they were before anything packed them: what a ``Reader`` reads and a fingerprint is taken of.

Offsets are those of the unpacked content, so that an archive has the ids of the file that was packed (invariant 3). An
archive is unpacked as a stream: what is held of it is a window of a few hundred kilobytes, whatever it unpacks to
(invariant 8).

The life of an ``Archive``: ``verify`` unpacks it once, slice by slice, up to the checksum of its last member; only then is
it *complete*, and its ``size`` known. It is *cut off* where the file ends before that, and *damaged* where the bytes are no
gzip; what comes before can be read all the same.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from typing import Literal

from isal import igzip_lib

MAGIC = b"\x1f\x8b"
"""How a gzip file begins."""
PIECE = 64 * 1024
"""Bytes read or unpacked at once."""
KEPT = 256 * 1024
"""Unpacked bytes that are kept behind the last that was read: going back further unpacks the archive from its start."""

State = Literal["unknown", "complete", "cut off", "damaged"]


class Content(ABC):
    """An open file. ``read`` and ``size`` raise ``OSError`` as the file system does."""

    packed = False

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @abstractmethod
    def read(self, count: int, offset: int) -> bytes:
        """At most ``count`` bytes from ``offset`` on; fewer only at the end."""

    @abstractmethod
    def size(self) -> int:
        """How many bytes there are now."""

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


class Plain(Content):
    """A file whose bytes are what they are."""

    def read(self, count: int, offset: int) -> bytes:
        """As ``pread``."""
        return os.pread(self.descriptor, count, offset)

    def size(self) -> int:
        """The file's size."""
        return os.fstat(self.descriptor).st_size

    def data_from(self, offset: int) -> int:
        """Where the first byte from ``offset`` on is that no hole of the file swallows; ``offset`` where none is told."""
        try:
            return os.lseek(self.descriptor, offset, os.SEEK_DATA)
        except OSError:  # nothing but a hole, or a file system that knows none
            return offset

    def is_hole(self, offset: int) -> bool:
        """Whether there is nothing but a hole from ``offset`` on, as far as that is told."""
        try:
            os.lseek(self.descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            return error.errno == errno.ENXIO
        return False


class Archive(Content):
    """A gzip file: of one member or several, perhaps with bytes behind them that mean nothing."""

    packed = True

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self.state: State = "unknown"
        self._damaged_from: int | None = None
        self._size = 0
        self._rewind()

    def verify(self, budget: int) -> bool:
        """Unpack at most about ``budget`` bytes more; whether it is known by now in what ``state`` the archive is."""
        end = self._end + budget
        while self.state == "unknown" and self._end < end:
            self._advance()
            self._trim(self._end)
        return self.state != "unknown"

    def is_empty(self) -> bool:
        """Whether it is known to be the archive of an empty file; it is unpacked for that a little."""
        return self.verify(1) and self.state == "complete" and not self._size

    def read(self, count: int, offset: int) -> bytes:
        """At most ``count`` bytes of what is unpacked."""
        if offset < self._begin:
            self._rewind()
        while self._end < offset + count and not self._over:
            self._advance()
            self._trim(offset)
        at = offset - self._begin
        return self._window[at : at + count] if at >= 0 else b""

    def size(self) -> int:
        """The unpacked bytes that can be read; 0 before ``verify`` is through."""
        return self._size

    def _rewind(self) -> None:
        self._window = b""
        self._begin = self._end = self._input = 0
        self._over = False
        self._rest = b""
        self._member: igzip_lib.IgzipDecompressor | None = None

    def _trim(self, offset: int) -> None:
        """Let go of what is far behind ``offset``."""
        surplus = min(offset, self._end) - KEPT - self._begin
        if surplus > KEPT:
            self._window = self._window[surplus:]
            self._begin += surplus

    def _advance(self) -> None:
        """Unpack one piece more, or find that there is none."""
        if self._member is None and not self._begin_member():
            return
        assert self._member is not None
        try:
            if self._member.needs_input:
                data = self._rest or self._more()
                self._rest = b""
                if not data:
                    self._found("cut off")
                    return
                unpacked = self._member.decompress(data, PIECE)
            else:
                unpacked = self._member.decompress(b"", PIECE)
        except igzip_lib.IsalError:  # type: ignore[misc]
            self._failed()
            return
        self._window += unpacked
        self._end += len(unpacked)
        if self._member.eof:
            self._rest = self._member.unused_data
            self._member = None

    def _begin_member(self) -> bool:
        """Whether another member begins here; what is no member behind the last one is padding or means nothing."""
        while len(self._rest) < len(MAGIC) and (data := self._more()):
            self._rest += data
        if self._rest.startswith(MAGIC):
            self._member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            return True
        # Half of a magic number may be one that is still being written.
        self._found("complete" if self._input > len(self._rest) and self._rest != MAGIC[:1] else "cut off")
        return False

    def _more(self) -> bytes:
        count = PIECE
        if self._damaged_from is not None:
            # Whatever comes with the byte that is wrong is lost: as little as can be.
            count = min(PIECE, self._damaged_from - self._input) or 1
            if self._input >= self._damaged_from + PIECE:
                return b""
        data = os.pread(self.descriptor, max(1, count), self._input)
        self._input += len(data)
        return data

    def _failed(self) -> None:
        if self._damaged_from is None:
            self._damaged_from = max(0, self._input - PIECE)
            self.state = "unknown"
            self._rewind()
        else:
            self._found("damaged")

    def _found(self, state: State) -> None:
        self._over = True
        if self.state == "unknown":
            self.state = "damaged" if self._damaged_from is not None else state
            self._size = self._end


def content_of(descriptor: int, head: bytes) -> Content:
    """The content of an open file that begins with ``head``."""
    return Archive(descriptor) if head.startswith(MAGIC) else Plain(descriptor)
