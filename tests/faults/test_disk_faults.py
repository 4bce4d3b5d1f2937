"""Disks that are full, read-only or broken under registry, store, rejects and output; and SIGKILL between SQLite's syncs.

The rule: pause, and never advance. When the disk is well again, the agent goes on by itself; nothing is missing, nothing twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from oracle import holds, rejected
from scripted import ScriptedElasticsearch
from shipping import Shipper, small_disk
from waiting import wait_for
from writer import Log

pytestmark = [pytest.mark.faults, pytest.mark.slow]

FAILURES = [("write", "ENOSPC"), ("fsync", "EIO"), ("write", "EROFS")]


@pytest.mark.parametrize(("function", "error"), FAILURES)
def test_the_registry_cannot_be_written(function, error, shim, tmp_path):
    with ScriptedElasticsearch() as server:
        shipper = Shipper(tmp_path, server.output(), read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(200)
        with shipper.following(environment=shim.environment) as process:
            shipper.wait_for(log.events)
            shim.fail(function, "/state.db", error)
            log.write(200)
            # The output is well: documents go on arriving, and the offsets wait. Not the trace at the end, whose end is not
            # seen: that it ends there cannot be made durable now.
            shipper.wait_for(log.events[:-1])
            log.rename()
            log.write(50)
            if process.poll() is None:
                shim.plan()
                shipper.wait_for(log.events)
        shim.plan()
        shipper.ends_well()
        holds(log.events, server.documents())


@pytest.mark.parametrize(("function", "error"), FAILURES)
def test_the_store_cannot_be_written(function, error, shim, tmp_path):
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    log.write(200)
    with shipper.following(environment=shim.environment) as process:
        shipper.wait_for(log.events)
        shim.fail(function, "/store/", error)
        log.write(300)
        log.rename()
        log.write(300)
        assert process.poll() is None
        shim.plan()
        shipper.wait_for(log.events)
    shipper.ends_well()
    holds(log.events, shipper.documents())


@pytest.mark.parametrize(("function", "error"), FAILURES)
def test_the_output_file_cannot_be_written(function, error, shim, tmp_path):
    shipper = Shipper(tmp_path, "file")
    log = Log(shipper.logs / "app.log")
    log.write(200)
    with shipper.following(environment=shim.environment) as process:
        shipper.wait_for(log.events)
        shim.fail(function, "/shipper.ndjson", error)
        log.write(300)
        log.rename()
        log.write(300)
        assert process.poll() is None
        shim.plan()
        shipper.wait_for(log.events)
    shipper.ends_well()
    holds(log.events, shipper.documents(), repeats=function == "fsync")


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_the_rejects_cannot_be_written(error, shim, tmp_path):
    with ScriptedElasticsearch(rejects=lambda document: "5 " in document["message"]) as server:
        shipper = Shipper(tmp_path, server.output(), read=server.documents)
        log = Log(shipper.logs / "app.log")
        with shipper.following(environment=shim.environment) as process:
            log.write(3)
            shipper.wait_for(log.events)
            shim.fail("write", "/state.db", error)
            log.write(100)
            wait_for(lambda: len(server.documents()) > 50, "what can be indexed")
            assert process.poll() is None
            shim.plan()
            bad = [event for event in log.events if "5 " in event]
            wait_for(lambda: len(rejected(shipper.home)) == len(bad), "the rejects")
            shipper.wait_for(log.events[len(bad) :])
        holds(log.events, [*server.documents(), *(document for _, _, document in rejected(shipper.home))])


@pytest.mark.parametrize(("part", "most"), [("/state.db", 9), ("/store/", 9)])
def test_killed_after_each_sync_of_the_database(part, most, shim, tmp_path):
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    killed = 0
    for nth in (1, 2, 5, most):
        log.write(300)
        shim.kill("fsync", part, nth)
        code = shipper.once(environment=shim.environment)
        assert code in {0, -signal.SIGKILL}, shipper.errors
        killed += code != 0
    assert killed > 1
    shipper.ends_well()
    holds(log.events, shipper.documents())


@pytest.mark.parametrize("part", ["/state.db", "/store/"])
def test_killed_after_many_a_write_of_the_database(part, shim, tmp_path):
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    for nth in (1, 10, 40):
        log.write(300)
        shim.kill("write", part, nth)
        assert shipper.once(environment=shim.environment) in {0, -signal.SIGKILL}, shipper.errors
    shipper.ends_well()
    holds(log.events, shipper.documents())


def test_a_disk_that_fills_up_under_state_and_store(tmp_path):
    try:
        with small_disk(8) as disk:
            shipper = Shipper(tmp_path)
            shipper.home = disk / "home"
            log = Log(shipper.logs / "app.log", width=200)
            log.write(100)
            with shipper.following() as process:
                shipper.wait_for(log.events)
                filler = disk / "filler"
                with filler.open("wb", buffering=0) as file:
                    fill(file)
                log.write(8_000)
                log.rename()
                log.write(10)
                wait_for(lambda: process.poll() is not None or free(disk) == 0, "the full disk")
                assert process.poll() is None
                filler.unlink()
                subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
                shipper.wait_for(log.events)
            shipper.ends_well()
            holds(log.events, shipper.documents())
    except OSError as error:
        pytest.skip(str(error))


def test_a_disk_that_becomes_read_only_under_state_and_store(tmp_path):
    try:
        with small_disk(32) as disk:
            shipper = Shipper(tmp_path)
            shipper.home = disk / "home"
            log = Log(shipper.logs / "app.log")
            log.write(100)
            shipper.ends_well()
            log.write(100)
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            assert shipper.once() == 1
            assert "Traceback" not in shipper.errors
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            shipper.ends_well()
            holds(log.events, shipper.documents())
    except OSError as error:
        pytest.skip(str(error))


def fill(file) -> None:
    try:
        while file.write(b"\0" * 65_536):
            pass
    except OSError:
        return


def free(folder: Path) -> int:
    return os.statvfs(folder).f_bavail
