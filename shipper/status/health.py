"""The page ``/health`` of an agent or a receiver: 200 while logs get where they should, 503 with the reasons while they do not.

``ok``: all is well. ``degraded`` (200 as well: a restart would mend nothing, and others are served): a path cannot be read,
or the settings file has mistakes and the settings before it are in use. ``failing`` (503): the output has taken nothing for
``TROUBLE`` seconds, its state cannot be written, or its loop stands still.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

from shipper import __version__
from shipper.files.discovery import shown
from shipper.status.server import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipper.progress import Snapshot

TROUBLE = 30.0
"""Seconds for which an output may be down, or take nothing though there is something: a restart of a server is no failure."""
STILL = 60.0
"""Seconds without a snapshot after which the agent's loop stands still."""


class Health:
    """The page. ``latest`` gives the newest snapshot; it is called in the server's thread."""

    def __init__(self, latest: Callable[[], Snapshot]) -> None:
        self._latest = latest
        self._started = time.time()

    def page(self) -> Answer:
        """As JSON."""
        snapshot = self._latest()
        failing, degraded = reasons(snapshot, time.monotonic())
        status = "failing" if failing else "degraded" if degraded else "ok"
        document: dict[str, Any] = {
            "status": status,
            "reasons": [shown(each) for each in (*failing, *degraded)],  # they name files
            "version": __version__,
            "uptime_seconds": round(time.time() - self._started),
            "output": snapshot.output,
            "lag_bytes": sum(each.lag_bytes for each in snapshot.inputs),
            "lag_seconds": round(max((each.lag_seconds for each in snapshot.inputs), default=0.0), 1),
        }
        return Answer(503 if failing else 200, "application/json", orjson.dumps(document) + b"\n")


def reasons(snapshot: Snapshot, now: float) -> tuple[list[str], list[str]]:
    """Why it is failing, and why it is degraded. ``now`` is monotonic."""
    failing: list[str] = []
    degraded: list[str] = []
    if now - snapshot.at > STILL:
        failing.append(f"nothing has been done for {now - snapshot.at:.0f} s: it stands still")
    if snapshot.trouble:
        lasted = now - snapshot.trouble_since
        (failing if lasted > TROUBLE else degraded).append(f"output, for {lasted:.0f} s: {snapshot.trouble}")
    elif snapshot.queue_bytes and now - snapshot.moved > TROUBLE:
        failing.append(f"output: has taken nothing for {now - snapshot.moved:.0f} s, and does not say why")
    if snapshot.state:
        failing.append(f"state: {snapshot.state}")
    degraded += snapshot.unreadable
    if snapshot.settings:
        degraded.append(f"settings: {snapshot.settings}")
    return failing, degraded
