"""Files that are renamed or replaced: which of them go on where another was read to."""

from __future__ import annotations

import shutil
from unittest import mock

import pytest
from harvesting import acknowledge, lines, numbered, quiet, restarted


def test_a_renamed_file_is_read_on_and_the_new_one_from_its_beginning(harvest, registry, logs):
    (logs / "a.log").write_text("same\none\n")
    harvest.scan()
    before = lines(harvest)
    acknowledge(harvest, registry)
    with (logs / "a.log").open("a") as old:
        (logs / "a.log").rename(logs / "a.log.1")
        old.write("late\n")
    (logs / "a.log").write_text("same\ntwo\n")
    harvest.scan()
    after = lines(harvest)
    assert sorted(after.values()) == [["late"], ["same", "two"]]
    [seed] = before
    assert after[seed] == ["late"]


def test_a_rotation_while_stopped_is_recognised(harvest, registry, logs):
    (logs / "a.log").write_text("same\none\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "a.log").rename(logs / "a.log.1")
    (logs / "a.log").write_text("same\ntwo\n")
    assert list(lines(restarted(harvest, registry, logs)).values()) == [["same", "two"]]


def test_a_file_that_one_look_missed_while_it_was_renamed_stays_the_same(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    [harvester] = harvest.harvesters
    lines(harvest)
    (logs / "a.log").rename(logs / "elsewhere")
    harvest.scan()
    assert harvester.final
    (logs / "elsewhere").rename(logs / "a.log.1")
    harvest.scan()
    assert (harvest.harvesters, harvest.unreadable, harvester.final) == ([harvester], {}, False)
    with (logs / "a.log.1").open("a") as log:
        log.write("two\n")
    assert list(lines(harvest).values()) == [["two"]]


def test_a_file_that_was_replaced_by_its_copy_is_read_on(harvest, registry, logs):
    (logs / "a.log").write_text(numbered(500))
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "copy").write_text(numbered(501))
    (logs / "copy").rename(logs / "a.log")
    assert list(lines(restarted(harvest, registry, logs)).values()) == [["line 500"]]


def moved_and_copied(harvest, registry, logs):
    """Read, acknowledged, moved out of the paths while it is open; a copy is in its place."""
    (logs / "a.log").write_text(numbered(500))
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "a.log").rename(logs / "moved")
    shutil.copy(logs / "moved", logs / "a.log")


def test_a_copy_in_the_place_of_one_that_was_moved_away_is_read_on(harvest, registry, logs):
    moved_and_copied(harvest, registry, logs)
    harvest.scan()
    with (logs / "a.log").open("a") as log:
        log.write("new\n")
    assert list(lines(harvest).values()) == [["new"]]


@pytest.mark.parametrize("told", [True, False])
def test_one_that_was_moved_away_is_read_on_while_it_may_be_written(harvest, registry, logs, monkeypatch, told):
    if not told:  # as with another user's file
        monkeypatch.setattr("fcntl.fcntl", mock.Mock(side_effect=PermissionError))
    moved_and_copied(harvest, registry, logs)
    with (logs / "moved").open("a") as moved:
        quiet(harvest)
        harvest.scan()
        moved.write("late\n")
        moved.flush()
        assert list(lines(harvest).values()) == [["late"]]
    acknowledge(harvest, registry)
    with (logs / "a.log").open("a") as log:
        log.write("another\n")
    harvest.scan()
    assert sorted(map(len, lines(harvest).values())) == [501], "they have gone their own ways"


def test_where_nobody_can_tell_who_writes_the_one_that_grows_alone_is_read_on(harvest, registry, logs, monkeypatch):
    monkeypatch.setattr("fcntl.fcntl", mock.Mock(side_effect=PermissionError))
    moved_and_copied(harvest, registry, logs)
    with (logs / "a.log").open("a") as log:
        log.write("new\n")
    harvest.scan()
    assert lines(harvest) == {}
    quiet(harvest)
    harvest.scan()
    assert list(lines(harvest).values()) == [["new"]]


@pytest.mark.parametrize("content", ["same\n" * 500, "short\n"])
def test_content_that_might_be_chance_makes_no_copy(harvest, registry, logs, content):
    (logs / "a.log").write_text(content)
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "new").write_text(content + "more\n")
    (logs / "new").rename(logs / "a.log")
    assert list(lines(restarted(harvest, registry, logs)).values()) == [(content + "more").split()]
