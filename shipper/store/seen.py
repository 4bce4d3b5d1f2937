"""Which ids a sealed partition may hold: a Bloom filter each, so that a new document need not be looked up in every file.

``BITS`` bits with three of them per id: 512 KiB for a partition of 400,000 ids, and 1.5 % of new ids must be looked up in
vain. Ids are uniform (BLAKE2b), so their own bytes, multiplied by odd constants, serve as the hashes.
"""

from __future__ import annotations

from struct import iter_unpack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BITS = 1 << 22
BYTES = BITS >> 3
_SHIFT = 64 - 22
_MASK = (1 << 64) - 1
_A, _B, _C = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9


def positions(ids: Sequence[str]) -> list[tuple[int, int, int]]:
    """The three bits of each id, 0 … ``BITS`` - 1. Every id is 20 ASCII characters."""
    packed = "".join(ids).encode("ascii")
    return [
        (
            ((a * _A) & _MASK) >> _SHIFT,
            ((b * _B) & _MASK) >> _SHIFT,
            (((a ^ (b >> 7) ^ c) * _C) & _MASK) >> _SHIFT,
        )
        for a, b, c in iter_unpack("<QQI", packed)
    ]


def build(ids: Iterable[str]) -> bytes:
    """The filter of these ids, ``BITS`` / 8 bytes."""
    bits = bytearray(BYTES)
    chunk: list[str] = []
    for name in ids:
        chunk.append(name)
        if len(chunk) == 10_000:
            _add(bits, chunk)
            chunk.clear()
    _add(bits, chunk)
    return bytes(bits)


def _add(bits: bytearray, ids: Sequence[str]) -> None:
    for each in positions(ids):
        for at in each:
            bits[at >> 3] |= 1 << (at & 7)


class Filters:
    """The filters of many partitions, asked together: a byte of a plane holds the same bit of eight of them.

    512 KiB a partition, in planes of 4 MiB. An id costs three bytes of each plane, whatever partitions it may be in.
    """

    def __init__(self) -> None:
        self._planes: list[bytearray] = []
        self._first = 0
        self._end = 0

    def add(self, bits: bytes) -> None:
        """Take up the next partition's filter, as ``build`` made it."""
        which = self._end % 8
        if not which or not self._planes:
            self._planes.append(bytearray(BITS))
        plane = self._planes[-1]
        for at, table in enumerate(_SPREAD):
            column = int.from_bytes(bits.translate(table), "little") << which
            there = int.from_bytes(plane[at::8], "little")
            plane[at::8] = (there | column).to_bytes(BYTES, "little")
        self._end += 1

    def drop(self) -> None:
        """Forget the oldest filter; the next one is partition 0 from now on."""
        which = self._first % 8
        self._first += 1
        if which == 7 or self._first == self._end:
            del self._planes[0]
        else:
            self._planes[0] = self._planes[0].translate(_WITHOUT[which])

    def candidates(self, ids: Sequence[str]) -> dict[int, list[int]]:
        """By partition (in the order of ``add``, oldest is 0): indexes into ``ids`` that it may hold. It does not hold the others."""
        found: dict[int, list[int]] = {}
        where = positions(ids) if self._planes else []
        for base, plane in zip(range(-(self._first % 8), self._end, 8), self._planes, strict=False):
            hits = [(at, held) for at, (a, b, c) in enumerate(where) if (held := plane[a] & plane[b] & plane[c])]
            for at, held in hits:
                for which in _SET[held]:
                    found.setdefault(base + which, []).append(at)
        return found


_SPREAD = [bytes(value >> at & 1 for value in range(256)) for at in range(8)]
"""For each bit of a byte, the table that leaves it alone, as the lowest."""
_WITHOUT = [bytes(value & ~(1 << at) for value in range(256)) for at in range(8)]
"""For each bit of a byte, the table that clears it."""
_SET = [tuple(at for at in range(8) if value >> at & 1) for value in range(256)]
"""For each value of a byte, which of its bits are set."""
