"""One file that is being read: its registry entry, its content, and what of it is on its way.

What a file's entry says is always of bytes that were read and verified (invariant 4): ``read`` looks *after* reading
whether the content still is the one it was opened as, and takes back what came from another. The fingerprint that belongs
to an offset is taken of the bytes that were read up to it, so that a checkpoint needs the file no more.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from typing import TYPE_CHECKING

from shipper.errors import StateError
from shipper.files.identity import PREFIX, TAIL, Fingerprint, digest, tail_of

if TYPE_CHECKING:
    from shipper.files.content import Content
    from shipper.files.joining import Gap
    from shipper.files.reader import Block, Reader
    from shipper.state.registry import Copy, Entry, Join, Registry

log = logging.getLogger(__name__)

TRAIL = 256
"""Blocks for which is remembered what stood before their ends: a copy that ends behind one of them is recognised by it."""


class Harvester:
    """A file that is open, or was until all that could be read of it was read (``closed``)."""

    def __init__(self, path: str, entry: Entry, reader: Reader, seed: bytes) -> None:
        self.path = path
        self.entry = entry
        self.reader = reader
        self.seed = seed
        self.acknowledged = entry.offset
        """How far the outputs have it; the entry follows at the next checkpoint."""
        self.final = False
        """The name shows another file now, or none: what is left is read, and then this is closed."""
        self.truncated = False
        """The content is another now: what is left is what was read before."""
        self.looks = 0
        """Looks since it was truncated that have found no copy of it."""
        self.given_up = False
        """No copy of what was truncated away has been found."""
        self.closed = False
        self.quiet_since = time.monotonic()
        self.removed_since: float | None = None
        """Since when no name leads to the file any more."""
        self.trouble = ""
        """Why it is not read to its end at the moment; empty when all is well."""
        self.predecessor: Harvester | None = None
        """Whose last event may go on at the beginning of this file: that is decided before this is read."""
        self.successor: Harvester | None = None
        self.gap: Gap | None = None
        """Where the successor comes from: in what time others may have come between."""
        self.joined: Join | None = None
        """The event at the end of this file that goes on in the next, where that has to be acknowledged in both."""
        self.awaits = 0.0
        """Until when it is not read because another file may come, the other half of an event that was joined before."""
        self._marks: deque[tuple[int, bytes]] = deque()
        self._trail: deque[tuple[int, bytes]] = deque(maxlen=TRAIL)
        self._begin()

    def _begin(self) -> None:
        content = self.reader.content
        status = os.fstat(content.descriptor)
        # As much as the entry was registered with: what is read first has to begin with that (see ``is_registered``).
        self._head = content.read(min(PREFIX, max(self.reader.end, self.entry.prefix_length)), 0)
        self._before = tail_of(content, self.reader.position)
        self._marked = self.reader.position
        self._looked = (-1, -1)
        self.seen_size = 0 if content.packed else status.st_size
        self._packed = (status.st_size, status.st_mtime_ns)

    @property
    def head(self) -> bytes:
        """The beginning of what was read, as far as it identifies the file."""
        return self._head

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self) -> Block | None:
        """The next block of whole events, or ``None``. Trouble with the file is logged once, and tried again later."""
        if self.truncated or self.closed or self.predecessor is not None or self.awaits > time.monotonic():
            return None
        block, before = None, self.reader.snapshot()
        end = self.reader.end
        try:
            block = self.reader.read()
            if block is None and self.reader.end == end:
                if not self.reader.pending:
                    self.trouble = ""
                return None
            head = self._head
            if len(head) < PREFIX:
                head = self.reader.content.read(min(PREFIX, max(self.reader.end, len(head))), 0)
            first = head
            if not end + self.reader.skipped:
                first = (block.data[:PREFIX] if block is not None else b"") + self.reader.tail[:PREFIX]
            if not first.startswith(head[: len(first)]) or not self._same(end, before):
                self._restore(before, block)
                self.truncated = self.final = True
                return None
            self._head = head
            if block is not None:
                self._take(block)
        except OSError as error:
            self._restore(before, block)
            self.troubled(f"cannot be read: {error.strerror}")
            return None
        self.quiet_since = time.monotonic()
        if not self.reader.pending:
            self.trouble = ""
        return block

    def begin_behind(self, beginning: bytes) -> None:
        """Begin behind what belongs to the event at the end of the file before."""
        offset = len(beginning)
        self.reader.skip(offset)
        self._before = beginning[-TAIL:]
        self._marked = offset
        self._marks.append((offset, digest(self._before)))
        if offset > len(self._head):
            self._head = beginning[:PREFIX]

    def flush(self, registry: Registry, *, lines: bool) -> Block | None:
        """What is left as an event of its own, though its end has not been seen; with ``lines``, whole lines only.

        That it ends there is durable before this returns (invariant 5): after a crash the same event comes out again.
        ``None`` as well where it could not be made durable; logged once, and tried again later.
        """
        offset = self.reader.flush(lines=lines)
        if offset == self.reader.position:
            return None
        try:
            # It may be known since before a restart, or since trouble: the reader has it then.
            if offset not in registry.cuts(self.entry):
                registry.cut(self.entry, offset)
                self.reader.force(offset)
        except StateError as error:
            self.troubled(f"cannot be read to its end: {error}")
            return None
        self.trouble = ""
        if not self.truncated:
            return self.read()
        block = self.reader.read()  # all of it is in memory
        if block is not None:
            self._take(block)
        return block

    def troubled(self, what: str) -> None:
        """Log once that something is in the way, and keep it for those who ask."""
        if self.trouble != what:
            self.trouble = what
            log.warning("%s %s; trying again", self.path, what)

    def _take(self, block: Block) -> None:
        """A block that is read. Where it ends with the beginning of the next file, that is read from there on."""
        self._mark(block)
        following = self.successor
        if block.borrowed and following is not None:
            following.begin_behind(block.data[-block.borrowed :])
            self.successor = following.predecessor = None

    def _restore(self, before: tuple[object, ...], block: Block | None) -> None:
        """As if the block had not been read."""
        self.reader.restore(before)
        if block is not None and block.borrowed:
            self.reader.join(block.end, block.data[-block.borrowed :])

    def _mark(self, block: Block) -> None:
        """Keep what will identify the file once the block is acknowledged."""
        own = block.data[: len(block.data) - block.borrowed] if block.borrowed else block.data
        if len(own) < TAIL:
            # NULs that were passed over stand between this block and the one before.
            gap = block.end - len(own) - self._marked
            own = (self._before + bytes(min(gap, TAIL)) + own) if gap else self._before + own
        self._before = own[-TAIL:]
        self._marked = block.end
        mark = (block.end, digest(self._before))
        self._marks.append(mark)
        self._trail.append(mark)

    # --- whether it still is what it was --------------------------------------------------------------------------

    def _same(self, end: int, before: tuple[object, ...] | None = None) -> bool:
        """Whether the file still has what was read of it up to ``end``: its beginning, and what stood there."""
        content = self.reader.content
        status = os.fstat(content.descriptor)
        looked = (status.st_size, status.st_mtime_ns)
        if content.packed:
            return looked == self._packed
        if status.st_size < end:
            return False
        if looked == self._looked:
            return True
        tail: bytes = before[1] if before else self.reader.tail  # type: ignore[assignment]
        last = tail[-64:] if tail else self._before[-64:]
        if content.read(len(self._head), 0) != self._head or content.read(len(last), end - len(last)) != last:
            return False
        self._looked, self.seen_size = looked, status.st_size
        return True

    def is_registered(self) -> bool:
        """Whether what was opened begins as its entry says: it may have been written anew since it was recognised."""
        length = self.entry.prefix_length
        return not length or digest(self._head[:length]) == self.entry.prefix

    def changed(self) -> bool:
        """Whether the open file no longer is what was read: shorter than that, or with other content. Raises ``OSError``."""
        return not self.closed and not self._same(self.reader.end)

    def look(self) -> None:
        """Find out whether it was truncated or replaced since the last look; trouble is logged once, and told of later."""
        try:
            if not self.truncated and self.changed():
                self.truncated = self.final = True
        except OSError as error:
            self.troubled(f"cannot be looked at: {error.strerror}")

    def size(self) -> int:
        """How many bytes the content has, as far as that can be told; of one that was truncated or closed, as many as were read."""
        if self.truncated or self.closed:
            return self.reader.end
        try:
            return max(self.reader.content.size() - self.reader.blank, self.reader.end)
        except OSError:  # the mount is gone, for example: the next read says so
            return max(self.seen_size, self.reader.end)

    def at_end(self) -> bool:
        """Whether everything is read that the file has, or ever will have."""
        return self.truncated or self.closed or self.reader.at_end()

    def has_room(self) -> bool:
        """Whether it ends with bytes that its writer has made room for and is going to fill: not where it has left its place."""
        return bool(self.reader.blank and not self.final)

    def unread(self, *, once: bool) -> str:
        """Why it is not read to its end, or, by a one-shot run, why there will be more to read; empty when all is well."""
        if self.trouble or not (once and self.has_room()):
            return self.trouble
        return (
            f"has nothing but NUL bytes from byte {self.reader.end:,} on, which its writer is going to fill: "
            "run it again for what comes there"
        )

    def settled(self) -> bool:
        """Whether everything that was read is acknowledged, and the registry has it."""
        return not self.reader.pending and self.entry.offset >= self.reader.position

    # --- what is acknowledged -------------------------------------------------------------------------------------

    def checkpoint(self) -> bool:
        """Move the entry to the acknowledged offset, with the fingerprint that belongs to it; whether it has moved."""
        tail = None
        while self._marks and self._marks[0][0] <= self.acknowledged:
            offset, tail = self._marks.popleft()
        if tail is None:
            return False
        entry = self.entry
        entry.offset, entry.tail = offset, tail
        length = min(PREFIX, offset)
        entry.prefix_length, entry.prefix = length, digest(self._head[:length])
        entry.size, entry.modified = -1, 0
        return True

    # --- another source -------------------------------------------------------------------------------------------

    def holds(self, content: Content) -> bool:
        """Whether other content begins with all that was read of this. Raises ``OSError``."""
        end = self.reader.end
        last = self.reader.tail[-TAIL:] if self.reader.pending else self._before
        return (
            content.size() >= end
            and content.read(len(self._head), 0) == self._head
            and content.read(len(last), end - len(last)) == last
        )

    def covers(self, content: Content) -> bool:
        """Whether other content is less than was read of this, and its beginning: as far as that is remembered.

        Raises ``OSError``.
        """
        size = content.size()
        if not 0 < size < self.reader.end or content.read(len(self._head), 0) != self._head[:size]:
            return False
        known = (mark for mark in reversed(self._trail) if mark[0] <= size)
        offset, tail = next(known, (0, b""))
        return digest(tail_of(content, offset)) == tail if offset else size <= len(self._head)

    def continue_with(self, path: str, content: Content) -> None:
        """Go on with a copy, or an archive, of what was read. It takes the ``content`` over."""
        status = os.fstat(content.descriptor)
        if not self.closed:
            self.reader.content.close()
        self.path = path
        self.reader.content = content
        self.truncated = self.given_up = self.final = self.closed = False
        self._packed = (status.st_size, status.st_mtime_ns)
        self._looked = (-1, -1)
        self.looks = 0
        self.removed_since = None
        self.quiet_since = time.monotonic()

    def abandon(self) -> None:
        """What is read and in no block yet is given up, with all that is behind it."""
        self.reader.restore((self.reader.position, b"", [], False, False, self.reader.skipped, 0))

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self.closed = True
            self.reader.content.close()


def fingerprint(known: Entry | Copy) -> Fingerprint:
    """What identified a file when it was last acknowledged; of a copy: all that it had."""
    return Fingerprint(known.prefix_length, known.prefix, known.offset, known.tail)
