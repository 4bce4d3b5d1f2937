from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from small_disk import SmallDisk
from spooling import TARGET, close, crash, item, numbers, take, write

from shipper.errors import StateError
from shipper.state import segments
from shipper.state.spool import Spool, marks_of
from shipper.state.spools import folder_name, undelivered


@pytest.fixture
def small_disk(tmp_path):
    disk = SmallDisk(tmp_path)
    yield disk
    disk.unmount()


def test_records_come_back_in_order_and_their_files_are_gone_when_all_are_done(opened):
    spool = opened()
    write(spool, 1, 2, 3)
    write(spool, 4)
    assert (spool.left, spool.documents, spool.files()) == (4, 4, {0, 1, 2})
    taken = take(spool)
    assert [number for _, number in taken] == [1, 2, 3, 4]
    assert spool.take() is None
    for place, _ in taken:
        spool.done(place)
    spool.settle()
    assert (spool.left, spool.size, spool.files()) == (0, 0, frozenset())
    assert sorted(path.name for path in spool.path.iterdir()) == ["lock", "target"]


@pytest.mark.parametrize("end", [crash, close])
def test_what_is_not_done_is_given_out_again_after_the_end_of_a_run(opened, end):
    spool = opened()
    write(spool, *range(10))
    taken = take(spool)
    for place, number in taken:
        if number in {0, 3, 4}:
            spool.done(place)
    end(spool)
    again = opened()
    assert (again.left, again.documents) == (7, 7)
    assert numbers(again) == [1, 2, 5, 6, 7, 8, 9]


def test_a_lost_or_damaged_list_of_done_records_repeats_and_never_omits(opened):
    spool = opened()
    write(spool, 1, 2, 3)
    for place, _ in take(spool)[:2]:
        spool.done(place)
    crash(spool)
    done = next(spool.path.glob("*.done"))
    first, second = (done.read_bytes()[at : at + 12] for at in (0, 12))
    third = (int.from_bytes(second[:8], "little") + 1).to_bytes(8, "little")
    done.write_bytes(first + third + second[8:] + b"\1\2\3")  # the last one's number, with another checksum
    spool = opened()
    assert numbers(spool) == [2, 3]
    crash(spool)
    done.unlink()
    assert numbers(opened()) == [1, 2, 3]


def test_entries_of_a_segment_that_is_gone_say_nothing_about_the_next_with_its_number(opened):
    spool = opened()
    write(spool, 1, 2)
    (first, _), (second, _) = take(spool)
    spool.done(first)
    left = (spool.path / "00000001.done").read_bytes()
    spool.done(second)
    spool.settle()
    crash(spool)
    assert not list(spool.path.glob("*.spool"))
    (spool.path / "00000001.done").write_bytes(left)  # as if the kill had come between the two removals
    spool = opened()
    write(spool, 3, 4)
    crash(spool)
    assert numbers(opened()) == [3, 4]


def test_large_spools_are_many_segments_each_removed_by_itself(opened):
    spool = opened(segment_bytes=4096)
    for number in range(12):
        write(spool, number, size=1500)
    assert len(list(spool.path.glob("*.spool"))) == 4
    taken = take(spool)
    for place, _ in taken[3:6]:
        spool.done(place)
    assert len(list(spool.path.glob("*.spool"))) == 3
    crash(spool)
    assert numbers(opened()) == [0, 1, 2, 6, 7, 8, 9, 10, 11]


def test_its_size_is_bounded(opened):
    spool = opened(max_bytes=1 << 20)
    while spool.fits(100_000):
        write(spool, 1, size=100_000)
    assert 0.8 * (1 << 20) < sum(path.stat().st_size for path in spool.path.iterdir()) <= 1 << 20
    for place, _ in take(spool)[:4]:
        spool.done(place)
    assert spool.fits(100_000)


def test_a_second_process_is_refused(opened):
    opened()
    with pytest.raises(StateError, match=r"in use by another shipper.*queue\.disk\.path"):
        opened()


def test_targets_have_spools_of_their_own_and_another_one_is_mentioned(opened, tmp_path, caplog):
    spool = opened()
    write(spool, 1, 2)
    crash(spool)
    other = Spool(tmp_path, "elasticsearch other", max_bytes=1 << 20)
    assert other.left == 0
    assert f"{spool.path} holds 2 documents that {TARGET} has not taken yet" in caplog.text
    other.close()
    assert numbers(opened()) == [1, 2]
    assert folder_name(TARGET).startswith("elasticsearch-logs-generic-default-")
    assert folder_name("file /a/b") != folder_name("file /a-b")


