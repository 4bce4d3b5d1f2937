"""Which file is this? Told by content; inode and name are hints.

A ``Fingerprint`` is taken of the file as far as it has been acknowledged: a hash of its first bytes (at most 1 KiB) and
a hash of the (at most 1 KiB of) bytes before the acknowledged offset. A file *is* the one that was fingerprinted when
both still hold. A name that now shows other content, or a file that was truncated and has grown again, does not.

The life of a fingerprint: it is empty when a file is first seen; at each checkpoint it is made anew, of the bytes that
were read; ``matches`` is asked when a file is opened and whenever it has changed.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from shipper.files.content import Content

PREFIX = 1024
"""Bytes at the beginning of a file that identify it."""
TAIL = 1024
"""Bytes before the acknowledged offset that identify how far the same file was read."""
DIGEST = 16


def digest(data: bytes) -> bytes:
    """A hash that tells contents apart, 16 bytes."""
    return blake2b(data, digest_size=DIGEST).digest()


class Fingerprint(NamedTuple):
    """What identified a file when its offset was last acknowledged."""

    prefix_length: int = 0
    prefix: bytes = b""
    offset: int = 0
    tail: bytes = b""

    @classmethod
    def take(cls, content: Content, offset: int) -> Fingerprint:
        """Of the open file, read up to ``offset``. Raises ``OSError``."""
        head = content.read(min(PREFIX, offset), 0)
        return cls(len(head), digest(head), offset, digest(tail_of(content, offset)))

    def matches(self, content: Content) -> bool:
        """Whether the open file is the one that was fingerprinted. Raises ``OSError``."""
        head = content.read(self.prefix_length, 0)
        if len(head) != self.prefix_length or (head and digest(head) != self.prefix):
            return False
        tail = tail_of(content, self.offset)
        return len(tail) == min(TAIL, self.offset) and (not tail or digest(tail) == self.tail)


def tail_of(content: Content, offset: int) -> bytes:
    """The bytes before ``offset`` that identify how far the file was read. Raises ``OSError``."""
    return content.read(min(TAIL, offset), max(0, offset - TAIL))


def first_line_key(head: bytes) -> bytes:
    """The ``key`` of a document's id: a hash of the file's first line, at most 1 KiB of it.

    ``head`` is the file's first bytes, at least up to its first newline where that comes within the first 1 KiB.
    """
    return digest(head[:PREFIX].split(b"\n", 1)[0])


def id_seed(host_id: str, salt: int, key: bytes) -> bytes:
    """The 16 bytes that set this file's ids apart from all others' (BLAKE2b's ``person`` parameter in ``delivery.encoder``)."""
    return digest(b"%b\0%d\0%b" % (host_id.encode(), salt, key))
