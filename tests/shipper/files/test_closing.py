"""When a file is closed: it is quiet, or gone, or ``close_removed`` has passed; and what comes after that."""

from __future__ import annotations

import gzip
import os
import time
from contextlib import closing
from unittest import mock

import pytest
from harvesting import acknowledge, lines, numbered, open_harvest, quiet, unpacked

from shipper.files.closing import GONE_AFTER
from shipper.files.forgetting import DETACHED


def test_an_idle_file_is_closed_and_read_on_when_it_grows(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    harvest.harvesters[0].quiet_since -= 301
    harvest.close_idle()
    assert harvest.harvesters == []
    harvest.scan()
    assert harvest.harvesters == [], "nothing has changed"
    with (logs / "a.log").open("a") as log:
        log.write("two\n")
    harvest.scan()
    assert list(lines(harvest).values()) == [["two"]]


def test_a_closed_file_that_is_not_acknowledged_yet_is_read_on_where_it_was_left(harvest, registry, logs, monkeypatch):
    monkeypatch.setattr("shipper.files.closing.MANY", 0)
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    lines(harvest)
    harvest.harvesters[0].quiet_since -= 60
    harvest.close_idle()
    assert harvest.harvesters == []
    with (logs / "a.log").open("a") as log:
        log.write("two\n")
    harvest.scan()
    assert list(lines(harvest).values()) == [["two"]]
    acknowledge(harvest, registry)
    assert [entry.offset for entry in registry.entries()] == [8]


def test_what_is_written_while_a_file_goes_to_sleep_wakes_it(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    harvest.harvesters[0].quiet_since -= 1000
    harvest.close_idle()
    with (logs / "a.log").open("a") as log:
        log.write("two\n")
    os.utime(logs / "a.log", (1, 1))  # whatever the clock says: the size tells
    harvest.scan()
    assert list(lines(harvest).values()) == [["two"]]


def test_a_file_is_not_closed_before_it_is_read_to_its_end(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    with (logs / "a.log").open("a") as log:
        log.write("two\n")
    (logs / "a.log").rename(logs / "gone")
    harvest.scan()
    harvest.harvesters[0].quiet_since -= 1000
    harvest.close_idle()
    assert list(lines(harvest).values()) == [["two"]]


def test_an_archive_is_closed_when_all_of_it_is_acknowledged(harvest, registry, logs):
    (logs / "a.log.1.gz").write_bytes(gzip.compress(b"one\n"))
    harvest.scan()
    assert list(unpacked(harvest).values()) == [["one"]]
    harvest.close_idle()
    assert harvest.harvesters
    acknowledge(harvest, registry)
    harvest.close_idle()
    assert harvest.harvesters == []
    [entry] = registry.entries()
    assert entry.size == (logs / "a.log.1.gz").stat().st_size, "known to be read to its end"
    with (logs / "a.log.1.gz").open("ab") as archive:
        archive.write(gzip.compress(b"two\n"))
    harvest.scan()
    assert list(unpacked(harvest).values()) == [["two"]]


def test_a_file_that_is_gone_is_read_to_its_end_then_closed_and_some_day_forgotten(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    with (logs / "a.log").open("a") as log:
        (logs / "a.log").unlink()
        harvest.scan()
        log.write("two\n")
        log.flush()
        assert list(lines(harvest).values()) == [["one", "two"]]
    harvest.close_idle()
    assert harvest.harvesters, "too early to take it for finished"
    harvest.harvesters[0].quiet_since -= GONE_AFTER + 1
    harvest.close_idle()
    assert harvest.harvesters, "events of it are on their way"
    acknowledge(harvest, registry)
    harvest.close_idle()
    assert harvest.harvesters == []
    [entry] = registry.entries()
    assert (entry.offset, entry.inode) == (8, 0), "its archive may come"
    entry.seen -= int(DETACHED) + 1
    harvest._forgetting._next_clean = 0.0
    harvest.close_idle()
    assert registry.entries() == [entry], "the clock may have jumped"
    harvest._forgetting._next_clean = 0.0
    harvest.close_idle()
    assert registry.entries() == []


@pytest.mark.parametrize("how", ["renamed", "deleted", "deleted, another user's"])
def test_what_is_written_late_to_a_file_that_is_gone_is_read(harvest, registry, logs, monkeypatch, how):
    """A service that was not told of the rotation goes on writing, now and then."""
    log = (logs / "a.log").open("a")
    log.write("one\n")
    log.flush()
    harvest.scan()
    if how == "renamed":
        (logs / "a.log").rename(logs / "a.old")
    else:
        (logs / "a.log").unlink()
    for count in range(3):
        harvest.scan()
        lines(harvest)
        acknowledge(harvest, registry)
        quiet(harvest)
        harvest.close_idle()
        print(count, file=log, flush=True)
        assert [each for lines in lines(harvest).values() for each in lines] == [str(count)]
    acknowledge(harvest, registry)
    log.close()
    if how == "deleted, another user's":
        monkeypatch.setattr("fcntl.fcntl", mock.Mock(side_effect=PermissionError))
    quiet(harvest)
    harvest.close_idle()
    assert (harvest.harvesters == []) == (how == "deleted"), "only there it is known that nobody can write to it"
    for harvester in harvest.harvesters:
        harvester.quiet_since -= 300
    harvest.close_idle()
    assert harvest.harvesters == []


def test_a_deleted_file_is_held_until_it_is_read(harvest, registry, logs):
    (logs / "a.log").write_text(numbered(50))
    harvest.scan()
    (logs / "a.log").unlink()
    harvest.scan()
    harvest.harvesters[0].quiet_since -= 10_000
    harvest.harvesters[0].removed_since -= 10_000
    harvest.close_idle()
    assert [len(each) for each in lines(harvest).values()] == [50]


def test_past_close_removed_a_deleted_file_is_closed_and_its_loss_reported(registry, logs, caplog):
    with closing(open_harvest(registry, f"{logs}/*.log", close_removed=60.0)) as harvest:
        (logs / "a.log").write_text(numbered(50))
        harvest.scan()
        (logs / "a.log").unlink()
        harvest.scan()
        harvest.close_idle()
        assert harvest.harvesters
        harvest.harvesters[0].removed_since -= 61
        harvest.close_idle()
        assert harvest.harvesters == []
        assert harvest.lost == len(numbered(50))
        assert f"its last {len(numbered(50))} bytes are lost" in caplog.text


def test_the_time_of_close_removed_is_one_in_which_nothing_can_be_read(registry, logs, caplog):
    with closing(open_harvest(registry, f"{logs}/*.log", close_removed=60.0, open_files=2)) as harvest:
        (logs / "a.log").write_text(numbered(50))
        harvest.scan()
        (logs / "a.log").unlink()
        harvest.scan()
        [harvester] = harvest.harvesters
        harvester.removed_since -= 61
        harvest.close_idle(time.monotonic())
        assert harvest.harvesters, "what is shipped may be another file's: this one has its turn"
        harvester.troubled("cannot be read: Input/output error")
        harvester.quiet_since -= 61
        harvest.close_idle(time.monotonic())
        assert harvest.lost == len(numbered(50)), "it has its turns, and they are of no use"


def test_where_no_more_files_can_be_open_close_removed_is_counted_from_the_removal(registry, logs):
    with closing(open_harvest(registry, f"{logs}/*.log", close_removed=60.0, open_files=2)) as harvest:
        for name in "ab":
            (logs / f"{name}.log").write_text(f"{name}\n")
        harvest.scan()
        (logs / "a.log").unlink()
        harvest.scan()
        [harvester] = [each for each in harvest.harvesters if each.final]
        harvester.removed_since -= 61
        harvest.close_idle(time.monotonic())
        assert len(harvest.harvesters) == 1
        assert harvest.lost == 2


def test_a_deleted_file_that_is_read_is_closed_past_close_removed_and_nothing_is_lost(registry, logs, caplog):
    with (
        closing(open_harvest(registry, f"{logs}/*.log", close_removed=60.0)) as harvest,
        (logs / "a.log").open("a") as log,
    ):
        print("one", file=log, flush=True)
        harvest.scan()
        (logs / "a.log").unlink()
        harvest.scan()
        lines(harvest)
        [harvester] = harvest.harvesters
        harvester.removed_since -= 61
        harvest.close_idle(0.0)
        assert harvest.harvesters == [], "also where it is on its way"
        acknowledge(harvest, registry)
        assert not harvest.lost
        assert "lost" not in caplog.text
