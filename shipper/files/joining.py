"""An event that a rotation has split: it begins at the end of one file and ends at the beginning of the next.

Invariant 5: such an event carries two spans, settled together. That it is joined, and how far, is durable before it is sent;
after a crash the same event comes out again, with the same id. The rules:

- A file *follows* another whose name it has taken over, and was never read before. Where files of that log have come between,
  each follows the one that was born before it. Where that is not known for certain (an archive is as old as its packing, one
  of them is not read yet) nothing is joined: rather two events than a wrong one.
- What follows waits. Nothing of it is read before it is decided where it begins; where that is behind the end of the event,
  before that event was read. So its spans stand in the ledger in their order, and no offset passes the end of an event that
  is not acknowledged.
- A file has one joint at a time: until it is acknowledged there is no other, and nothing else follows.
- After a restart one half waits for the other, up to ``WAIT``: that may be an archive that is verified first, or be found by
  a later look.

Where the event before has been sent already, the next file's first lines are an event of their own.
"""

from __future__ import annotations

import logging
import os
import re
import time
from itertools import pairwise
from typing import TYPE_CHECKING

from parser.multiline import Lines
from shipper.errors import StateError
from shipper.files.recognition import family, related

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from parser.multiline import Framer
    from shipper.files.harvester import Harvester
    from shipper.files.opened import Opened
    from shipper.files.reader import Block, Reader
    from shipper.state.registry import Entry, Join, Registry

log = logging.getLogger(__name__)

PROBE = 1 << 20
"""Bytes of the next file in which the end of the event is looked for."""
WAIT = 30.0
"""Seconds for which one half of an event that was joined before a restart waits for the other."""
_DIGITS = re.compile(r"\d+")


# --- who follows whom ----------------------------------------------------------------------------------------------------


def link(new: Iterable[Harvester], opened: Opened) -> None:
    """Tell those that were not known before whose names they have taken over."""
    if isinstance(opened.options.framer, Lines):
        return
    registry, vacated = opened.registry, opened.vacated
    fresh = {each.entry.file: each for each in new}
    _part(fresh.values(), opened)
    names = [(before, each) for each in fresh.values() if (before := vacated.pop(each.path, None)) is not None]
    gaps = [(before, newest, Gap(before, newest)) for before, newest in names]
    logs = _by_log(registry.entries(), {folder for *_, gap in gaps for folder in gap.folders})
    # A rotation vacates every name it shifts: the log's is that which was left by the youngest.
    for before, newest, gap in sorted(gaps, key=lambda each: each[0].entry.born, reverse=True):
        if before.truncated or before.successor is not None or newest.predecessor is not None or gap.is_shift():
            continue
        between = gap.filled(logs, fresh, opened)
        if between is None or registry.joined(before.entry) is not None:
            continue
        chain = [*between, newest]
        # One that is closed was read to its end, and nothing of it waits for more.
        for earlier, following in pairwise(chain if before.closed else [before, *chain]):
            earlier.joined, earlier.gap = None, gap
            earlier.successor, following.predecessor = following, earlier


def _by_log(entries: Iterable[Entry], folders: Collection[str]) -> dict[tuple[str, ...], list[Entry]]:
    """The entries whose files are in these folders, by folder and log: a rotation of a thousand logs looks at each file once."""
    logs: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries if folders else ():
        folder = os.path.dirname(entry.path)
        if folder in folders:
            logs.setdefault((folder, *family(entry.path)), []).append(entry)
    return logs


def _part(fresh: Collection[Harvester], opened: Opened) -> None:
    """What an earlier look has missed may have come between two files: then the one does not follow the other."""
    for each in list(opened.harvesters) if fresh else ():
        gap = each.gap
        if each.successor is None or each.joined is not None or gap is None:
            continue
        if any(gap.is_of_log(new.entry.path) and gap.may_hold(new.entry, opened) for new in fresh):
            release(each)


