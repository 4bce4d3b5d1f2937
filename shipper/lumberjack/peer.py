"""A client of the server: what has come of it, and what it was told of that."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from shipper.lumberjack.decoder import Decoder
from shipper.lumberjack.frames import ack

if TYPE_CHECKING:
    from shipper.lumberjack.channel import Channel
    from shipper.lumberjack.decoder import Limits


class Window:
    """Events that are acknowledged by their numbers in it; ``start`` and ``end`` count the connection's events."""

    __slots__ = ("acknowledged", "end", "first", "start")

    def __init__(self, start: int, count: int) -> None:
        self.start = start
        self.end = start + count
        self.first = 1
        """The number of its first event, 1 but for clients that never begin again."""
        self.acknowledged = 0


class Client:
    """One connection. All of it happens in the server's thread."""

    def __init__(self, number: int, channel: Channel, address: str, limits: Limits, now: float) -> None:
        self.number = number
        self.channel = channel
        self.address = address
        self.decoder = Decoder(limits)
        self.windows: deque[Window] = deque()
        self.received = self.acknowledged = self.confirmed = 0
        """``confirmed``: acknowledged before the client went away."""
        self.ended = False
        """The client sends no more."""
        self.queued = 0.0
        """Since when it waits for its turn (monotonic); 0 when it does not."""
        self.turn = 0.0
        """See ``turns``."""
        self.held = 0
        """Bytes of unfinished events as of its last turn, beyond what every client may have."""
        self.used = now
        """When it was last of use."""
        self.spoken = now
        self.some = 0
        """Bytes since then."""

    @property
    def waits(self) -> bool:
        """Whether events of it are on their way."""
        return self.received > self.acknowledged

    def begin(self, count: int) -> None:
        """A window of ``count`` events begins; the one before it ends with what has come of it."""
        if self.windows:
            last = self.windows[-1]
            last.end = min(last.end, self.received)
            if last.end == last.start + last.acknowledged:
                self.windows.pop()
        if count:
            self.windows.append(Window(self.received, count))

    def took(self, number: int) -> None:
        """An event came that its client calls ``number``."""
        window = self.windows[-1]
        if self.received == window.start:
            window.first = number
        self.received += 1

    def due(self) -> bytes:
        """The frames that say what is acknowledged and was not said yet."""
        frames = []
        while self.windows:
            window = self.windows[0]
            done = min(self.acknowledged, window.end) - window.start
            if done > window.acknowledged:
                window.acknowledged = done
                frames.append(ack((window.first - 1 + done) & 0xFFFFFFFF))
            if window.start + window.acknowledged < window.end:
                break
            self.windows.popleft()
        return b"".join(frames)

    def alive(self) -> bytes:
        """The frame that says "still at work": as far as the oldest window was acknowledged."""
        window = self.windows[0]
        return ack((window.first - 1 + window.acknowledged) & 0xFFFFFFFF if window.acknowledged else 0)
