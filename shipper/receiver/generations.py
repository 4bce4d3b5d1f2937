"""Which content of a file an event belongs to, where a Beat names the file by its inode or path only.

A file that is emptied and written anew (``> app.log``, ``copytruncate``) has the same inode, and may have the same line at
the same place: a banner, say. That is another event. What tells it from one that is sent again: within one run of a Beat
(``agent.ephemeral_id``) a line that comes again carries the ``@timestamp`` that it had, for it is read once; one that stands
at or before a place that was read already, and was read later, is of a new *generation* of the file.

A generation is named by the time of its first event; the first that is seen of a file is named by nothing, so that a Beat
that begins again after a restart of its own, or of ours, gives the same ids. Remembered in memory, of the files seen last:
what was emptied while the Beat or we were down is not known.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Any

FILES = 10_000
_GENERATIONS = 16
"""Remembered of a file: what was sent again is seldom older than the last but one."""
_LATER = timedelta(seconds=1)
"""By so much, at least, a new generation is read later: logs whose own times stand in ``@timestamp`` are not quite in order."""
_TIME = len("2026-01-02T03:04:05.678Z")


class _File:
    __slots__ = ("at", "begun", "offset", "run")

    def __init__(self, run: str, offset: int, at: str) -> None:
        self.run = run
        self.offset = offset
        """The highest of the generation; ``at`` is when that was read."""
        self.at = at
        self.begun: list[str] = []


class Generations:
    """Belongs to one thread."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, _File] = OrderedDict()

    def of(self, name: str, run: Any, offset: int, at: Any) -> str:
        """The generation of the event at ``offset`` of the file ``name``, read ``at`` a time in the Beat's run ``run``."""
        if not isinstance(run, str) or not isinstance(at, str) or len(at) != _TIME:
            return ""
        file = self._files.get(name)
        if file is None:
            self._files[name] = _File(run, offset, at)
            if len(self._files) > FILES:
                self._files.popitem(last=False)
            return ""
        self._files.move_to_end(name)
        if file.run != run:
            file.run, file.offset, file.at = run, offset, at
        elif offset > file.offset:
            file.offset, file.at = offset, max(at, file.at)
        elif at > file.at and _is_later(at, file.at):
            file.begun = [*file.begun[1 - _GENERATIONS :], at]
            file.offset, file.at = offset, at
        return next((each for each in reversed(file.begun) if each <= at), "")


def _is_later(at: str, before: str) -> bool:
    try:
        return datetime.fromisoformat(at) - datetime.fromisoformat(before) >= _LATER
    except (ValueError, TypeError):
        return False
