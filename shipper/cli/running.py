"""What the commands that run an agent share: its log on standard error, and signals that end it."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


def logging_to_stderr(level: int = logging.WARNING) -> None:
    """Log lines as ``time level message``; without the time where systemd adds it."""
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z"
    )
    # The client logs every request it makes.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)


def tune_memory() -> None:
    """What start-up made stays for good: the collector need not look at it again, nor as often at what comes and goes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@contextlib.contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call ``stop`` at the first SIGTERM or SIGINT; a second one ends the process as it would by itself.

    Gives a list of the signals that came.
    """
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def heard(number: int, frame: FrameType | None) -> None:
        del frame
        came.append(number)
        stop()
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, heard)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
