"""An event that a rotation has split: it begins at the end of one file and ends at the beginning of the next.

Invariant 5: such an event carries two spans, settled together. It is joined only where the next file is known to be the
one that took the name over, and where the framer says that its first lines go on with the event before. That it is joined,
and how far, is durable before it is sent; after a crash the same event comes out again, with the same id. Where the next
file is not known, or the event before has been sent already, its first lines are an event of their own.

The next file's first lines wait until this is decided; nothing else of it is read before, for that is behind them.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING

from parser.multiline import Lines
from shipper.errors import StateError
from shipper.files.recognition import related

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parser.multiline import Framer
    from shipper.files.harvester import Harvester
    from shipper.files.reader import Block, Reader
    from shipper.state.registry import Registry

log = logging.getLogger(__name__)

PROBE = 1 << 20
"""Bytes of the next file in which the end of the event is looked for."""


def link(begun: Iterable[Harvester], vacated: dict[str, Harvester], framer: Framer) -> None:
    """Tell those that have just been begun whose names they have taken over.

    ``vacated``: who had a name before. Where several files have come since, the order of their births is theirs.
    """
    if isinstance(framer, Lines):
        return
    fresh = sorted(begun, key=lambda harvester: harvester.entry.born)
    names = [(before, each) for each in fresh if (before := vacated.pop(each.path, None)) is not None]
    # A rotation vacates every name it shifts: the log's is that which was left by the youngest.
    for before, newest in sorted(names, key=lambda pair: pair[0].entry.born, reverse=True):
        if before.truncated or not _may_follow(before, newest):
            continue
        others = [each for each in fresh if related(each.path, newest.path)]
        if others and not all(each.entry.born for each in (before, newest, *others)):
            continue  # which of them was the first is not known
        chain = [*(each for each in others if _is_between(before, each, newest)), newest]
        # One that is closed was read to its end, and nothing of it waits for more.
        for earlier, following in pairwise(chain if before.closed else [before, *chain]):
            earlier.successor, following.predecessor = following, earlier


def _is_between(before: Harvester, harvester: Harvester, newest: Harvester) -> bool:
    """Whether one has come after the one and before the other, and is in its place: going on with a copy, it was there before.

    A log that is copied and truncated is older than its copies.
    """
    first, born, last = before.entry.born, harvester.entry.born, newest.entry.born
    return (born <= last or last <= first < born) and harvester.successor is None and _may_follow(before, harvester)


def _may_follow(before: Harvester, harvester: Harvester) -> bool:
    """Whether nobody follows the one, and the other follows nobody: not the one either, for none of a circle would be read."""
    last = harvester
    while last.successor is not None:
        last = last.successor
    return before.successor is None and harvester.predecessor is None and last is not before


def resume(
    begun: Iterable[Harvester],
    registry: Registry,
    harvester: Callable[[int], Harvester | None],
    beginning: Callable[[int, int], bytes],
) -> None:
    """Take up what was joined before a restart. ``beginning`` gives the first bytes of an entry's file, where it can."""
    for each in begun:
        joined = registry.joined(each.entry)
        if joined is None:
            continue
        following, entry = harvester(joined.next), registry.entry(joined.next)
        if entry is None or (following is None and entry.offset < joined.until):
            continue
        if following is not None and following.reader.position != entry.offset:
            continue  # it was begun without
        borrowed = beginning(joined.next, joined.until)
        if len(borrowed) == joined.until:
            each.reader.join(joined.offset, borrowed)
            if following is not None and entry.offset < joined.until:
                following.begin_at(joined.until)
                each.joined = joined


def release(harvester: Harvester) -> None:
    """Let the next file be read: what it begins with is its own."""
    following, harvester.successor = harvester.successor, None
    if following is not None:
        following.predecessor = None


def end_of(harvester: Harvester, framer: Framer, registry: Registry, limit: int, *, waited: bool) -> Block | None:
    """The last event of a file that has a successor, as soon as its end is known or has been ``waited`` for.

    ``None`` while it is not. Raises ``OSError``.
    """
    following = harvester.successor
    assert following is not None
    if harvester.trouble or following.trouble or following.truncated or harvester.truncated or harvester.closed:
        release(harvester)
        return None
    tail = harvester.reader.tail
    charset = harvester.reader.charset
    if tail and not charset.ends(tail, harvester.reader.position):
        if not harvester.at_end() or not waited:
            return None
        release(harvester)
        return harvester.flush(registry, lines=False)
    probe = following.reader.content.read(max(0, min(PROBE, limit - len(tail))), 0)
    if following.changed():  # truncated meanwhile: what was probed may be another's
        following.truncated = following.final = True
        release(harvester)
        return None
    whole = probe[: charset.whole(probe, 0)]
    # The writer is done with the one before once it has begun the next: what comes last of it is there by now.
    if not harvester.at_end() or (not whole and not waited):
        return None
    until = _until(harvester.reader, framer, whole, waited=waited or len(probe) >= PROBE)
    if until is None:
        return None
    if until == 0 or not tail:
        release(harvester)
        return harvester.flush(registry, lines=False)
    try:
        registry.join(harvester.entry, harvester.reader.end, following.entry, until)
    except StateError as error:
        harvester.troubled(f"cannot be read to its end: {error}")
        return None
    harvester.joined = registry.joined(harvester.entry)
    harvester.reader.force(harvester.reader.end)
    harvester.reader.join(harvester.reader.end, whole[:until])
    following.begin_at(until)
    release(harvester)
    return harvester.read()


def _until(reader: Reader, framer: Framer, whole: bytes, *, waited: bool) -> int | None:
    """How much of the next file goes on with the event at the end of this; ``None`` where more must come to tell."""
    tail, charset = reader.tail, reader.charset
    # A byte order mark is no part of the first line: it would hide what that begins with.
    mark = len(charset.mark) if whole.startswith(charset.mark) else 0
    cuts = charset.cuts(framer, tail + whole[mark:], reader.position)
    if cuts:
        return cuts[0] - len(tail) + mark if cuts[0] > len(tail) else 0
    return len(whole) if waited else None
