"""What packed files tell of themselves: how they are packed, and, of gzip's, what they hold, though nothing is unpacked.

A gzip file ends with the CRC-32 and the length of what its last member holds: of all there is, where it has one only, as
every tool makes it. So a file beside it is known to be what was unpacked from it, or another copy of it, by one look at
either. Where an archive has several members that does not come out, and the file is another: rather twice than lost.
"""

from __future__ import annotations

import os
import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from isal import isal_zlib

if TYPE_CHECKING:
    from shipper.files.content import Content

SUFFIX = ".gz"
PIECE = 1 << 20
"""Bytes of an unpacked file that are read at once."""
_LENGTH = 1 << 32
_KINDS = {
    re.compile(magic): kind
    for magic, kind in (
        (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "bzip2"),
        (rb"\xfd7zXZ\0", "xz"),
        (rb"\x28\xb5\x2f\xfd", "zstd"),
        (rb"\x04\x22\x4d\x18", "lz4"),
        (rb"PK\x03\x04", "zip"),
        (rb"7z\xbc\xaf\x27\x1c", "7-Zip"),
    )
}
"""How files begin that are packed, by their formats' specifications."""


def why_unread(head: bytes) -> str | None:
    """Why a file that begins like this is not unpacked, or ``None``."""
    kind = next((kind for magic, kind in _KINDS.items() if magic.match(head)), None)
    advice = "pack with gzip, or leave it out by exclude_files"
    return f"is packed with {kind}, which is not read: {advice}" if kind else None


def is_archive_of(archive: str, name: str) -> bool:
    """Whether this is the name that ``gzip`` gives to the archive of a file, from which ``gunzip`` makes the file's again."""
    return os.path.basename(archive) == os.path.basename(name) + SUFFIX


def are_akin(one: str, other: str) -> bool:
    """Whether two names are of a file and its archive, or both of archives."""
    return is_archive_of(one, other) or is_archive_of(other, one) or (one.endswith(SUFFIX) and other.endswith(SUFFIX))


class Trailer(NamedTuple):
    """What stands at the end of a gzip file."""

    checksum: int
    length: int
    """Modulo 2 to the 32nd."""


def trailer_of(archive: Content) -> Trailer:
    """Of an open archive. Raises ``OSError``."""
    size = os.fstat(archive.descriptor).st_size
    data = os.pread(archive.descriptor, 8, max(0, size - 8))
    return Trailer(*struct.unpack("<II", data.rjust(8, b"\0")))


def is_as_long(content: Content, trailer: Trailer) -> bool:
    """Whether the length is that of all there is. Raises ``OSError``."""
    return content.size() % _LENGTH == trailer.length


def holds(trailer: Trailer, content: Content) -> bool:
    """Whether an archive with this trailer was made of this content. Raises ``OSError``."""
    if not is_as_long(content, trailer):
        return False
    checksum = at = 0
    while data := content.read(PIECE, at):
        checksum = isal_zlib.crc32(data, checksum)
        at += len(data)
    return checksum == trailer.checksum


def is_twin(one: Content, other: Content) -> bool:
    """Whether two archives that begin with the same hold the same; the ``other`` is known to be complete. Raises ``OSError``."""
    trailer = trailer_of(one)
    sizes = {os.fstat(each.descriptor).st_size for each in (one, other)}
    return trailer == trailer_of(other) and (len(sizes) == 1 or is_as_long(other, trailer))
