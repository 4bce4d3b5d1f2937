"""A service that writes numbered events, and logrotate beside it.

``Log`` writes single lines and stack traces, all numbered, and keeps in ``events`` what must arrive. Its rotations are those
of the field: ``rename`` (and create), ``copytruncate``, ``gzip``, ``delete``, ``regrow`` (truncated, and longer than before).
"""

from __future__ import annotations

import gzip
import itertools
import os
import shutil
from pathlib import Path

TRACE_EVERY = 10


class Log:
    """``path`` and its rotated generations ``path.1`` (the youngest), ``path.2`` …; ``keep`` of them, older ones are deleted."""

    def __init__(
        self, path: Path, name: str = "", *, keep: int = 1_000, trace_every: int = TRACE_EVERY, width: int = 0
    ) -> None:
        self.path = path
        self.keep = keep
        self.events: list[str] = []
        self._name = name or path.stem
        self._numbers = itertools.count()
        self._trace_every = trace_every
        self._filler = "x" * width
        self._open()

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _append(self, text: str) -> None:
        data = text.encode()
        assert os.write(self._descriptor, data) == len(data)

    def __del__(self) -> None:
        self.close()

    def event(self) -> str:
        """The next event, not written yet."""
        number = next(self._numbers)
        text = f"{number:08} {self._name} event {number:08} {self._filler}".rstrip()
        if self._trace_every and number % self._trace_every == self._trace_every - 1:
            text += f"\njava.lang.IllegalStateException: {self._name} {number:08}\n\tat a.B.c(B.java:{number:08})"
        return text

    def write(self, count: int = 1) -> None:
        """Append ``count`` whole events, in one write."""
        events = [self.event() for _ in range(count)]
        self._append("".join(f"{event}\n" for event in events))
        self.events += events

    def write_without_end(self) -> None:
        """Append an event of one line without its newline: the last thing that a service says before it dies."""
        event = self.event().partition("\n")[0]
        self._append(event)
        self.events.append(event)

    def write_half(self) -> str:
        """Append the first half of an event; its rest is to be given to ``write_rest``."""
        event = self.event()
        middle = len(event) // 2
        self._append(event[:middle])
        self.events.append(event)
        return event[middle:] + "\n"

    def write_rest(self, rest: str) -> None:
        """The other half."""
        self._append(rest)

    # --- rotations -------------------------------------------------------------------------------------------------

    def rename(self, *, pack: bool = False) -> Path:
        """``path`` becomes ``path.1``, a new ``path`` begins. With ``pack`` the older one is packed, as ``delaycompress`` does."""
        self._make_room()
        rotated = Path(f"{self.path}.1")
        self.path.rename(rotated)
        self.close()
        self._open()
        if pack:
            self.pack(Path(f"{self.path}.2"))
        return rotated

    def copytruncate(self) -> Path:
        """``path`` is copied to ``path.1`` and emptied. Nothing is written between the two, which is all one can ask for."""
        self._make_room()
        rotated = Path(f"{self.path}.1")
        shutil.copyfile(self.path, rotated)
        os.truncate(self.path, 0)
        return rotated

    def regrow(self, count: int = 0) -> None:
        """Truncate, and write so much at once that the file is longer than it was: its size tells nothing.

        ``count`` events, or as few as are enough: a file that is regrown many times shall not double each time.
        """
        before = self.path.stat().st_size
        events = [self.event() for _ in range(count)]
        length = sum(len(event) + 1 for event in events)
        while not count and length <= before:
            events.append(self.event())
            length += len(events[-1]) + 1
        os.truncate(self.path, 0)
        self._append("".join(f"{event}\n" for event in events))
        self.events += events
        assert self.path.stat().st_size > before, "write more: it has to be longer than before"

    def delete(self) -> None:
        """``path`` is deleted, and a new one begins."""
        self.path.unlink()
        self.close()
        self._open()

    @staticmethod
    def pack(path: Path) -> Path | None:
        """``path`` becomes ``path.gz``, as gzip(1) does it: written beside it, then the original is removed."""
        if not path.exists():
            return None
        packed = Path(f"{path}.gz")
        with path.open("rb") as source, gzip.open(packed, "wb", 1) as target:
            shutil.copyfileobj(source, target)
        shutil.copystat(path, packed)
        path.unlink()
        return packed

    def close(self) -> None:
        """The service ends."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _make_room(self) -> None:
        """``path.1`` becomes ``path.2`` and so on; what is older than ``keep`` is deleted."""
        for suffix in ("", ".gz"):
            Path(f"{self.path}.{self.keep}{suffix}").unlink(missing_ok=True)
        for number in sorted(self._numbered(), reverse=True):
            for suffix in ("", ".gz"):
                old = Path(f"{self.path}.{number}{suffix}")
                if old.exists():
                    old.rename(f"{self.path}.{number + 1}{suffix}")

    def _numbered(self) -> set[int]:
        names = (
            each.name.removeprefix(f"{self.path.name}.").removesuffix(".gz")
            for each in self.path.parent.glob(f"{self.path.name}.*")
        )
        return {int(name) for name in names if name.isdigit()}
