"""A file's bytes as blocks of whole events, from a known offset on.

A ``Reader`` reads from a known offset and keeps the *tail*: the bytes behind the last cut, which belong to an event that may
still go on. Its position is where the tail begins; it is a place in memory and never a resume point (invariant 1).

Where the same bytes are read again, from any earlier cut, the same cuts come out: framing decides by content alone, an
event that is longer than the limit is cut at a distance from its own beginning, and cuts that time decided are handed in
(``forced``) by the one who made them durable (invariant 5).

A writer that was not told of a truncation writes on where it was: the file begins with a hole then, which reads as NUL
bytes. NULs at the very beginning of a file are passed over and counted. NULs up to a file's end are room that its writer has
made (``room``), and are not read before they are written. Anywhere else they are what the log says.

All of it is raw bytes, whatever the file's encoding: where a line ends in those, and what the framer has to see, the
``Charset`` knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shipper.files.charset import UTF8
from shipper.files.content import Plain
from shipper.files.room import Room

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parser.multiline import Framer
    from shipper.files.charset import Charset
    from shipper.files.content import Content

BLOCK = 128 * 1024
"""Bytes read at once: large enough that the cost of a block is spread, small enough to stay in a core's cache."""


class Block(NamedTuple):
    """Whole events of one file. Event i is ``data[cuts[i-1]:cuts[i]]``, the first begins at 0, the last ends the data."""

    data: bytes
    offset: int
    """Where ``data`` stands in the file."""
    cuts: list[int]
    partial: frozenset[int] = frozenset()
    """Which events are pieces of one that is over the limit."""
    borrowed: int = 0
    """So many bytes at the end of the data are the beginning of the file that took this one's name (see ``Reader.join``)."""
    charset: Charset = UTF8

    @property
    def end(self) -> int:
        """The offset at which what stands in the file itself ends."""
        return self.offset + len(self.data) - self.borrowed

    def text(self) -> tuple[bytes, list[int]]:
        """The data as UTF-8, and the cuts in it."""
        charset = self.charset
        if not self.borrowed:
            return charset.text(self.data, self.cuts, self.offset)
        at = len(self.data) - self.borrowed
        mark = len(charset.mark) if self.data.startswith(charset.mark, at) else 0
        text = charset.utf8(self.data[:at], self.offset) + charset.utf8(self.data[at + mark :], 0)
        return text, [len(text)]


