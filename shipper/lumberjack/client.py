"""A connection to a server: windows out, acknowledgements in, several windows on their way at once.

Acknowledgements are read while a window is still being written: a server under back-pressure stops reading and goes on
sending its "still at work", and both sides would wait for each other otherwise.

Two clocks run. ``timeout`` is how long nothing at all may move; a "still at work" begins it anew. ``patience`` is how long
no event may be acknowledged while the server says that it works; every event begins it anew. Without the second, a server
that never comes to an end would hold its client for ever.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections import deque

from shipper.lumberjack.frames import AckReader, ProtocolError

_RECORD = 1 << 14
"""Bytes written at once over TLS: a whole record, so that one that could not be written can be offered again."""
_SEGMENT = 1 << 18


class Connection:
    """Connected and, with a context, encrypted. Belongs to one thread; every method may raise ``OSError``."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        timeout: float = 30.0,
        connect_timeout: float = 10.0,
        patience: float = 600.0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Connect. All times are seconds."""
        self._timeout = timeout
        self._patience = patience
        self._acks = AckReader()
        self._in_flight: deque[list[int]] = deque()
        self._fresh = 0
        self._since = time.monotonic()
        self._moved = self._since
        plain = socket.create_connection(address, connect_timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = context.wrap_socket(plain, server_hostname=address[0]) if context else plain
            self._socket.setblocking(False)
        except BaseException:
            plain.close()
            raise
        self._most = _RECORD if context else _SEGMENT
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    @property
    def windows(self) -> int:
        """How many windows are on their way."""
        return len(self._in_flight)

    def send(self, frames: bytes, count: int) -> None:
        """Write a window of ``count`` events. Raises ``OSError`` and ``ProtocolError``."""
        if not self._in_flight:
            self._since = time.monotonic()
        self._in_flight.append([count, 0])
        self._moved = time.monotonic()
        view = memoryview(frames)
        while view:
            try:
                written = self._socket.send(view[: self._most])
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(select.POLLIN | select.POLLOUT)
                self._receive()
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            except OSError:
                with contextlib.suppress(OSError):
                    self._receive()  # what was acknowledged before the end may still be there
                raise
            else:
                view = view[written:]
                self._moved = time.monotonic()

    def acknowledged(self) -> int:
        """Wait for acknowledgements; how many more events of the oldest windows they cover, at least one.

        Raises ``TimeoutError``, another ``OSError`` or ``ProtocolError``; then ``fresh`` tells what was covered before.
        """
        while not self._fresh:
            self._wait(select.POLLIN)
            self._receive()
        return self.fresh()

    def fresh(self) -> int:
        """How many events are acknowledged that nobody was told of."""
        fresh, self._fresh = self._fresh, 0
        return fresh

    def close(self) -> None:
        """Close the connection. The server drops what it has not taken over."""
        self._socket.close()

    def _wait(self, events: int) -> None:
        now = time.monotonic()
        if now - self._since > self._patience:
            raise TimeoutError(f"it says that it works, but took over no event for {self._patience:g} s")
        left = self._moved + self._timeout - now
        self._poll.modify(self._socket, events)
        if left <= 0 or not self._poll.poll(1000 * min(left, self._patience)):
            raise TimeoutError(f"no acknowledgement within {self._timeout:g} s")

    def _receive(self) -> None:
        """Take what is there, without waiting."""
        while True:
            try:
                data = self._socket.recv(_RECORD)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._moved = time.monotonic()
            for number in self._acks.feed(data):
                self._take(number)

    def _take(self, number: int) -> None:
        if not number:
            return
        if not self._in_flight:
            raise ProtocolError("an acknowledgement came for nothing")
        oldest = self._in_flight[0]
        count, done = oldest
        if number > count:
            raise ProtocolError(f"event {number} of a window of {count} was acknowledged")
        if number > done:
            self._since = self._moved
            self._fresh += number - done
            oldest[1] = number
        if number == count:
            self._in_flight.popleft()
