"""Tell systemd where the service stands: sd_notify(3), a datagram to the socket that ``NOTIFY_SOCKET`` names.

Nothing happens where systemd did not start this process. For ``Type=notify`` (or ``notify-reload``) and ``WatchdogSec=``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Systemd:
    """The service manager that started this process, or none.

    ``alive`` belongs into the loop that does the work, and nowhere else: a process whose loop hangs must not be reported
    as alive by another thread.
    """

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        """``NOTIFY_SOCKET``: a path, or ``@name`` for an abstract socket; ``WATCHDOG_USEC``: the watchdog's time, for ``WATCHDOG_PID``."""
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._interval = 0.0
        if env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            with contextlib.suppress(ValueError):
                # Half of it is what systemd recommends; a third leaves room for one look at very many files.
                self._interval = int(env.get("WATCHDOG_USEC", "0")) / 3e6
        self._next = 0.0

    def ready(self, status: str) -> None:
        """Start-up, or a reload, is done."""
        self._notify(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """The settings are read again; ``ready`` follows."""
        # systemd compares it with when it sent the signal.
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The end has begun: what was read is delivered."""
        self._notify("STOPPING=1\nSTATUS=delivering what was read")

    def alive(self) -> None:
        """The loop turns. Cheap: sends something only as often as the watchdog needs it."""
        if not self._interval:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._interval
            self._notify("WATCHDOG=1")

    def _notify(self, text: str) -> None:
        if not self._address:
            return
        # A service manager that does not listen is no reason to stop shipping.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify,
        ):
            notify.settimeout(0.5)
            notify.sendto(text.encode(), self._address)
