"""What the server's thread and the others hand each other: events in one direction, acknowledgements in the other.

The server's thread sleeps in its selector, so whoever has something for it sends a byte to a socket that the selector
watches (the self-pipe trick).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Chunk(NamedTuple):
    """Events of one connection, in order."""

    connection: int
    events: list[bytes]
    end: int
    """How many events of the connection these and all before them are."""
    size: int


class Ended(NamedTuple):
    """A client sends no more. That more than the first ``acknowledged`` of its events arrived, it may not know."""

    connection: int
    acknowledged: int


class Exchange:
    """``put``, ``fail``, ``collect`` and ``silence`` are for the server's thread, the rest is for the others.

    There is room while less than ``queue_bytes`` wait to be taken; whoever puts asks before.
    """

    def __init__(self, queue_bytes: int) -> None:
        self.failure: BaseException | None = None
        self.queued = 0
        """Bytes that wait to be taken."""
        self._queue_bytes = queue_bytes
        self._condition = threading.Condition()
        self._waiting: deque[Chunk | Ended] = deque()
        self._acknowledged: dict[int, int] = {}
        self._rejected: dict[int, str] = {}
        self.bell, self._ringer = socket.socketpair()
        """``bell`` becomes readable when the server's thread is to wake up."""
        self.bell.setblocking(False)
        self._ringer.setblocking(False)

    # --- the server's thread ---------------------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether more may be put."""
        return self.queued < self._queue_bytes

    def put(self, what: Chunk | Ended) -> None:
        """Hand over what came."""
        with self._condition:
            self._waiting.append(what)
            if isinstance(what, Chunk):
                self.queued += what.size
            self._condition.notify_all()

    def fail(self, error: BaseException) -> None:
        """The server has failed: whoever takes must hear of it."""
        with self._condition:
            self.failure = error
            self._condition.notify_all()

    def collect(self) -> tuple[dict[int, int], dict[int, str]]:
        """What was acknowledged and what was rejected since the last time, by connection."""
        with self._condition:
            acknowledged, self._acknowledged = self._acknowledged, {}
            rejected, self._rejected = self._rejected, {}
        return acknowledged, rejected

    def silence(self) -> None:
        """Awake: ``bell`` need not say so any more."""
        with contextlib.suppress(BlockingIOError):
            self.bell.recv(4096)

    def close(self) -> None:
        """Nobody is to be woken any more. What waits may still be taken."""
        self._ringer.close()
        self.bell.close()

    # --- the others ------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Wake the server's thread up."""
        with contextlib.suppress(OSError):  # full: it will wake up; closed: nobody is there
            self._ringer.send(b"!")

    def take(self, timeout: float) -> Chunk | Ended | None:
        """What came next; ``None`` when nothing came within ``timeout`` seconds. Raises what the server failed with."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self.failure, timeout)
            if self.failure:
                raise self.failure
            if not self._waiting:
                return None
            what = self._waiting.popleft()
            if isinstance(what, Chunk):
                full = not self.has_room
                self.queued -= what.size
                if full and self.has_room:
                    self.wake()
            return what

    def acknowledge(self, moved: Mapping[int, int]) -> None:
        """By connection: how many of its events, from its first on, are taken over for good."""
        with self._condition:
            for connection, end in moved.items():  # who settled last may be the first to say so
                self._acknowledged[connection] = max(end, self._acknowledged.get(connection, 0))
        self.wake()

    def reject(self, connection: int, why: str) -> None:
        """A connection sent what is no event; ``why`` holds nothing of it."""
        with self._condition:
            self._rejected[connection] = why
        self.wake()
