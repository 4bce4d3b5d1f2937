"""What the commands that run an agent share: its log on standard error, and signals that end it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING

from shipper.cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType
    from typing import TextIO


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's ``malloc.h``."""

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""From which level on a line has which of syslog's priorities; below: 7, debug."""


class _Lines(logging.Formatter):
    """One line for each message: what it names, such as a file, must not forge another or colour a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = printable(record.message)
        return super().formatMessage(record)


class _Journal(_Lines):
    """Lines for systemd's journal, which adds the time itself and reads the priority from ``<N>`` (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((each for level, each in _PRIORITIES if record.levelno >= level), 7)
        return f"<{priority}>{super().format(record)}"


def logging_to_stderr(level: int = logging.WARNING) -> None:
    """Log lines as ``time level message``; without the time where systemd's journal adds it.

    What is below a warning is logged of this program only: the libraries log every request that is made.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Journal("%(levelname)s %(message)s")
        if _is_the_journal(sys.stderr)
        else _Lines("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler])
    for ours in ("shipper", "parser"):
        logging.getLogger(ours).setLevel(level)
    # The client logs as a warning what is tried again.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)


class _Hiding(logging.Filter):
    """Lets every line through, but not what it hides."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: frozenset[str] = frozenset()

    def filter(self, record: logging.LogRecord) -> bool:
        from shipper.settings.redaction import redacted  # noqa: PLC0415 - pydantic, loaded where there are secrets

        text = record.getMessage()
        hidden = redacted(text, self.secrets)
        if hidden != text:
            record.msg, record.args = hidden, ()
        return True


_hiding = _Hiding()


def hide_in_log(secrets: Iterable[str]) -> None:
    """Let no line of the log hold one of these from now on, whoever says it: a server may repeat what it was sent.

    Those of earlier calls stay hidden: settings that are read again may be refused, and the old secrets go on to be used.
    """
    _hiding.secrets |= frozenset(secrets)  # another set: a thread may be going through the one there was
    for handler in logging.getLogger().handlers:
        handler.addFilter(_hiding)


def _is_the_journal(stream: TextIO) -> bool:
    """Whether a stream goes to it, and not to a file that the unit redirects to: ``JOURNAL_STREAM`` of systemd.exec(5)."""
    named = os.environ.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def tune_memory() -> None:
    """What start-up made stays for good: the collector need not look at it again, nor as often at what comes and goes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # Blocks and batches come and go all the time: glibc shall keep their memory (16 MiB at most), not ask for it each time.
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 8 << 20)
        libc.mallopt(_M_TRIM_THRESHOLD, 16 << 20)


def allow_many_files() -> None:
    """Raise the limit of open files to what the system permits: a default shell's 1,024 is soon reached."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


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


@contextlib.contextmanager
def reloading_on_hangup(reload: Callable[[], None]) -> Iterator[None]:
    """Call ``reload`` at each SIGHUP."""
    before = signal.signal(signal.SIGHUP, lambda *_: reload())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
