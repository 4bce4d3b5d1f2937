"""Whose turn it is: fair queuing by what a client's data cost, so that many greedy clients cannot keep a modest one waiting.

Start-time fair queuing (Goyal, Vin, Cheng 1996): a clock counts the work of the client that is served; a turn's place in
line is the client's own count, but not less than the clock without ``CREDIT``. So who sends little is served next, whoever
else is waiting, and who was idle has saved up no more than that. Somebody new has a quarter of it: enough not to wait for a
round of all others, too little to make it worth while to come again and again.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

CREDIT = 1 << 18
"""In units of work: bytes."""


class Waiting(Protocol):
    """What a client has for it: ``turn`` is its own count of work done, ``newcomer`` at first."""

    turn: float


T = TypeVar("T", bound=Waiting)


class Turns(Generic[T]):
    """Those who wait. Nobody may be added twice."""

    def __init__(self) -> None:
        self._clock = 0.0
        self._heap: list[tuple[float, int, T]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def newcomer(self) -> float:
        """The count that somebody new begins with."""
        return self._clock - CREDIT / 4

    def __iter__(self) -> Iterator[T]:
        """In no order."""
        return (client for _, _, client in self._heap)

    def add(self, client: T) -> None:
        """Get in line."""
        client.turn = max(client.turn, self._clock - CREDIT)
        heapq.heappush(self._heap, (client.turn, next(self._order), client))

    def next(self) -> T:
        """Who is to be served now; out of the line. Raises ``IndexError`` when nobody waits."""
        turn, _, client = heapq.heappop(self._heap)
        self._clock = max(self._clock, turn)
        return client

    def remove(self, client: T) -> None:
        """Forget somebody who waits."""
        self._heap = [each for each in self._heap if each[2] is not client]
        heapq.heapify(self._heap)
