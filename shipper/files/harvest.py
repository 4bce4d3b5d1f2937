"""The files of one input, and how far each is read: found, recognised, opened, read in turn, closed.

The life of a ``Harvester``: it is made when a scan finds a file that has no other; it reads while there is something to
read; when its file is truncated or replaced it becomes *final* and a new generation takes its place; it is closed when its
file is gone from the input's paths or idle, and nothing of it is on its way any more.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from typing import TYPE_CHECKING

from shipper.errors import StateError
from shipper.files.identity import PREFIX, TAIL, Fingerprint, digest, first_line_key, id_seed
from shipper.files.reader import Reader

if TYPE_CHECKING:
    from parser.multiline import Framer
    from shipper.files.discovery import Discovery, Found
    from shipper.files.reader import Block
    from shipper.state.registry import Entry, Registry

log = logging.getLogger(__name__)

GONE_AFTER = 5.0
"""Seconds without anything new after which a file that left the input's paths is taken for finished."""


class Harvester:
    """One open file: its registry entry and its reader."""

    def __init__(self, path: str, entry: Entry, reader: Reader, seed: bytes) -> None:
        self.path = path
        self.entry = entry
        self.reader = reader
        self.seed = seed
        self.acknowledged = entry.offset
        """How far the outputs have it; the entry follows at the next checkpoint."""
        self._looked = (-1, -1, -1)
        self.final = False
        """The name shows another file now, or none: what is left is read, and then this is closed."""
        self.truncated = False
        self.quiet_since = time.monotonic()
        self.trouble = ""
        """Why it is not read to its end at the moment; empty when all is well."""

    def read(self) -> Block | None:
        """The next block of whole events, or ``None``. Trouble with the file is logged once, and tried again later."""
        if self.truncated:
            return None
        try:
            before = self.reader.end
            block = self.reader.read()
        except OSError as error:
            self.troubled(f"cannot be read: {error.strerror}")
            return None
        if not self.reader.pending:
            self.trouble = ""
        if block is not None or self.reader.end > before:
            self.quiet_since = time.monotonic()
        return block

    def flush(self, registry: Registry, *, lines: bool) -> Block | None:
        """What is left as an event of its own, though its end has not been seen; with ``lines``, whole lines only.

        That it ends there is durable before this returns (invariant 5): after a crash the same event comes out again.
        ``None`` as well where it could not be made durable; logged once, and tried again later.
        """
        offset = self.reader.flush(lines=lines)
        if offset == self.reader.position:
            return None
        try:
            registry.cut(self.entry, offset)
        except StateError as error:
            self.troubled(f"cannot be read to its end: {error}")
            return None
        self.trouble = ""
        self.reader.force(offset)
        return self.reader.read()

    def troubled(self, what: str) -> None:
        """Log once that something is in the way, and keep it for those who ask."""
        if self.trouble != what:
            self.trouble = what
            log.warning("%s %s; trying again", self.path, what)

    def size(self) -> int:
        """How many bytes the file has; of one that was truncated, as many as were read."""
        return self.reader.end if self.truncated else max(os.fstat(self.reader.descriptor).st_size, self.reader.end)

    def at_end(self) -> bool:
        """Whether everything is read that the file has, or ever will have."""
        return self.truncated or self.size() <= self.reader.end

    def changed(self) -> bool:
        """Whether the open file no longer is what was read: shorter than that, or with other content."""
        descriptor, entry = self.reader.descriptor, self.entry
        status = os.fstat(descriptor)
        if status.st_size < self.reader.end:
            return True
        looked = (status.st_size, status.st_mtime_ns, entry.offset)
        if looked != self._looked:  # somebody has written since
            if not fingerprint(entry).matches(descriptor):
                return True
            self._looked = looked
        return False

    def checkpoint(self) -> bool:
        """Move the entry to the acknowledged offset, with the fingerprint that belongs to it; whether that could be done.

        Not where the content has changed: what was acknowledged was of another than would be fingerprinted. ``check``
        makes this harvester a truncated one then, whose fingerprint does not matter any more.
        """
        entry, descriptor = self.entry, self.reader.descriptor
        if not self.truncated:
            try:
                taken = Fingerprint.take(descriptor, self.acknowledged)
                if self.changed():
                    return False
            except OSError as error:
                log.debug("%s: no fingerprint: %s", self.path, error)
                return False
            entry.prefix_length, entry.prefix, entry.tail = taken.prefix_length, taken.prefix, taken.tail
        entry.offset = self.acknowledged
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self.reader.descriptor)
        self.entry.open = False


