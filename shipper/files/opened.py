"""The files of one input that are open, that are on their way, and that sleep.

The life of a ``Harvester``: ``take_up`` makes it for an entry of the registry that has no other; ``again`` gives it another
content, where it was closed or its content is elsewhere now; it stays here after it was closed, until all that was read of
it is acknowledged (``settle``), so that a file that is opened again meanwhile is read on where it was left, not where the
outputs have it (beats#50738).
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from shipper.errors import StateError
from shipper.files import recognition
from shipper.files.birth import born
from shipper.files.charset import UTF8, charset_of
from shipper.files.content import content_of
from shipper.files.discovery import shown
from shipper.files.harvester import Harvester
from shipper.files.identity import PREFIX, id_seed
from shipper.files.reader import Reader

if TYPE_CHECKING:
    from shipper.files.content import Content
    from shipper.files.options import Options
    from shipper.state.registry import Entry, Registry

log = logging.getLogger(__name__)

Node = tuple[int, int]
"""The device and the inode of a file."""


class Opened:
    """Those of one input. An entry of the registry is ``open`` while one of them has it."""

    def __init__(self, registry: Registry, options: Options) -> None:
        self.registry = registry
        self.options = options
        self.most = options.open_files
        """Files that may be open at once: fewer than the options say, where the system grants no more."""
        self.harvesters: list[Harvester] = []
        """Those that are open."""
        self.by_file: dict[int, Harvester] = {}
        """By the number of their entry: those that are open or on their way."""
        self.asleep: dict[Node, tuple[int, int]] = {}
        """Files that were read to their ends and closed: their sizes, and when they had been written."""
        self.vacated: dict[str, Harvester] = {}
        """Names that files have left, and who had them last."""

    def take_up(self, entry: Entry, path: str, content: Content) -> Harvester:
        """Begin to read an entry's file where it is acknowledged to."""
        options = self.options
        cuts = self.registry.cuts(entry)
        head = b"" if options.encoding == "utf-8" else content.read(PREFIX, 0)
        charset = charset_of(options.encoding, head) or UTF8  # it has been looked at before: UTF-8 does not come about
        reader = Reader(content, options.framer, offset=entry.offset, forced=cuts, limit=options.limit, charset=charset)
        harvester = Harvester(path, entry, reader, id_seed(options.host_id, entry.salt, entry.key))
        self._add(harvester)
        return harvester

    def having(self, entry: Entry) -> Harvester | None:
        """The harvester of an entry, whichever input has it."""
        return entry.owner.by_file.get(entry.file) if isinstance(entry.owner, Opened) else None

    def again(self, harvester: Harvester, content: Content) -> Harvester:
        """Read on in a harvester that had been closed, or whose content is elsewhere now: in another input's paths, perhaps."""
        owner = harvester.entry.owner
        if isinstance(owner, Opened) and owner is not self:
            owner.hand_over(harvester, self)
        harvester.continue_with(shown(harvester.entry.path), content)
        if harvester not in self.harvesters:
            self.harvesters.append(harvester)
        return harvester

    def undo(self, harvester: Harvester) -> None:
        """As if it had not been taken up."""
        harvester.close()
        self.release(harvester)

    def release(self, harvester: Harvester) -> None:
        """As ``undo``; its content stays open."""
        harvester.entry.owner = None
        self.by_file.pop(harvester.entry.file, None)
        self.leave(harvester)

    def leave(self, harvester: Harvester) -> None:
        """It is not open any more; what is on its way is waited for."""
        if harvester in self.harvesters:
            self.harvesters.remove(harvester)

    def renamed(self, harvester: Harvester, path: str) -> None:
        """A look has found the file of a harvester, under this name."""
        if harvester.entry.path != path:
            self.vacated[harvester.path] = harvester
            harvester.path = shown(path)
            self.registry.rename(harvester.entry, path)
        harvester.final = False
        harvester.removed_since = None

    def detach(self, entry: Entry) -> None:
        """The file of an entry is not under its inode any more: it may be found elsewhere, for a while from now on."""
        self.registry.move(entry, entry.path, 0, 0, entry.born)
        entry.seen = int(time.time())

    def configure(self, options: Options) -> None:
        """Go on with other options: what is in no block yet goes by them."""
        self.options, self.most = options, options.open_files
        for harvester in self.by_file.values():
            self._adapt(harvester)

    def hand_over(self, harvester: Harvester, other: Opened) -> None:
        """Another input reads it from now on."""
        del self.by_file[harvester.entry.file]
        is_open = harvester in self.harvesters
        self.leave(harvester)
        other.by_file[harvester.entry.file] = harvester
        harvester.entry.owner = other
        if is_open:
            other.harvesters.append(harvester)
        other._adapt(harvester)

    def keep(self, present: set[Node]) -> None:
        """Forget how all others fell asleep."""
        for node in self.asleep.keys() - present:
            del self.asleep[node]

    def settle(self) -> None:
        """Let go of closed files of which nothing is on its way any more."""
        done = [harvester for harvester in self.by_file.values() if harvester.closed and harvester.settled()]
        if not done:
            return
        try:
            self.registry.commit([harvester.entry for harvester in done])
        except StateError as error:
            log.debug("%s", error)
            return
        for harvester in done:
            harvester.entry.owner = None
            del self.by_file[harvester.entry.file]
        gone = set(map(id, done))
        self.vacated = {path: each for path, each in self.vacated.items() if id(each) not in gone}

    def close(self) -> None:
        """Close every file."""
        for harvester in self.by_file.values():
            harvester.close()
            harvester.entry.owner = None
        self.harvesters.clear()
        self.by_file.clear()

    def beginning(self, file: int, count: int) -> bytes:
        """The first bytes of an entry's file, where it is still the entry's; else none."""
        harvester, entry = self.by_file.get(file), self.registry.entry(file)
        try:
            if harvester is not None and not harvester.closed:
                return harvester.reader.content.read(count, 0)
            if entry is None:
                return b""
            descriptor = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                content = content_of(descriptor, os.pread(descriptor, 2, 0))
                return content.read(count, 0) if recognition.is_same(entry, content, born(descriptor)) else b""
            finally:
                os.close(descriptor)
        except OSError:
            return b""

    def _add(self, harvester: Harvester) -> None:
        harvester.entry.owner = self
        self.by_file[harvester.entry.file] = harvester
        self.harvesters.append(harvester)

    def _adapt(self, harvester: Harvester) -> None:
        reader, options = harvester.reader, self.options
        # What does not say which byte comes first goes on as it was.
        reader.configure(options.framer, options.limit, charset_of(options.encoding, harvester.head) or reader.charset)
        harvester.seed = id_seed(self.options.host_id, harvester.entry.salt, harvester.entry.key)


def is_read(harvester: Harvester) -> bool:
    """Whether all that a file has is read and in a block, and nothing of it waits for its writer or another file."""
    try:
        return (
            not harvester.reader.pending
            and not harvester.has_room()
            and harvester.successor is None
            and harvester.predecessor is None
            and harvester.at_end()
        )
    except OSError as error:
        harvester.troubled(f"cannot be looked at: {error.strerror}")
        return False
