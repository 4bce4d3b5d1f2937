"""What bounds the server, and which client has to go where a bound is reached.

- What waits to be taken has ``queue_bytes``; then nothing is read from any client until there is room (back-pressure).
- What is kept of unfinished events has ``memory_bytes`` over all clients; above, the client that keeps the most has to go.
- A client that is in the middle of a window has to finish an event, or to send 64 KiB, within ``SLOW`` seconds; one that
  has nothing on its way is closed after ``idle`` seconds; a TLS handshake has ``HANDSHAKE`` seconds.
- There are ``max_connections``. A new client then takes the place of one that has nothing on its way, of the address that
  has the most connections and of those the one that has been of no use for the longest; is there none, it is turned away.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from shipper.lumberjack.peer import Client

READ = 1 << 16
"""Bytes that are read at once."""
SLOW = 60.0
HANDSHAKE = 10.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """See the module. Bytes and seconds."""

    memory_bytes: int = 64 << 20
    queue_bytes: int = 1 << 20
    max_connections: int = 1000
    idle: float = 900.0


def time_limit(client: Client, idle: float) -> tuple[float, str]:
    """How long a client may be of no use as it is now, in seconds; and what to say of one that was for longer.

    Nothing is to be said of one that was merely idle.
    """
    if client.channel.shaking:
        return HANDSHAKE, f"no TLS handshake within {HANDSHAKE:g} s"
    if client.queued or client.waits:
        return math.inf, ""
    if client.decoder.missing or client.decoder.buffered:
        return SLOW, f"no whole event within {SLOW:g} s"
    return idle, ""


def least_useful(clients: Collection[Client]) -> Client | None:
    """Whose place a new client takes; ``None`` where all have events on their way."""
    idle = [client for client in clients if not client.waits]
    if not idle:
        return None
    crowd = Counter(client.address for client in clients)
    return min(idle, key=lambda client: (-crowd[client.address], client.used))
