"""A small HTTP server for whoever watches: GET and HEAD only, one answer per connection.

It must never cost the agent anything, whoever connects: a request is at most ``REQUEST`` bytes, a connection lasts at most
``SECONDS``, and there are at most ``CONNECTIONS`` at a time, a thread each; more are closed at once.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from shipper.errors import SettingsError, ShipperError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

REQUEST = 8192
SECONDS = 5.0
CONNECTIONS = 16

_TEXT = "text/plain; charset=utf-8"
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip


class Answer(NamedTuple):
    """What a page gives."""

    status: int
    kind: str
    """Its media type."""
    body: bytes


class StatusServer:
    """``with StatusServer(host, port, pages): ...`` serves until the block ends. ``pages``: what to call, by path.

    A page is called in a thread of the server's: it must be quick, and must not touch what the main thread changes.
    """

    def __init__(
        self, host: str, port: int, pages: Mapping[str, Callable[[], Answer]], *, allow_remote: bool = False
    ) -> None:
        """Bind, so that a mistake is seen at once. ``port`` 0 takes any that is free.

        Raises ``SettingsError`` for an address that is not this machine's own without ``allow_remote``, and
        ``ShipperError`` where it cannot be bound.
        """
        self._pages = pages
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        try:
            family, _, _, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
            )[0]
        except OSError as error:
            raise SettingsError(f"http.host: {host} is not an address of this machine: {error.strerror}") from error
        if not ipaddress.ip_address(address[0]).is_loopback and not allow_remote:
            raise SettingsError(
                f"http.host: {host} can be reached from other machines, and nobody has to log in: use 127.0.0.1, or set http.allow_remote"
            )
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(address)
            self._socket.listen(CONNECTIONS)
        except OSError as error:
            self._socket.close()
            raise ShipperError(
                f"http.port: {host}:{port} cannot be used ({os.strerror(error.errno or 0).lower()}): choose another http.port, or set http.enabled to false"
            ) from error
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._thread = threading.Thread(target=self._listen, name="status", daemon=True)

    def start(self) -> None:
        """Serve until ``close``."""
        self._thread.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening. Who is connected is served, or cut off after ``SECONDS``."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes ``accept``, which ``close`` does not
        if self._thread.is_alive():
            self._thread.join(SECONDS)
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED}:
                    time.sleep(0.1)
                    continue
                return
            if self._room.acquire(blocking=False):
                try:
                    threading.Thread(target=self._serve, args=(connection,), name="status", daemon=True).start()
                except RuntimeError:  # no thread to be had
                    self._room.release()
                    connection.close()
            else:
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        """One request, one answer. Who is too slow, or gone, is cut off without a word."""
        deadline = time.monotonic() + SECONDS
        try:
            with connection, contextlib.suppress(OSError):
                request = b""
                while b"\r\n\r\n" not in request and len(request) <= REQUEST:
                    connection.settimeout(max(0.001, deadline - time.monotonic()))
                    data = connection.recv(REQUEST)
                    if not data:
                        return
                    request += data
                long = b"\r\n\r\n" not in request
                answer = _encoded(Answer(400, _TEXT, b"too long\n")) if long else self._answer(request)
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1)  # until the client has it all: a reset would throw the rest away
        finally:
            self._room.release()

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        target, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            return _encoded(Answer(400, _TEXT, b"not HTTP/1.1\n"))
        if method not in {"GET", "HEAD"}:
            return _encoded(Answer(405, _TEXT, b"only GET and HEAD\n"), "Allow: GET, HEAD\r\n")
        page = self._pages.get(target.partition("?")[0])
        if page is None:
            known = "\n".join(self._pages)
            answer = Answer(404, _TEXT, f"there are:\n{known}\n".encode())
        else:
            try:
                answer = page()
            except Exception:
                log.exception("%s failed", target.partition("?")[0])
                answer = Answer(500, _TEXT, b"failed, see the agent's log\n")
        return _encoded(answer, head=method == "HEAD")


def _encoded(answer: Answer, extra: str = "", *, head: bool = False) -> bytes:
    lines = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.kind}\r\n"
        f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n{extra}\r\n"
    )
    return lines.encode() + (b"" if head else answer.body)
