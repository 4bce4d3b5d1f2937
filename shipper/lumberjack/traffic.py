"""The server's counters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Traffic:
    """What came so far."""

    connections: int = 0
    """Open now."""
    accepted: int = 0
    refused: int = 0
    """Closed by us: a protocol error, a limit, no handshake."""
    events: int = 0
