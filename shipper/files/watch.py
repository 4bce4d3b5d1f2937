"""A hint that a file has appeared, was renamed or is gone. Polling stays the truth: a hint may be lost, or never come.

Growth is not watched: a busy log would cost an event per write, while asking an open file for its size costs a
microsecond.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchdog.events import (
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchdog.observers.api import ObservedWatch

log = logging.getLogger(__name__)

_EVENTS: list[type[FileSystemEvent]] = [FileCreatedEvent, FileDeletedEvent, FileMovedEvent]


class Watch(FileSystemEventHandler):
    """Calls ``hint`` whenever something comes or goes in one of the watched folders."""

    def __init__(self, hint: Callable[[], None]) -> None:
        self._hint = hint
        self._observer = Observer()
        self._watches: dict[str, ObservedWatch] = {}
        self._observer.start()

    def folders(self, folders: Iterable[str]) -> None:
        """Watch these folders from now on, and no others."""
        wanted = set(folders)
        for folder in self._watches.keys() - wanted:
            self._observer.unschedule(self._watches.pop(folder))
        for folder in wanted - self._watches.keys():
            try:
                self._watches[folder] = self._observer.schedule(self, folder, event_filter=_EVENTS)
            except OSError as error:
                # Out of inotify watches, or the folder has just gone: polling finds the files all the same.
                log.debug("%s is polled only: %s", folder, error)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog, in its thread."""
        del event
        self._hint()

    def close(self) -> None:
        """Stop watching."""
        self._observer.stop()
        self._observer.join()
