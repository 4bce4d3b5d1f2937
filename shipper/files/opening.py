"""From a file that a look has found to a harvester that reads it: opened, recognised, begun.

Files that are known under their inode come first, for what a new file is may depend on where they are now. The others are
begun in the order of their age, and made durable together. An archive is opened once it is known to be complete
(``archives``); where no more files can be open, the rest wait, the oldest first.
"""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING

from shipper.errors import StateError
from shipper.files import archives, joining, recognition
from shipper.files.content import MAGIC, Archive, Plain, content_of
from shipper.files.discovery import Found, shown
from shipper.files.harvester import Harvester
from shipper.files.identity import digest
from shipper.files.order import Order
from shipper.files.recognition import Candidate

if TYPE_CHECKING:
    from shipper.files.closing import Closing
    from shipper.files.content import Content
    from shipper.files.matching import Matching
    from shipper.files.opened import Opened
    from shipper.state.registry import Entry

log = logging.getLogger(__name__)

CHUNK = 500
"""New files that are made durable together."""
MANY = 500
"""Files whose first line is not complete, above which they wait for the next look."""


class Opening:
    """For the files of one input."""

    def __init__(self, opened: Opened, matching: Matching, closing: Closing) -> None:
        self.archives = archives.Archives()
        self.troubles: dict[str, str] = {}
        """Paths that the last look has found and that cannot be opened, and why."""
        self._opened = opened
        self._registry = opened.registry
        self._matching = matching
        self._closing = closing
        self._early: dict[str, int] = {}
        """Files whose first line is not complete yet, and their sizes."""
        self._waiting: list[Found] = []
        """Files that there was no room for yet."""
        self._strangers: list[Found] = []
        self._order = Order(opened.registry)
        self._resumed: list[Harvester] = []
        self._begun: list[Harvester] = []
        self._registered: set[int] = set()
        """The entries of those that were not known before."""
        self._halves: list[Harvester] = []
        """Those that wait for the other half of an event."""
        self._partial = self._full = False

    # --- a look at all files -----------------------------------------------------------------------------------------

    def look(self, *, partial: bool) -> None:
        """A new look begins. ``partial``: open a file too whose first line is not complete yet."""
        self._partial = partial
        self._full = False
        self._waiting.clear()
        self._strangers = []
        self._early.clear()
        self.troubles = {}

    def found(self, file: Found) -> None:
        """One that has no harvester: taken up again, where it is known; else it waits for ``begin``."""
        if not file.size and not self._registry.at(file.device, file.inode):
            self._early[file.path] = 0
            return
        try:
            asleep = self._sleeps(file)
        except StateError as error:
            self.troubles[file.path] = f"cannot be begun: {error}"
            return
        if not asleep and not self._try_known(file):
            self._strangers.append(file)

    def begin(self) -> None:
        """Begin those that are not known."""
        strangers = self._order.of(self._strangers)
        self._waiting.sort(key=lambda file: (file.modified, file.path))
        for at in range(0, len(strangers), CHUNK):
            if self._full:
                self._waiting += strangers[at:]
                break
            self._begin_all(strangers[at : at + CHUNK])

    def link(self) -> None:
        """Find out which of those that were begun go on with the last event of another."""
        joining.link([each for each in self._begun if each.entry.file in self._registered], self._opened)
        self._halves = joining.resume([*self._halves, *self._resumed, *self._begun], self._opened)
        self._resumed, self._begun, self._registered = [], [], set()

    # --- between the looks -------------------------------------------------------------------------------------------

    def grown(self) -> bool:
        """Whether one that was too short has changed."""
        if len(self._early) > MANY:
            return False  # the next look finds out
        return any(_size(path) != size for path, size in self._early.items())

    def work(self) -> bool:
        """What a look has left to do: unpack a slice of an archive, open what had no room; whether there was anything."""
        verified = self.archives.verify(last=self._partial)
        if verified is not None:
            file, content = verified
            if content is not None:
                self._begin_late([file], content)
            return True
        self._full = False
        if self._waiting and self._closing.room():
            files, self._waiting = self._waiting[:CHUNK], self._waiting[CHUNK:]
            self._begin_late(files)
            return True
        for file in self._waiting[:10]:
            self.troubles[file.path] = "waits to be opened: too many files are open"
        if self.archives or not self._partial:
            return bool(self.archives)
        halves, self._halves = self._halves, []
        for each in halves:
            each.awaits = 0.0  # no other look is to come
        return bool(halves)

    def unread(self) -> set[str]:
        """The paths that the last look has found and that are not begun."""
        early = {path for path, size in self._early.items() if size}
        return {*early, *self.troubles, *self.undecided()}

    def undecided(self) -> set[str]:
        """The paths of those that are looked at later: archives that are not complete, files that there was no room for."""
        return {*self.archives.undecided(), *(file.path for file in self._waiting)}

    def adopt(self, path: str, descriptor: int) -> None:
        """Take up an open file that no look would find: rotated away, or deleted. The descriptor is this one's now."""
        try:
            status = os.fstat(descriptor)
            content = content_of(descriptor, os.pread(descriptor, 2, 0))
        except OSError as error:
            os.close(descriptor)
            _given_up(path, _reason(error))
            return
        file = Found(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if isinstance(content, Archive):
            self.archives.offer(file, content)
            return
        partial, self._partial = self._partial, True  # nobody will complete its first line
        try:
            self._begin_late([file], content)
        finally:
            self._partial = partial
        if path in self.troubles:
            _given_up(path, self.troubles[path])

    def _begin_late(self, files: list[Found], content: Content | None = None) -> None:
        self._full = False
        for file in files:
            self.troubles.pop(file.path, None)
        self._begin_all([file for file in files if not self._try_known(file, content)], content)
        self.link()

    # --- one file ----------------------------------------------------------------------------------------------------

    def _sleeps(self, file: Found) -> bool:
        """Whether there is nothing new about a file that is not open."""
        node = (file.device, file.inode)
        looked = (file.size, file.modified)
        asleep = self._opened.asleep
        if asleep.get(node) == looked or self.archives.waits(node, looked):
            return True
        asleep.pop(node, None)
        if self._matching.holds(file):
            return True
        for entry in self._registry.at(*node):
            if (entry.size, entry.modified) == looked and not entry.open:
                self._registry.rename(entry, file.path)
                asleep[node] = looked
                return True
        return False

    def _begin_all(self, files: list[Found], content: Content | None = None) -> None:
        """Begin files that are not known under their inodes; all of them, durably, or none."""
        before = len(self._begun)
        try:
            with self._registry.together():
                for file in files:
                    self._try(file, known=False, content=content)
        except StateError as error:
            for harvester in self._begun[before:]:
                self._opened.undo(harvester)
            del self._begun[before:]
            for file in files:
                self.troubles.setdefault(file.path, f"cannot be begun: {error}")

    def _try_known(self, file: Found, content: Content | None = None) -> bool:
        """Begin a file whose inode has an entry that it is of; whether that is settled, in one way or another."""
        if not self._registry.at(file.device, file.inode):
            return False
        try:
            return self._try(file, known=True, content=content)
        except StateError as error:
            self.troubles[file.path] = f"cannot be begun: {error}"
            return True

    def _try(self, file: Found, *, known: bool, content: Content | None) -> bool:
        """Open a file, unless it is open as ``content``, and begin with it. Raises ``StateError``.

        ``known``: only if it is of an entry under its inode; whether that is so, or it cannot be told.
        """
        if not known and self._matching.remembers(file):
            if content is not None:
                content.close()
            return True
        if content is None and (self._full or not self._closing.room()):
            self._full = True  # until the next look, or the next call of work
            self._waiting.append(file)
            return True
        opened = content
        outcome: Harvester | str | None = ""
        try:
            if opened is None:
                opened = self._open(file)
            encoding = self._opened.options.encoding
            candidate = (
                recognition.candidate(file, opened, partial=self._partial, encoding=encoding)
                if opened is not None
                else ""
            )
            outcome = self._begin(candidate, known=known) if isinstance(candidate, Candidate) else candidate
        except OSError as error:
            outcome = _reason(error)
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                self._full = True
                self._waiting.append(file)
                self._opened.most = max(8, min(self._opened.most, len(self._opened.harvesters) - 1))
                self._closing.room()
        finally:
            # What is handed over and not known is asked for once more.
            unknown = outcome is None and content is not None
            if opened is not None and not isinstance(outcome, Harvester) and not unknown:
                opened.close()
        if isinstance(outcome, Harvester):
            (self._resumed if known else self._begun).append(outcome)
        elif outcome is recognition.EARLY:
            self._early[file.path] = file.size
        elif outcome:
            self.troubles[file.path] = outcome
        return outcome is not None

    def _open(self, file: Found) -> Plain | None:
        """``None`` where it is to be looked at again later: an archive, or another file that took its name just now."""
        opened = Plain(os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
        try:
            status = os.fstat(opened.descriptor)
            if (status.st_dev, status.st_ino) != (file.device, file.inode):
                self._early[file.path] = -1
            elif opened.read(2, 0) == MAGIC:
                self.archives.offer(file)
            else:
                return opened
        except OSError:
            opened.close()
            raise
        opened.close()
        return None

    def _begin(self, candidate: Candidate, *, known: bool) -> Harvester | str | None:
        """The harvester of a file; text: why it has none; ``None``: no entry under its inode is its own."""
        file, registry = candidate.file, self._registry
        if known:
            entry = self._matching.here(candidate)
            if entry is None or isinstance(entry, str):
                return entry
            return self._go_on(entry, candidate)
        entry = self._matching.elsewhere(candidate, certain=self._partial)
        if (file.device, file.inode) in self._matching.held:
            return ""
        if entry is not None:
            return self._go_on(entry, candidate)
        entry = registry.register(
            key=candidate.key,
            path=file.path,
            device=file.device,
            inode=file.inode,
            prefix_length=len(candidate.head),
            prefix=digest(candidate.head),
            born=candidate.born,
        )
        self._registered.add(entry.file)
        return self._take_up(entry, candidate)

    def _take_up(self, entry: Entry, candidate: Candidate) -> Harvester | str:
        harvester = self._opened.take_up(entry, candidate.file.shown, candidate.content)
        if harvester.is_registered():
            return harvester
        # Truncated and written anew since it was recognised: the next look finds another file there.
        self._opened.release(harvester)
        self._early[candidate.file.path] = -1
        return ""

    def _go_on(self, entry: Entry, candidate: Candidate) -> Harvester | str:
        """Read on in the file that is an entry's, wherever it was before."""
        file, opened, registry = candidate.file, self._opened, self._registry
        old, other = entry.path, opened.having(entry)
        if (entry.device, entry.inode) == (file.device, file.inode):
            registry.rename(entry, file.path)
        else:
            registry.move(entry, file.path, file.device, file.inode, candidate.born)
            registry.commit([entry])
            log.info("%s goes on in %s", shown(old), file.shown if file.path != old else "another file of that name")
        if other is None:
            taken = self._take_up(entry, candidate)
            if isinstance(taken, str):
                return taken
            harvester = taken
        else:
            if other.truncated:
                self._early[old] = -1  # another file is there now, which this look may have passed
            harvester = opened.again(other, candidate.content)
        if old != entry.path:
            opened.vacated[shown(old)] = harvester
        return harvester


def _given_up(path: str, reason: str) -> None:
    log.error("%s, which no look finds any more, %s", path, reason)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _reason(error: OSError) -> str:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "cannot be read: permission denied; give this user the right to read it"
    return f"cannot be opened: {error.strerror}"
