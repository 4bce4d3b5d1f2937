"""Rotations of every kind, against a real agent with real files: nothing missing, nothing twice."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys

import pytest
from following import following
from waiting import wait_for

from shipper.agent import Agent
from shipper.outputs.batch import Outcomes
from shipper.settings import from_mapping

RECORD = "2017-07-04 11:11:37.%03d  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET %d\n"


@pytest.fixture
def settings(tmp_path, logs):
    def make(**more):
        one = {"type": "filestream", "paths": [f"{logs}/*"], "scan_frequency": "100ms", **more.pop("input", {})}
        data = {"inputs": [one], "output.file.path": str(tmp_path / "out"), **more}
        return from_mapping(data, env={"SHIPPER_HOME": str(tmp_path / "home")})

    return make


def once(settings):
    with Agent(settings) as agent:
        assert agent.run(once=True)


def numbered(name, count, begin=0):
    return [f"{name} line {n:06}" for n in range(begin, begin + count)]


def write(path, lines, mode="w"):
    with path.open(mode) as log:
        log.write("".join(line + "\n" for line in lines))


def pack(path, *, keep=False):
    """As gzip does: the archive has the time of the file, which goes when the archive is there."""
    target = path.with_name(path.name + ".gz")
    status = path.stat()
    target.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    if not keep:
        path.unlink()
    return target


@pytest.mark.parametrize("count", [3, 500])
@pytest.mark.parametrize("more", [0, 40])
def test_what_was_packed_while_stopped_is_read_on(settings, logs, shipped, count, more):
    lines = numbered("a", count)
    write(logs / "app.log", lines)
    once(settings())
    late = numbered("late", more)
    write(logs / "app.log", late, "a")
    (logs / "app.log").rename(logs / "app.log.1")
    pack(logs / "app.log.1")
    new = numbered("b", 5)
    write(logs / "app.log", new)
    once(settings())
    assert sorted(shipped()) == sorted(lines + late + new)


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 500])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("trace", [[], ["\tat a.B.c(B.java:1)"] * 2])
def test_what_is_packed_while_running_is_not_shipped_again(settings, logs, shipped, count, keep, trace):  # noqa: PLR0917 - fixtures
    lines = [line for record in numbered("a", count) for line in (record, *trace)]
    write(logs / "app.log", lines)
    with following(settings()) as agent:
        wait_for(lambda: len(shipped()) == len(lines))
        (logs / "app.log").rename(logs / "app-2026-11-23.0.log")
        pack(logs / "app-2026-11-23.0.log", keep=keep)
        new = numbered("b", 5)
        write(logs / "app.log", new)
        wait_for(lambda: len(shipped()) >= len(lines) + 5)
        write(logs / "other.log", ["end"])
        wait_for(lambda: "end" in shipped())
        del agent
    once(settings())
    assert sorted(shipped()) == sorted([*lines, *new, "end"])


def test_an_archive_has_the_ids_of_the_file_that_was_packed(settings, logs, tmp_path):
    ids = []
    for packed in (False, True):
        shutil.rmtree(tmp_path / "home", ignore_errors=True)
        write(logs / "app.log", numbered("a", 300))
        if packed:
            pack(logs / "app.log")
        with Agent(settings()) as agent:
            bodies = []
            agent._senders.all[0]._output.send = lambda batch, bodies=bodies: bodies.extend(batch.ids()) or Outcomes()
            assert agent.run(once=True)
        ids.append(bodies)
    assert len(ids[0]) == 300
    assert ids[0] == ids[1]


@pytest.mark.parametrize(("count", "unread", "regrown"), [(3, 0, 900), (3, 7, 2), (500, 0, 2), (500, 7, 900)])
def test_copytruncate_while_stopped(settings, logs, shipped, count, unread, regrown):  # noqa: PLR0917 - fixtures
    lines = numbered("a", count)
    write(logs / "app.log", lines)
    once(settings())
    late = numbered("late", unread)
    write(logs / "app.log", late, "a")
    shutil.copyfile(logs / "app.log", logs / "app.log.1")
    new = numbered("b", regrown)
    write(logs / "app.log", new)  # truncates, the same inode
    once(settings())
    once(settings())
    assert sorted(shipped()) == sorted(lines + late + new)


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 500])
@pytest.mark.parametrize("seen_before", [False, True])
def test_copytruncate_while_running(settings, logs, shipped, count, seen_before):
    written = []
    with following(settings()) as agent:
        for generation in range(4):
            lines = numbered(f"generation {generation}", count)
            write(logs / "app.log", lines)
            written += lines
            wait_for(lambda: len(shipped()) >= len(written))  # noqa: B023 - called at once
            for n in range(generation, 0, -1):
                (logs / f"app.log.{n}").rename(logs / f"app.log.{n + 1}")
            shutil.copyfile(logs / "app.log", logs / "app.log.1")
            if seen_before:
                wait_for(lambda: agent._reading.inputs[0].harvest._matching.held)
            os.truncate(logs / "app.log", 0)
        write(logs / "other.log", ["end"])
        wait_for(lambda: "end" in shipped())
    once(settings())
    assert sorted(shipped()) == sorted([*written, "end"])


def test_a_copy_that_goes_its_own_way_is_a_file_of_its_own(settings, logs, shipped):
    lines = numbered("a", 100)
    write(logs / "app.log", lines)
    with following(settings()) as agent:
        wait_for(lambda: len(shipped()) == 100)
        shutil.copyfile(logs / "app.log", logs / "app.log.1")
        wait_for(lambda: agent._reading.inputs[0].harvest._matching.held)
        write(logs / "app.log.1", ["own"], "a")
        wait_for(lambda: len(shipped()) == 201)
    assert sorted(shipped()) == sorted([*lines, *lines, "own"])


def test_a_truncated_file_that_has_grown_past_its_old_end_is_read_from_its_start(settings, logs, shipped):
    write(logs / "app.log", numbered("a", 100))
    with following(settings()) as agent:
        wait_for(lambda: len(shipped()) == 100)
        write(logs / "app.log", numbered("b", 1000))
        wait_for(lambda: len(shipped()) >= 1100)
        del agent
    assert sorted(shipped()) == sorted(numbered("a", 100) + numbered("b", 1000))


def test_equal_lines_deleted_and_written_anew_under_the_same_inode_are_new(settings, logs, shipped):
    path = logs / "app.log"
    write(path, ["same"] * 100)
    once(settings())
    inode = path.stat().st_ino
    for _ in range(50):  # until the system gives the inode again
        path.unlink()
        write(path, ["same"] * 150)
        if path.stat().st_ino == inode:
            break
        write(logs / "hole", [""])
        (logs / "hole").unlink()
    once(settings())
    assert len(shipped()) == 250


def test_equal_lines_that_were_truncated_and_grew_further_lose_nothing(settings, logs, shipped):
    path = logs / "app.log"
    write(path, ["same"] * 100)
    with following(settings()):
        wait_for(lambda: len(shipped()) == 100)
        os.truncate(path, 0)
        write(path, ["same"] * 50, "a")
        wait_for(lambda: len(shipped()) == 150)
    write(path, ["same"] * 100, "a")
    once(settings())
    assert len(shipped()) == 250


def test_a_double_rotation_between_two_looks(settings, logs, shipped):
    lines = numbered("a", 50)
    write(logs / "app.log", lines)
    once(settings())
    second, third = numbered("b", 50), numbered("c", 50)
    (logs / "app.log").rename(logs / "app.log.1")
    write(logs / "app.log", second)
    (logs / "app.log.1").rename(logs / "app.log.2")
    (logs / "app.log").rename(logs / "app.log.1")
    write(logs / "app.log", third)
    once(settings())
    assert sorted(shipped()) == sorted(lines + second + third)


def test_a_symlink_that_shows_another_file_now(settings, logs, shipped, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    write(first, numbered("a", 10))
    (logs / "current.log").symlink_to(first)
    with following(settings()):
        wait_for(lambda: len(shipped()) == 10)
        write(first, numbered("late", 5), "a")
        write(second, numbered("b", 10))
        (logs / "new").symlink_to(second)
        (logs / "new").rename(logs / "current.log")
        wait_for(lambda: len(shipped()) >= 25)
    assert sorted(shipped()) == sorted(numbered("a", 10) + numbered("late", 5) + numbered("b", 10))


def test_hard_links_and_symlink_loops(settings, logs, shipped):
    write(logs / "a.log", numbered("a", 10))
    os.link(logs / "a.log", logs / "b.log")
    (logs / "loop").symlink_to(logs / "loop")
    (logs / "round").symlink_to(logs)
    once(settings(input={"paths": [f"{logs}/**/*.log"]}))
    (logs / "a.log").unlink()
    write(logs / "b.log", ["more"], "a")
    once(settings(input={"paths": [f"{logs}/**/*.log"]}))
    assert sorted(shipped()) == sorted([*numbered("a", 10), "more"])


@pytest.mark.slow
def test_a_folder_that_vanishes_and_comes_back_is_not_read_again(settings, logs, shipped):
    write(logs / "a.log", numbered("a", 10))
    with following(settings()) as agent:
        wait_for(lambda: len(shipped()) == 10)
        logs.rename(logs.with_name("elsewhere"))
        wait_for(lambda: all(h.final for h in agent._reading.inputs[0].harvest.harvesters))
        for harvester in agent._reading.inputs[0].harvest.harvesters:
            harvester.quiet_since -= 1000
        wait_for(lambda: agent.progress().files == 0)
        logs.with_name("elsewhere").rename(logs)
        write(logs / "a.log", ["more"], "a")
        wait_for(lambda: len(shipped()) >= 11)
    assert sorted(shipped()) == sorted([*numbered("a", 10), "more"])


def test_a_hole_at_the_beginning_is_passed_over(settings, logs, shipped):
    """What a writer leaves that does not append: after copytruncate it goes on where it was."""
    with (logs / "app.log").open("w") as log:
        log.write("".join(line + "\n" for line in numbered("a", 1000)))
        log.flush()
        once(settings())
        os.truncate(logs / "app.log", 0)
        log.write("".join(line + "\n" for line in numbered("b", 10)))
    once(settings())
    assert sorted(shipped()) == sorted(numbered("a", 1000) + numbered("b", 10))


def test_a_low_limit_of_open_files_loses_nothing(settings, logs, shipped):
    written = []
    for n in range(60):
        lines = numbered(f"file {n}", 3)
        write(logs / f"{n}.log", lines)
        written += lines
    small = settings(input={"harvester_limit": 8})
    once(small)
    assert sorted(shipped()) == sorted(written)
    with following(small) as agent:
        for n in range(60):
            write(logs / f"{n}.log", [f"more {n}"], "a")
            written.append(f"more {n}")
        wait_for(lambda: len(shipped()) >= len(written))
        assert len(agent._reading.inputs[0].harvest.harvesters) <= 8
    assert sorted(shipped()) == sorted(written)


@pytest.mark.slow
def test_a_stack_trace_that_a_rotation_has_split_is_one_document(settings, logs, shipped):
    trace = "java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\n"
    rest = "\tat a.B.d(B.java:2)\n\tat a.B.e(B.java:3)\n"
    multiline = {"pattern": "^[0-9]{4}-", "negate": True, "match": "after", "timeout": "3s"}
    with following(settings(input={"multiline": multiline})) as agent:
        (logs / "app.log").write_text(RECORD % (1, 1) + trace)
        wait_for(lambda: agent.progress().read)
        (logs / "app.log").rename(logs / "app.log.1")
        (logs / "app.log").write_text(rest + RECORD % (2, 2) + RECORD % (3, 3))
        wait_for(lambda: len(shipped()) >= 3)
    assert sorted(shipped()) == sorted(
        [(RECORD % (1, 1) + trace + rest).strip(), (RECORD % (2, 2)).strip(), (RECORD % (3, 3)).strip()]
    )
    once(settings(input={"multiline": multiline}))
    assert len(shipped()) == 3


@pytest.mark.slow
def test_a_system_that_grants_few_descriptors(settings, logs, shipped, tmp_path):
    written = []
    for n in range(200):
        lines = numbered(f"file {n}", 3)
        write(logs / f"{n}.log", lines)
        written += lines
    program = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
from shipper.cli import main
main()
"""
    (tmp_path / "shipper.yml").write_text(
        f"inputs: [{{paths: ['{logs}/*'], harvester_limit: 5000}}]\noutput.file.path: {tmp_path}/out\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, "run", "--once", "-c", f"{tmp_path}/shipper.yml"],
        env={**os.environ, "SHIPPER_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert sorted(shipped()) == sorted(written), run.stderr
    assert run.returncode == 0, run.stderr
