"""Copies beside their originals: whichever is looked at first, what both have is read once."""

from __future__ import annotations

import gzip
import os
import shutil
from contextlib import closing

import pytest
from harvesting import acknowledge, numbered, open_harvest, read, restarted, unpacked

from shipper.files.discovery import Found
from shipper.files.matching import Matching
from shipper.files.order import Order

TEXT = numbered(50)
BANNER = "".join(f"{'=' * 20} {part} of what each start says\n" for part in range(10))


def found(path):
    status = path.stat()
    return Found(str(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@pytest.fixture
def kept(logs):
    """A log, and its copy that has kept an older time."""
    (logs / "a.log").write_text(TEXT)
    (logs / "a.log.1").write_text(TEXT)
    os.utime(logs / "a.log.1", (10**9, 10**9))
    return [found(logs / name) for name in ("a.log.1", "a.log")]


def test_what_waits_from_look_to_look_keeps_its_order_and_is_read_once(kept, logs, registry):
    copy, log = kept
    order = Order(registry)
    assert order.of([copy, log]) == [log, copy]
    (logs / "a.log.1").unlink()
    assert order.of([copy, log]) == [log, copy], "it is known"
    assert Order(registry).of([copy, log]) == [copy, log]


def test_the_oldest_is_first_where_none_is_a_copy(kept, logs, registry):
    (logs / "a.log.1").write_text("another\n")
    os.utime(logs / "a.log.1", (10**9, 10**9))
    assert Order(registry).of([found(logs / "a.log"), found(logs / "a.log.1")])[0].path == str(logs / "a.log.1")


def test_a_copy_that_was_too_short_for_the_look_before_comes_behind_its_original(harvest, logs, tmp_path):
    (tmp_path / "original").write_text(TEXT)
    (logs / "a.log.1").write_text("lin")
    harvest.scan()
    (tmp_path / "original").rename(logs / "a.log")
    (logs / "a.log.1").write_text(TEXT)
    harvest.scan()
    assert sorted(read(harvest)) == sorted(TEXT.splitlines())


def test_a_copy_that_grows_while_it_is_looked_at_is_one(harvest, logs, monkeypatch):
    (logs / "a.log").write_text(TEXT)
    harvest.scan()
    (logs / "a.log.1").write_text(TEXT[:100])
    elsewhere = Matching.elsewhere

    def meanwhile(matching, candidate, **options):
        (logs / "a.log.1").write_text(TEXT)
        return elsewhere(matching, candidate, **options)

    monkeypatch.setattr(Matching, "elsewhere", meanwhile)
    harvest.scan()
    assert read(harvest) == TEXT.splitlines()


@pytest.mark.parametrize("pack", [False, True])
def test_the_copy_of_a_log_is_not_taken_for_another_of_which_only_the_same_banner_is_known(pack, registry, logs):
    with closing(open_harvest(registry, f"{logs}/*.log*")) as harvest:
        (logs / "a.log").write_text(BANNER)
        harvest.scan()
        assert read(harvest) == BANNER.splitlines()
        acknowledge(harvest, registry)
        (logs / "a.log").unlink()
        (logs / "a.log").write_text(BANNER + TEXT)
        with closing(restarted(harvest, registry, logs)) as again:
            assert read(again) == (BANNER + TEXT).splitlines()
            if pack:
                (logs / "a.log.1.gz").write_bytes(gzip.compress((BANNER + TEXT).encode()))
            else:
                shutil.copy(logs / "a.log", logs / "a.log.1")
            again.scan()
            assert unpacked(again) == {}


def test_a_copy_under_the_inode_of_an_earlier_one_comes_behind_its_original(harvest, registry, logs):
    """The file system gives the inode of a copy that was deleted to the next."""
    (logs / "a.log").write_text(TEXT)
    harvest.scan()
    assert read(harvest) == TEXT.splitlines()
    acknowledge(harvest, registry)
    (logs / "a.log.1").write_text(TEXT)
    harvest.scan()
    inode = os.stat(logs / "a.log.1").st_ino
    os.truncate(logs / "a.log", 0)
    (logs / "a.log").write_text("another\n" + TEXT)
    (logs / "a.log.1").unlink()
    (logs / "a.log.1").write_text("another\n" + TEXT)
    if os.stat(logs / "a.log.1").st_ino != inode:
        pytest.skip("this file system gives no inode twice so soon")
    assert harvest.check()
    harvest.scan()
    assert read(harvest) == ["another", *TEXT.splitlines()]


@pytest.mark.parametrize("in_place", [False, True])
def test_what_begins_with_the_same_banner_is_not_taken_for_a_log_whose_copy_is_known(in_place, harvest, registry, logs):
    """The banner is all that is acknowledged, but what stood behind it was seen in the copy."""
    log, copy = logs / "a.log", logs / "a.log.1"
    log.write_text(BANNER)
    harvest.scan()
    read(harvest)
    acknowledge(harvest, registry)
    with log.open("a") as file:
        file.write(TEXT)
    shutil.copy(log, copy)
    harvest.scan()
    harvest.close()
    copy.rename(logs.parent / "away")
    other = BANNER + "another\n" * 100
    log.write_text(other if in_place else "")
    (logs / "a.log.2").write_text("" if in_place else other)
    with closing(restarted(harvest, registry, logs)) as again:
        assert read(again) == other.splitlines()
        (logs.parent / "away").rename(copy)
        again.scan()
        again.check()
        again.scan()
        assert read(again) == TEXT.splitlines()
