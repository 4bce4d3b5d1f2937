"""What a client sends, decoded as it comes, in memory that does not depend on what it says.

A compressed frame is inflated piece by piece while its events are taken out, and no further than ``read`` was asked for:
neither the length in a header nor what a frame inflates to is memory. What is kept is what was fed and not yet read, at
most one piece of inflated data, and one unfinished event; ``buffered`` says how much that is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from isal import isal_zlib

from shipper.lumberjack.frames import COMPRESSED, EVENT, EVENT_HEADER, HEADER, WINDOW, ProtocolError

if TYPE_CHECKING:
    from isal.isal_zlib import Decompress

_PIECE = 1 << 16
"""Bytes that are inflated at once."""
OVERHEAD = 256
"""Bytes that an event takes in memory beside its own; about."""

_NUMBER = struct.Struct(">I")
_EVENT = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may send. Above it the connection ends; nothing of that was acknowledged."""

    event_bytes: int = 32 << 20
    """The JSON of one event."""
    window_events: int = 1 << 20
    inflated_bytes: int = 1 << 30
    """What one compressed frame holds. It costs no memory, but time."""


class Window(NamedTuple):
    """A window begins; the one before has ended, complete or not."""

    events: int


class Event(NamedTuple):
    """The JSON of one event, not looked at."""

    number: int
    payload: bytes


class Decoder:
    """``feed`` what came, then ``read`` until it gives nothing more."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._plain = bytearray()
        self._packed_left: int | None = None
        """Bytes of the compressed frame that have not gone to the inflater; ``None`` outside of one."""
        self._inflater: Decompress | None = None
        """Of the compressed frame; not longer than that, for it takes some 30 KB."""
        self._inflated = 0
        self._inner = bytearray()
        self._number = 0
        """Of the last event; the next one's is one more, in the same window."""
        self.worked = 0
        """Bytes that were inflated so far."""
        self.busy = False
        """Whether ``read`` stopped because it had done enough, and not because more must come."""
        self.missing = 0
        """How many events of the window have not come yet."""

    @property
    def buffered(self) -> int:
        """Bytes that are kept for later."""
        return len(self._plain) + len(self._inner) + (len(self._inflater.unconsumed_tail) if self._inflater else 0)

    def feed(self, data: bytes | memoryview) -> None:
        """Add what came."""
        self._plain += data

    def read(self, most: int = 1 << 20, work: int | None = None) -> list[Window | Event]:
        """The next frames, about ``most`` bytes of events with their overhead; nothing when more must come first.

        ``work``: no more than about so many bytes are inflated for that; then ``busy`` says whether to go on.
        Raises ``ProtocolError``; what was read before stays good.
        """
        found: list[Window | Event] = []
        room = most
        enough = None if work is None else self.worked + work
        self.busy = True
        while room > 0 and (enough is None or self.worked < enough):
            if self._packed_left is None:
                left = self._frames(self._plain, found, room, inner=False)
                if left == room and self._packed_left is None:
                    self.busy = False
                    break
                room = left
            else:
                room = self._frames(self._inner, found, room, inner=True)
                if room > 0 and not self._inflate():
                    self.busy = False
                    break
        return found

    def _frames(self, data: bytearray, found: list[Window | Event], room: int, *, inner: bool) -> int:
        """Take whole frames from the beginning of ``data``; how much room for events is left then.

        A window's header takes room too, so that a flood of them ends somewhere.
        """
        at, end = 0, len(data)
        most = self._limits.event_bytes
        while room > 0 and end - at >= HEADER:
            kind = data[at : at + 2]
            if kind == EVENT:
                if end - at < EVENT_HEADER:
                    break
                number, length = _EVENT.unpack_from(data, at + 2)
                if length > most:
                    raise ProtocolError(f"an event of {length:,} bytes; the limit is {most:,}")
                self._expect(number)
                if end - at - EVENT_HEADER < length:
                    break
                at += EVENT_HEADER
                found.append(Event(number, bytes(data[at : at + length])))
                at += length
                room -= length + OVERHEAD
                self._number = number
                self.missing -= 1
            elif inner:
                raise ProtocolError("a compressed frame holds something else than events")
            elif kind == WINDOW:
                found.append(self._begin(_NUMBER.unpack_from(data, at + 2)[0]))
                at += HEADER
                room -= HEADER
            elif kind == COMPRESSED:
                self._packed_left = _NUMBER.unpack_from(data, at + 2)[0]
                self._inflater = isal_zlib.decompressobj()
                self._inflated = 0
                at += HEADER
                break
            else:
                raise ProtocolError(_not_a_frame(bytes(kind)))
        if not inner and self._packed_left is None and not WINDOW.startswith(bytes(data[at : at + 1])):
            raise ProtocolError(_not_a_frame(bytes(data[at : at + 2])))  # need not wait for the rest of a header
        del data[:at]
        return room

    def _begin(self, count: int) -> Window:
        if count > self._limits.window_events:
            raise ProtocolError(f"a window of {count:,} events; the limit is {self._limits.window_events:,}")
        self.missing = count
        self._number = 0
        return Window(count)

    def _expect(self, number: int) -> None:
        """A window's first event may have any number: some clients never begin again. The others follow it."""
        if not self.missing:
            raise ProtocolError("an event outside of a window")
        if self._number and number != self._number + 1:
            raise ProtocolError("the numbers of events do not follow each other")

    def _inflate(self) -> bool:
        """Inflate one more piece; whether that has changed anything."""
        assert self._packed_left is not None
        assert self._inflater is not None
        if self._inflater.eof:
            if self._packed_left or self._inflater.unused_data:
                raise ProtocolError("a compressed frame goes on behind its end")
            if self._inner:
                raise ProtocolError("a compressed frame ends in the middle of an event")
            self._packed_left = self._inflater = None
            self._inner = bytearray()
            return True
        data = self._inflater.unconsumed_tail
        if not data:
            data = bytes(self._plain[: min(self._packed_left, _PIECE)])
            del self._plain[: len(data)]
            self._packed_left -= len(data)
        try:
            piece = self._inflater.decompress(data, _PIECE)
        except isal_zlib.error:  # type: ignore[misc]  # the stubs call it an ``object``
            raise ProtocolError("a compressed frame cannot be inflated") from None
        self._inflated += len(piece)
        self.worked += len(piece)
        if self._inflated > self._limits.inflated_bytes:
            raise ProtocolError(f"a compressed frame holds more than {self._limits.inflated_bytes:,} bytes")
        self._inner += piece
        if data or piece or self._inflater.eof:
            return True
        if not self._packed_left:
            raise ProtocolError("a compressed frame ends in the middle of its data")
        return False


def _not_a_frame(begin: bytes) -> str:
    if begin[:1] == b"1":
        return "Lumberjack v1, of logstash-forwarder: only v2 is spoken here"
    if begin[:1] == b"\x16":
        return "TLS, where none is set up"
    return "something else than Lumberjack v2"
