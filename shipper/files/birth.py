"""When a file was born: what tells a file from another that got its inode. Linux keeps it, and only ``statx`` says it.

Python has no ``os.statx`` before 3.15, so the C library's is called. Where it has none, or the file system keeps no births
(NFS, some FUSE), the answer is 0: not known.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

AT_EMPTY_PATH = 0x1000
STATX_BTIME = 0x800
SIZE = 256
"""Bytes of ``struct statx``; the mask is its first 4, the birth stands at 80: seconds (64 bits), nanoseconds (32)."""


@functools.cache
def _statx() -> Callable[..., int] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).statx
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p)
    function.restype = ctypes.c_int
    return function


def born(descriptor: int) -> int:
    """The birth of an open file in nanoseconds since 1970, or 0."""
    statx = _statx()
    if statx is None:
        return 0
    buffer = ctypes.create_string_buffer(SIZE)
    if statx(descriptor, b"", AT_EMPTY_PATH, STATX_BTIME, buffer) != 0:
        return 0
    (mask,) = struct.unpack_from("=I", buffer, 0)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, 80)
    return int(seconds * 1_000_000_000 + nanoseconds) if mask & STATX_BTIME else 0
