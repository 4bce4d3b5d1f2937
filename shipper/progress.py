"""Where the agent stands, for those who watch it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shipper.delivery.encoder import Encodings
from shipper.delivery.sender import Deliveries

if TYPE_CHECKING:
    from typing import Any

    from shipper.lumberjack.traffic import Traffic


@dataclass(slots=True)
class Progress:
    """Sums over all inputs and senders, since the agent was started."""

    files: int = 0
    """Those that are open, and those that are there and were closed because they are read to their ends."""
    read: int = 0
    """Bytes read of them."""
    size: int = 0
    """Bytes that they have."""
    events: Encodings = field(default_factory=Encodings)
    documents: Deliveries = field(default_factory=Deliveries)


@dataclass(slots=True)
class InputProgress:
    """Where one input stands."""

    name: str
    """Its id, or its position in the settings."""
    pipeline: str
    """The pipeline's name or the last part of its path; empty for none."""
    files: int = 0
    """Open ones."""
    read: int = 0
    """Bytes read of the open files since they were opened, or as far as they were acknowledged then."""
    lag_bytes: int = 0
    """Bytes that the open files have and the output has not acknowledged."""
    lag_seconds: float = 0.0
    """The age of the oldest of them, as of the look that first saw it."""
    unreadable: int = 0
    lost_bytes: int = 0
    """Bytes of files that were given up before they were read."""
    deleted: int = 0
    """Files that were deleted because they were complete."""
    events: Encodings = field(default_factory=Encodings)


@dataclass(slots=True)
class Snapshot:
    """All of it at one moment. Made in the main thread and never changed after, so that any thread may read it."""

    at: float
    """Monotonic."""
    output: str = ""
    """The output's kind."""
    inputs: list[InputProgress] = field(default_factory=list)
    documents: Deliveries = field(default_factory=Deliveries)
    queue_bytes: int = 0
    queue_limit: int = 0
    spool_bytes: int = 0
    spool_limit: int = 0
    """0 where there is no spool."""
    spool_damaged: int = 0
    """Documents in it that could not be read again."""
    trouble: str = ""
    """Why the output takes nothing; empty when all is well."""
    trouble_since: float = 0.0
    """Monotonic; of ``trouble``."""
    moved: float = 0.0
    """Monotonic: when the output last took something, or there was nothing to take."""
    success: float = 0.0
    """When the output last took something, seconds since 1970; 0 for never."""
    state: str = ""
    """What is wrong with the agent's own state; empty when all is well."""
    unreadable: list[str] = field(default_factory=list)
    """Some of the paths that cannot be read, and why."""
    settings: str = ""
    """What was wrong with the settings at the last reload; empty when they are in use."""
    reloads: int = 0
    traffic: Traffic | None = None
    """Of ``shipper receive``: its clients."""


def add(total: Any, part: Any) -> None:
    """Add the numbers of one set of counts to another of the same class; of texts, the first that says something."""
    for name in part.__slots__:
        value, more = getattr(total, name), getattr(part, name)
        if isinstance(value, dict):
            for key, count in list(more.items()):
                value[key] = value.get(key, 0) + count
        else:
            setattr(total, name, value or more if isinstance(value, str) else value + more)
