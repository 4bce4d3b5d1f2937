"""Which ids a sealed partition may hold: a Bloom filter each, so that a new document need not be looked up in every file.

``BITS`` bits with three of them per id: 512 KiB for a partition of 400,000 ids, and 1.5 % of new ids must be looked up in
vain (about 5 µs each). Ids are uniform (BLAKE2b), so their own bytes, multiplied by odd constants, serve as the hashes.
"""

from __future__ import annotations

from struct import iter_unpack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BITS = 1 << 22
_SHIFT = 64 - 22
_MASK = (1 << 64) - 1
_A, _B, _C = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9

ID_LENGTH = 20


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
    bits = bytearray(BITS >> 3)
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


def candidates(bits: bytes, where: Sequence[tuple[int, int, int]]) -> list[int]:
    """Indexes into ``where`` (``positions`` of some ids) whose ids the partition may hold; the others it does not hold."""
    return [
        index
        for index, (a, b, c) in enumerate(where)
        if bits[a >> 3] >> (a & 7) & 1 and bits[b >> 3] >> (b & 7) & 1 and bits[c >> 3] >> (c & 7) & 1
    ]
