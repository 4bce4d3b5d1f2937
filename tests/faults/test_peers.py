"""The open wounds of other shippers, each as its own report describes it, with the number in the test's name.

Read in their issue trackers; the scripts are our own. Where a report needs a cluster or a kernel of its own, what the agent sees
of it is brought about by hand: an inode that is used again, an answer that comes late.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from oracle import holds, judge, stored, torn
from scripted import Act, ScriptedElasticsearch
from shipping import Shipper
from waiting import wait_for
from writer import Log

pytestmark = [pytest.mark.faults, pytest.mark.slow]

UNAVAILABLE = Act("503", lambda _: False, 503)


def test_beats_50738_closed_for_inactivity_while_the_output_is_slow(tmp_path):
    """Resumed at what was read, not at what was acknowledged: silent loss at each close and reopen."""
    with ScriptedElasticsearch() as server:
        shipper = Shipper(
            tmp_path, server.output(), read=server.documents, **{"close.on_state_change.inactive": "200ms"}
        )
        log = Log(shipper.logs / "app.log")
        with shipper.following() as process:
            for _ in range(3):
                server.script.extend([UNAVAILABLE] * 20)
                log.write(20)
                time.sleep(1.0)
                log.write(5)
                shipper.wait_for(log.events)
            server.script.extend([UNAVAILABLE] * 1_000)
            log.write(20)
            time.sleep(1.0)
            process.kill()
        server.script.clear()
        shipper.ends_well()
        holds(log.events, server.documents())


def test_beats_39731_copytruncate_of_a_small_file(tmp_path):
    """One line, then logrotate with copytruncate: the whole file was collected a second time, from the copy."""
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    with shipper.following():
        for _ in range(4):
            log.write()
            shipper.wait_for(log.events)
            log.copytruncate()
            time.sleep(0.4)
        log.write()
        shipper.wait_for(log.events)
    shipper.ends_well()
    holds(log.events, shipper.documents())


@pytest.mark.parametrize("packed", [False, True])
def test_beats_45300_copytruncate_twice_while_stopped(packed, tmp_path):
    """150 lines over two rotations with a restart between: 100 or 35 arrived."""
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log", trace_every=0)
    log.write(50)
    assert shipper.inside_once()
    log.copytruncate()
    log.write(50)
    first = log.copytruncate()
    log.write(50)
    if packed:
        Log.pack(Path(f"{log.path}.2"))
    assert first.exists()
    assert shipper.inside_once()
    log.write(10)
    assert shipper.inside_once()
    holds(log.events, shipper.documents())


def test_beats_38003_files_with_the_same_content(tmp_path):
    """Two files with the same lines, and no time in them: one of them was skipped."""
    shipper = Shipper(tmp_path, paths="*.log")
    line = "00000000 Token already created, skipping account and token file creation."
    for name in ("one", "two", "three"):
        (shipper.logs / f"{name}.log").write_text(f"{line}\n" * 40)
    with shipper.following():
        wait_for(lambda: len(shipper.documents()) == 120, "all of them")
        with (shipper.logs / "two.log").open("a") as file:
            file.write("00000001 now they differ\n")
        wait_for(lambda: len(shipper.documents()) == 121, "the one more")
    shipper.ends_well()
    holds([line] * 120 + ["00000001 now they differ"], shipper.documents())


def test_beats_47336_a_trace_split_by_a_rotation(tmp_path):
    """Its two halves became two events, and no one knew that they belonged together."""
    shipper = Shipper(tmp_path)
    shipper.settings["inputs"][0]["multiline"]["timeout"] = "3s"
    log = Log(shipper.logs / "app.log", trace_every=0)
    with shipper.following():
        log.write(3)
        shipper.wait_for(log.events[:2])
        log._append("00000098 fails\njava.lang.Error: no\n\tat a.B.one(B.java:1)\n")
        log.rename()
        log._append("\tat a.B.two(B.java:2)\n")
        log.events.append("00000098 fails\njava.lang.Error: no\n\tat a.B.one(B.java:1)\n\tat a.B.two(B.java:2)")
        log.write(3)
        shipper.wait_for(log.events)
    assert not judge(log.events, shipper.documents())
    assert not torn(log.events, shipper.documents())


def test_beats_42278_which_files_may_be_deleted(tmp_path):
    """There was no way to ask. What ``shipper files`` calls safe must be with the output, and must not come again."""
    with ScriptedElasticsearch() as server:
        shipper = Shipper(tmp_path, server.output(), read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(100)
        log.rename()
        shipper.ends_well()
        log.write(100)
        command = [sys.executable, "-m", "shipper", "files", "-c", str(tmp_path / "shipper.yml"), "--json"]
        asked = subprocess.run(
            command, env={**os.environ, "SHIPPER_HOME": str(shipper.home)}, check=False, capture_output=True
        )
        answers = [orjson.loads(line) for line in asked.stdout.splitlines()]
        safe = {each["path"]: each["safe"] for each in answers}
        assert asked.returncode == 1, asked.stderr
        assert safe[f"{log.path}.1"] is True
        assert safe[str(log.path)] is False


@pytest.mark.parametrize("number", ["33718", "37014"])
def test_beats_33718_and_37014_a_one_shot_run_ends_when_all_is_acknowledged(number, tmp_path):
    """It ended before it had read a line, or before the output had answered; or never."""
    with ScriptedElasticsearch(latency=0.2) as server:
        shipper = Shipper(tmp_path, server.output(), read=server.documents)
        logs = [Log(shipper.logs / f"app.log.{name}", f"n{name}") for name in "abc"]
        for log in logs:
            log.write(200)
            log.write_without_end()
        if number == "33718":
            server.script.extend([UNAVAILABLE] * 5)
        assert shipper.once() == 0, shipper.errors
        holds([event for log in logs for event in log.events], server.documents())
        server.stop()
        logs[0].write(10)
        assert shipper.once(patience=0.5) == 1
        assert "not everything is delivered" in shipper.errors or "connect" in shipper.errors.lower(), shipper.errors


def test_beats_19736_device_and_inode_change_on_a_network_mount(tmp_path):
    """After a reboot the share has another device number: all files were new."""
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    log.write(300)
    assert shipper.inside_once()
    moved = tmp_path / "share"
    shutil.copytree(shipper.logs, moved)  # other inodes, which is all that a file system shows of it
    shutil.rmtree(shipper.logs)
    moved.rename(shipper.logs)
    log.close()
    log._open()
    log.write(20)
    assert shipper.inside_once()
    holds(log.events, shipper.documents())
    assert len(stored(shipper.home / "store")) == len(log.events)


def test_beats_2395_deleted_files_are_not_kept_open(tmp_path):
    """Deleted files stayed open, and the disk full, until a restart. They have to be read first, and closed then."""
    with ScriptedElasticsearch() as server:
        shipper = Shipper(tmp_path, server.output(), paths="app.log", read=server.documents)
        log = Log(shipper.logs / "app.log")
        with shipper.following() as process:
            log.write(100)
            shipper.wait_for(log.events)
            server.script.extend([UNAVAILABLE] * 30)
            log.write(500)
            wait_for(lambda: opened(process, ".log"), "the file to be open")
            log.delete()
            log.write(10)
            shipper.wait_for(log.events)
            wait_for(lambda: not opened(process, "(deleted)"), "the deleted file to be closed", 30)
        holds(log.events, server.documents())


def opened(process, part):
    """Whether the process has a file open with ``part`` in what /proc calls it."""
    found = []
    for each in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            found.append(os.readlink(each))
        except OSError:
            continue
    return any(part in name and "/logs/" in name for name in found)


def test_fluent_bit_8025_an_inode_of_the_database_that_is_used_again(tmp_path):
    """A file that was deleted while the agent was stopped; its inode comes again, with other and longer content."""
    shipper = Shipper(tmp_path)
    events = []
    for generation in range(5):
        log = Log(shipper.logs / f"app.log.{generation}", f"bulk{generation}")
        log.write(10 * (generation + 1))
        events += log.events
        assert shipper.inside_once()
        log.close()
        log.path.unlink()
    holds(events, shipper.documents())


def test_fluent_bit_11455_an_offset_beyond_the_end_after_a_rotation_by_time(tmp_path):
    """At midnight the new file got the offset of the old one, was shorter than that, and was ignored for a day."""
    shipper = Shipper(tmp_path, paths="*/0.log*")
    pods = []
    for name in "abc":
        (shipper.logs / name).mkdir()
        pods.append(Log(shipper.logs / name / "0.log", name))
    with shipper.following():
        for size in (400, 3, 200, 1):
            for pod in pods:
                pod.write(size)
            for pod in pods:
                pod.rename()
        for pod in pods:
            pod.write(2)
        shipper.wait_for([event for pod in pods for event in pod.events])
    shipper.ends_well()
    holds([event for pod in pods for event in pod.events], shipper.documents())


@pytest.mark.parametrize("size", [1_000, 30_000])
def test_opentelemetry_43693_copytruncate_with_the_same_first_kilobyte(size, tmp_path):
    """Lines of which the first kilobyte is always the same: after copytruncate nothing was read any more."""
    shipper = Shipper(tmp_path, paths="app.log")
    start = "00000000 " + "resource " * (size // 9)
    written = []
    path = shipper.logs / "app.log"
    path.touch()
    with shipper.following():
        for rotation in range(4):
            with path.open("a") as log:
                for number in range(5 - rotation):
                    written.append(f"{start}{rotation} {number}")
                    log.write(f"{written[-1]}\n")
            shipper.wait_for(written)
            shutil.copy(path, tmp_path / "app.log.1")
            os.truncate(path, 0)
            time.sleep(0.5)
    holds(written, shipper.documents())


def test_loki_14462_rotated_twice_while_the_push_is_slow(tmp_path):
    """Of two rotations during one slow push the file between them was never read."""
    with ScriptedElasticsearch(latency=0.15) as server:
        shipper = Shipper(tmp_path, server.output(), read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(1_000)
        with shipper.following():
            shipper.wait_for(log.events[:50])
            for _ in range(3):
                log.rename()
                log.write(200)
                log.rename()
                log.write(200)
                time.sleep(0.5)
            shipper.wait_for(log.events)
        holds(log.events, server.documents())


def test_loki_14462_rotated_out_of_sight_while_the_push_is_slow(tmp_path):
    """The same where only the log itself is an input: each generation has to be opened while it has that name."""
    with ScriptedElasticsearch(latency=0.15) as server:
        shipper = Shipper(tmp_path, server.output(), paths="app.log", read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(1_000)
        with shipper.following():
            shipper.wait_for(log.events[:50])
            for _ in range(4):
                log.write(200)
                time.sleep(1.0)
                log.rename()
            log.write(10)
            shipper.wait_for(log.events)
        holds(log.events, server.documents())


def test_vector_22954_rotated_while_it_restarts(tmp_path):
    """Rotated while it was down or starting: what was left of the rotated files was never read."""
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    for nth in (1, 3):
        log.write(500)
        assert shipper.once(kill=["acknowledge", nth]) == -signal.SIGKILL
        log.rename()
        log.write(100)
        assert shipper.once(kill=["read", 2]) == -signal.SIGKILL
        log.write(100)
        log.rename()
    shipper.ends_well()
    holds(log.events, shipper.documents())


def test_opentelemetry_46105_and_40523_packed_by_the_rotation(tmp_path):
    """The archive of a log that was read in part came a second time as a whole, or from the wrong place, as rubbish."""
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    log.write(300)
    assert shipper.inside_once()
    log.write(50)
    rotated = log.rename()
    packed = gzip.compress(rotated.read_bytes())
    Path(f"{rotated}.gz").write_bytes(packed)
    rotated.unlink()
    log.write(50)
    assert shipper.inside_once()
    holds(log.events, shipper.documents())
