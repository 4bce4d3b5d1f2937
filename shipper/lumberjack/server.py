"""A server: many clients in one thread, in memory that none of them can make grow.

The life of an event: decoded in the server's thread, handed over in a ``Chunk`` (``take``), and the client's until
``acknowledge`` says how many of its connection's events are done. The acknowledgement of a part of a window is sent as soon
as it is known; while anything of a connection is on its way, "still at work" goes out every ``KEEP_ALIVE`` seconds.

All that it keeps is bounded (``bounds``). Clients are served in turns, by what their data cost (``turns``): three hundred
greedy ones do not hold up a modest one. A client that breaks off or is turned away loses nothing: what was not
acknowledged, it sends again.

The ``acceptor`` has new connections; ``admission`` says who is let in and who has to go. A client is a ``channel``, which is
its socket, and what is known of it (``peer``). The ``exchange`` is between the server's thread and the others.
"""

from __future__ import annotations

import selectors
import threading
import time
from typing import TYPE_CHECKING

from shipper.lumberjack.acceptor import Acceptor, ExhaustedError
from shipper.lumberjack.admission import Clients
from shipper.lumberjack.bounds import READ, Bounds
from shipper.lumberjack.channel import Channel, failure
from shipper.lumberjack.decoder import OVERHEAD, Event, Limits
from shipper.lumberjack.exchange import Chunk, Ended, Exchange
from shipper.lumberjack.frames import ProtocolError
from shipper.lumberjack.peer import Client
from shipper.lumberjack.turns import Turns

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Mapping

KEEP_ALIVE = 5.0
_TICK = 0.5
_CHUNK = 1 << 18
"""Bytes that are handed over in one turn, at most."""
_WORK = 0.01
"""Seconds of decoding until it is looked who else is there."""
_ACKS = 1 << 14
"""Bytes of acknowledgements that a client may leave unread."""


