"""What an input's settings say about how its files are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parser.multiline import Framer


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Never changed: a reload brings others."""

    framer: Framer
    host_id: str
    """Sets this machine's ids apart from others'."""
    limit: int = 10 * 1024 * 1024
    """An event is at most so many bytes."""
    encoding: str = "utf-8"
    """What ``settings.encodings`` gives."""
    close_inactive: float = 300.0
    """Seconds after which an idle file is closed."""
    close_removed: float = 0.0
    """Seconds after which a deleted file is closed though it is not read to its end; 0: never."""
    clean_inactive: float = 30 * 86400.0
    """Seconds after which a file that was not seen is forgotten; 0: never."""
    open_files: int = 10_000
    """Files that are open at once, at most."""