class Gap:
    """Between a file and the one that has its name now: what has come in that time."""

    def __init__(self, before: Harvester, newest: Harvester) -> None:
        self._before, self._newest = before.entry, newest.entry
        self._packed = before.reader.content.packed
        self.folders = {os.path.dirname(each.entry.path) for each in (before, newest)}
        name = os.path.basename(newest.entry.path)
        self._stem = os.path.splitext(name)[0] if _numbers(name) else ""
        """What the names of a log begin with that has a number in its own: ``worker-1.log``."""
        # One that has not been renamed, because it is gone, may have had a rotated name itself.
        self._least = _numbers(name) + (before.entry.path != newest.entry.path)

    def is_shift(self) -> bool:
        """Whether the name is none of the log's, but a rotated one that another rotated file had before."""
        before, newest = self._before.path, self._newest.path
        if not related(newest, before) or before == f"{newest}.gz":
            return False
        return _numbers(before) <= _numbers(newest)

    def is_of_log(self, path: str) -> bool:
        """Whether a name may be a rotated one of the log's."""
        folder, name = os.path.split(path)
        if folder not in self.folders or _numbers(name) < self._least or not name.startswith(self._stem):
            return False
        return related(self._newest.path, path)

    def may_hold(self, entry: Entry, opened: Opened) -> bool:
        """Whether a file may have come after the one and before the other.

        A log that is copied and truncated is older than its copies.
        """
        before, newest = self._before, self._newest
        if entry in (before, newest):
            return False
        first, born, last = before.born, entry.born, newest.born
        if self._packed:  # it is as old as its packing: what came since may be older
            return entry.file > before.file
        harvester = opened.having(entry)
        if harvester.reader.content.packed if harvester is not None else entry.path.endswith(".gz"):
            # It is as old as its packing; but what was last written before the one was born is older than that.
            return entry.file > before.file and not 0 < _written(entry, harvester) <= first
        if not (first and born and last):
            return entry.file > before.file
        return first < born <= last or last <= first < born

    def filled(
        self, logs: dict[tuple[str, ...], list[Entry]], fresh: dict[int, Harvester], opened: Opened
    ) -> list[Harvester] | None:
        """The files that have come between, in their order; ``None`` where it is not known which those are."""
        between = []
        name = family(self._newest.path)
        for entry in (each for folder in self.folders for each in logs.get((folder, *name), ())):
            # One that is gone, or packed by now, has the log's own name still.
            of_log = entry.path == self._newest.path or self.is_of_log(entry.path)
            if not (of_log and self.may_hold(entry, opened)):
                continue
            each = fresh.get(entry.file)
            if each is None or each.reader.content.packed or each.successor is not None or each.predecessor is not None:
                return None
            if not (entry.born and self._before.born and self._newest.born):
                return None
            between.append(each)
        return sorted(between, key=lambda each: each.entry.born)


def _numbers(path: str) -> int:
    return len(_DIGITS.findall(os.path.basename(path).removesuffix(".gz")))


def _written(entry: Entry, harvester: Harvester | None) -> int:
    """When a file was last written, in nanoseconds since 1970; 0 where that is not known. ``gzip`` keeps it."""
    if harvester is None or harvester.closed:
        return entry.modified if entry.size >= 0 else 0
    try:
        return os.fstat(harvester.reader.content.descriptor).st_mtime_ns
    except OSError:
        return 0


def release(harvester: Harvester) -> None:
    """Let the next file be read: what it begins with is its own."""
    following, harvester.successor = harvester.successor, None
    if following is None:
        return
    following.predecessor = None
    if harvester.joined is not None:
        harvester.joined = None
        harvester.reader.join(-1, b"")


# --- after a restart -----------------------------------------------------------------------------------------------------


def resume(begun: Iterable[Harvester], opened: Opened) -> list[Harvester]:
    """Take up what was joined before a restart; those that wait for another half are given back, for the next call."""
    halves = [each for each in begun if not each.closed and not each.reader.pending]
    for each in halves:
        joined = opened.registry.joined(each.entry)
        if joined is not None and each.joined is None and each.reader.position < joined.offset:
            _wait(each, missing=_take_up(each, joined, opened))
    _await_beginnings(halves, opened)
    return [each for each in halves if each.awaits]


def _take_up(harvester: Harvester, joined: Join, opened: Opened) -> bool:
    """Go on with a joint; whether it cannot be, because the next file is not there."""
    entry = opened.registry.entry(joined.next)
    if entry is None:
        return False
    following, settled = opened.having(entry), entry.offset >= joined.until
    if following is None and not settled:
        return True
    if following is not None and not settled and (following.reader.end or following.predecessor is not None):
        return False  # it was begun without
    if harvester.reader.content.size() < joined.offset:
        return False  # another file was taken for it: a shorter one that begins the same
    borrowed = opened.beginning(joined.next, joined.until)
    if len(borrowed) != joined.until:
        return following is None
    harvester.reader.join(joined.offset, borrowed)
    if following is not None and not settled:
        release(harvester)
        harvester.joined = joined
        harvester.successor, following.predecessor = following, harvester
    return False