def test_who_only_looks_sees_whose_documents_are_left(opened, tmp_path):
    assert undelivered(tmp_path, TARGET) == frozenset()
    spool = opened()
    write(spool, 1, 2, 4)
    assert undelivered(tmp_path, TARGET) == {1, 2}
    for place, number in take(spool):
        if number != 2:
            spool.done(place)
    assert undelivered(tmp_path, TARGET) == {2}
    assert spool.files() == {1, 2}, "a file may be named for a while after its last document"


def test_marks_say_the_highest_end_of_each_file():
    assert marks_of([(1, 10), (2, 5), (1, 30), (1, 20)]) == ((1, 30), (2, 5))


# --- disks that fail ---------------------------------------------------------------------------------------------------


def fails(code, *, after=0):
    """A stand-in for a system call on a broken disk."""
    calls = []

    def call(*arguments):
        calls.append(arguments)
        if len(calls) > after:
            raise OSError(code, os.strerror(code))
        return len(arguments[1]) if len(arguments) > 1 else None

    return call


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_write_that_fails_counts_for_nothing_and_the_next_one_goes_on(opened, monkeypatch, code):
    spool = opened()
    write(spool, 1)
    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", fails(code))
        with pytest.raises(OSError, match=os.strerror(code)):
            spool.write([item(2)])
    write(spool, 3)
    assert numbers(spool) == [1, 3]
    crash(spool)
    assert numbers(opened()) == [1, 3]


def test_half_of_a_write_is_written_over(opened, monkeypatch):
    spool = opened()
    write(spool, 1)
    real = os.pwrite

    def half(descriptor, data, offset):
        if len(data) > 40:
            real(descriptor, data[:40], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data, offset)

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", half)
        broken.setattr(os, "ftruncate", fails(errno.EIO))
        with pytest.raises(OSError, match="No space"):
            spool.write([item(2, size=500)])
    write(spool, 3)
    crash(spool)
    assert numbers(opened()) == [1, 3]


def test_after_a_failed_sync_nothing_is_believed_that_was_written_before_it(opened, monkeypatch):
    """The kernel reports a failed write-back once: a second fsync of the same file would succeed without the data."""
    spool = opened()
    write(spool, 1)
    first = next(spool.path.glob("*.spool"))
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fails(errno.EIO))
        with pytest.raises(OSError, match="Input/output"):
            spool.write([item(2)])
    write(spool, 3)
    assert len(list(spool.path.glob("*.spool"))) == 2
    assert segments.scan(first, 1).closed
    assert [record.documents for record in segments.scan(first, 1).records] == [1]
    crash(spool)
    assert numbers(opened()) == [1, 3]


@pytest.mark.faults
def test_a_real_full_and_a_real_read_only_disk(small_disk):
    spool = Spool(small_disk.path, TARGET, max_bytes=1 << 30)
    written = []
    with pytest.raises(OSError, match="No space left"):  # noqa: PT012 - how many fit is the disk's affair
        for number in range(100):
            write(spool, number, size=100_000)
            written.append(number)
    assert written
    spool.close()
    small_disk.remount("ro")
    with pytest.raises(StateError, match="Read-only file system"):
        Spool(small_disk.path, TARGET, max_bytes=1 << 30)
    small_disk.remount("rw")
    spool = Spool(small_disk.path, TARGET, max_bytes=1 << 30, segment_bytes=200_000)
    taken = take(spool)
    assert [number for _, number in taken] == written
    for place, _ in taken[:-1]:
        spool.done(place)
    small_disk.remount("size=2m")
    write(spool, 201)
    close(spool)
    spool = Spool(small_disk.path, TARGET, max_bytes=1 << 30)
    assert numbers(spool) == [written[-1], 201]
    spool.close()


def test_a_disk_without_any_room_does_not_keep_it_from_being_opened_again(opened, monkeypatch):
    """Who fills it may take what is let go of for a moment."""
    spool = opened()
    write(spool, 1)
    close(spool)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("write_text", "write_bytes"):
        monkeypatch.setattr(Path, name, full)
    assert numbers(opened()) == [1]


def test_half_an_entry_of_what_is_done_does_not_spoil_those_behind_it(opened, monkeypatch):
    """A full disk takes what fits into the last block."""
    spool = opened()
    write(spool, *range(5))
    taken = take(spool)
    real = os.write
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:5]))
        spool.done(taken[0][0])
    for place, _ in taken[1:4]:
        spool.done(place)
    crash(spool)
    assert numbers(opened()) == [0, 4]
