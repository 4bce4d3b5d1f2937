"""Stops a pattern that runs away, without a clock per event.

A backtracking engine can need hours for a line of a hundred characters. Both ``re`` and ``regex`` look for signals
while they match, so a timer stops them, in the main thread: Python runs signal handlers nowhere else.

The timer ticks while the process computes. Its handler looks at the compiled function that was interrupted (its local
``out`` holds what is done, so the length of that is the event it is at) and does nothing as long as that moves. An event
that has taken ``seconds`` of the thread's time on its own is stopped by ``MatchTimeoutError``, raised out of the match.
The compiled code catches it: the event is tagged, and the batch goes on with the next one. So a slow batch, a loaded
machine or a stopped process harm nobody, nothing is matched twice, and what is quick costs nothing: no call per event, and
a handful of system calls for each ``with``, which may be one for a program's whole life.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

DEFAULT: Final = 1.0
"""Seconds of computing that one event may take: a usual one takes a few microseconds."""

COMPILED: Final = ("<pipeline", "<direct")
"""How the file names of compiled functions begin. They hold what they have done in a local list named ``out``."""

_TICKS: Final = 4  # per limit: an event is stopped after 1 to 1.25 times the limit


class MatchTimeoutError(BaseException):
    """An event took too long. No ``Exception``: only who knows what it means catches it."""


class Watchdog:
    """``with Watchdog(seconds): …``; in a thread other than the main one, and inside of another watchdog, it does nothing.

    ``seconds`` of the main thread's computing time (not of the clock) is what one event may take; ``None`` is no limit;
    ``limit`` sets another, inside of the ``with`` too. The signal is ``SIGVTALRM``. ``stopped`` counts the events that were.
    """

    _active: Watchdog | None = None

    def __init__(self, seconds: float | None = DEFAULT) -> None:
        self.seconds = seconds
        self.stopped = 0
        self._armed = False
        self._before: Any = None
        self._done: list[Any] | None = None  # held, so that no other list can be taken for it
        self._count = 0
        self._since = 0.0

    def __enter__(self) -> Self:
        if Watchdog._active is None and threading.current_thread() is threading.main_thread():
            Watchdog._active = self
            self._arm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if Watchdog._active is self and threading.current_thread() is threading.main_thread():
            self._disarm()
            Watchdog._active = None

    def limit(self, seconds: float | None) -> None:
        """Another limit from now on, or none."""
        entered = Watchdog._active is self and threading.current_thread() is threading.main_thread()
        if entered:
            self._disarm()
        self.seconds = seconds
        if entered:
            self._arm()

    def _arm(self) -> None:
        if self.seconds:
            self._before = signal.signal(signal.SIGVTALRM, self._tick)
            signal.siginterrupt(signal.SIGVTALRM, False)  # a system call goes on after a tick
            signal.setitimer(signal.ITIMER_VIRTUAL, self.seconds / _TICKS, self.seconds / _TICKS)
            self._armed = True

    def _disarm(self) -> None:
        if self._armed:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, self._before)
            self._armed = False
            self._done = None

    def _tick(self, _number: int, frame: FrameType | None) -> None:
        assert self.seconds
        done, now = _done(frame), time.thread_time()
        if done is None or done is not self._done or len(done) != self._count:
            self._done, self._count, self._since = done, 0 if done is None else len(done), now
        elif now - self._since >= self.seconds:
            self._since = now  # the rest of the event's way has as long again
            self.stopped += 1
            raise MatchTimeoutError


def _done(frame: FrameType | None) -> list[Any] | None:
    """What the innermost compiled function on the stack has done; ``None`` where there is no such function."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(COMPILED) and "out" in frame.f_locals:
            done: list[Any] = frame.f_locals["out"]
            return done
        frame = frame.f_back
    return None


__all__ = ["DEFAULT", "MatchTimeoutError", "Watchdog"]
