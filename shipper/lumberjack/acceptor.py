"""The socket that listens, and new connections one by one, also while the process has no descriptors left for them."""

from __future__ import annotations

import errno
import selectors
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_ONCE = 32
"""Connections that are accepted before it is looked what else there is to do."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class ExhaustedError(Exception):
    """The system lets no more connections be open for now."""


class Acceptor:
    """Listens from its construction on; ``resume`` has the selector tell of those who come."""

    def __init__(self, host: str, port: int) -> None:
        """Port 0 is any. Raises ``OSError``."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = host == "::" and socket.has_dualstack_ipv6()
        self.listener = socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=both)
        self.listener.setblocking(False)
        self.address: tuple[str, int] = self.listener.getsockname()[:2]
        self._watched = False

    def resume(self, selector: selectors.BaseSelector) -> None:
        """Have the selector tell of those who come. Again: nothing."""
        if not self._watched:
            selector.register(self.listener, selectors.EVENT_READ)
        self._watched = True

    def pause(self, selector: selectors.BaseSelector) -> None:
        """Let those who come wait in the system's queue. Again: nothing."""
        if self._watched:
            selector.unregister(self.listener)
        self._watched = False

    def accept(self) -> Iterator[tuple[socket.socket, str]]:
        """Some of those who wait, with their addresses. Raises ``ExhaustedError``: it would only be told again at once."""
        for _ in range(_AT_ONCE):
            try:
                plain, address = self.listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    raise ExhaustedError(error.strerror) from error
                return
            yield plain, str(address[0])

    def close(self) -> None:
        """Listen no more."""
        self.listener.close()
