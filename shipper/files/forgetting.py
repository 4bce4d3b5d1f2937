"""Until when each file was there, and when it is forgotten: deleted ones soon, those that were just not seen later."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from shipper.errors import StateError
from shipper.files import recognition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipper.files.discovery import Found
    from shipper.state.registry import Registry

log = logging.getLogger(__name__)

SEEN_EVERY = 6 * 3600.0
"""Seconds between updates of when each file was last seen."""
CLEAN_EVERY = 600.0
"""Seconds between looks for entries that can be forgotten."""
DETACHED = 3600.0
"""Seconds for which a file that is gone is remembered, for its archive may come."""
CERTAIN = 7 * 86400.0
"""Seconds past its time after which a file is forgotten at the first look: before that the clock may just have jumped."""


class Forgetting:
    """For the files of one input."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._next_seen = self._next_clean = 0.0
        self._due: set[int] = set()
        """Entries that an earlier look of this process found useless."""

    def seen(self, found: Iterable[Found]) -> None:
        """These are there now."""
        if time.monotonic() < self._next_seen:
            return
        self._next_seen = time.monotonic() + SEEN_EVERY
        now = int(time.time())
        seen = [
            entry
            for file in found
            for entry in self._registry.at(file.device, file.inode)
            if now - entry.seen > SEEN_EVERY
        ]
        for entry in seen:
            entry.seen = now
        try:
            self._registry.commit(seen)
        except StateError as error:
            log.debug("%s", error)

    def clean(self, inactive: float) -> None:
        """Forget files that are gone; ``inactive``: seconds after which those that were just not seen are, 0 for never.

        Their times are the wall clock's, which may have jumped: so two looks, ``CLEAN_EVERY`` apart, have to agree on it.
        """
        if time.monotonic() < self._next_clean:
            return
        self._next_clean = time.monotonic() + CLEAN_EVERY
        now = time.time()
        useless: dict[int, float] = {}
        for entry in self._registry.entries():
            limit = inactive if entry.inode else DETACHED
            late = now - entry.seen - limit
            if limit and late > 0 and not entry.open and (not entry.inode or recognition.displaced(entry)):
                useless[entry.file] = late
        forgotten = [
            entry
            for entry in self._registry.entries()
            if (late := useless.get(entry.file, 0.0)) > CERTAIN or (late and entry.file in self._due)
        ]
        self._due = set(useless)
        if forgotten:
            try:
                self._registry.forget_all(forgotten)
            except StateError as error:
                log.debug("%s", error)