class Server:
    """``start``, then ``take`` and ``acknowledge`` from other threads, then ``close``."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """Listen; port 0 is any. Raises ``OSError``."""
        bounds = bounds or Bounds()
        self._context = context
        self._limits = limits or Limits()
        self._acceptor = Acceptor(host, port)
        self.address = self._acceptor.address
        self._exchange = Exchange(bounds.queue_bytes)
        self._selector = selectors.DefaultSelector()
        self._turns: Turns[Client] = Turns()
        """Those of whom something has come that is not decoded yet."""
        self._clients = Clients(bounds, self._exchange, self._turns)
        self.traffic = self._clients.traffic
        self._last = 0
        self._buffer = bytearray(READ)
        self._stopping = self._closing = False
        self._thread = threading.Thread(target=self._run, name="lumberjack", daemon=True)

    # --- from other threads ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to accept clients."""
        self._thread.start()

    @property
    def failure(self) -> BaseException | None:
        """What the server's thread has ended with, if it should not have."""
        return self._exchange.failure

    def take(self, timeout: float) -> Chunk | Ended | None:
        """What came next; ``None`` when nothing came within ``timeout`` seconds. Raises what the server failed with."""
        return self._exchange.take(timeout)

    def acknowledge(self, moved: Mapping[int, int]) -> None:
        """By connection: how many of its events, from its first on, are taken over for good."""
        self._exchange.acknowledge(moved)

    def reject(self, connection: int, why: str) -> None:
        """Close a connection that sent what is no event; ``why`` holds nothing of it."""
        self._exchange.reject(connection, why)

    def stop(self) -> None:
        """Accept no more clients and read no more of those that are there; acknowledgements still go out."""
        self._stopping = True
        self._exchange.wake()

    def close(self, timeout: float = 5.0) -> None:
        """End it all; what is acknowledged until now is still said. Again: nothing."""
        self._closing = True
        self._exchange.wake()
        if self._thread.is_alive():
            self._thread.join(timeout)
        else:
            self._release()

    # --- the server's thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001 - whoever takes must hear of it, whatever it was
            self._exchange.fail(error)
        finally:
            self._release()

    def _serve(self) -> None:
        self._selector.register(self._exchange.bell, selectors.EVENT_READ)
        self._acceptor.resume(self._selector)
        next_tick = 0.0
        running = True
        while not self._closing:
            ready = self._selector.select(0 if self._turns and self._exchange.has_room else _TICK)
            for key, mask in ready:
                if key.fileobj is self._acceptor.listener:
                    self._accept()
                elif key.fileobj is self._exchange.bell:
                    self._exchange.silence()
                elif client := self._clients.get(key.data):
                    self._ready(client, mask)
            if self._stopping and running:
                running = False
                self._acceptor.pause(self._selector)
                self._acceptor.close()
                for client in self._clients:
                    self._listen(client)
            self._work()  # first: who has gone by now may not have heard what is said next
            self._settle()
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + _TICK
                self._tick()
        self._settle()

    def _release(self) -> None:
        self._acceptor.close()
        for client in self._clients:
            self._clients.drop(client)
        self._selector.close()
        self._exchange.close()

    def _accept(self) -> None:
        now = time.monotonic()
        try:
            for plain, address in self._acceptor.accept():
                self._welcome(plain, address, now)
        except ExhaustedError as error:
            self._clients.log.say("", f"no more connections can be accepted: {error}")
            self._acceptor.pause(self._selector)  # until the next tick

    def _welcome(self, plain: socket.socket, address: str, now: float) -> None:
        if not self._clients.make_place(address):
            plain.close()
            return
        self._last += 1
        try:
            channel = Channel(plain, self._last, self._selector, self._context)
        except OSError:  # gone already
            plain.close()
            return
        client = Client(self._last, channel, address, self._limits, now)
        self._clients.add(client)
        self._listen(client)

    def _listen(self, client: Client) -> None:
        """Wait for what the client needs now."""
        # One that waits for its turn is told of again and again, which costs less than to say that it need not be.
        waits = client.queued and not self._exchange.has_room
        reading = not (client.ended or waits or (self._stopping and not client.channel.shaking))
        writing = bool(client.channel.out)
        client.channel.watch((selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if writing else 0))

    def _ready(self, client: Client, mask: int) -> None:
        if client.channel.shaking:
            self._shake(client)
            return
        if mask & selectors.EVENT_WRITE:
            self._write(client)
        if mask & selectors.EVENT_READ and client in self._clients:
            self._line_up(client)

    def _shake(self, client: Client) -> None:
        try:
            client.channel.shake()
        except OSError as error:
            self._clients.refuse(client, f"no TLS connection: {failure(error)}")
            return
        if not client.channel.shaking:
            self._listen(client)

    def _line_up(self, client: Client) -> None:
        if not client.queued:
            client.queued = time.monotonic()
            self._turns.add(client)

    def _work(self) -> None:
        """Serve clients in turns, for as long as there is room and nobody else has to wait."""
        until = time.monotonic() + _WORK
        while self._turns and self._exchange.has_room and (now := time.monotonic()) < until:
            client = self._turns.next()
            if now - client.queued > _TICK:
                client.used, client.some = now, 0  # it was we who kept it waiting
            client.queued = 0.0
            if client.decoder.busy or self._receive(client):
                self._hand_over(client)
            if client not in self._clients:
                continue
            if client.decoder.busy or client.channel.pending:
                self._line_up(client)
            self._listen(client)
        if not self._exchange.has_room:
            for client in self._turns:
                if client.channel.mask & selectors.EVENT_READ:
                    self._listen(client)

    def _receive(self, client: Client) -> bool:
        """Take what is there; whether that is anything to be decoded."""
        if client.ended or self._stopping:
            return False
        try:
            count = client.channel.receive(self._buffer)
        except OSError:
            self._clients.drop(client)
            return False
        if count is None:
            return False
        if not count:
            client.ended = True
            self._clients.announce(client)
            if client.waits:
                self._listen(client)  # it may still want to hear of what it sent
            else:
                self._clients.drop(client)
            return False
        client.some += count
        client.turn += count
        with memoryview(self._buffer) as view:
            client.decoder.feed(view[:count])
        return True

    def _hand_over(self, client: Client) -> None:
        """A turn: hand over what is whole of a part of what came."""
        decoder = client.decoder
        worked = decoder.worked
        try:
            frames = decoder.read(_CHUNK, READ)
        except ProtocolError as error:
            self._clients.refuse(client, f"closed: {error}")
            return
        events: list[bytes] = []
        for frame in frames:
            if isinstance(frame, Event):
                client.took(frame.number)
                events.append(frame.payload)
            else:
                client.begin(frame.events)
        size = sum(map(len, events)) + OVERHEAD * len(events)
        client.turn += size + decoder.worked - worked
        if events:
            client.used, client.some = time.monotonic(), 0
            self.traffic.events += len(events)
            self._exchange.put(Chunk(client.number, events, client.received, size))
        self._clients.hold(client, decoder.buffered)

    def _settle(self) -> None:
        """Send the acknowledgements that are due."""
        moved, rejected = self._exchange.collect()
        for number, total in moved.items():
            if client := self._clients.get(number):
                client.acknowledged = max(client.acknowledged, min(total, client.received))
                self._acknowledge(client)
        for number, why in rejected.items():
            if client := self._clients.get(number):
                self._clients.refuse(client, f"closed: {why}")

    def _acknowledge(self, client: Client) -> None:
        if due := client.due():
            client.channel.out += due
            client.spoken = time.monotonic()
        self._write(client)

    def _write(self, client: Client) -> None:
        try:
            client.channel.flush()
        except OSError:
            self._clients.drop(client)
            return
        left = len(client.channel.out)
        if left > _ACKS:
            self._clients.refuse(client, "closed: it does not read the acknowledgements")
            return
        if not client.ended and not left:
            client.confirmed = client.acknowledged
        if client.ended and not client.waits and not left:
            self._clients.drop(client)
            return
        self._listen(client)

    def _tick(self) -> None:
        now = time.monotonic()
        if not self._stopping:
            self._acceptor.resume(self._selector)
        for client in self._clients:
            if client.some >= READ:
                client.used, client.some = now, 0
            if client.waits and now - client.spoken >= KEEP_ALIVE:
                client.spoken = now
                client.channel.out += client.alive()
                self._write(client)
            else:
                self._clients.expire(client, now)