def _await_beginnings(halves: Iterable[Harvester], opened: Opened) -> None:
    """Let those wait that begin with the end of an event whose beginning is not there."""
    unread = [each for each in halves if not each.reader.end and opened.registry.cuts(each.entry)]
    if not unread:
        return
    joints = opened.registry.joints()
    for each in unread:
        if (before := joints.get(each.entry.file)) is not None:
            _wait(each, missing=opened.having(before) is None)


def _wait(harvester: Harvester, *, missing: bool) -> None:
    if not missing:
        harvester.awaits = 0.0
    elif not harvester.awaits:
        harvester.awaits = time.monotonic() + WAIT


# --- the event itself ----------------------------------------------------------------------------------------------------


def end_of(
    harvester: Harvester, opened: Opened, unread: Callable[[], Collection[str]], *, waited: bool
) -> Block | None:
    """The last event of a file that has a successor, as soon as its end is known or has been ``waited`` for.

    ``None`` while it is not. ``unread``: paths of files that are there and not begun. Raises ``OSError``.
    """
    following, registry = harvester.successor, opened.registry
    assert following is not None
    if harvester.joined is not None:
        return _again(harvester, following, registry, waited=waited)
    if harvester.trouble or following.trouble or following.truncated or following.closed:
        release(harvester)
        return None
    if harvester.truncated or harvester.closed or following.reader.end:
        release(harvester)
        return None
    tail = harvester.reader.tail
    charset = harvester.reader.charset
    if tail and not charset.ends(tail, harvester.reader.position):
        if not harvester.at_end() or not waited:
            return None
        release(harvester)
        return harvester.flush(registry, lines=False)
    probe = following.reader.content.read(max(0, min(PROBE, opened.options.limit - len(tail))), 0)
    if following.changed():  # truncated meanwhile: what was probed may be another's
        following.truncated = following.final = True
        release(harvester)
        return None
    whole = probe[: charset.whole(probe, 0)]
    # The writer is done with the one before once it has begun the next: what comes last of it is there by now.
    if not harvester.at_end() or (not whole and not waited):
        return None
    until = _until(harvester.reader, opened.options.framer, whole, waited=waited or len(probe) >= PROBE)
    if until is None:
        return None
    if until and tail:
        gap = harvester.gap
        if gap is None or not any(gap.is_of_log(path) for path in unread()):
            return _join(harvester, following, whole[:until], registry)
        if not waited:
            return None
    release(harvester)
    return harvester.flush(registry, lines=False)


def _join(harvester: Harvester, following: Harvester, borrowed: bytes, registry: Registry) -> Block | None:
    """Make it durable that the event goes on with what is borrowed of the next file, and read it."""
    end = harvester.reader.end
    if registry.joined(harvester.entry) is not None:  # another, which is on its way
        release(harvester)
        return harvester.flush(registry, lines=False)
    try:
        registry.join(harvester.entry, end, following.entry, len(borrowed))
    except StateError as error:
        harvester.troubled(f"cannot be read to its end: {error}")
        return None
    harvester.joined = registry.joined(harvester.entry)
    harvester.reader.force(end)
    harvester.reader.join(end, borrowed)
    return harvester.read()


def _again(harvester: Harvester, following: Harvester, registry: Registry, *, waited: bool) -> Block | None:
    """What is joined and was not read yet: a restart came between, or trouble."""
    block = None
    if harvester.given_up:
        block = harvester.flush(registry, lines=False)
        if harvester.reader.pending:
            return block
    elif not (harvester.closed or following.closed or (harvester.trouble and waited)):
        block = harvester.read()
        if block is not None or harvester.trouble or not (waited and harvester.at_end()):
            return block
    release(harvester)
    return block


def _until(reader: Reader, framer: Framer, whole: bytes, *, waited: bool) -> int | None:
    """How much of the next file goes on with the event at the end of this; ``None`` where more must come to tell."""
    tail, charset = reader.tail, reader.charset
    # A byte order mark is no part of the first line: it would hide what that begins with.
    mark = len(charset.mark) if whole.startswith(charset.mark) else 0
    cuts = charset.cuts(framer, tail + whole[mark:], reader.position)
    if cuts:
        return cuts[0] - len(tail) + mark if cuts[0] > len(tail) else 0
    return len(whole) if waited else None
