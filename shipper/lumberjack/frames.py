"""The frames of Lumberjack v2, as Beats and Logstash speak it.

Every frame begins with the version ``2`` and a letter; integers are big-endian, 32 bits, unsigned::

    window      2 W  count                      so many events follow, and will be acknowledged by their numbers
    event       2 J  number  length  JSON       numbers are 1, 2, 3 ... and begin again with each window
    compressed  2 C  length  zlib data          whole event frames, which count toward the window like others
    ack         2 A  number                     from the server: the events up to this number are taken over

What holds:

- An event is the client's until an ack covers it; what is not covered when the connection ends is sent again.
- An ack of part of a window is progress. Ack 0 says "still at work", about every five seconds: it moves nothing.
- Windows are acknowledged in the order that they were sent in; several may be on their way at once.
- An ack above the window's count is a protocol error, never progress.
- A window that begins before the last one is complete ends that one with what has come of it.
- A frame may come in any number of pieces, and a piece may hold any number of frames.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW, EVENT, COMPRESSED, ACK = b"2W", b"2J", b"2C", b"2A"
HEADER = 6
"""Bytes of a window's, a compressed frame's and an ack's header; an ack and a window are nothing else."""
EVENT_HEADER = 10
_QUICK, _SMALL = 1, 3
"""Levels of ISA-L. Measured on Spring events: its 1 makes 5 % less of them than zlib's 3, in a ninth of the time; its 3 is
between zlib's 3 and 6, in four times as long as its 1."""
PORT = 5043

_ONE = struct.Struct(">2sI")
_ACK = struct.Struct(">2sI")


class ProtocolError(Exception):
    """The peer does not speak Lumberjack v2, or exceeds a limit. The message holds nothing of what it sent."""


def ack(number: int) -> bytes:
    """The frame that acknowledges the events up to ``number``."""
    return _ACK.pack(ACK, number)


def events(payloads: Sequence[bytes]) -> bytes:
    """The frames of events, numbered from 1. A payload is the JSON of one event."""
    count = len(payloads)
    parts: list[bytes] = [b""] * (2 * count)
    pack = struct.Struct(">2sII").pack
    parts[::2] = [pack(EVENT, number, len(payload)) for number, payload in enumerate(payloads, 1)]
    parts[1::2] = payloads
    return b"".join(parts)


def window(payloads: Sequence[bytes], level: int = 0) -> bytes:
    """A whole window: its header and its events, in one compressed frame unless ``level`` (zlib's, 0 to 9) is 0."""
    body = events(payloads)
    if level:
        packed = isal_zlib.compress(body, _QUICK if level <= 3 else _SMALL)
        body = _ONE.pack(COMPRESSED, len(packed)) + packed
    return _ONE.pack(WINDOW, len(payloads)) + body


class AckReader:
    """Acks out of bytes that come in any pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[int]:
        """The numbers that are complete now. Raises ``ProtocolError`` for anything that is no ack."""
        data = self._rest + data
        whole = len(data) - len(data) % HEADER
        self._rest = data[whole:]
        if self._rest[:2] != ACK[: len(self._rest[:2])]:
            raise ProtocolError("the answer is not an acknowledgement of Lumberjack v2")
        numbers = []
        for kind, number in _ACK.iter_unpack(data[:whole]):
            if kind != ACK:
                raise ProtocolError("the answer is not an acknowledgement of Lumberjack v2")
            numbers.append(number)
        return numbers
