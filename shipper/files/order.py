"""In which order files are begun that are not known: the oldest first, but each behind the one of which it is a copy.

So it is known that what the copy has is read in the original (``recognition.is_copy``). The original may be the younger one,
where the copy has kept its time. Before all others come those that were copies of what is gone, the longest first: in that
goes on what was read of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shipper.files.birth import born
from shipper.files.identity import PREFIX, TAIL
from shipper.files.recognition import family, is_rotated, rotations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipper.files.discovery import Found
    from shipper.state.registry import Registry


class Order:
    """Of one input's files. Thousands may wait for room from look to look: what was compared is not read again."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._compared: dict[tuple[Found, Found], bool] = {}

    def of(self, files: list[Found]) -> list[Found]:
        """The files in their order."""
        by_age = sorted(files, key=lambda file: (file.modified, file.path))
        return sorted(self._originals_first(by_age), key=self._copied, reverse=True)

    def _originals_first(self, files: list[Found]) -> list[Found]:
        families: dict[tuple[str, ...], list[int]] = {}
        for at, file in enumerate(files):
            families.setdefault((os.path.dirname(file.path), *family(file.path)), []).append(at)
        known, self._compared = self._compared, {}
        before: dict[int, int] = {}
        for places in families.values():
            own = min(places, key=lambda at: rotations(files[at].path))
            older = (at for at in places if at < own and self._begins(files[at], files[own], known))
            if (first := next(older, None)) is not None:
                before[own] = first
        order = sorted(range(len(files)), key=lambda at: (before.get(at, at), at not in before))
        return [files[at] for at in order]

    def _begins(self, copy: Found, original: Found, known: Mapping[tuple[Found, Found], bool]) -> bool:
        pair = copy, original
        self._compared[pair] = known[pair] if pair in known else _is_beginning(copy, original)
        return self._compared[pair]

    def _copied(self, file: Found) -> int:
        """How many bytes a file has of another, as far as that is known; -1 where it is no copy, or no more."""
        copy = self._registry.copy(file.device, file.inode)
        if copy is None:
            return -1
        if (copy.size, copy.modified) != (file.size, file.modified):
            try:
                with open(file.path, "rb", buffering=0) as opened:
                    if copy.born != born(opened.fileno()):
                        return -1  # another file has its inode
            except OSError:
                return -1
        return copy.offset


def _is_beginning(copy: Found, original: Found) -> bool:
    """Whether a file with a rotated name of another's is its beginning, by their first and last bytes."""
    if copy.size > original.size or not is_rotated(original.path, copy.path):
        return False
    try:
        with open(copy.path, "rb", buffering=0) as one, open(original.path, "rb", buffering=0) as other:
            places = [(min(PREFIX, copy.size), 0), (min(TAIL, copy.size), max(0, copy.size - TAIL))]
            return all(os.pread(one.fileno(), *place) == os.pread(other.fileno(), *place) for place in places)
    except OSError:
        return False
