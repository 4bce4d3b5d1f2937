"""What the log says of clients: a hostile one must not fill it."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict

log = logging.getLogger(__name__)

_QUIET = 600.0
"""Seconds in which the same is not said again of the same address."""
_REMEMBERED = 1000


class ClientLog:
    """Warns once for each address and reason, for as long as they are remembered."""

    def __init__(self) -> None:
        self._said: OrderedDict[tuple[str, str], float] = OrderedDict()

    def say(self, address: str, why: str) -> None:
        """Warn, unless the same was said lately."""
        now = time.monotonic()
        if now - self._said.get((address, why), -_QUIET) < _QUIET:
            return
        self._said[address, why] = now
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        log.warning("client %s: %s", address or "-", why)