def fingerprint(entry: Entry) -> Fingerprint:
    """What identified the file when it was last acknowledged."""
    return Fingerprint(entry.prefix_length, entry.prefix, entry.offset, entry.tail)


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
    ) -> None:
        """``limit``: an event is at most so many bytes. ``close_inactive``: seconds after which an idle file is closed."""
        self.harvesters: list[Harvester] = []
        self.unreadable: dict[str, str] = {}
        """Paths that were asked for and cannot be read, and why."""
        self._discovery = discovery
        self._registry = registry
        self._framer = framer
        self._host_id = host_id
        self._limit = limit
        self._close_inactive = close_inactive
        self._early: dict[str, int] = {}
        """Files whose first line is not complete yet, and their sizes."""
        self._asleep: dict[tuple[int, int], tuple[int, float]] = {}

    def folders(self) -> set[str]:
        """Where files of this input may appear."""
        return self._discovery.folders()

    def scan(self, *, partial: bool = False) -> None:
        """Look for files that have come, changed or gone.

        ``partial``: open a file too whose first line is not complete yet (a one-shot run reads what is there).
        """
        found, unreadable = self._discovery.scan()
        troubles = dict(unreadable)
        # One that an earlier look missed, because it was being renamed, is taken up again.
        open_files = {(h.entry.device, h.entry.inode): h for h in self.harvesters if not h.truncated}
        present = set()
        self._early.clear()
        for file in found:
            node = (file.device, file.inode)
            present.add(node)
            harvester = open_files.get(node)
            if harvester is not None:
                harvester.path = harvester.entry.path = file.shown
                harvester.final = False
            elif self._asleep.get(node) != (file.size, file.modified):
                self._asleep.pop(node, None)
                try:
                    opened = self._open(file, partial=partial)
                except OSError as error:
                    troubles[file.path] = _reason(error)
                except StateError as error:
                    troubles[file.path] = f"cannot be begun: {error}"
                else:
                    if isinstance(opened, str):
                        troubles[file.path] = opened
                    elif opened is not None:
                        self.harvesters.append(opened)
                    else:
                        self._early[file.path] = file.size
        for node, harvester in open_files.items():
            # A look that failed is no proof that a file is gone.
            if node not in present and harvester.path not in troubles:
                harvester.final = True
        for node in self._asleep.keys() - present:
            del self._asleep[node]
        for path, reason in troubles.items():
            if self.unreadable.get(path) != reason:
                log.warning("%s %s", path, reason)
        self.unreadable = troubles

    def check(self) -> bool:
        """Look whether a file was truncated or written anew, or one that was too short has grown: a scan opens it then."""
        found = any(_size(path) != size for path, size in self._early.items())
        for harvester in self.harvesters:
            try:
                changed = not harvester.truncated and harvester.changed()
            except OSError as error:
                harvester.troubled(f"cannot be looked at: {error.strerror}")
                continue
            if changed:
                log.info("%s was truncated or replaced: it is read from its beginning", harvester.path)
                harvester.truncated = harvester.final = found = True
        return found

    def close_idle(self) -> None:
        """Close what is read to its end, long enough ago, and acknowledged; nothing of it is on its way then."""
        now = time.monotonic()
        for harvester in list(self.harvesters):
            idle = now - harvester.quiet_since
            finished = harvester.final and (harvester.truncated or idle > GONE_AFTER)
            if not finished and idle <= self._close_inactive:
                continue
            try:
                if (
                    harvester.reader.pending
                    or harvester.entry.offset < harvester.reader.position
                    or not harvester.at_end()
                ):
                    continue
                status = os.fstat(harvester.reader.descriptor)
                if finished and (harvester.truncated or status.st_nlink == 0):
                    self._registry.forget(harvester.entry)
            except (OSError, StateError) as error:
                harvester.troubled(f"cannot be closed: {error}")
                continue
            harvester.close()
            self.harvesters.remove(harvester)
            if not finished:
                # As far as it was read: what has been written since wakes it.
                self._asleep[status.st_dev, status.st_ino] = (harvester.reader.end, status.st_mtime)

    def close(self) -> None:
        """Close every file."""
        for harvester in self.harvesters:
            harvester.close()
        self.harvesters.clear()

    def _open(self, file: Found, *, partial: bool) -> Harvester | str | None:
        """The harvester of a file, why it cannot have one, or ``None`` where it is too early to tell."""
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            head = os.pread(descriptor, PREFIX, 0)
            reason = _not_text(head)
            if reason is None and head and (partial or b"\n" in head or len(head) == PREFIX):
                entry = self._recognise(descriptor, status, file, head)
                if isinstance(entry, str):
                    os.close(descriptor)
                    return entry
                reader = Reader(
                    descriptor,
                    self._framer,
                    offset=entry.offset,
                    forced=self._registry.cuts(entry),
                    limit=self._limit,
                )
                entry.open = True
                return Harvester(file.shown, entry, reader, id_seed(self._host_id, entry.salt, entry.key))
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return reason

    def _recognise(self, descriptor: int, status: os.stat_result, file: Found, head: bytes) -> Entry | str:
        """The entry of the open file, by its content; inode and name are hints (invariant 4). A new one where none is.

        A file that was copied or restored has another inode, and another device after some reboots. It is taken for the
        one whose place is empty now, unless the content might be chance: rather twice than lost.
        """
        key = first_line_key(head)
        elsewhere = []
        for entry in self._registry.entries():
            here = (entry.device, entry.inode) == (status.st_dev, status.st_ino)
            if not here:
                elsewhere.append(entry)
            elif fingerprint(entry).matches(descriptor):
                if entry.open:
                    return "is read by another input already: name it in one of them only"
                entry.path = file.shown
                return entry
            elif not entry.open:
                # An inode has one content: what was there is gone, and must not be taken for it some day.
                self._registry.forget(entry)
        for entry in elsewhere:
            if entry.key == key and not entry.open and _left(entry) and _surely(fingerprint(entry), descriptor):
                entry.device, entry.inode, entry.path = status.st_dev, status.st_ino, file.shown
                return entry
        return self._registry.register(
            key=key,
            path=file.shown,
            device=status.st_dev,
            inode=status.st_ino,
            prefix_length=len(head),
            prefix=digest(head),
        )


def _left(entry: Entry) -> bool:
    """Whether the file of an entry is no longer where it was."""
    try:
        status = os.stat(entry.path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return (status.st_dev, status.st_ino) != (entry.device, entry.inode)


def _surely(known: Fingerprint, descriptor: int) -> bool:
    """Whether the content proves that it is the same file: two kilobytes of it, and lines that are not all alike."""
    if known.offset <= PREFIX + TAIL or not known.matches(descriptor):
        return False
    lines = os.pread(descriptor, TAIL, known.offset - TAIL).splitlines()[1:]
    return len(lines) == len(set(lines))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def _not_text(head: bytes) -> str | None:
    if head.startswith(b"\x1f\x8b"):
        return "is packed with gzip: unpack it first"
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is a binary file (it has NUL bytes at its beginning), not a log"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is UTF-16: only UTF-8 can be read; convert it with iconv"
    return None


def _reason(error: OSError) -> str:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "cannot be read: permission denied; give this user the right to read it"
    return f"cannot be opened: {error.strerror}"
