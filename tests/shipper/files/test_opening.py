"""Which files are taken up, when, and why the others are not."""

from __future__ import annotations

import os
import shutil
from contextlib import closing

import pytest
from harvesting import lines, numbered, open_harvest, unprivileged


def test_a_first_line_that_is_not_complete_is_waited_for_unless_the_run_is_one_shot(harvest, logs):
    (logs / "a.log").write_text("half a li")
    harvest.scan()
    assert harvest.harvesters == []
    harvest.scan(partial=True)
    assert len(harvest.harvesters) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\x7fELF\0\0\n", "binary"), ("x\n".encode("utf-16"), "UTF-16")],
)
def test_what_is_no_text_is_named_with_the_reason(harvest, logs, content, reason):
    (logs / "a.log").write_bytes(content)
    harvest.scan()
    assert reason in harvest.unreadable[f"{logs}/a.log"]
    assert harvest.harvesters == []


def test_a_file_without_permission_is_named_and_read_once_it_is_granted(registry, open_logs):
    (open_logs / "a.log").write_text("one\n")
    (open_logs / "a.log").chmod(0)
    with closing(open_harvest(registry, f"{open_logs}/*.log")) as harvest:
        with unprivileged():
            harvest.scan()
        assert "permission denied" in harvest.unreadable[f"{open_logs}/a.log"]
        assert harvest.harvesters == []
        (open_logs / "a.log").chmod(0o600)
        harvest.scan()
        assert harvest.unreadable == {}
        assert list(lines(harvest).values()) == [["one"]]


def test_a_folder_that_cannot_be_looked_at_is_no_proof_that_its_files_are_gone(registry, open_logs):
    folder = open_logs / "in"
    folder.mkdir()
    (folder / "a.log").write_text("one\n")
    with closing(open_harvest(registry, f"{open_logs}/*/*.log")) as harvest:
        harvest.scan()
        assert list(lines(harvest).values()) == [["one"]]
        folder.chmod(0)
        with unprivileged():
            harvest.scan()
        assert not harvest.harvesters[0].final
        folder.chmod(0o700)


def test_a_file_that_another_input_reads_is_left_to_it(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    other = open_harvest(registry, f"{logs}/a.log")
    other.scan()
    assert "another input" in other.unreadable[f"{logs}/a.log"]


def test_a_name_that_is_no_utf8_is_read_all_the_same(harvest, logs):
    with open(os.fsencode(logs) + b"/a\xff.log", "w") as log:
        log.write("one\n")
    harvest.scan()
    assert list(lines(harvest).values()) == [["one"]]
    assert harvest.harvesters[0].path == f"{logs}/a\N{REPLACEMENT CHARACTER}.log"


def test_empty_files_are_not_opened(harvest, logs, monkeypatch):
    for number in range(3):
        (logs / f"{number}.log").touch()
    opened = []
    monkeypatch.setattr(os, "open", lambda *arguments, real=os.open: opened.append(arguments) or real(*arguments))
    harvest.scan()
    assert not opened
    (logs / "1.log").write_text("one\n")
    assert harvest.check()
    harvest.scan()
    assert list(lines(harvest).values()) == [["one"]]


def test_many_files_are_registered_in_the_order_of_their_age(harvest, registry, logs):
    for name, age in (("a.log", 1), ("b.log.1", 3), ("c.log.2", 2)):
        (logs / name).write_text("same\n" + name)
        os.utime(logs / name, (1e9 - age, 1e9 - age))
    harvest.scan()
    assert [os.path.basename(entry.path) for entry in registry.entries()] == ["b.log.1", "c.log.2", "a.log"]
    assert [entry.salt for entry in registry.entries()] == [0, 1, 2]


@pytest.mark.parametrize("name", ["a.log.1", "a.log-20261123"])
def test_a_copy_that_has_kept_its_time_is_held_back_at_the_first_look_too(harvest, logs, name):
    log = logs / "a.log"
    log.write_text(numbered(500))
    shutil.copy2(log, logs / name)
    with log.open("a") as file:
        file.write("more\n")
    before = log.stat().st_mtime_ns - 10**8
    os.utime(logs / name, ns=(before, before))
    harvest.scan()
    [found] = lines(harvest).values()
    assert len(found) == 501


def test_what_was_rotated_is_begun_before_its_successor(harvest, logs):
    for age, name in enumerate(("a.log", "a.log.1", "a.log.2")):
        (logs / name).write_text(f"banner\n{age}\n")
        os.utime(logs / name, (1_000 - age, 1_000 - age))
    harvest.scan()
    assert [harvester.path for harvester in harvest.harvesters] == [f"{logs}/a.log{each}" for each in (".2", ".1", "")]
