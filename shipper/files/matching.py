"""Which entry of the registry a file is of, among all of them; and copies that wait beside their originals.

Each entry has one content, and each inode one entry: what an inode's entry was before is detached from it, and can still be
found elsewhere. ``recognition`` has the rules by which one file is an entry's; here they are asked in turn.

The life of a copy: it is *held* as long as nothing can be missed that it has, which is so where

- the original is there, in its place or open, and all that the copy has is acknowledged;
- or the original is open and has as many bytes; and it is the file that the copy was compared with, or a copy that had as many;
- or the original is gone, and more was read of it than the copy has: then nothing will come of it either.

Else it becomes a *suspect*: it is looked at again, the longest first, and what was not read is read from it. Written to, it is
compared again, for a large copy takes its time. The original may be another input's: the harvester moves with the copy.
A copy that has less than is acknowledged of what is gone is a file of its own from then on, read to its end; what is known
of the original stays as it is, for the copy that has the rest.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from shipper.files import recognition
from shipper.files.closing import GONE_AFTER
from shipper.files.harvester import fingerprint
from shipper.files.identity import Fingerprint, digest, tail_of
from shipper.files.writers import is_written
from shipper.state.registry import Copy

if TYPE_CHECKING:
    from shipper.files.content import Content
    from shipper.files.discovery import Found
    from shipper.files.harvester import Harvester
    from shipper.files.opened import Node, Opened
    from shipper.files.recognition import Candidate
    from shipper.state.registry import Entry

HELD = 10.0
"""Seconds for which a file waits that looks like a copy beside its original, where that may be chance."""
CROWD = 1000
"""Files with the same first line, above which a new one is not compared with each that is in its place."""
TAKEN = "is read by another input already: name it in one of them only"


class Held(NamedTuple):
    """A file that is not read, because another has its content."""

    file: int
    """The entry that has its content."""
    looked: tuple[int, int]
    """Its size, and when it was written."""
    until: float = float("inf")
    copy: Copy | None = None
    """Where that is certain."""
    original: Node | None = None
    """The file of the entry when they were compared; ``None``: not since the start."""


class Matching:
    """For the files of one input."""

    def __init__(self, opened: Opened) -> None:
        self.held: dict[Node, Held] = {}
        self._opened = opened
        self._registry = opened.registry
        self._suspects: dict[Node, int] = {}
        self._present: set[Node] = set()
        self._adrift: dict[bytes, list[Entry]] = {}

    def look(self, present: set[Node]) -> None:
        """These files are there now; the set is filled as they are found."""
        self._present = present
        self._adrift.clear()

    def keep(self, present: set[Node]) -> None:
        """Forget what was held of all others."""
        for known in (self.held, self._suspects):
            for node in known.keys() - present:
                del known[node]

    def holds(self, file: Found) -> bool:
        """Whether a file is held, still; where it is not any more, it is a suspect."""
        node = (file.device, file.inode)
        held = self.held.get(node)
        if held is None:
            return False
        entry = self._registry.entry(held.file)
        other = self._opened.having(entry) if entry is not None else None
        truncated = other is not None and other.truncated
        in_place = entry is not None and not truncated and (entry.open or not recognition.displaced(entry))
        waits = time.monotonic() < held.until
        if entry is not None and held.looked == (file.size, file.modified):
            if held.copy is None and in_place and waits:
                return True
            if held.copy is not None and (
                self._has_all(entry, other, held) if in_place else self._is_read(entry, other, held.copy, file)
            ):
                return True
        del self.held[node]
        if not (in_place and waits):  # else it is still being copied, or goes its own way: that is to be told anew
            self._suspects[node] = held.file
        return False

    def remembers(self, file: Found) -> bool:
        """Whether a file that was held before a restart is held again."""
        node = (file.device, file.inode)
        copy = self._registry.copy(*node)
        if copy is None or (copy.size, copy.modified) != (file.size, file.modified):
            return False
        self.held[node] = Held(copy.file, copy[:2], copy=copy)
        if not self.holds(file):
            return False
        self._suspects.pop(node, None)
        return True

    def _has_all(self, entry: Entry, other: Harvester | None, held: Held) -> bool:
        """Whether all that a copy has is acknowledged, or in the entry's file, which is there."""
        assert held.copy is not None
        count = held.copy.offset
        if count <= entry.offset:
            return True
        if other is None or count > other.size():
            return False
        place = (entry.device, entry.inode)
        one = self._registry.copy(*place)  # it may have been a copy itself
        compared = one is not None and (one.file, one.born) == (entry.file, entry.born) and count <= one.offset
        return compared or held.original == place

    def _is_read(self, entry: Entry, other: Harvester | None, copy: Copy, file: Found) -> bool:
        """Whether more was read of an original that is gone than its copy has."""
        if other is not None:
            return copy.offset < other.reader.end
        if copy.offset >= entry.offset:
            return False
        if entry.file not in self._registry.undelivered():  # else it may be needed yet
            self._registry.settle_copy(entry.key, file.path, file.device, file.inode, copy)
            del self.held[file.device, file.inode]
        return True

    def here(self, candidate: Candidate) -> Entry | str | None:
        """The entry under the file's inode whose file it is; text: why it is not to be read. Others are detached."""
        same: Entry | None = None
        for entry in self._registry.at(candidate.file.device, candidate.file.inode):
            other = self._opened.by_file.get(entry.file)
            gone = other is not None and (other.truncated or not other.holds(candidate.content))
            own = not gone and recognition.is_same(entry, candidate.content, candidate.born)
            own = own and not self._is_contradicted(entry, candidate.content)
            if same is None and own:
                if entry.open and other is None:
                    return TAKEN
                same = entry
                entry.born = candidate.born
            elif not entry.open or other is not None:
                self._opened.detach(entry)
                self._registry.commit([entry])
        return same

    def elsewhere(self, candidate: Candidate, *, certain: bool) -> Entry | None:
        """The entry whose file a new one is. Where another has its content, for now, it is held.

        ``certain``: not where that may be chance.
        """
        file = candidate.file
        node = (file.device, file.inode)
        own: Entry | None = None
        held: Held | None = None
        suspected = self._suspects.get(node)
        for entry in self._alike(candidate):
            other = self._opened.having(entry)
            if other is not None:
                other.look()  # it may have been truncated since, and written to as far as it was before
            if other is not None and other.truncated:
                packed = entry.path == file.path and candidate.content.packed
                if not packed and not recognition.related(entry.path, file.path):
                    continue
                if other.holds(candidate.content):
                    return entry
                if recognition.is_later(entry, candidate) and other.covers(candidate.content):
                    held = _copied(entry, candidate)
            elif recognition.displaced(entry) or (other is None and recognition.overwritten(entry, candidate)):
                relation = _relation(other, candidate) if other is not None and not other.closed else None
                if relation == "copy":
                    held = _copied(entry, candidate)
                if relation in {"copy", "another"}:
                    continue
                same = (
                    relation == "same"
                    or recognition.is_moved(entry, candidate)
                    or (suspected == entry.file and fingerprint(entry).matches(candidate.content))
                )
                if not same or self._is_contradicted(entry, candidate.content):
                    if held is None and self._is_copy_moved(entry, candidate):
                        held = _copied(entry, candidate)
                    continue
                if own is None or entry.offset > own.offset:
                    own = entry
            elif held is None:
                opened = other.reader.content if other is not None and not other.closed else None
                copy = recognition.is_copy(entry, candidate, opened)
                if copy:
                    held = _copied(entry, candidate)
                elif copy is None and not certain and suspected != entry.file:
                    held = Held(entry.file, (file.size, file.modified), time.monotonic() + HELD)
        self._suspects.pop(node, None)
        if own is not None and held is not None and held.copy is not None and held.copy.offset > own.offset:
            own = None  # they begin alike: what is known of the one is less than what the other has
        if own is not None and (other := self._opened.having(own)) is not None and not _is_left(other, candidate):
            # What is open is read first; each look asks anew whether it has been.
            held = Held(own.file, (file.size, file.modified), time.monotonic())
            own = None
        if own is None and held is not None:
            self.held[node] = held
            if held.copy is not None:
                self._registry.keep_copy(*node, held.copy)
        return own

    def _is_contradicted(self, entry: Entry, content: Content) -> bool:
        """Whether a file has not what a copy of an entry's has: that may be more than is acknowledged, which may be a banner only."""
        copies = [copy for copy in self._registry.copies(entry) if entry.offset < copy.offset <= content.size()]
        return not all(fingerprint(copy).matches(content) for copy in copies)

    def _is_copy_moved(self, entry: Entry, candidate: Candidate) -> bool:
        """Whether a file is what was a copy of an entry's, which had less than is acknowledged: renamed, packed."""
        content = candidate.content
        return any(
            copy.offset == content.size() < entry.offset and fingerprint(copy).matches(content)
            for copy in self._registry.copies(entry)
        )

    def _alike(self, candidate: Candidate) -> list[Entry]:
        """The entries that may be of the same file, by its beginning."""
        found = []
        digests: dict[int, bytes] = {}
        for entry in self._like(candidate.key):
            length = entry.prefix_length
            if length <= len(candidate.head):
                if length not in digests:
                    digests[length] = digest(candidate.head[:length])
                if length and digests[length] != entry.prefix:
                    continue
            elif not candidate.content.packed and not recognition.related(entry.path, candidate.file.path):
                continue
            found.append(entry)
        return found

    def _like(self, key: bytes) -> list[Entry]:
        """Those that begin with the same line; where that is a crowd, only those whose files are not in their places."""
        entries = self._registry.like(key)
        if len(entries) <= CROWD:
            return entries
        if key not in self._adrift:
            self._adrift[key] = [e for e in entries if (e.device, e.inode) not in self._present]
        return self._adrift[key]