class Reader:
    """Reads one open file. Raises ``OSError`` as the file system does."""

    def __init__(
        self,
        content: Content,
        framer: Framer,
        *,
        offset: int = 0,
        forced: Iterable[int] = (),
        limit: int = 10 * 1024 * 1024,
        charset: Charset = UTF8,
    ) -> None:
        """``limit``: an event is at most so many bytes."""
        self.charset = charset
        self.content = content
        self.position = offset
        self.skipped = 0
        """NUL bytes at the beginning that were passed over."""
        self.blank = 0
        """NUL bytes up to the file's end that were not read the last time, because nobody has written them yet."""
        self._room = Room()
        self._tail = b""
        self._looked = self._lines = 0  # so many bytes of the tail, so many whole lines, are known to have no cut
        self._again = False  # the tail may have cuts
        self._framer = framer
        self._forced = [cut for cut in forced if cut > offset]
        self._limit = limit
        before = charset.before(offset)
        self._inside = offset > 0 and not charset.ends(content.read(offset - before, before), before)
        self._leading = offset == 0
        self._joined: tuple[int, bytes] | None = None

    @property
    def tail(self) -> bytes:
        """What is read but in no block yet."""
        return self._tail

    @property
    def pending(self) -> int:
        """Bytes that are read but in no block yet."""
        return len(self._tail)

    @property
    def end(self) -> int:
        """The offset up to which the file is read."""
        return self.position + len(self._tail)

    def read(self) -> Block | None:
        """The next block; ``None`` when nothing that is complete has come."""
        self.blank = 0
        while True:
            stop = self._forced[0] if self._forced else None
            want = BLOCK if stop is None else min(BLOCK, stop - self.end)
            data = self.content.read(want, self.end) if want > 0 else b""
            if data and not data[-1] and stop is None:
                data = self._written(data)
            if self._leading and data:
                data = self._without_leading_nuls(data, stop)
                if not data:
                    continue
            at_stop = stop is not None and self.end + len(data) >= stop
            if not (data or at_stop or self._again):
                return None
            self._again = False
            buffer = self._tail + data
            whole = self.charset.whole(buffer, self.position, len(self._tail))
            # Nothing in the tail was a cut before, but what is new may end the event that it holds.
            if at_stop and self._joined and self._joined[0] == stop:
                if not (cuts := [cut for cut in self._cuts(buffer) if cut < len(buffer)]):
                    return self._with_borrowed(buffer, self._joined[1])
            elif at_stop:
                # A last line without its newline may begin an event as any other does.
                cuts = self._cuts(buffer, ended=whole == len(buffer))
                cuts = [cut for cut in cuts if cut < len(buffer)] + [len(buffer)]
            else:
                cuts = self._further(buffer, whole) if whole else []
            whole_events = len(buffer) <= self._limit and not self._inside
            block = self._block(buffer, cuts) if whole_events else self._bounded(buffer, cuts)
            if block is not None:
                return block

    def flush(self, *, lines: bool) -> int:
        """Where a cut may be made so that the tail is an event now: after its last whole line (``lines``), or its end.

        The position where there is nothing to cut. The caller makes the cut durable, then calls ``force``.
        """
        return self.position + (self.charset.whole(self._tail, self.position) if lines else len(self._tail))

    def force(self, offset: int) -> None:
        """End an event at ``offset``, which ``flush`` gave."""
        self._forced.insert(0, offset)
        # What was read beyond it is read again.
        self._tail = self._tail[: offset - self.position]
        self._looked = self._lines = 0

    def configure(self, framer: Framer, limit: int, charset: Charset) -> None:
        """Go on with other rules; what is in no block yet goes by them."""
        self._framer, self._limit, self.charset = framer, limit, charset
        self._looked = self._lines = 0

    def forget(self) -> None:
        """Give up what is in no block yet."""
        self._tail = b""
        self._looked = self._lines = 0

    def snapshot(self) -> tuple[object, ...]:
        """What ``restore`` brings back: a read that turned out to be of other content is undone."""
        return self.position, self._tail, list(self._forced), self._inside, self._leading, self.skipped, self.blank

    def restore(self, state: tuple[object, ...]) -> None:
        """As if nothing had been read since the ``snapshot``."""
        self.position, self._tail, self._forced, self._inside, self._leading, self.skipped, self.blank = state  # type: ignore[assignment]
        self._looked = self._lines = 0
        self._again = True

    def join(self, offset: int, borrowed: bytes) -> None:
        """The event that is forced to end at ``offset`` goes on with ``borrowed``, the beginning of the next file."""
        self._joined = (offset, borrowed)

    def skip(self, offset: int) -> None:
        """Begin at ``offset``: what stands before it belongs to an event of the file before. Nothing has been read yet."""
        self.position = offset
        self._forced = [cut for cut in self._forced if cut > offset]
        self._leading = False

    def _with_borrowed(self, buffer: bytes, borrowed: bytes) -> Block:
        self._forced.pop(0)
        self._joined = None
        whole = buffer + borrowed
        block = Block(whole, self.position, [len(whole)], borrowed=len(borrowed), charset=self.charset)
        self._tail = b""
        self._looked = self._lines = 0
        self.position += len(buffer)
        self._inside = False
        return block

    def at_end(self) -> bool:
        """Whether everything is read that somebody has written. Raises ``OSError``."""
        size = self.content.size()
        if size <= self.end:
            return True
        return 0 < self.blank >= size - self.end and not any(self.content.read(2, self.end))

    def _written(self, data: bytes) -> bytes:
        """Without the NULs that end it: whether they go on up to the file's end is found out where nothing else is left."""
        if not isinstance(self.content, Plain):
            return data
        begin = self.charset.blank(data, self.end)
        if not begin and self._room.begins(self.content, self.end):
            self.blank = max(len(data), self.content.size() - self.end)
            return b""
        return data[:begin] or data

    def _without_leading_nuls(self, data: bytes, stop: int | None) -> bytes:
        passed = self.charset.nuls(data)
        rest = data[passed:]
        if not rest and stop is None and isinstance(self.content, Plain):
            passed = max(passed, self.content.data_from(self.position + passed) - self.position)
        self._leading = not rest
        self.position += passed
        self.skipped += passed
        return rest

    def _block(self, buffer: bytes, cuts: list[int], partial: frozenset[int] = frozenset()) -> Block | None:
        if not cuts:
            self._tail = buffer
            return None
        end = cuts[-1]
        block = Block(buffer[:end], self.position, cuts, partial, charset=self.charset)
        self._tail = buffer[end:]
        self._looked = self._lines = 0
        self.position += end
        while self._forced and self._forced[0] <= self.position:
            self._forced.pop(0)
        self._inside = not self.charset.ends(block.data, block.offset)
        return block

    def _bounded(self, buffer: bytes, cuts: list[int]) -> Block | None:
        """As ``_block``, with an event that is over the limit cut so that its first piece is not: what is behind is framed anew.

        So from that cut on the same comes out as when reading begins there.
        """
        bounded: list[int] = []
        partial: set[int] = set()
        begin = 0
        inside = self._inside
        for end in [*cuts, len(buffer)]:
            while end - begin > self._limit:
                # A whole event may stand in front of a line that has not come to its end.
                begun = self._cuts(buffer[begin : begin + self._limit], begin, ended=False)
                if begun and begun[0] <= self._limit:
                    if inside:
                        partial.add(len(bounded))
                        inside = False
                    begin += begun[0]
                    bounded.append(begin)
                    continue
                partial.add(len(bounded))
                bounded.append(self._boundary(buffer, begin, begin + self._limit))
                self._again = True
                return self._block(buffer, bounded, frozenset(partial))
            if cuts and end <= cuts[-1] and end > begin:
                if inside:
                    partial.add(len(bounded))
                bounded.append(end)
                begin = end
                inside = False
        return self._block(buffer, bounded, frozenset(partial))

    def _boundary(self, buffer: bytes, begin: int, limit: int) -> int:
        """Where to cut an event that is too long: after a whole line if it has one, else not within a character."""
        line = self.charset.whole(buffer, self.position, begin, limit)
        return line if line > begin else self.charset.within(buffer, self.position, begin, limit)

    def _further(self, buffer: bytes, whole: int) -> list[int]:
        """The cuts in whole lines. Those of a long event in which there was none are not looked at with each that comes."""
        begin, offset = self._looked, self.position + self._looked
        data = buffer[begin:whole]
        cuts = self.charset.cuts(self._framer, data, offset, before=self._lines)
        if begin:
            cuts = [begin + cut for cut in cuts]
        if not cuts:
            self._looked = whole
            self._lines += self.charset.lines(data, offset)
        return cuts

    def _cuts(self, data: bytes, begin: int = 0, *, ended: bool = True) -> list[int]:
        return self.charset.cuts(self._framer, data, self.position + begin, ended=ended)
