"""What of each file is settled: the one place that decides how far a file may be acknowledged.

The life of a ``Segment``: the encoder opens one for each run of a file's events that goes into a batch (``add``); the
sender settles it when every document of the batch has its outcome (``settle``); it is gone when it and all that were
opened before it for the same file are settled. Only then does its end become the file's acknowledged offset: outcomes
may come in any order, acknowledgements are contiguous (invariant 1).
"""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Segment:
    """The events of one file that end at ``end`` and begin where the segment before them ended."""

    __slots__ = ("end", "file", "settled")

    def __init__(self, file: int, end: int) -> None:
        self.file = file
        self.end = end
        self.settled = False


class Ledger:
    """The open segments of every file, in order. Safe to use from any thread."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._segments: dict[int, deque[Segment]] = {}
        self._acknowledged: dict[int, int] = {}

    def add(self, file: int, end: int, *, settled: bool = False) -> Segment:
        """Open a segment behind the last of its file; ``settled`` for a run that has nothing to send."""
        segment = Segment(file, end)
        with self._condition:
            self._segments.setdefault(file, deque()).append(segment)
        if settled:
            self.settle((segment,))
        return segment

    def settle(self, segments: Iterable[Segment]) -> None:
        """Every event of these segments is delivered, stored among the rejects, dropped or skipped."""
        with self._condition:
            for segment in segments:
                segment.settled = True
                queue = self._segments.get(segment.file)
                while queue and queue[0].settled:
                    self._acknowledged[segment.file] = queue.popleft().end
                if queue is not None and not queue:
                    del self._segments[segment.file]
            self._condition.notify_all()

    def acknowledged(self) -> dict[int, int]:
        """The offsets that have moved since the last call, by file."""
        with self._condition:
            moved, self._acknowledged = self._acknowledged, {}
        return moved

    def wait(self, timeout: float) -> bool:
        """Wait, at most so many seconds, until nothing is on its way; whether that is so."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._segments, timeout)
