"""Logs that are not UTF-8: where their lines end, and what they say as UTF-8.

Everything that stands for a place stays a raw byte: blocks, cuts, tails, fingerprints, the registry, ``log.offset``. Text is
wanted twice only, by the framer and by the encoder of documents (an id is of the event's text and its raw offset); both get
UTF-8, made of a block at once, and the cuts are carried over by counting line feeds. A ``Content`` that decodes, as an
archive unpacks, would be no smaller: it is read at any offset (fingerprints, restarts), so it would need an index of the
whole file from text to bytes, and every place that compares or remembers raw bytes would have to go around it.

What makes counting right, and is tested for each codec: a line feed ends whatever came before it. It is one code unit, no
part of another character, and a decoder that was in trouble goes on behind it as at the beginning. UTF-16 has units of two
bytes at *even offsets of the file*, whatever lies between: a byte 0x0A is a line feed only there, and half a unit on either
side of a cut (a file ended within it, and ``--once`` took what was there) is U+FFFD on both, and harms nothing behind it.
"""

# ruff: noqa: ARG002 - what UTF-16 has to know, the others need not

from __future__ import annotations

import codecs
import re
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from parser.multiline import Lines

if TYPE_CHECKING:
    from parser.multiline import Framer

MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""How a file begins that says by itself which of its two bytes comes first."""
EMPTY = b"\n" * 32
"""So many empty lines behind one another are taken together: they are no events, and a log may be made of nothing else."""
_FEED = re.compile(rb"\n")
_FEEDS = re.compile(rb"\n+")
_END = b"\n\n\n"
_UNKNOWN = "\N{REPLACEMENT CHARACTER}".encode()


class Charset:
    """UTF-8, in which nothing needs to be done. ``offset`` is where ``data`` stands in its file, in all of these."""

    mark = codecs.BOM_UTF8
    """The byte order mark."""

    def whole(self, data: bytes, offset: int, begin: int = 0, end: int | None = None) -> int:
        """The place behind the last line feed that ends in ``data[begin:end]``; not beyond ``begin`` where there is none."""
        return data.rfind(b"\n", begin, end) + 1

    def ends(self, data: bytes, offset: int, end: int | None = None) -> bool:
        """Whether the last line of ``data[:end]`` is complete."""
        return data.endswith(b"\n", 0, end)

    def before(self, offset: int) -> int:
        """Where a line feed begins that ends at ``offset``."""
        return offset - 1

    def cuts(self, framer: Framer, data: bytes, offset: int, *, ended: bool = True, before: int = 0) -> list[int]:
        """Where events end in whole lines; without ``ended``, as if a line feed came behind them.

        ``before``: behind so many whole lines of an event (see ``Framer.cuts``).
        """
        whole = data if ended else data + b"\n"
        return _text_lines(whole) if isinstance(framer, Lines) and EMPTY in whole else framer.cuts(whole, before)

    def lines(self, data: bytes, offset: int) -> int:
        """How many there are that are whole."""
        return data.count(b"\n")

    def within(self, data: bytes, offset: int, begin: int, limit: int) -> int:
        """The last place up to ``limit`` that is not within a character; ``begin`` is none."""
        at = limit
        while at > limit - 3 and data[at] & 0xC0 == 0x80:
            at -= 1
        return at

    def nuls(self, data: bytes) -> int:
        """How many bytes at the beginning are NUL characters."""
        return len(data) - len(data.lstrip(b"\0"))

    def blank(self, data: bytes, offset: int) -> int:
        """Where the NUL characters begin that end the data; its length where none do."""
        return len(data.rstrip(b"\0"))

    def utf8(self, data: bytes, offset: int) -> bytes:
        """What it says; what cannot be decoded becomes U+FFFD (in UTF-8: later)."""
        return data

    def text(self, data: bytes, cuts: list[int], offset: int) -> tuple[bytes, list[int]]:
        """``utf8`` of a block, and the places of its cuts in that."""
        return data, cuts


class Bytewise(Charset):
    """An encoding in which every byte 0x0A is a line feed: of one byte a character, or of several that are above that."""

    mark = b""

    def __init__(self, codec: str) -> None:
        self._codec = codec

    def cuts(self, framer: Framer, data: bytes, offset: int, *, ended: bool = True, before: int = 0) -> list[int]:
        """As UTF-8 has them, carried over."""
        ends = self._feeds(data, offset)
        if not ended:
            ends.append(len(data) + 1)
        if isinstance(framer, Lines):
            return ends
        text = self.utf8(data, offset) + (b"" if ended else b"\n")
        raw = dict(zip([0, *_feeds(text)], [0, *ends], strict=True))
        return [raw[cut] for cut in framer.cuts(text, before)]

    def lines(self, data: bytes, offset: int) -> int:
        """Where a byte is half a character, it ends none."""
        return len(self._feeds(data, offset))

    def within(self, data: bytes, offset: int, begin: int, limit: int) -> int:
        """Before what the decoder would wait for more of."""
        decoder = codecs.getincrementaldecoder(self._codec)("replace")
        decoder.decode(data[begin:limit])
        return limit - len(decoder.getstate()[0])

    def utf8(self, data: bytes, offset: int) -> bytes:
        """Decoded and encoded again."""
        # Where data ends within a character of four bytes, the decoder would take a line feed for one of them.
        return (data + _END).decode(self._codec, "replace").encode()[: -len(_END)]

    def text(self, data: bytes, cuts: list[int], offset: int) -> tuple[bytes, list[int]]:
        """In one go where all cuts are ends of lines; event by event where a limit or a restart has cut one."""
        text, ends = self.utf8(data, offset), self._feeds(data, offset)
        moved = _feeds(text)
        if ends == cuts and len(ends) == len(moved):
            return text, moved
        place = dict(zip(ends, moved, strict=True))
        place.setdefault(len(data), len(text))
        if all(cut in place for cut in cuts):
            return text, [place[cut] for cut in cuts]
        pieces = [self.utf8(data[begin:end], offset + begin) for begin, end in pairwise([0, *cuts])]
        return b"".join(pieces), list(accumulate(map(len, pieces)))

    def _feeds(self, data: bytes, offset: int) -> list[int]:
        return _feeds(data)


class Utf16(Bytewise):
    """Two bytes a unit, at even offsets. ``codec`` says which of them comes first."""

    def __init__(self, codec: str) -> None:
        super().__init__(codec)
        self.mark = "\ufeff".encode(codec)
        self._feed = "\n".encode(codec)
        self._search = re.compile(re.escape(self._feed))

    def whole(self, data: bytes, offset: int, begin: int = 0, end: int | None = None) -> int:
        """The line feed's first byte may be before ``begin``."""
        end = len(data) if end is None else end
        while (at := data.rfind(self._feed, max(0, begin - 1), end)) >= 0:
            if not (offset + at) & 1:
                return at + 2
            end = at + 1
        return 0

    def ends(self, data: bytes, offset: int, end: int | None = None) -> bool:
        """A last unit that is a line feed."""
        end = len(data) if end is None else end
        return data.endswith(self._feed, 0, end) and not (offset + end) & 1

    def before(self, offset: int) -> int:
        """Two bytes."""
        return max(0, offset - 2)

    def within(self, data: bytes, offset: int, begin: int, limit: int) -> int:
        """Between units, and not between the two of a surrogate pair."""
        return super().within(data, offset, begin + (offset + begin) % 2, limit)

    def nuls(self, data: bytes) -> int:
        """Whole units only: the first byte of U+0061 is NUL as well."""
        return super().nuls(data) & ~1

    def blank(self, data: bytes, offset: int) -> int:
        """A NUL at the end may be half of another character."""
        at = super().blank(data, offset)
        at += (offset + at) & 1
        return at if len(data) - at > 1 else len(data)

    def utf8(self, data: bytes, offset: int) -> bytes:
        """Half a unit is no character."""
        if data and offset & 1:
            return _UNKNOWN + self.utf8(data[1:], offset + 1)
        return data.decode(self._codec, "replace").encode()

    def _feeds(self, data: bytes, offset: int) -> list[int]:
        # Two that overlap cannot both be matches, so one at an odd offset hides none that counts.
        odd = offset & 1
        return [end for match in self._search.finditer(data) if (end := match.end()) & 1 == odd]


