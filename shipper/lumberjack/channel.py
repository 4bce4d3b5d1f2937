"""A client's socket in the selector: plain or TLS, never blocking, with what is still to be sent."""

from __future__ import annotations

import selectors
import socket
import ssl


class Channel:
    """One connection that was accepted. All that talks raises ``OSError`` when the connection is of no use any more."""

    def __init__(
        self, plain: socket.socket, number: int, selector: selectors.BaseSelector, context: ssl.SSLContext | None
    ) -> None:
        """``number`` is what the selector gives back as data. Raises ``OSError``; then ``plain`` is the caller's."""
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._tls = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) if context else None
        self._socket = self._tls or plain
        self._number = number
        self._selector = selector
        self.mask = 0
        """What the selector watches for."""
        self.shaking = self._tls is not None
        """Whether the TLS handshake is to be done first."""
        self.out = bytearray()
        """What is to be sent."""

    def watch(self, mask: int) -> None:
        """Have the selector watch for these events from now on."""
        if mask == self.mask:
            return
        if not self.mask:
            self._selector.register(self._socket, mask, self._number)
        elif mask:
            self._selector.modify(self._socket, mask, self._number)
        else:
            self._selector.unregister(self._socket)
        self.mask = mask

    def shake(self) -> None:
        """Go on with the handshake, and watch for what it needs next."""
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.watch(selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            self.watch(selectors.EVENT_WRITE)
        else:
            self.shaking = False

    @property
    def pending(self) -> bool:
        """Whether there is something to receive that the selector does not know of: it is decrypted already."""
        return self._tls is not None and self._tls.pending() > 0

    def receive(self, buffer: bytearray) -> int | None:
        """How many bytes came into the buffer: 0 at the end, ``None`` while there is nothing."""
        try:
            return self._socket.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def flush(self) -> None:
        """Send as much of ``out`` as the other side takes now."""
        while self.out:
            try:
                sent = self._socket.send(self.out)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            del self.out[:sent]

    def close(self) -> None:
        """Leave the selector and close the socket."""
        self.watch(0)
        self._socket.close()


def failure(error: OSError) -> str:
    """What went wrong with a handshake, without the library's places in its source."""
    if isinstance(error, ssl.SSLError):
        return (
            str(getattr(error, "verify_message", "") or (error.reason or "it was broken off")).lower().replace("_", " ")
        )
    return error.strerror or "it was broken off"
