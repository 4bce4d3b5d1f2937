"""Which known file is this one? By content; inode, birth and name are hints that decide where content alone might be chance.

A file *is* an entry's where it has the entry's fingerprint and

- is under the entry's inode, with the entry's birth where that is known (another birth is another file, whatever it holds);
- or is elsewhere, the entry's own place is empty or holds other content, and chance is ruled out: more than two kilobytes
  of it are acknowledged and no two of its last lines are alike; or the name is a rotated one of the entry's (``app.log`` →
  ``app.log.1``, ``app-2026-11-23.0.log.gz``; not the way back), and one of its last lines stands nowhere near before:
  a stack trace says the same again and again, the record it belongs to does not;
- or took the entry's place while that is open still, and all that this has stands in it, more than two kilobytes of it read.

A file is a *copy* of an entry's that is still in its place (``copytruncate`` before it truncates, ``gzip`` before it deletes)
or still open (``gzip`` has deleted it) where all it holds stands at the beginning of that file too, its name is a rotated
one, and it was born later. Both can be looked at, in more places than an entry remembers: this decides before the other.
What is unpacked from an archive, or packed as it is, is a copy as well, whichever was there first.

Where it stays ambiguous the file is a new one: rather twice than lost (invariant 4).
"""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from shipper.files import packed
from shipper.files.birth import born
from shipper.files.charset import MARKS, UTF8, Utf16, charset_of
from shipper.files.content import MAGIC, Plain, content_of
from shipper.files.harvester import fingerprint
from shipper.files.identity import PREFIX, TAIL, first_line_key, tail_of

if TYPE_CHECKING:
    from shipper.files.charset import Charset
    from shipper.files.content import Content
    from shipper.files.discovery import Found
    from shipper.state.registry import Entry

EARLY = "too early to tell"
HOLE = 64 * 1024
"""Bytes behind a hole at a file's beginning in which its text has to begin."""
NEAR = 64 * 1024
"""Bytes in which a line has to stand but once, to be no chance."""
ENOUGH_READ = PREFIX + TAIL
"""Bytes of a file that have to be known, where its name says nothing."""
ENOUGH = 32
"""Bytes that are no UTF-16 when all of them are ASCII, and none is NUL."""
NOT_TEXT = 0.3
"""The share of control characters from which on a file's beginning is no text."""
_CONTROL = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_NUMBERS = re.compile(r"[-._]+")
_COUNTED = re.compile(r"[\dTZ:]*\d[\dTZ:]*")
_PACKED = re.compile(r"((?<=[^\W\d_])\d+\.tmp|\.gz|\.tmp)+$")
"""What the name of a file ends with that is packed, or being packed: ``app.log.1.gz``, kubelet's ``0.log.20261123-101500.tmp``,
``app.log.1.gz.tmp``; logback's ``app.log82736455.tmp``, with a number of its own."""


class Candidate(NamedTuple):
    """A file that was opened to find out which one it is."""

    file: Found
    content: Content
    head: bytes
    """The first bytes of its content, at most 1 KiB."""
    key: bytes
    born: int
    charset: Charset = UTF8


def candidate(file: Found, content: Content, *, partial: bool, encoding: str) -> Candidate | str:
    """What a file is recognised by, or why it cannot be read; ``EARLY`` where more must come to tell. Raises ``OSError``.

    ``partial``: its first line need not be complete.
    """
    head = content.read(PREFIX, 0)
    charset = charset_of(encoding, head)
    if isinstance(content, Plain) and head.startswith(b"\0") and charset is not None:
        data = content.read(HOLE, content.data_from(0))
        text = data[charset.nuls(data) :][:PREFIX]
        if not text:
            return EARLY  # nothing but a hole
        if reason := why_not(text, encoding):
            return reason
    elif isinstance(content, Plain) and head.endswith(b"\0") and charset is not None:
        head = head[: charset.blank(content.read(HOLE, 0), 0)]  # room that is not written yet will hold something else
    if not head or not (partial or content.packed or b"\n" in head or len(head) == PREFIX):
        return EARLY
    if encoding.startswith("utf-16") and (len(head) < 2 or head in MARKS):
        return EARLY  # nothing but a byte order mark
    if reason := why_not(head, encoding):
        return reason
    return Candidate(file, content, head, first_line_key(head), born(content.descriptor), charset or UTF8)


def is_same(entry: Entry, content: Content, born: int) -> bool:
    """Whether a file under the entry's inode is the entry's. Raises ``OSError``."""
    return (not entry.born or not born or entry.born == born) and fingerprint(entry).matches(content)


