"""Where the agent keeps what must survive: registry, rejects, store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM = Path("/var/lib/shipper")


def data_folder(env: Mapping[str, str], configured: Path | None = None) -> Path:
    """``SHIPPER_HOME``, else ``configured`` (``path.data``), else ``/var/lib/shipper`` for root and the XDG state folder for others.

    ``SHIPPER_HOME`` may be relative to the working folder; an ``XDG_STATE_HOME`` that is not absolute is ignored, as its
    specification wants. Nothing is created here.
    """
    if home := env.get("SHIPPER_HOME"):
        return Path(home).expanduser().absolute()
    if configured is not None:
        return configured
    if os.geteuid() == 0:
        return SYSTEM
    state = Path(env.get("XDG_STATE_HOME", ""))
    return (state if state.is_absolute() else Path.home() / ".local/state") / "elk-shipper"