def _is_left(other: Harvester, candidate: Candidate) -> bool:
    """Whether nothing more is to come in a harvester's own file, so that it goes on in another that has the same content.

    Not so while somebody may write to it, who was not told that it was moved away; where that cannot be told: until only the
    other has grown.
    """
    content, copy = other.reader.content, candidate.content
    if other.closed:
        return True
    if copy.packed or content.packed or not (other.at_end() and other.holds(copy)):
        return False
    grown = copy.size() > other.reader.end and time.monotonic() - other.quiet_since > GONE_AFTER
    return grown or not is_written(content.descriptor)


def _relation(other: Harvester, candidate: Candidate) -> Literal["copy", "same", "another"] | None:
    """What a file is of one that is open still, though its place is empty; ``None``: the entry has to tell.

    It is the same where all that the one has stands in it, by samples, and that is not so little that any file may hold it.
    """
    opened, content = other.reader.content, candidate.content
    try:
        if opened.packed:  # to go back in it is to unpack it anew
            begins = other.head[: len(candidate.head)] == candidate.head
            return "copy" if begins and recognition.is_of_archive(other.entry, opened, candidate) else None
        agreed = recognition.agree(opened, candidate)
        if agreed and opened.size() >= content.size() and recognition.may_be_copy(other.entry, candidate):
            return "copy"
        same = agreed and other.reader.end > recognition.ENOUGH_READ and other.holds(content)
    except OSError:
        return None
    return "another" if agreed is False else "same" if same else None


def _copied(entry: Entry, candidate: Candidate) -> Held:
    """A file that holds the beginning of an entry's content. Raises ``OSError``."""
    looked = (candidate.file.size, candidate.file.modified)
    head, size = candidate.head, candidate.content.size()
    # Of the head that is known already: to go back to it is to unpack an archive anew.
    known = Fingerprint(len(head), digest(head), size, digest(tail_of(candidate.content, size)))
    copy = Copy(*looked, candidate.born, entry.file, *known)
    return Held(entry.file, looked, copy=copy, original=(entry.device, entry.inode))
