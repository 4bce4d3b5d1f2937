"""What this machine is called, and where it stands."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def host_name() -> str:
    """The host's name, as the system says it."""
    return socket.gethostname() or "localhost"


def machine_id() -> str:
    """What tells this machine from all others for as long as it lives; its name where the system keeps no id."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            if found := Path(path).read_text(encoding="ascii").strip():
                return found
        except (OSError, UnicodeDecodeError):
            continue
    return host_name()


def time_zone() -> str:
    """The IANA name of the machine's time zone: of ``TZ``, else of what ``/etc/localtime`` points to, else UTC."""
    zone = os.environ.get("TZ", "").removeprefix(":")
    for name in (zone, os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]):
        if name and not name.startswith("/") and _known(name):
            return name
    return "UTC"


def _known(name: str) -> bool:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - asked once

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
