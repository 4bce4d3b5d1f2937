"""A server: many clients in one thread, in memory that none of them can make grow.

The life of an event: decoded in the server's thread, handed over in a ``Chunk`` (``take``), and the client's until
``acknowledge`` says how many of its connection's events are done. The acknowledgement of a part of a window is sent as soon
as it is known; while anything of a connection is on its way, "still at work" goes out every ``KEEP_ALIVE`` seconds.

What bounds it:

- What waits to be taken has ``queue_bytes``; then nothing is read from any client until there is room (back-pressure).
- What is kept of unfinished events has ``memory_bytes`` over all clients; above, the client that keeps the most has to go.
- A client that is in the middle of a window has to finish an event, or to send 64 KiB, within ``SLOW`` seconds; one that
  has nothing on its way is closed after ``idle`` seconds; a TLS handshake has ``HANDSHAKE`` seconds.
- There are ``max_connections``. A new client then takes the place of one that has nothing on its way, of the address that
  has the most connections and of those the one that has been of no use for the longest; is there none, it is turned away.

Clients are served in turns, by what their data cost (``turns.py``): three hundred greedy ones do not hold up a modest one.

A client that breaks off or is turned away loses nothing: what was not acknowledged, it sends again.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import ssl
import threading
import time
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from shipper.lumberjack.decoder import OVERHEAD, Event, Limits
from shipper.lumberjack.frames import ProtocolError
from shipper.lumberjack.peer import Client
from shipper.lumberjack.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

KEEP_ALIVE = 5.0
SLOW = 60.0
HANDSHAKE = 10.0
_TICK = 0.5
_READ = 1 << 16
_CHUNK = 1 << 18
"""Bytes that are handed over in one turn, at most."""
_SPARE = 4 * _READ
"""Bytes that every client may have in its decoder: what was read, and what is inflated of it."""
_WORK = 0.01
"""Seconds of decoding until it is looked who else is there."""
_ACKS = 1 << 14
"""Bytes of acknowledgements that a client may leave unread."""
_QUIET = 600.0
"""Seconds in which the same is not said again of the same address."""


class Chunk(NamedTuple):
    """Events of one connection, in order."""

    connection: int
    events: list[bytes]
    end: int
    """How many events of the connection these and all before them are."""
    size: int


class Ended(NamedTuple):
    """A client sends no more. That more than the first ``acknowledged`` of its events arrived, it may not know."""

    connection: int
    acknowledged: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """See the module. Bytes and seconds."""

    memory_bytes: int = 64 << 20
    queue_bytes: int = 1 << 20
    max_connections: int = 1000
    idle: float = 900.0


@dataclass(slots=True)
class Traffic:
    """What came so far."""

    connections: int = 0
    """Open now."""
    accepted: int = 0
    refused: int = 0
    """Closed by us: a protocol error, a limit, no handshake."""
    events: int = 0


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
        self.traffic = Traffic()
        self.failure: BaseException | None = None
        self._context = context
        self._limits = limits or Limits()
        self._bounds = bounds or Bounds()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = host == "::" and socket.has_dualstack_ipv6()
        self._listener = socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=both)
        self._listener.setblocking(False)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._clients: dict[int, Client] = {}
        self._turns: Turns[Client] = Turns()
        """Those of whom something has come that is not decoded yet."""
        self._held = 0
        """Bytes of unfinished events, of all clients."""
        self._last = 0
        self._said: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._listening = False
        self._buffer = bytearray(_READ)
        self._condition = threading.Condition()
        self._chunks: deque[Chunk | Ended] = deque()
        self._queued = 0
        self._moved: dict[int, int] = {}
        self._rejected: dict[int, str] = {}
        self._stopping = self._closing = False
        self._thread = threading.Thread(target=self._run, name="lumberjack", daemon=True)

    # --- from other threads ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to accept clients."""
        self._thread.start()

    def take(self, timeout: float) -> Chunk | Ended | None:
        """What came next; ``None`` when nothing came within ``timeout`` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self._chunks or self.failure, timeout)
            if self.failure:
                raise self.failure
            if not self._chunks:
                return None
            chunk = self._chunks.popleft()
            if isinstance(chunk, Chunk):
                full = self._queued >= self._bounds.queue_bytes
                self._queued -= chunk.size
                if full and self._queued < self._bounds.queue_bytes:
                    self._wake()
            return chunk

    def acknowledge(self, moved: Mapping[int, int]) -> None:
        """By connection: how many of its events, from its first on, are taken over for good."""
        with self._condition:
            for connection, end in moved.items():  # who settled last may be the first to say so
                self._moved[connection] = max(end, self._moved.get(connection, 0))
        self._wake()

    def reject(self, connection: int, why: str) -> None:
        """Close a connection that sent what is no event; ``why`` holds nothing of it."""
        with self._condition:
            self._rejected[connection] = why
        self._wake()

    def stop(self) -> None:
        """Accept no more clients and read no more of those that are there; acknowledgements still go out."""
        self._stopping = True
        self._wake()

    def close(self, timeout: float = 5.0) -> None:
        """End it all; what is acknowledged until now is still said. Again: nothing."""
        self._closing = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout)
        else:
            self._release()

    # --- the server's thread ---------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake up; closed: nobody is there
            self._wake_in.send(b"!")

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001 - whoever takes must hear of it, whatever it was
            with self._condition:
                self.failure = error
                self._condition.notify_all()
        finally:
            self._release()

    def _serve(self) -> None:
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._listen_on()
        next_tick = 0.0
        running = True
        while not self._closing:
            ready = self._selector.select(0 if self._turns and self._room() else _TICK)
            for key, mask in ready:
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_out:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_out.recv(4096)
                elif key.data in self._clients:
                    self._ready(self._clients[key.data], mask)
            if self._stopping and running:
                running = False
                self._listen_on(on=False)
                self._listener.close()
                for client in self._clients.values():
                    self._listen(client)
            self._work()  # first: who has gone by now may not have heard what is said next
            self._settle()
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + _TICK
                self._tick()
        self._settle()

    def _release(self) -> None:
        self._listener.close()
        for client in list(self._clients.values()):
            self._drop(client)
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()

    def _listen_on(self, *, on: bool = True) -> None:
        if on and not self._listening:
            self._selector.register(self._listener, selectors.EVENT_READ)
        elif self._listening and not on:
            self._selector.unregister(self._listener)
        self._listening = on

    def _room(self) -> bool:
        return self._queued < self._bounds.queue_bytes

    def _accept(self) -> None:
        now = time.monotonic()
        for _ in range(32):
            try:
                plain, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    self._say("", f"no more connections can be accepted: {error.strerror}")
                    self._listen_on(on=False)  # until the next tick: it would only say again that somebody is there
                return
            self._welcome(plain, str(address[0]), now)

    def _welcome(self, plain: socket.socket, address: str, now: float) -> None:
        if len(self._clients) >= self._bounds.max_connections and not self._make_place():
            self.traffic.refused += 1
            plain.close()
            self._say(
                address, f"turned away: there are {len(self._clients):,} connections, all with events on their way"
            )
            return
        self._last += 1
        client = Client(self._last, plain, address, self._limits, now)
        try:
            plain.setblocking(False)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._context:
                client.socket = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                client.shaking = True
        except OSError:  # gone already
            plain.close()
            return
        client.turn = self._turns.newcomer
        self._clients[client.number] = client
        self.traffic.accepted += 1
        self.traffic.connections = len(self._clients)
        self._listen(client)

    def _make_place(self) -> bool:
        idle = [client for client in self._clients.values() if not client.waits]
        if not idle:
            return False
        crowd = Counter(client.address for client in self._clients.values())
        least = min(idle, key=lambda client: (-crowd[client.address], client.used))
        self._refuse(least, f"closed to make place: there are {len(self._clients):,} connections")
        return True

    def _listen(self, client: Client, shake: int = 0) -> None:
        """Wait for what the client needs now."""
        mask = shake
        if not shake:
            # One that waits for its turn is told of again and again, which costs less than to say that it need not be.
            waits = client.queued and not self._room()
            reading = not (client.ended or waits or (self._stopping and not client.shaking))
            mask = (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if client.out else 0)
        if mask == client.mask:
            return
        if not client.mask:
            self._selector.register(client.socket, mask, client.number)
        elif mask:
            self._selector.modify(client.socket, mask, client.number)
        else:
            self._selector.unregister(client.socket)
        client.mask = mask

    def _ready(self, client: Client, mask: int) -> None:
        if client.shaking:
            self._shake(client)
            return
        if mask & selectors.EVENT_WRITE:
            self._write(client)
        if mask & selectors.EVENT_READ and client.number in self._clients:
            self._line_up(client)

    def _shake(self, client: Client) -> None:
        assert isinstance(client.socket, ssl.SSLSocket)
        try:
            client.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._listen(client, selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self._listen(client, selectors.EVENT_WRITE)
        except OSError as error:
            self._refuse(client, f"no TLS connection: {_reason(error)}")
        else:
            client.shaking = False
            self._listen(client)

    def _line_up(self, client: Client) -> None:
        if not client.queued:
            client.queued = time.monotonic()
            self._turns.add(client)

    def _work(self) -> None:
        """Serve clients in turns, for as long as there is room and nobody else has to wait."""
        until = time.monotonic() + _WORK
        while self._turns and self._room() and (now := time.monotonic()) < until:
            client = self._turns.next()
            if now - client.queued > _TICK:
                client.used, client.some = now, 0  # it was we who kept it waiting
            client.queued = 0.0
            if client.decoder.busy or self._receive(client):
                self._hand_over(client)
            if client.number not in self._clients:
                continue
            if client.decoder.busy or (isinstance(client.socket, ssl.SSLSocket) and client.socket.pending()):
                self._line_up(client)
            self._listen(client)
        if not self._room():
            for client in self._turns:
                if client.mask & selectors.EVENT_READ:
                    self._listen(client)

    def _receive(self, client: Client) -> bool:
        """Take what is there; whether that is anything to be decoded."""
        if client.ended or self._stopping:
            return False
        try:
            count = client.socket.recv_into(self._buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            self._drop(client)
            return False
        if not count:
            client.ended = True
            self._announce(client)
            if client.waits:
                self._listen(client)  # it may still want to hear of what it sent
            else:
                self._drop(client)
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
            frames = decoder.read(_CHUNK, _READ)
        except ProtocolError as error:
            self._refuse(client, f"closed: {error}")
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
            with self._condition:
                self._chunks.append(Chunk(client.number, events, client.received, size))
                self._queued += size
                self._condition.notify_all()
        self._hold(client, decoder.buffered)

    def _hold(self, client: Client, size: int) -> None:
        """Note what is kept of a client; where that is too much in all, the one with the most has to go."""
        held = max(0, size - _SPARE)
        self._held += held - client.held
        client.held = held
        if held and self._held > self._bounds.memory_bytes:
            most = max(self._clients.values(), key=lambda each: each.held)
            self._refuse(
                most, f"closed: unfinished events of all clients need more than {self._bounds.memory_bytes:,} bytes"
            )

    def _settle(self) -> None:
        """Send the acknowledgements that are due."""
        with self._condition:
            moved, self._moved = self._moved, {}
            rejected, self._rejected = self._rejected, {}
        for number, total in moved.items():
            if client := self._clients.get(number):
                client.acknowledged = max(client.acknowledged, min(total, client.received))
                self._acknowledge(client)
        for number, why in rejected.items():
            if client := self._clients.get(number):
                self._refuse(client, f"closed: {why}")

    def _acknowledge(self, client: Client) -> None:
        if due := client.due():
            client.out += due
            client.spoken = time.monotonic()
        self._write(client)

    def _write(self, client: Client) -> None:
        while client.out:
            try:
                sent = client.socket.send(client.out)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                break
            except OSError:
                self._drop(client)
                return
            del client.out[:sent]
        if len(client.out) > _ACKS:
            self._refuse(client, "closed: it does not read the acknowledgements")
            return
        if not client.ended and not client.out:
            client.confirmed = client.acknowledged
        if client.ended and not client.waits and not client.out:
            self._drop(client)
            return
        self._listen(client)

    def _tick(self) -> None:
        now = time.monotonic()
        if not self._stopping:
            self._listen_on()
        for client in list(self._clients.values()):
            if client.shaking:
                if now - client.used > HANDSHAKE:
                    self._refuse(client, f"closed: no TLS handshake within {HANDSHAKE:g} s")
                continue
            if client.some >= _READ:
                client.used, client.some = now, 0
            if client.waits and now - client.spoken >= KEEP_ALIVE:
                client.spoken = now
                client.out += client.alive()
                self._write(client)
            elif client.queued or client.waits:
                continue
            elif client.decoder.missing or client.decoder.buffered:
                if now - client.used > SLOW:
                    self._refuse(client, f"closed: no whole event within {SLOW:g} s")
            elif now - client.used > self._bounds.idle:
                self._drop(client)

    def _refuse(self, client: Client, why: str) -> None:
        self.traffic.refused += 1
        self._drop(client)
        self._say(client.address, why)

    def _drop(self, client: Client) -> None:
        if self._clients.pop(client.number, None) is None:
            return
        if client.queued:
            self._turns.remove(client)
        self._held -= client.held
        if client.mask:
            self._selector.unregister(client.socket)
            client.mask = 0
        client.socket.close()
        self.traffic.connections = len(self._clients)
        if not client.ended:
            self._announce(client)

    def _announce(self, client: Client) -> None:
        """Say that no more events of a client will come."""
        if client.received:
            with self._condition:
                self._chunks.append(Ended(client.number, client.confirmed))
                self._condition.notify_all()

    def _say(self, address: str, why: str) -> None:
        """Once for each address and reason, for as long as they are remembered: a hostile client must not fill the log."""
        now = time.monotonic()
        if now - self._said.get((address, why), -_QUIET) < _QUIET:
            return
        self._said[address, why] = now
        while len(self._said) > 1000:
            self._said.popitem(last=False)
        log.warning("client %s: %s", address or "-", why)


def _reason(error: OSError) -> str:
    """What went wrong, without the library's places in its source."""
    if isinstance(error, ssl.SSLError):
        return (
            str(getattr(error, "verify_message", "") or (error.reason or "it was broken off")).lower().replace("_", " ")
        )
    return error.strerror or "it was broken off"
