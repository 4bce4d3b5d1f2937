"""When an open file is closed, and what is kept of it: so that nothing is closed that is not read, or not known to be lost.

A file is closed when it is read to its end and idle, or others need the room; sooner where nobody can write to it any more.
Or, deleted, where nothing of it could be read or shipped for ``close_removed``: then what is left of it is lost, and said so.
As it was read it falls asleep: what is written to it wakes it, unless it has left the input's paths: then no look would see
it. That it was read *and acknowledged* to its end is kept in its entry, so that it sleeps on after a restart.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from shipper.files import joining
from shipper.files.content import Archive
from shipper.files.opened import is_read
from shipper.files.recognition import family
from shipper.files.writers import is_written

if TYPE_CHECKING:
    from shipper.files.harvester import Harvester
    from shipper.files.opened import Opened
    from shipper.state.registry import Entry

log = logging.getLogger(__name__)

GONE_AFTER = 5.0
"""Seconds without anything new after which a deleted file that nobody writes to is taken for finished."""
QUIET = 10.0
"""Seconds without anything new after which a file is quiet: where many are open, it is looked at less often, or closed."""
LOOKS = 3
"""Looks for the copy of what was truncated, soon after one another, before it is given up."""
MANY = 1000
"""Open files, above which quiet ones are closed before ``close_inactive``."""


class Closing:
    """For the files of one input."""

    def __init__(self, opened: Opened) -> None:
        self.lost = 0
        """Bytes of files that were closed or truncated before they were read, as far as that is known."""
        self._opened = opened

    def close_idle(self, shipped: float) -> None:
        """Close what is read to its end, long enough ago. What of it is on its way is waited for all the same.

        ``shipped``: when anything was read last, whatever it was: while something is, a file has its turn sooner or later.
        """
        now = time.monotonic()
        opened = self._opened
        crowded = len(opened.harvesters) > MANY
        ended = []
        for harvester in opened.harvesters:
            if harvester.truncated and not harvester.given_up:
                continue  # the next look may find a copy
            idle = now - harvester.quiet_since
            done = harvester.settled() and (idle > opened.options.close_inactive or self._is_finished(harvester, idle))
            if (done or (crowded and idle > QUIET)) and is_read(harvester):
                ended.append(harvester)
            elif self._overdue(harvester, now, shipped):
                self._give_up(harvester)
                ended.append(harvester)
        self._close(ended)
        opened.settle()

    def room(self) -> bool:
        """Whether another file may be opened. Where there is none, some that have nothing to read are closed, the quietest first."""
        opened = self._opened
        if not self._is_full():
            return True
        idle = sorted((h for h in opened.harvesters if not h.truncated and is_read(h)), key=lambda h: h.quiet_since)
        self._close(idle[: max(1, opened.most // 2)])
        return not self._is_full()

    def _is_full(self) -> bool:
        """Whether as many files are open as may be. What was truncated waits for its copy, which must not wait for it."""
        opened = self._opened
        return len(opened.harvesters) >= opened.most <= sum(not each.truncated for each in opened.harvesters)

    def report_truncated(self, undecided: set[str], *, last: bool) -> None:
        """Of what was truncated no copy was found: say so, once for each.

        One look may miss a copy that is being renamed; whether one of the ``undecided`` files is a copy is told when it is
        complete, or there is room for it. ``last``: no other look is to come.
        """
        truncated = [each for each in self._opened.harvesters if each.truncated and not each.given_up]
        logs = {family(path) for path in undecided} if truncated else set()
        for harvester in truncated:
            if not last and family(harvester.entry.path) in logs:
                harvester.looks = LOOKS  # there is no hurry; behind it they are counted anew
                continue
            harvester.looks = harvester.looks % LOOKS + 1
            if not last and harvester.looks < LOOKS:
                continue
            harvester.given_up = True
            left = max(0, harvester.seen_size - harvester.reader.blank - harvester.reader.end)
            self.lost += left
            if left:
                log.error("%s was truncated before its last %d bytes were read: they are lost", harvester.path, left)
            else:
                log.info("%s was truncated or replaced: it is read from its beginning", harvester.path)

    def at_rest(self) -> list[Entry]:
        """The entries of files that are read and acknowledged to their ends, marked so: they need no look until they change."""
        for harvester in self._opened.harvesters:
            _mark_read(harvester)
        return [harvester.entry for harvester in self._opened.harvesters if harvester.entry.size >= 0]

    def _close(self, harvesters: list[Harvester]) -> None:
        if not harvesters:
            return
        opened = self._opened
        for harvester in harvesters:
            entry = harvester.entry
            if not harvester.truncated:
                try:
                    status = os.fstat(harvester.reader.content.descriptor)
                except OSError:
                    continue
                if status.st_nlink == 0:
                    opened.detach(entry)  # the inode will be another file's
                elif not harvester.final:
                    # As far as it was read: what has been written since wakes it.
                    size = status.st_size if harvester.reader.content.packed else harvester.reader.end
                    opened.asleep[entry.device, entry.inode] = (size, status.st_mtime_ns)
            _mark_read(harvester)
            harvester.close()
        gone = set(map(id, harvesters))
        opened.harvesters = [each for each in opened.harvesters if id(each) not in gone or not each.closed]

    def _is_finished(self, harvester: Harvester, idle: float) -> bool:
        """Whether nothing can come any more, or is waited for no longer.

        Who has a file open that was renamed or deleted may go on writing to it, now and then.
        """
        content = harvester.reader.content
        if harvester.truncated or (isinstance(content, Archive) and content.state == "complete"):
            return True  # what is appended to an archive wakes it
        if harvester.removed_since is None:
            return False
        limit = self._opened.options.close_removed
        return (0 < limit < idle) or (idle > GONE_AFTER and not is_written(content.descriptor))

    def _overdue(self, harvester: Harvester, now: float, shipped: float) -> bool:
        """Whether a deleted file could not be read for too long. Where no more files can be open, that it is read counts no more."""
        opened, since = self._opened, harvester.removed_since
        if since is None or opened.options.close_removed <= 0:
            return False
        if len(opened.harvesters) < opened.most:
            since = max(since, harvester.quiet_since if harvester.trouble else shipped)
        return now - since > opened.options.close_removed

    def _give_up(self, harvester: Harvester) -> None:
        """A deleted file that could not be read in time: what is left of it is lost, and said so."""
        left = harvester.size() - harvester.reader.position
        self.lost += left
        joining.release(harvester)
        harvester.abandon()
        if left:
            log.error(
                "%s was deleted, could not be read for %.0f s and is closed (close.removed): its last %d bytes are lost",
                harvester.path,
                self._opened.options.close_removed,
                left,
            )


def _mark_read(harvester: Harvester) -> None:
    content = harvester.reader.content
    if harvester.closed or harvester.truncated or not (is_read(harvester) and harvester.settled()):
        return
    if isinstance(content, Archive) and content.state != "complete":
        return  # what is wrong with it is to be said again after a restart
    try:
        status = os.fstat(content.descriptor)
    except OSError:
        return
    if content.packed or status.st_size == harvester.reader.end:
        harvester.entry.size, harvester.entry.modified = status.st_size, status.st_mtime_ns
