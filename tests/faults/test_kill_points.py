"""SIGKILL at each named point, several times over; then a run to the end: nothing missing, nothing twice where ids apply."""

from __future__ import annotations

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

EVENTS = 3_000
"""About 25 batches of 16 KiB."""
KILLED = -signal.SIGKILL


@pytest.fixture(params=["store", "file", "elasticsearch"])
def shipper(request, tmp_path):
    if request.param != "elasticsearch":
        yield Shipper(tmp_path, request.param)
        return
    with ScriptedElasticsearch() as server:
        yield Shipper(tmp_path, server.output(), read=server.documents)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point, shipper):
    if point == "fsync" and not shipper.repeats:
        pytest.skip("only the file output and the spool call fsync in Python; SQLite's own are in test_disk_faults.py")
    log = Log(shipper.logs / "app.log")
    log.write(EVENTS)
    killed = 0
    for nth in (1, 4):
        code = shipper.once(kill=[point, nth])
        assert code in {0, KILLED}, shipper.errors
        killed += code == KILLED
    assert killed, f"no run came to {point!r}"
    log.write_without_end()
    shipper.ends_well()
    holds(log.events, shipper.documents(), repeats=shipper.repeats)


@pytest.mark.parametrize("nth", [1, 2])
def test_killed_when_a_cut_is_durable(nth, shipper):
    log = Log(shipper.logs / "app.log")
    log.write(9)  # the tenth is a trace, whose end time has to decide
    log.write()
    with shipper.following(kill=["cut", nth]) as process:
        if nth > 1:
            shipper.wait_for(log.events)
            log.write(10)
        assert process.wait(30) == KILLED
    log.write(5)
    shipper.ends_well()
    holds(log.events, shipper.documents(), repeats=shipper.repeats)


@pytest.mark.parametrize("nth", [1, 2])
def test_killed_at_rename(nth, shipper):
    log = Log(shipper.logs / "app.log")
    with shipper.following(kill=["rename", nth]) as process:
        for _ in range(20):
            log.write(100)
            shipper.wait_for(log.events[:100], 30) if process.poll() is None else None
            log.rename()
            if process.poll() is not None:
                break
            time.sleep(0.3)
        assert process.wait(30) == KILLED
    log.rename()
    log.write(100)
    shipper.ends_well()
    holds(log.events, shipper.documents(), repeats=shipper.repeats)


def test_killed_at_random_while_the_log_is_rotated(shipper):
    chance = random.Random(5)
    log = Log(shipper.logs / "app.log")
    for _ in range(6):
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
