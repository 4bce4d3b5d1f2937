"""The files of one input, and how far each is read: found, recognised, opened, read in turn, closed.

The life of a ``Harvester``: it is made when a scan finds a file that has no other (``opening``, ``matching``); it reads while
there is something to read; when its file is truncated or replaced it becomes *final*, goes on with the copy that was made
before, if there is one, and a new generation takes its place; it is closed when it is read to its end and idle,
or nobody can write to it any more (``closing``). What of it is on its way then keeps its place in memory until it is
acknowledged (``opened``), and what is gone is forgotten in the end (``forgetting``).
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from shipper.files import joining
from shipper.files.closing import LOOKS, QUIET, Closing
from shipper.files.forgetting import Forgetting
from shipper.files.matching import Matching
from shipper.files.opened import Opened, is_read
from shipper.files.opening import Opening

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipper.files.discovery import Discovery, Found
    from shipper.files.harvester import Harvester
    from shipper.files.opened import Node
    from shipper.files.options import Options
    from shipper.files.reader import Block
    from shipper.state.registry import Entry, Registry

log = logging.getLogger(__name__)

EVERY = 500
"""Open files that are looked at in each round; of more than that, the quiet ones take turns."""


class Harvest:
    """All files of one input. Used by the agent's main thread only."""

    def __init__(self, discovery: Discovery, registry: Registry, options: Options) -> None:
        self._discovery = discovery
        self._registry = registry
        self._opened = Opened(registry, options)
        self._matching = Matching(self._opened)
        self._closing = Closing(self._opened)
        self._opening = Opening(self._opened, self._matching, self._closing)
        self._forgetting = Forgetting(registry)
        self._failed: dict[str, str] = {}
        self._told: Mapping[str, str] = {}
        self._turn = 0

    # --- where it stands -----------------------------------------------------------------------------------------

    @property
    def harvesters(self) -> list[Harvester]:
        """Those that are open."""
        return self._opened.harvesters

    @property
    def lost(self) -> int:
        """Bytes of files that were closed or truncated before they were read, as far as that is known."""
        return self._closing.lost

    @property
    def unreadable(self) -> dict[str, str]:
        """Paths that were asked for and cannot be read, or not to their ends, and why."""
        return {**self._failed, **self._opening.troubles, **self._opening.archives.troubles()}

    def at_their_ends(self) -> tuple[int, int]:
        """How many files are closed because they are read to their ends, and their bytes."""
        asleep = self._opened.asleep
        return len(asleep), sum(size for size, _ in asleep.values())

    def harvester(self, file: int) -> Harvester | None:
        """The harvester of an entry, also while what it has read is on its way only."""
        return self._opened.by_file.get(file)

    def held(self) -> list[Harvester]:
        """All that are open, or of which something is on its way."""
        return list(self._opened.by_file.values())

    def through(self, harvester: Harvester) -> bool:
        """Whether all that the file has is read and acknowledged."""
        return is_read(harvester) and harvester.settled() and not harvester.truncated and not harvester.trouble

    def folders(self) -> set[str]:
        """Where files of this input may appear."""
        return self._discovery.folders()

    def found(self) -> list[Found]:
        """The files that are asked for and there now."""
        return self._discovery.scan()[0]

    # --- looking and reading ---------------------------------------------------------------------------------------

    def scan(self, *, partial: bool = False) -> None:
        """Look for files that have come, changed or gone.

        ``partial``: open a file too whose first line is not complete yet (a one-shot run reads what is there).
        """
        found, unreadable = self._discovery.scan()
        self._failed = dict(unreadable)
        # One that an earlier look missed, because it was being renamed, is taken up again.
        nodes = {(h.entry.device, h.entry.inode): h for h in self.harvesters if not h.truncated}
        present: set[Node] = set()
        self._matching.look(present)
        self._opening.look(partial=partial)
        for file in found:
            node = (file.device, file.inode)
            present.add(node)
            if (harvester := nodes.get(node)) is not None:
                self._opened.renamed(harvester, file.path)
            else:
                self._opening.found(file)
        self._opening.begin()
        self._missing(nodes, present)
        self._closing.report_truncated(self._opening.undecided(), last=partial)
        self._opening.link()
        self._opening.archives.keep(present)
        self._matching.keep(present)
        self._opened.keep(present)
        self._forgetting.seen(found)
        self._tell()

    def check(self) -> bool:
        """Look whether a file was truncated or written anew, or one that was too short has grown: a scan opens it then."""
        found = self._opening.grown()
        for harvester in self._due(advance=False):
            harvester.look()
            found |= harvester.truncated and harvester.looks < LOOKS
        return found

    def reading(self) -> list[Harvester]:
        """Those that are to be asked for a block in this round: all but some of the quiet ones, where there are many."""
        return self._due(advance=True)

    def work(self) -> bool:
        """What a scan has left to do: unpack a slice of an archive, open what had no room; whether there was anything."""
        busy = self._opening.work()
        if busy:
            self._tell()  # at once: a one-shot run has no other look
        return busy

    def end_of(self, harvester: Harvester, *, waited: bool) -> Block | None:
        """The last event of a file whose name another has taken over, which may go on there; ``None`` while it is not known."""
        try:
            return joining.end_of(harvester, self._opened, self._opening.unread, waited=waited)
        except OSError as error:
            harvester.troubled(f"cannot be read to its end: {error.strerror}")
            joining.release(harvester)
            return None

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

    def _missing(self, nodes: dict[Node, Harvester], present: set[Node]) -> None:
        troubles = {**self._failed, **self._opening.troubles}
        failed = tuple(f"{path}/" for path in troubles)
        for node, harvester in nodes.items():
            # A look that failed is no proof that a file is gone.
            path = harvester.entry.path
            if node in present or path in troubles or path.startswith(failed):
                continue
            if not harvester.final:
                harvester.final = True
                self._opened.vacated.setdefault(harvester.path, harvester)
            if harvester.removed_since is None and not harvester.truncated:
                try:
                    removed = os.fstat(harvester.reader.content.descriptor).st_nlink == 0
                except OSError:
                    continue
                harvester.removed_since = time.monotonic() if removed else None

    def _tell(self) -> None:
        """Log what is new of that which cannot be read."""
        now = self.unreadable
        for path, reason in now.items():
            if self._told.get(path) != reason:
                log.warning("%s %s", path, reason)
        self._told = now

    # --- closing -----------------------------------------------------------------------------------------------------

    def close_idle(self, shipped: float = 0.0) -> None:
        """Close what is read to its end, long enough ago. ``shipped``: when anything was read last, of any input."""
        self._closing.close_idle(shipped)
        self._forgetting.clean(self._opened.options.clean_inactive)

    def at_rest(self) -> list[Entry]:
        """The entries of files that are read and acknowledged to their ends, marked so: they need no look until they change."""
        return self._closing.at_rest()

    def close(self) -> None:
        """Close every file."""
        self._opened.close()
        self._opening.archives.close()

    # --- other settings while files are open (reload) ----------------------------------------------------------------

    def configure(self, discovery: Discovery, options: Options) -> None:
        """Go on with other settings. Open files stay open, and are read on where they are."""
        self._discovery = discovery
        self._opened.configure(options)

    def hand_over(self, harvester: Harvester, other: Harvest) -> None:
        """Another input reads it from now on."""
        self._opened.hand_over(harvester, other._opened)

    def drop(self, harvester: Harvester) -> None:
        """Read nothing more of a file that is not asked for any more; what is on its way is waited for."""
        joining.release(harvester)
        harvester.reader.forget()
        harvester.close()
        self._opened.leave(harvester)

    def adopt(self, path: str, descriptor: int) -> None:
        """Take up an open file that no look would find: rotated away, or deleted. The descriptor is this one's now."""
        self._opening.adopt(path, descriptor)
