"""The files of one input, and how far each is read: found, recognised, opened, read in turn, closed.

The life of a ``Harvester``: it is made when a scan finds a file that has no other; it reads while there is something to
read; when its file is truncated or replaced it becomes *final*, goes on with the copy that was made before, if there is
one, and a new generation takes its place; it is closed when it is read to its end and its file is gone from the input's
paths, or idle. What of it is on its way then keeps its place in memory until it is acknowledged, so that a file that is
opened again is read on where it was left, not where the outputs have it (beats#50738).

At most ``open_files`` are open at once. Where there are more, those that have nothing to read make room, and the rest wait
their turn, the oldest first.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from shipper.errors import StateError
from shipper.files import archives, joining, recognition
from shipper.files.birth import born
from shipper.files.content import MAGIC, Archive, Plain, content_of
from shipper.files.discovery import Found
from shipper.files.harvester import Harvester, fingerprint
from shipper.files.identity import PREFIX, digest, first_line_key, id_seed
from shipper.files.reader import Reader
from shipper.files.recognition import Candidate

if TYPE_CHECKING:
    from parser.multiline import Framer
    from shipper.files.content import Content
    from shipper.files.discovery import Discovery
    from shipper.files.reader import Block
    from shipper.state.registry import Entry, Registry

log = logging.getLogger(__name__)

GONE_AFTER = 5.0
"""Seconds without anything new after which a file that left the input's paths is taken for finished."""
HELD = 10.0
"""Seconds for which a file waits that looks like a copy beside its original, where that may be chance."""
SEEN_EVERY = 6 * 3600.0
"""Seconds between updates of when each file was last seen."""
CLEAN_EVERY = 600.0
"""Seconds between looks for entries that can be forgotten."""
CHUNK = 500
"""New files that are made durable together."""
DETACHED = 3600.0
"""Seconds for which a file that is gone is remembered, for its archive may come."""
QUIET = 10.0
"""Seconds without anything new after which a file is quiet: where many are open, it is looked at less often, or closed."""
MANY = 1000
"""Open files, above which quiet ones are closed before ``close_inactive``."""
CROWD = 1000
"""Files with the same first line, above which a new one is not compared with each that is in its place."""
HOLE = 64 * 1024
"""Bytes behind a hole at a file's beginning in which its text has to begin."""
EVERY = 500
"""Open files that are looked at in each round; of more than that, the quiet ones take turns."""


class _Held(NamedTuple):
    """A file that is not read, because another has its content."""

    looked: tuple[int, int]
    """Its size, and when it was written."""
    file: int
    """The entry that has its content."""
    until: float


