"""Room that a writer makes ahead: NUL bytes up to the end of a file, which nobody has written yet.

Log4j's ``MemoryMappedFile`` makes it 32 MiB at a time, and writes into it; what is read of it before is none of the log. NULs
that text comes after are what the log says, or a hole in it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipper.files.content import Plain

PIECE = 128 * 1024
"""Bytes looked through at once."""


class Room:
    """At the end of one file. Asked for each time that nothing but NULs was read, so what is known already is not looked at again."""

    def __init__(self) -> None:
        self._known: tuple[Plain, int, int, int] | None = None
        self._text = 0

    def begins(self, content: Plain, offset: int) -> bool:
        """Whether there are nothing but NULs from ``offset`` on. Raises ``OSError``."""
        if offset < self._text:
            return False  # that is known of this run of NULs
        status = os.fstat(content.descriptor)
        at = offset
        if self._known and self._known[0] is content:
            _, before, end, modified = self._known
            # It is filled from its beginning on. Where that stands and something was written all the same, it is not.
            if before != offset or modified == status.st_mtime_ns:
                at = min(max(offset, end), status.st_size)
        while at < status.st_size and not content.is_hole(at):
            at = content.data_from(at)
            data = content.read(PIECE, at)
            text = data.lstrip(b"\0")
            if text:
                self._text = at + len(data) - len(text)
                return False
            at += len(data) or PIECE
        self._known = content, offset, status.st_size, status.st_mtime_ns
        return True