def displaced(entry: Entry) -> bool:
    """Whether the file of an entry is no longer where it was: a look that fails is no proof of it."""
    if not entry.inode:
        return True
    try:
        status = os.stat(entry.path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    if (status.st_dev, status.st_ino) != (entry.device, entry.inode):
        return True
    # Truncated: what it was registered with counts too, for that may be delivered though no checkpoint says so.
    return status.st_size < max(entry.offset, entry.prefix_length) and not _is_archive(entry.path)


def overwritten(entry: Entry, candidate: Candidate) -> bool:
    """Whether a file has what is known of an entry's, and what is in its place has not: truncated since that was looked at.

    Raises ``OSError`` where no more files can be open.
    """
    known, content = fingerprint(entry), candidate.content
    if not content.packed and not known.matches(content):
        return False
    try:
        with open(entry.path, "rb", buffering=0) as file:
            if known.matches(Plain(file.fileno())) or _is_archive(entry.path):
                return False
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            raise
        return False
    return known.matches(content)  # an archive is unpacked for that: last


def is_moved(entry: Entry, candidate: Candidate) -> bool:
    """Whether a file elsewhere is the entry's, whose place is empty. Raises ``OSError``."""
    known, content = fingerprint(entry), candidate.content
    if not known.matches(content):
        return False
    if entry.born and (entry.born, entry.inode) == (candidate.born, candidate.file.inode):
        return True  # the same file system under another device number
    name, ends_there = candidate.file.path, entry.size >= 0 and known.offset == content.size()
    named = family(entry.path) == family(name) or (content.packed and entry.size == candidate.file.size)
    if named and ends_there and candidate.file.modified in _kept(entry.modified):
        return True  # it was read to its end, and a tool that keeps times has moved it: no chance, whatever it holds
    end = known.offset or known.prefix_length
    # Where the acknowledged end is the file's, the lines before the last kilobyte count too: nothing can be behind it.
    unpacked = packed.is_archive_of(entry.path, name) and rotations(name) > 0 and (ends_there or entry.size < 0)
    rotated = unpacked or is_rotated(entry.path, name)
    if rotated and _stands_out(content, end, within=NEAR if ends_there else TAIL):
        return True
    return (rotated or known.offset > ENOUGH_READ) and distinct(content, end, candidate.charset)


def is_copy(entry: Entry, candidate: Candidate, opened: Content | None = None) -> bool | None:
    """Whether a file holds what the entry's file, still in its place, begins with; ``None``: it cannot be told.

    It may be chance, or the entry's file cannot be read, unless it is ``opened`` already. Raises ``OSError`` where no more
    files can be open.
    """
    path, name = entry.path, candidate.file.path
    named = may_be_copy(entry, candidate)
    if not (named or packed.are_akin(path, name)):
        return False
    try:
        # An archive's window stays where it is read.
        descriptor = os.dup(opened.descriptor) if opened else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        return _is_copy_of(entry, descriptor, candidate, named=named)
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            raise
        return None


def _is_copy_of(entry: Entry, descriptor: int, candidate: Candidate, *, named: bool) -> bool | None:
    """As ``is_copy``, of the entry's file, which is closed in the end. Raises ``OSError``."""
    path, name = entry.path, candidate.file.path
    try:
        original = content_of(descriptor, os.pread(descriptor, 2, 0))
        if original.packed:
            copied = is_of_archive(entry, original, candidate)
            # Unpacked last: there may be many archives that begin alike.
            return copied if copied is False or _begins_with(original, candidate.head) else False
        unpacked = packed.is_archive_of(name, path) and (rotations(path) > 0 or _has_time_of(original, candidate))
        if not (named or unpacked):
            return False
        if original.size() < candidate.content.size():
            return None if unpacked else False  # it is being unpacked, perhaps
        agreed = agree(original, candidate)
        return agreed if entry.born or unpacked else agreed and None  # which of them was there first is not known
    finally:
        os.close(descriptor)


def is_of_archive(entry: Entry, archive: Content, candidate: Candidate) -> bool | None:
    """Whether a file that begins as an entry's archive was unpacked from it, or copied; ``None``: it may be, or become so.

    The archive is not unpacked for that. Raises ``OSError``.
    """
    name, content, kept = candidate.file.path, candidate.content, _has_time_of(archive, candidate)
    if content.packed:  # one with the same time is a copy under whatever name
        return kept and packed.is_twin(archive, content)
    # A new log may get the name that an archive had before, and begin as that one did; not with a number or its time.
    if not (packed.is_archive_of(entry.path, name) and (kept or rotations(name) > 0)):
        return False
    trailer, size, is_read = packed.trailer_of(archive), content.size(), entry.size >= 0
    if size < (entry.offset if is_read else trailer.length):
        return None
    as_long = size == entry.offset if is_read else packed.is_as_long(content, trailer)
    if kept or not (as_long and packed.holds(trailer, content)):
        return as_long and kept
    return _stands_out(content, size, within=NEAR) or None  # else these may be the lines of another day


def may_be_copy(entry: Entry, candidate: Candidate) -> bool:
    """Whether a file has a rotated name of an entry's, and was not there first."""
    return is_rotated(entry.path, candidate.file.path) and (not entry.born or is_later(entry, candidate))


def agree(original: Content, candidate: Candidate) -> bool | None:
    """Whether two contents are the same as far as both go, by samples; ``None``: it may be chance. Raises ``OSError``."""
    content, size = candidate.content, min(candidate.content.size(), original.size())
    head = candidate.head[:size]  # it may have grown since that was read
    if original.read(len(head), 0) != head:
        return False
    samples = _samples(original, size)
    if samples != _samples(content, size):
        return False
    kept = original.size() == content.size() and _has_time_of(original, candidate)
    return True if kept or _one_only(samples, samples) else None


def _samples(content: Content, size: int) -> bytes:
    """What stands in several places of the first ``size`` bytes, the last of them among these; all of it where it is little."""
    if size <= NEAR:
        return content.read(size, 0)
    return b"\n".join(content.read(TAIL, at) for at in (*range(0, size - TAIL, size // 8), size - TAIL))


def is_later(entry: Entry, candidate: Candidate) -> bool:
    """Whether a file was born after an entry's, and written to since, as a copy of it is."""
    return 0 < entry.born < candidate.born and candidate.file.modified >= entry.born - 10**9


def related(known: str, name: str) -> bool:
    """Whether one is a rotated name of the other: they differ in numbers, dates, ``.gz`` and ``.tmp`` only."""
    return os.path.basename(known) != os.path.basename(name) and family(known) == family(name)


def is_rotated(known: str, name: str) -> bool:
    """Whether a name is a rotated one of the other, not the other way round: a new log may begin as the one before did."""
    return related(known, name) and rotations(name) > rotations(known)


def rotations(name: str) -> float:
    """The numbers in a name, and whether it is packed; what is being packed comes before that."""
    ending = 1 if name.endswith(".gz") else 0.5 if name.endswith(".tmp") else 0
    return sum(bool(_COUNTED.fullmatch(part)) for part in _parts(name)) + ending


def _is_archive(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return True


def why_not(head: bytes, encoding: str = "utf-8") -> str | None:
    """Why content that begins like this is no log in that encoding, or ``None``. NULs at its very beginning are a hole."""
    if reason := packed.why_unread(head):
        return reason
    charset = charset_of(encoding, head)
    if charset is None:
        return "has no byte order mark, nor a line feed that tells: set encoding: utf-16le (or utf-16be) for it"
    if isinstance(charset, Utf16):
        if len(head) >= ENOUGH and head.isascii() and b"\0" not in head:
            return "is not UTF-16: set its encoding (utf-8, for example) in an input of its own"
    elif head[:2] in MARKS and (encoding == "utf-8" or b"\0" in head):
        return "is UTF-16: set encoding: utf-16 for it, in an input of its own"
    text = charset.utf8(head, 0).lstrip(b"\0")
    if b"\0" in text and len(_CONTROL.findall(text)) > NOT_TEXT * len(text):
        return "is a binary file (it has NUL bytes at its beginning), not a log"
    return None


def family(name: str) -> tuple[str, ...]:
    """What the rotated names of a log have in common, without what counts them."""
    return tuple(part for part in _parts(name) if part and not _COUNTED.fullmatch(part))


def _parts(path: str) -> list[str]:
    return _NUMBERS.split(_PACKED.sub("", os.path.basename(path)))


def distinct(content: Content, end: int, charset: Charset) -> bool:
    """Whether there are lines in the last kilobyte before ``end``, and no two are alike. Raises ``OSError``."""
    tail = tail_of(content, end)
    lines = charset.utf8(tail, end - len(tail)).splitlines()[0 if end <= TAIL else 1 :]  # the first may be cut
    if len(set(lines)) < max(2, len(lines)):
        return len(lines) == 1 and _stands_out(content, end, within=TAIL)  # nothing to compare it with: lines are long
    return True


def _stands_out(content: Content, end: int, *, within: int) -> bool:
    """Whether something in the last bytes before ``end`` stands nowhere else near before. Raises ``OSError``.

    Lines that come again and again are no proof, in whatever order they do: another file may hold them as well.
    """
    near = content.read(min(NEAR, end), max(0, end - NEAR))
    return _one_only(near[-within:], near)


def _one_only(lines: bytes, text: bytes) -> bool:
    """Whether one of the lines, or what there is of it, stands in the text but once."""
    known = Counter(text.splitlines())
    return any(known[line] < 2 and text.count(line) == 1 for line in set(lines.splitlines()))


def _kept(modified: int) -> tuple[int, ...]:
    """What a tool makes of a time in nanoseconds that it keeps: some have microseconds, or whole seconds."""
    return modified, modified - modified % 1_000, modified - modified % 1_000_000_000


def _begins_with(content: Content, head: bytes) -> bool:
    return content.read(len(head), 0) == head


def _has_time_of(original: Content, candidate: Candidate) -> bool:
    return candidate.file.modified in _kept(os.fstat(original.descriptor).st_mtime_ns)
