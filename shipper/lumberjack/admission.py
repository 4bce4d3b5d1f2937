"""Who is connected: who is let in, and who has to go, within the bounds (``bounds``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipper.lumberjack.bounds import READ, Bounds, least_useful, time_limit
from shipper.lumberjack.client_log import ClientLog
from shipper.lumberjack.exchange import Ended, Exchange
from shipper.lumberjack.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipper.lumberjack.peer import Client
    from shipper.lumberjack.turns import Turns

_SPARE = 4 * READ
"""Bytes that every client may have in its decoder: what was read, and what is inflated of it."""


class Clients:
    """The server's clients, by their numbers. Who goes leaves the ``turns``, and the ``exchange`` is told."""

    def __init__(self, bounds: Bounds, exchange: Exchange, turns: Turns[Client]) -> None:
        self.traffic = Traffic()
        self.log = ClientLog()
        self._bounds = bounds
        self._exchange = exchange
        self._turns = turns
        self._clients: dict[int, Client] = {}
        self._held = 0
        """Bytes of unfinished events, of all clients."""

    def __contains__(self, client: Client) -> bool:
        return client.number in self._clients

    def __iter__(self) -> Iterator[Client]:
        """As they are now, so that they may go meanwhile."""
        return iter(list(self._clients.values()))

    def get(self, number: int) -> Client | None:
        """Who has this number, unless gone."""
        return self._clients.get(number)

    def make_place(self, address: str) -> bool:
        """Whether one more may come, of this address; another may have to go for that."""
        count = len(self._clients)
        if count < self._bounds.max_connections:
            return True
        least = least_useful(self._clients.values())
        if least is None:
            self.traffic.refused += 1
            self.log.say(address, f"turned away: there are {count:,} connections, all with events on their way")
            return False
        self.refuse(least, f"closed to make place: there are {count:,} connections")
        return True

    def add(self, client: Client) -> None:
        """Let somebody in."""
        client.turn = self._turns.newcomer
        self._clients[client.number] = client
        self.traffic.accepted += 1
        self.traffic.connections = len(self._clients)

    def hold(self, client: Client, size: int) -> None:
        """Note what is kept of a client; where that is too much in all, the one with the most has to go."""
        held = max(0, size - _SPARE)
        self._held += held - client.held
        client.held = held
        if held and self._held > self._bounds.memory_bytes:
            most = max(self._clients.values(), key=lambda each: each.held)
            self.refuse(
                most, f"closed: unfinished events of all clients need more than {self._bounds.memory_bytes:,} bytes"
            )

    def expire(self, client: Client, now: float) -> None:
        """Close the client if it was of no use for too long."""
        limit, why = time_limit(client, self._bounds.idle)
        if now - client.used <= limit:
            return
        if why:
            self.refuse(client, f"closed: {why}")
        else:
            self.drop(client)

    def refuse(self, client: Client, why: str) -> None:
        """Close a client, and say so."""
        self.traffic.refused += 1
        self.drop(client)
        self.log.say(client.address, why)

    def drop(self, client: Client) -> None:
        """Close a client. Again: nothing."""
        if self._clients.pop(client.number, None) is None:
            return
        if client.queued:
            self._turns.remove(client)
        self._held -= client.held
        client.channel.close()
        self.traffic.connections = len(self._clients)
        if not client.ended:
            self.announce(client)

    def announce(self, client: Client) -> None:
        """Say that no more events of a client will come."""
        if client.received:
            self._exchange.put(Ended(client.number, client.confirmed))
