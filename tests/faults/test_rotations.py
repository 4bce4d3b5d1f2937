"""Schedules of logrotate against an agent that follows, is stopped or is killed meanwhile."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest
from oracle import holds, judge, torn
from scripted import ScriptedElasticsearch
from shipping import Shipper
from writer import Log

pytestmark = [pytest.mark.faults, pytest.mark.slow]

NIGHTLY = bool(os.environ.get("SHIPPER_NIGHTLY"))
SCHEDULES = {
    "rename": lambda log: log.rename(),
    "rename twice": lambda log: (log.rename(), log.write(3), log.rename()),
    "rename and pack": lambda log: log.rename(pack=True),
    "copytruncate": lambda log: log.copytruncate(),
}


@pytest.fixture(params=[False, True], ids=["following", "killed"])
def killed(request):
    return request.param


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rotated_under_load(schedule, killed, tmp_path):
    rotate = SCHEDULES[schedule]
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    for _ in range(20 if NIGHTLY else 2):
        with shipper.following() as process:
            for _ in range(5):
                log.write(300)
                time.sleep(0.15)
                rotate(log)
            if killed:
                process.kill()
        log.write(100)
        rotate(log)
    shipper.ends_well()
    holds(log.events, shipper.documents())


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rotated_while_stopped(schedule, tmp_path):
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    for _ in range(4):
        log.write(500)
        SCHEDULES[schedule](log)
        log.write(100)
        assert shipper.inside_once()
    holds(log.events, shipper.documents())


def test_a_schedule_of_everything_at_random(tmp_path):
    chance = random.Random(None if NIGHTLY else 8)
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    for _ in range(40 if NIGHTLY else 3):
        with shipper.following() as process:
            for _ in range(8):
                log.write(chance.randrange(1, 400))
                time.sleep(chance.uniform(0, 0.2))
                SCHEDULES[chance.choice(list(SCHEDULES))](log)
            if chance.random() < 0.5:
                process.kill()
        log.write(20)
    shipper.ends_well()
    holds(log.events, shipper.documents())


@pytest.mark.parametrize("then", ["regrow", "delete"])
def test_truncated_or_deleted_after_it_was_read(then, tmp_path):
    shipper = Shipper(tmp_path, paths="app.log")
    log = Log(shipper.logs / "app.log")
    with shipper.following():
        for size in (50, 100, 200, 400):
            if then == "regrow" and log.events:
                log.regrow(size)
            else:
                log.write(size)
            shipper.wait_for(log.events)
            if then == "delete":
                log.delete()
    shipper.ends_well()
    holds(log.events, shipper.documents())


def test_deleted_while_it_is_read_with_a_slow_output(tmp_path):
    with ScriptedElasticsearch(latency=0.05) as server:
        shipper = Shipper(tmp_path, server.output(), paths="app.log", read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(3_000)
        with shipper.following():
            shipper.wait_for(log.events[:100])
            log.delete()
            log.write(100)
            shipper.wait_for(log.events)
        holds(log.events, server.documents())


@pytest.mark.parametrize("rotation", ["rename", "copytruncate"])
def test_a_trace_that_a_rotation_tears_apart_is_one_event(rotation, tmp_path):
    shipper = Shipper(tmp_path)
    shipper.settings["inputs"][0]["multiline"]["timeout"] = "3s"
    log = Log(shipper.logs / "app.log", trace_every=0)
    with shipper.following():
        log.write(5)
        shipper.wait_for(log.events[:4])
        log._append("00000099 app fails\n\tat one\n")
        time.sleep(0.5)
        getattr(log, rotation)()
        log._append("\tat two\n")
        log.events.append("00000099 app fails\n\tat one\n\tat two")
        log.write(5)
        shipper.wait_for(log.events)
    assert not judge(log.events, shipper.documents())
    assert not torn(log.events, shipper.documents())


def test_half_a_line_at_a_rotation(tmp_path):
    """Written in two parts, the rename between them: the writer goes on in the file that it has open, whatever it is called."""
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    with shipper.following():
        log.write(5)
        rest = log.write_half()
        time.sleep(0.4)
        log.path.rename(f"{log.path}.1")
        time.sleep(0.4)
        log.write_rest(rest)
        log.close()
        log._open()
        log.write(5)
        shipper.wait_for(log.events)
    holds(log.events, shipper.documents())


def test_inodes_used_again(tmp_path):
    shipper = Shipper(tmp_path)
    events = []
    for generation in range(6):
        log = Log(shipper.logs / "app.log", f"g{generation}")
        log.write(100 + generation)
        assert shipper.inside_once()
        events += log.events
        log.path.unlink()
    holds(events, shipper.documents())


def test_identical_beginnings_of_many_kilobytes(tmp_path):
    shipper = Shipper(tmp_path)
    banner = [f"{number:08} banner {'b' * 80}" for number in range(100)]
    events = []
    for name in "abcd":
        log = Log(shipper.logs / f"app.log.{name}", name)
        log._append("".join(f"{line}\n" for line in banner))
        log.events += banner
        log.write(50)
        events += log.events
    assert shipper.inside_once()
    holds(events, shipper.documents(), whole=False)


def test_a_short_file_that_grows_keeps_its_place(tmp_path):
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log", trace_every=0)
    for _ in range(30):
        log.write()
        assert shipper.inside_once()
    holds(log.events, shipper.documents())


def test_hard_links_symlinks_and_loops(tmp_path):
    shipper = Shipper(tmp_path, paths="**/*.log*")
    log = Log(shipper.logs / "app.log")
    log.write(100)
    os.link(log.path, shipper.logs / "app.log.hard")
    os.symlink(log.path, shipper.logs / "app.log.soft")
    os.symlink(shipper.logs, shipper.logs / "loop")
    os.symlink("self.log", shipper.logs / "self.log")
    os.symlink("nowhere", shipper.logs / "dead.log")
    with shipper.following():
        shipper.wait_for(log.events)
        (shipper.logs / "app.log.soft").unlink()
        other = Log(shipper.logs / "b", "other")
        other.write(50)
        os.symlink(other.path, shipper.logs / "app.log.soft")  # swapped
        log.write(50)
        shipper.wait_for(log.events + other.events)
    holds(log.events + other.events, shipper.documents())


def test_a_folder_that_vanishes_and_comes_back(tmp_path):
    """As a mount does: the files are not there for a while, and are the same afterwards."""
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    log.write(500)
    with shipper.following():
        shipper.wait_for(log.events)
        away = shipper.logs.rename(tmp_path / "away")
        shipper.logs.mkdir()
        time.sleep(1.5)
        shipper.logs.rmdir()
        away.rename(shipper.logs)
        log.write(100)
        shipper.wait_for(log.events)
    shipper.logs.rename(away)
    shipper.logs.mkdir()
    shipper.once()
    shipper.logs.rmdir()
    away.rename(shipper.logs)
    log.write(10)
    shipper.ends_well()
    holds(log.events, shipper.documents())


def test_copied_to_another_device_and_inode(tmp_path):
    """A backup that was put back, or a network mount after a reboot: another inode, another device, the same content."""
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    log.write(500)
    assert shipper.inside_once()
    copy = Path(shutil.copy(log.path, tmp_path / "copy"))
    log.path.unlink()
    copy.rename(log.path)
    log.close()
    log._open()
    log.write(50)
    assert shipper.inside_once()
    holds(log.events, shipper.documents())


def test_files_by_the_thousand(tmp_path):
    shipper = Shipper(tmp_path)
    events = []
    for number in range(2_000):
        (shipper.logs / f"app.log.{number}").write_text(f"{number:08} file {number}\n")
        events.append(f"{number:08} file {number}")
    assert shipper.inside_once()
    holds(events, shipper.documents())
