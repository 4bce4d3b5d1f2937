"""In which order files are begun that are not known: the oldest first, but each behind the one of which it is a copy.

So it is known that what the copy has is read in the original (``recognition.is_copy``). The original may be the younger one,
where the copy has kept its time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shipper.files.identity import PREFIX, TAIL
from shipper.files.recognition import family, is_rotated, rotations

if TYPE_CHECKING:
    from shipper.files.discovery import Found


class Order:
    """Of one input's files. Thousands may wait for room from look to look: what was compared is not read again."""

    def __init__(self) -> None:
        self._compared: dict[tuple[Found, Found], bool] = {}

    def of(self, files: list[Found]) -> list[Found]:
        """The files in their order."""
        files = sorted(files, key=lambda file: (file.modified, file.path))
        families: dict[tuple[str, ...], list[int]] = {}
        for at, file in enumerate(files):
            families.setdefault((os.path.dirname(file.path), *family(file.path)), []).append(at)
        compared, self._compared = self._compared, {}
        before: dict[int, int] = {}
        for places in families.values():
            own = min(places, key=lambda at: rotations(files[at].path))
            for at in places:
                if at >= own:
                    break
                pair = files[at], files[own]
                self._compared[pair] = compared[pair] if pair in compared else _is_beginning(*pair)
                if self._compared[pair]:
                    before[own] = at
                    break
        order = sorted(range(len(files)), key=lambda at: (before.get(at, at), at not in before))
        return [files[at] for at in order]


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