class Harvest:
    """All files of one input. Used by the agent's main thread only."""

    def __init__(
        self,
        discovery: Discovery,
        registry: Registry,
        framer: Framer,
        *,
        host_id: str,
        limit: int = 10 * 1024 * 1024,
        close_inactive: float = 300.0,
        close_removed: float = 0.0,
        clean_inactive: float = 30 * 86400.0,
        open_files: int = 10_000,
    ) -> None:
        """``limit``: an event is at most so many bytes. ``close_inactive``: seconds after which an idle file is closed.

        ``close_removed``: seconds after which a deleted file is closed though it is not read to its end; 0: never.
        ``clean_inactive``: seconds after which a file that was not seen is forgotten; 0: never.
        """
        self.harvesters: list[Harvester] = []
        """Those that are open."""
        self.unreadable: dict[str, str] = {}
        """Paths that were asked for and cannot be read, and why."""
        self.lost = 0
        """Bytes of files that were closed or truncated before they were read, as far as that is known."""
        self.skipped = 0
        """NUL bytes at the beginning of files that were passed over."""
        self._discovery = discovery
        self._registry = registry
        self._framer = framer
        self._host_id = host_id
        self._limit = limit
        self._close_inactive = close_inactive
        self._close_removed = close_removed
        self._clean_inactive = clean_inactive
        self._open_files = open_files
        self._files: dict[int, Harvester] = {}
        self._early: dict[str, int] = {}
        """Files whose first line is not complete yet, and their sizes."""
        self._asleep: dict[tuple[int, int], tuple[int, int]] = {}
        self._held: dict[tuple[int, int], _Held] = {}
        self._suspects: dict[tuple[int, int], int] = {}
        self._archives = archives.Archives()
        self._vacated: dict[str, Harvester] = {}
        self._present: set[_Node] = set()
        self._adrift: dict[bytes, list[Entry]] = {}
        self._turn = 0
        self._next_seen = self._next_clean = 0.0
        self._waiting: list[Found] = []
        """Files that there was no room for yet."""
        self._partial = self._full = False

    def folders(self) -> set[str]:
        """Where files of this input may appear."""
        return self._discovery.folders()

    def harvester(self, file: int) -> Harvester | None:
        """The harvester of an entry, also while what it has read is on its way only."""
        return self._files.get(file)

    # --- looking ---------------------------------------------------------------------------------------------------

    def scan(self, *, partial: bool = False) -> None:
        """Look for files that have come, changed or gone.

        ``partial``: open a file too whose first line is not complete yet (a one-shot run reads what is there).
        """
        self._partial = partial
        self._waiting.clear()
        self._full = False
        found, unreadable = self._discovery.scan()
        troubles = dict(unreadable)
        # One that an earlier look missed, because it was being renamed, is taken up again.
        nodes = {(h.entry.device, h.entry.inode): h for h in self.harvesters if not h.truncated}
        present = self._present = set()
        self._adrift.clear()
        strangers: list[Found] = []
        self._early.clear()
        begun: list[Harvester] = []
        for file in found:
            node = (file.device, file.inode)
            present.add(node)
            if (harvester := nodes.get(node)) is not None:
                self._renamed(harvester, file.shown)
            elif not self._sleeps(file, node) and (
                not self._registry.at(*node) or not self._try(file, troubles, begun, known=True)
            ):
                strangers.append(file)
        resumed, begun = begun, []
        strangers.sort(key=lambda file: (file.modified, file.path))
        self._waiting.sort(key=lambda file: (file.modified, file.path))
        for at in range(0, len(strangers), CHUNK):
            if self._full:
                self._waiting += strangers[at:]
                break
            begun += self._begin_all(strangers[at : at + CHUNK], troubles)
        self._missing(nodes, present, troubles)
        for harvester in self.harvesters:
            if harvester.truncated and not harvester.given_up:
                harvester.given_up = True
                self._report_truncated(harvester)
        joining.link(begun, self._vacated, self._framer)
        joining.resume([*resumed, *begun], self._registry, self._files.get, self._beginning)
        troubles.update(self._archives.keep(present))
        for path, reason in troubles.items():
            if self.unreadable.get(path) != reason:
                log.warning("%s %s", path, reason)
        self.unreadable = troubles
        self._remember(found, present)

    def check(self) -> bool:
        """Look whether a file was truncated or written anew, or one that was too short has grown: a scan opens it then."""
        found = any(_size(path) != size for path, size in self._early.items())
        for harvester in self._due(advance=False):
            try:
                if not harvester.truncated and harvester.changed():
                    harvester.truncated = harvester.final = True
            except OSError as error:
                harvester.troubled(f"cannot be looked at: {error.strerror}")
                continue
            found |= harvester.truncated and not harvester.given_up
        return found

    def reading(self) -> list[Harvester]:
        """Those that are to be asked for a block in this round: all but some of the quiet ones, where there are many."""
        return self._due(advance=True)

    def work(self) -> bool:
        """What a scan has left to do: unpack a slice of an archive, open what had no room; whether there was anything."""
        verified = self._archives.verify()
        if verified is not None:
            file, content = verified
            if content is not None:
                self._begin_late([file], content)
            return True
        self._full = False
        if self._waiting and self._room():
            files, self._waiting = self._waiting[:CHUNK], self._waiting[CHUNK:]
            self._begin_late(files)
            return True
        for file in self._waiting[:10]:
            self.unreadable[file.path] = "waits to be opened: too many files are open"
        return bool(self._archives)

    def _begin_late(self, files: list[Found], content: Content | None = None) -> None:
        """Begin files after the scan that has found them."""
        self._full = False
        troubles: dict[str, str] = {}
        resumed: list[Harvester] = []
        for file in files:
            self.unreadable.pop(file.path, None)
        strangers = [
            file
            for file in files
            if not self._registry.at(file.device, file.inode)
            or not self._try(file, troubles, resumed, known=True, content=content)
        ]
        begun = self._begin_all(strangers, troubles, content)
        joining.link(begun, self._vacated, self._framer)
        joining.resume([*resumed, *begun], self._registry, self._files.get, self._beginning)
        self.unreadable.update(troubles)

    def _begin_all(
        self, files: list[Found], troubles: dict[str, str], content: Content | None = None
    ) -> list[Harvester]:
        """Begin files that are not known under their inodes; all of them, durably, or none."""
        begun: list[Harvester] = []
        try:
            with self._registry.together():
                for file in files:
                    self._try(file, troubles, begun, known=False, content=content)
        except StateError as error:
            for harvester in begun:
                self._drop(harvester)
            for file in files:
                troubles.setdefault(file.path, f"cannot be begun: {error}")
            return []
        return begun

    def _due(self, *, advance: bool) -> list[Harvester]:
        count = len(self.harvesters)
        if count <= EVERY:
            return list(self.harvesters)
        now = time.monotonic()
        rounds = min(4, count // EVERY + 1)
        if advance:
            self._turn += 1
        turn = self._turn % rounds
        return [h for at, h in enumerate(self.harvesters) if at % rounds == turn or now - h.quiet_since < QUIET]

    # --- opening ---------------------------------------------------------------------------------------------------

    def _sleeps(self, file: Found, node: _Node) -> bool:
        """Whether there is nothing new about a file that is not open."""
        looked = (file.size, file.modified)
        if self._asleep.get(node) == looked or self._archives.waits(node, looked):
            return True
        self._asleep.pop(node, None)
        held = self._held.get(node)
        if held is not None:
            entry, other = self._registry.entry(held.file), self._files.get(held.file)
            if (
                held.looked == looked
                and time.monotonic() < held.until
                and entry is not None
                and not (other is not None and other.truncated)
                and (entry.open or not recognition.displaced(entry))
            ):
                return True
            del self._held[node]
            self._suspects[node] = held.file
        for entry in self._registry.at(*node):
            if (entry.size, entry.modified) == looked and not entry.open:
                self._registry.rename(entry, file.shown)
                self._asleep[node] = looked
                return True
        return False

    def _try(
        self,
        file: Found,
        troubles: dict[str, str],
        begun: list[Harvester],
        *,
        known: bool,
        content: Content | None = None,
    ) -> bool:
        """Open a file and begin with it; ``known``: only if an entry is under its inode, whether that is so."""
        node = (file.device, file.inode)
        if self._full or not self._room():
            self._full = True  # until the next scan, or the next call of work
            self._waiting.append(file)
            if content is not None:
                content.close()
            return True
        opened = content
        try:
            if opened is None:
                opened = Plain(os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
                status = os.fstat(opened.descriptor)
                if (status.st_dev, status.st_ino) != node:
                    self._early[file.path] = -1  # another one took its name just now
                    opened.close()
                    return True
                if opened.read(2, 0) == MAGIC:
                    opened.close()
                    self._archives.offer(file)
                    return True
            candidate = self._candidate(file, opened)
            outcome = self._begin(candidate, known=known) if isinstance(candidate, Candidate) else candidate
        except OSError as error:
            if opened is not None:
                opened.close()
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                self._full = True
                self._waiting.append(file)
                self._open_files = max(8, min(self._open_files, len(self.harvesters) - 1))
                self._make_room()
            troubles[file.path] = _reason(error)
            return True
        except BaseException as error:
            if opened is not None:
                opened.close()
            if known and isinstance(error, StateError):
                troubles[file.path] = f"cannot be begun: {error}"
                return True
            raise
        if isinstance(outcome, Harvester):
            begun.append(outcome)
            return True
        if outcome is None and content is not None:
            return False  # it will be asked for again, as one that is not known
        opened.close()
        if outcome is None:
            return False
        if outcome is _EARLY:
            self._early[file.path] = file.size
        elif outcome:
            troubles[file.path] = outcome
        return True

    def _candidate(self, file: Found, content: Content) -> Candidate | str:
        """What a file is recognised by, or why it cannot be read."""
        while isinstance(content, Archive) and not content.verify(archives.SLICE):
            pass  # one that is handed over
        head = content.read(PREFIX, 0)
        if isinstance(content, Plain) and head.startswith(b"\0"):
            text = content.read(HOLE, content.data_from(0)).lstrip(b"\0")[:PREFIX]
            if not text:
                return _EARLY  # nothing but a hole
            reason = recognition.why_not(text)
            if reason:
                return reason
        if not head or not (self._partial or content.packed or b"\n" in head or len(head) == PREFIX):
            return _EARLY
        reason = recognition.why_not(head)
        if reason:
            return reason
        return Candidate(file, content, head, first_line_key(head), born(content.descriptor))

    def _begin(self, candidate: Candidate, *, known: bool) -> Harvester | str | None:
        """The harvester of a file; text: why it has none; ``None``: no entry is under its inode."""
        file = candidate.file
        node = (file.device, file.inode)
        if known:
            entry = self._here(candidate)
            if entry is None or isinstance(entry, str):
                return entry
            other = self._files.get(entry.file)
            old, new = entry.path, file.shown
            self._registry.rename(entry, new)
            harvester = self._take_up(entry, candidate) if other is None else self._again(other, candidate.content)
            if old != new:
                self._vacated[old] = harvester
            return harvester
        entry, held = self._elsewhere(candidate)
        if held is not None:
            self._held[node] = held
            return ""
        if entry is not None:
            other = self._files.get(entry.file)
            old = entry.path
            self._registry.move(entry, file.shown, *node, candidate.born)
            self._registry.commit([entry])
            log.info("%s goes on in %s", old, file.shown)
            if other is not None:
                self._vacated[old] = self._again(other, candidate.content)
                return other
            harvester = self._take_up(entry, candidate)
            self._vacated[old] = harvester
            return harvester
        entry = self._registry.register(
            key=candidate.key,
            path=file.shown,
            device=file.device,
            inode=file.inode,
            prefix_length=len(candidate.head),
            prefix=digest(candidate.head),
            born=candidate.born,
        )
        return self._take_up(entry, candidate)

    def _here(self, candidate: Candidate) -> Entry | str | None:
        """The entry under the file's inode whose file it is. Others are detached: an inode has one content."""
        same: Entry | None = None
        for entry in self._registry.at(candidate.file.device, candidate.file.inode):
            other = self._files.get(entry.file)
            gone = other is not None and (other.truncated or not other.holds(candidate.content))
            if same is None and not gone and recognition.is_same(entry, candidate.content, candidate.born):
                if entry.open and other is None:
                    return "is read by another input already: name it in one of them only"
                same = entry
                entry.born = candidate.born
            elif not entry.open or other is not None:
                self._registry.move(entry, entry.path, 0, 0, entry.born)
                self._registry.commit([entry])
        return same

    def _elsewhere(self, candidate: Candidate) -> tuple[Entry | None, _Held | None]:
        """The entry whose file a new one is; or the one that has its content, for now."""
        file = candidate.file
        node = (file.device, file.inode)
        own: Entry | None = None
        held: _Held | None = None
        digests: dict[int, bytes] = {}
        for entry in self._like(candidate.key):
            length = entry.prefix_length
            if length <= len(candidate.head):
                if length not in digests:
                    digests[length] = digest(candidate.head[:length])
                if length and digests[length] != entry.prefix:
                    continue
            elif not candidate.content.packed and not recognition.related(entry.path, file.shown):
                continue
            other = self._files.get(entry.file)
            if entry.open and other is None:
                continue  # another input's
            if other is not None and other.truncated:
                if (
                    recognition.related(entry.path, file.shown)
                    or (entry.path == file.shown and candidate.content.packed)
                ) and other.holds(candidate.content):
                    return entry, None
                continue
            if recognition.displaced(entry):
                if not (
                    recognition.is_moved(entry, candidate)
                    or (self._suspects.get(node) == entry.file and fingerprint(entry).matches(candidate.content))
                ):
                    continue
                if other is not None and not other.closed:
                    held = _Held((file.size, file.modified), entry.file, float("inf"))  # what is open is read first
                elif own is None or entry.offset > own.offset:
                    own = entry
            elif held is None and self._suspects.get(node) != entry.file:
                copy = recognition.is_copy(entry, candidate)
                if copy or (copy is None and not self._partial):
                    until = float("inf") if copy else time.monotonic() + HELD
                    held = _Held((file.size, file.modified), entry.file, until)
        self._suspects.pop(node, None)
        return own, None if own else held

    def _like(self, key: bytes) -> list[Entry]:
        """The entries that begin with the same line; where that is a crowd, only those whose files are not in their places."""
        entries = self._registry.like(key)
        if len(entries) <= CROWD:
            return entries
        if key not in self._adrift:
            self._adrift[key] = [e for e in entries if (e.device, e.inode) not in self._present]
        return self._adrift[key]

    def _take_up(self, entry: Entry, candidate: Candidate) -> Harvester:
        reader = Reader(
            candidate.content, self._framer, offset=entry.offset, forced=self._registry.cuts(entry), limit=self._limit
        )
        harvester = Harvester(candidate.file.shown, entry, reader, id_seed(self._host_id, entry.salt, entry.key))
        entry.open = True
        self._files[entry.file] = harvester
        self.harvesters.append(harvester)
        return harvester

    def _again(self, harvester: Harvester, content: Content) -> Harvester:
        """Read on in a harvester that had been closed, or whose content is elsewhere now."""
        harvester.continue_with(harvester.entry.path, content)
        if harvester not in self.harvesters:
            self.harvesters.append(harvester)
        return harvester

    def _drop(self, harvester: Harvester) -> None:
        """Undo the beginning of a file."""
        harvester.close()
        harvester.entry.open = False
        self._files.pop(harvester.entry.file, None)
        if harvester in self.harvesters:
            self.harvesters.remove(harvester)

    def _renamed(self, harvester: Harvester, name: str) -> None:
        if harvester.path != name:
            self._vacated[harvester.path] = harvester
            harvester.path = name
            self._registry.rename(harvester.entry, name)
        harvester.final = False
        harvester.removed_since = None

    def _missing(self, nodes: dict[_Node, Harvester], present: set[_Node], troubles: dict[str, str]) -> None:
        failed = tuple(f"{path}/" for path in troubles)
        for node, harvester in nodes.items():
            # A look that failed is no proof that a file is gone.
            if node in present or harvester.path in troubles or harvester.path.startswith(failed):
                continue
            if not harvester.final:
                harvester.final = True
                self._vacated.setdefault(harvester.path, harvester)
            if harvester.removed_since is None and not harvester.truncated:
                try:
                    removed = os.fstat(harvester.reader.content.descriptor).st_nlink == 0
                except OSError:
                    continue
                harvester.removed_since = time.monotonic() if removed else None

    def _beginning(self, file: int, count: int) -> bytes:
        """The first bytes of an entry's file, where it is still the entry's; else none."""
        harvester, entry = self._files.get(file), self._registry.entry(file)
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

    # --- other settings while files are open (reload) -----------------------------------------------------------------

    def configure(self, discovery: Discovery, framer: Framer, *, host_id: str, limit: int, **more: float) -> None:
        """Go on with other settings, as of ``__init__``. Open files stay open, and are read on where they are."""
        self._discovery, self._framer, self._host_id, self._limit = discovery, framer, host_id, limit
        for name, value in more.items():
            setattr(self, f"_{name}", value)
        for harvester in self._files.values():
            self._adapt(harvester)

    def found(self) -> list[Found]:
        """The files that are asked for and there now."""
        return self._discovery.scan()[0]

    def through(self, harvester: Harvester) -> bool:
        """Whether all that the file has is read and acknowledged."""
        return self._is_read(harvester) and harvester.settled() and not harvester.truncated and not harvester.trouble

    def held(self) -> list[Harvester]:
        """All that are open, or of which something is on its way."""
        return list(self._files.values())

    def hand_over(self, harvester: Harvester, other: Harvest) -> None:
        """Another input reads it from now on."""
        del self._files[harvester.entry.file]
        other._files[harvester.entry.file] = harvester
        if harvester in self.harvesters:
            self.harvesters.remove(harvester)
            other.harvesters.append(harvester)
        other._adapt(harvester)

    def drop(self, harvester: Harvester) -> None:
        """Read nothing more of a file that is not asked for any more; what is on its way is waited for."""
        joining.release(harvester)
        harvester.reader.forget()
        harvester.close()
        if harvester in self.harvesters:
            self.harvesters.remove(harvester)

    def adopt(self, path: str, descriptor: int) -> None:
        """Take up an open file that no look would find: rotated away, or deleted. The descriptor is this one's now."""
        status = os.fstat(descriptor)
        file = Found(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        troubles: dict[str, str] = {}
        partial, self._partial = self._partial, True  # nobody will complete its first line
        try:
            content = content_of(descriptor, os.pread(descriptor, 2, 0))
            if not self._try(file, troubles, [], known=True, content=content):
                self._try(file, troubles, [], known=False, content=content)
        finally:
            self._partial = partial
        for each, reason in troubles.items():
            log.warning("%s %s", each, reason)

    def _adapt(self, harvester: Harvester) -> None:
        harvester.reader.configure(self._framer, self._limit)
        harvester.seed = id_seed(self._host_id, harvester.entry.salt, harvester.entry.key)

    # --- closing ---------------------------------------------------------------------------------------------------

    def end_of(self, harvester: Harvester, *, waited: bool) -> Block | None:
        """The last event of a file whose name another has taken over, which may go on there; ``None`` while it is not known."""
        try:
            return joining.end_of(harvester, self._framer, self._registry, self._limit, waited=waited)
        except OSError as error:
            harvester.troubled(f"cannot be read to its end: {error.strerror}")
            joining.release(harvester)
            return None

    def close_idle(self) -> None:
        """Close what is read to its end, long enough ago. What of it is on its way is waited for all the same."""
        now = time.monotonic()
        crowded = len(self.harvesters) > MANY
        ended = []
        for harvester in self.harvesters:
            idle = now - harvester.quiet_since
            finished = harvester.final and (harvester.truncated or idle > GONE_AFTER)
            done = (finished or idle > self._close_inactive) and harvester.settled()
            if (done or (crowded and idle > QUIET)) and self._is_read(harvester):
                ended.append(harvester)
            elif self._overdue(harvester, now):
                self._give_up(harvester)
                ended.append(harvester)
        self._close(ended)
        self._settle()
        if now >= self._next_clean:
            self._next_clean = now + CLEAN_EVERY
            self._clean()

    def complete(self, harvester: Harvester) -> bool:
        """Whether a file is read, acknowledged durably to its end, idle, and still what was read: it is safe to delete."""
        try:
            if (
                not self._is_read(harvester)
                or not harvester.settled()
                or harvester.truncated
                or harvester.trouble
                or time.monotonic() - harvester.quiet_since <= GONE_AFTER
                or harvester.changed()
            ):
                return False
            self._registry.commit([harvester.entry])
        except (OSError, StateError):
            return False
        return True

    def at_rest(self) -> list[Entry]:
        """The entries of files that are read and acknowledged to their ends, marked so: they need no look until they change."""
        for harvester in self.harvesters:
            self._mark_read(harvester)
        return [harvester.entry for harvester in self.harvesters if harvester.entry.size >= 0]

    def close(self) -> None:
        """Close every file."""
        for harvester in self._files.values():
            harvester.close()
            harvester.entry.open = False
        self.harvesters.clear()
        self._files.clear()
        self._archives.close()

    def _is_read(self, harvester: Harvester) -> bool:
        try:
            return (
                not harvester.reader.pending
                and harvester.successor is None
                and harvester.predecessor is None
                and harvester.at_end()
            )
        except OSError as error:
            harvester.troubled(f"cannot be looked at: {error.strerror}")
            return False

    def _close(self, harvesters: list[Harvester]) -> None:
        if not harvesters:
            return
        for harvester in harvesters:
            entry = harvester.entry
            if not harvester.truncated:
                try:
                    status = os.fstat(harvester.reader.content.descriptor)
                except OSError:
                    continue
                if status.st_nlink == 0:
                    self._registry.move(entry, entry.path, 0, 0, entry.born)  # the inode will be another file's
                elif not harvester.final:
                    # As far as it was read: what has been written since wakes it.
                    size = status.st_size if harvester.reader.content.packed else harvester.reader.end
                    self._asleep[entry.device, entry.inode] = (size, status.st_mtime_ns)
            self._mark_read(harvester)
            harvester.close()
        gone = set(map(id, harvesters))
        self.harvesters = [
            harvester for harvester in self.harvesters if id(harvester) not in gone or not harvester.closed
        ]

    def _mark_read(self, harvester: Harvester) -> None:
        if harvester.closed or harvester.truncated or not (self._is_read(harvester) and harvester.settled()):
            return
        try:
            status = os.fstat(harvester.reader.content.descriptor)
        except OSError:
            return
        if harvester.reader.content.packed or status.st_size == harvester.reader.end:
            harvester.entry.size, harvester.entry.modified = status.st_size, status.st_mtime_ns

    def _settle(self) -> None:
        """Let go of closed files of which nothing is on its way any more."""
        done = [harvester for harvester in self._files.values() if harvester.closed and harvester.settled()]
        if not done:
            return
        try:
            self._registry.commit([harvester.entry for harvester in done])
        except StateError as error:
            log.debug("%s", error)
            return
        for harvester in done:
            harvester.entry.open = False
            del self._files[harvester.entry.file]
        gone = set(map(id, done))
        self._vacated = {path: each for path, each in self._vacated.items() if id(each) not in gone}

    def _overdue(self, harvester: Harvester, now: float) -> bool:
        return (
            self._close_removed > 0
            and harvester.removed_since is not None
            and now - harvester.removed_since > self._close_removed
        )

    def _give_up(self, harvester: Harvester) -> None:
        """A deleted file that could not be read in time: what is left of it is lost, and said so."""
        left = harvester.size() - harvester.reader.position
        self.lost += left
        joining.release(harvester)
        harvester.abandon()
        log.error(
            "%s was deleted %.0f s ago and is closed (close.removed): its last %d bytes are lost",
            harvester.path,
            self._close_removed,
            left,
        )

    def _report_truncated(self, harvester: Harvester) -> None:
        left = max(0, harvester.seen_size - harvester.reader.end)
        self.lost += left
        if left:
            log.error("%s was truncated before its last %d bytes were read: they are lost", harvester.path, left)
        else:
            log.info("%s was truncated or replaced: it is read from its beginning", harvester.path)

    # --- making room, forgetting -----------------------------------------------------------------------------------

    def _room(self) -> bool:
        return len(self.harvesters) < self._open_files or self._make_room()

    def _make_room(self) -> bool:
        """Close some of those that have nothing to read, the quietest first; whether there were any."""
        idle = sorted((h for h in self.harvesters if not h.truncated and self._is_read(h)), key=lambda h: h.quiet_since)
        self._close(idle[: max(1, self._open_files // 2)])
        return len(self.harvesters) < self._open_files

    def _remember(self, found: list[Found], present: set[_Node]) -> None:
        """Keep in mind what is there, and until when it was there."""
        for known in (self._asleep, self._held, self._suspects):
            for node in known.keys() - present:
                del known[node]
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

    def _clean(self) -> None:
        """Forget files that are gone: deleted ones soon, those that were just not seen after ``clean_inactive``."""
        now = time.time()
        useless = [
            entry
            for entry in self._registry.entries()
            if not entry.open
            and (
                (not entry.inode and now - entry.seen > DETACHED)
                or (self._clean_inactive and now - entry.seen > self._clean_inactive and recognition.displaced(entry))
            )
        ]
        if useless:
            try:
                self._registry.forget_all(useless)
            except StateError as error:
                log.debug("%s", error)


_Node = tuple[int, int]
_EARLY = "too early to tell"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _reason(error: OSError) -> str:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "cannot be read: permission denied; give this user the right to read it"
    return f"cannot be opened: {error.strerror}"