UTF8 = Charset()
_UTF16 = {codec: Utf16(codec) for codec in MARKS.values()}


def charset_of(encoding: str, head: bytes) -> Charset | None:
    """What a file is read by that begins with ``head``; ``None``: it is UTF-16, and which byte comes first is not known.

    ``encoding`` is what ``settings.encodings`` gives. What a byte order mark says counts more than the name of an order.
    Without either the first line feed tells: after ``copytruncate`` the mark is gone. Read the other way round it is U+0A00,
    which no text has.
    """
    if encoding == "utf-8":
        return UTF8
    if encoding.startswith("utf-16"):
        return _UTF16.get(MARKS.get(head[:2], encoding)) or _by_line_feed(head)
    return Bytewise(encoding)


def _by_line_feed(head: bytes) -> Charset | None:
    ends = {cuts[0]: charset for charset in _UTF16.values() if (cuts := charset.cuts(Lines(), head, 0))}
    return ends[min(ends)] if ends else None


def _feeds(text: bytes) -> list[int]:
    return [match.end() for match in _FEED.finditer(text)]


def _text_lines(text: bytes) -> list[int]:
    """The ends of lines with something in them, and of each run of empty lines."""
    ends = []
    for match in _FEEDS.finditer(text):
        begin, end = match.span()
        if begin:
            ends.append(begin + 1)
        if not begin or end > begin + 1:
            ends.append(end)
    return ends
