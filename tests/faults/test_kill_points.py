"""SIGKILL at each named point, several times over; then a run to the end: nothing missing, nothing twice where ids apply.

The store passes all points; the other outputs those where they differ, and the rest by night (``SHIPPER_NIGHTLY``).
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from launcher import POINTS
from oracle import holds
from scripted import ScriptedElasticsearch
from shipping import Shipper
from writer import Log

pytestmark = [pytest.mark.faults, pytest.mark.slow]

NIGHTLY = bool(os.environ.get("SHIPPER_NIGHTLY"))
EVENTS = 3_000
"""About 25 batches of 16 KiB."""
KILLED = -signal.SIGKILL
OUTPUTS = {
    "store": POINTS,
    "file": POINTS if NIGHTLY else ("response", "checkpoint", "fsync"),
    "elasticsearch": POINTS if NIGHTLY else ("send", "response", "acknowledge", "checkpoint"),
}
CASES = [
    (output, point)
    for output, points in OUTPUTS.items()
    for point in points
    if point != "fsync"
    or output == "file"  # SQLite's own are in test_disk_faults.py, the spool's in test_spool_kills.py
]
ROTATED = list(OUTPUTS) if NIGHTLY else ["store"]


@pytest.fixture
def shipper(request, tmp_path):
    if request.param != "elasticsearch":
        yield Shipper(tmp_path, request.param)
        return
    with ScriptedElasticsearch() as server:
        yield Shipper(tmp_path, server.output(), read=server.documents)


@pytest.mark.parametrize(("shipper", "point"), CASES, indirect=["shipper"])
def test_killed_at(point, shipper):
    log = Log(shipper.logs / "app.log")
    log.write(EVENTS)
    killed = 0
    for nth in (1, 2, 4, 9) if NIGHTLY else (1, 4):
        code = shipper.once(kill=[point, nth])
        assert code in {0, KILLED}, shipper.errors
        killed += code == KILLED
    assert killed, f"no run came to {point!r}"
    log.write_without_end()
    shipper.ends_well()
    holds(log.events, shipper.documents(), repeats=shipper.repeats)


@pytest.mark.parametrize("shipper", ROTATED, indirect=True)
@pytest.mark.parametrize("nth", [1, 2])
def test_killed_when_a_cut_is_durable(nth, shipper):
    log = Log(shipper.logs / "app.log")
    log.write(9)  # the tenth is a trace, whose end time has to decide
    log.write()
    with shipper.following(kill=["cut", nth]) as process:
        if nth > 1:
            shipper.wait_for(log.events)
            log.write(10)
        assert process.wait(60) == KILLED
    log.write(5)
    shipper.ends_well()
    holds(log.events, shipper.documents(), repeats=shipper.repeats)


@pytest.mark.parametrize("shipper", ROTATED, indirect=True)
@pytest.mark.parametrize("nth", [1, 2])
def test_killed_at_rename(nth, shipper):
    log = Log(shipper.logs / "app.log")
    with shipper.following(kill=["rename", nth]) as process:
        log.write(100)
        for _ in range(100):
            log.rename()
            log.write(100)
            time.sleep(0.3)
            if process.poll() is not None:
                break
        assert process.wait(60) == KILLED
    log.rename()
    log.write(100)
    shipper.ends_well()
    holds(log.events, shipper.documents(), repeats=shipper.repeats)


@pytest.mark.parametrize("shipper", OUTPUTS, indirect=True)
def test_killed_at_random_while_the_log_is_rotated(shipper):
    chance = random.Random(None if NIGHTLY else 5)
    log = Log(shipper.logs / "app.log")
    for _ in range(30 if NIGHTLY else 3):
        with shipper.following() as process:
            end = time.monotonic() + chance.uniform(0.3, 1.5)
            while time.monotonic() < end:
                log.write(chance.randrange(1, 200))
                if chance.random() < 0.3:
                    log.rename()
                time.sleep(0.05)
            process.kill()
            process.wait()
        log.write(50)
        log.rename()
    log.write_without_end()
    shipper.ends_well()
    holds(log.events, shipper.documents(), repeats=shipper.repeats)
