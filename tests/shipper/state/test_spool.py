from __future__ import annotations

import errno
import logging
import os
import shutil

import pytest
from small_disk import SmallDisk

from shipper.errors import StateError
from shipper.state import segments
from shipper.state.spool import Item, Spool, marks_of
from shipper.state.spool_segment import append
from shipper.state.spools import folder_name, undelivered

TARGET = "elasticsearch logs-generic-default"


def item(number, *, size=0):
    body = b'{"create":{"_id":"%020d"}}\n{"n":%d,"x":"%b"}\n' % (number, number, b"x" * size)
    return Item(body, 1, ((number % 3, number),))


@pytest.fixture
def opened(tmp_path):
    """Open the spool below the test's folder."""
    spools = []

    def open_spool(**more):
        spools.append(Spool(tmp_path, TARGET, **{"max_bytes": 1 << 20, **more}))
        return spools[-1]

    yield open_spool
    for each in spools:
        if each not in ENDED:
            each.close()
    ENDED.clear()


def write(spool, *numbers, size=0):
    """One write of these; published, as the queue does."""
    for place in spool.write([item(number, size=size) for number in numbers]):
        spool.publish(place, given=False)
    spool.settle()


def take(spool):
    """(place, number) of every record that can be given out."""
    taken = []
    while (place := spool.take()) is not None:
        body = spool.read(place)
        if body is not None:
            taken.append((place, int(body.split(b'"n":')[1].split(b",")[0])))
    return taken


def numbers(spool):
    return [number for _, number in take(spool)]


ENDED = set()


def crash(spool):
    """What a kill leaves: nothing is written any more, the lock is gone."""
    ENDED.add(spool)
    spool._lock.release()


def close(spool):
    ENDED.add(spool)
    spool.close()


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


# --- damage ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def damaged(opened, tmp_path, caplog):
    """Two closed segments of three records each; ``damage`` gets the bytes of the first and gives others."""
    spool = opened(segment_bytes=700)
    write(spool, 0, 1, 2, size=200)
    write(spool, 3, 4, 5, size=200)
    crash(spool)
    first = spool.path / "00000001.spool"
    whole = first.read_bytes()
    saved = tmp_path.parent / f"{tmp_path.name}-saved"
    shutil.copytree(spool.path, saved)

    def damage(change):
        shutil.rmtree(spool.path)
        shutil.copytree(saved, spool.path)
        first.write_bytes(change(bytearray(whole)))
        caplog.clear()
        again = opened()
        got = numbers(again)
        crash(again)
        return got, [path.name for path in sorted(spool.path.glob("*.corrupt"))], caplog.messages

    yield len(whole), damage
    shutil.rmtree(saved)


@pytest.mark.slow
def test_cut_at_any_byte_it_goes_on_with_what_is_left(damaged):
    size, damage = damaged
    for cut in range(size):
        got, corrupt, messages = damage(lambda data, cut=cut: data[:cut])
        assert got == [*range(cut_records(cut)), 3, 4, 5], cut
        assert corrupt == ["00000001.spool.corrupt"], cut
        assert len(messages) == 1, cut


def cut_records(cut):
    length = segments.RECORD_BYTES + 16 + len(item(0, size=200).body)
    return min(3, max(0, (cut - segments.HEADER_BYTES) // length))


@pytest.mark.slow
def test_a_flipped_bit_anywhere_costs_the_record_it_is_in_and_no_other(damaged):
    size, damage = damaged
    length = segments.RECORD_BYTES + 16 + len(item(0, size=200).body)
    for at in range(0, size, 7):
        got, corrupt, messages = damage(lambda data, at=at: data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        hit = (at - segments.HEADER_BYTES) // length if at >= segments.HEADER_BYTES else 3
        assert got == [number for number in range(6) if number != hit or hit >= 3], at
        assert corrupt == ["00000001.spool.corrupt"], at
        assert len(messages) == 1, messages


def test_a_page_of_zeros_costs_what_was_in_it(damaged):
    _, damage = damaged
    got, corrupt, messages = damage(lambda data: data[:100] + bytes(300) + data[400:])
    assert got == [2, 3, 4, 5]
    assert corrupt == ["00000001.spool.corrupt"]
    assert "bytes in it cannot be read" in messages[0]


def test_a_header_of_zeros_costs_no_record(damaged):
    _, damage = damaged
    got, corrupt, _ = damage(lambda data: bytes(32) + data[32:])
    assert (got, corrupt) == ([0, 1, 2, 3, 4, 5], ["00000001.spool.corrupt"])


def test_a_segment_of_a_newer_version_is_set_aside_and_named(damaged):
    _, damage = damaged
    newer = segments._HEADER.pack(b"ELKSPOOL", 2, 1, 7)
    newer += segments._CRC.pack(segments._crc(newer, 1))
    got, corrupt, messages = damage(lambda data: newer + data[len(newer) :])
    assert got == [3, 4, 5]
    assert corrupt == ["00000001.spool.corrupt"]
    assert "written by a newer shipper (version 2" in messages[0]


def test_what_was_set_aside_is_delivered_after_another_crash_and_reported_once(opened, caplog):
    spool = opened(segment_bytes=700)
    write(spool, 0, 1, 2, size=200)
    write(spool, 3, size=200)
    first = spool.path / "00000001.spool"
    crash(spool)
    data = bytearray(first.read_bytes())
    data[150] ^= 1
    first.write_bytes(data)
    spool = opened()
    taken = take(spool)
    assert [number for _, number in taken] == [1, 2, 3]
    assert spool.lost == 1
    assert "1 documents (" in caplog.text
    caplog.clear()
    spool.done(taken[0][0])
    crash(spool)
    spool = opened()
    taken = take(spool)
    assert [number for _, number in taken] == [2, 3]
    for place, _ in taken:
        spool.done(place)
    spool.settle()
    crash(spool)
    assert sorted(path.name for path in spool.path.iterdir()) == ["00000001.spool.corrupt", "lock", "target"]
    caplog.clear()
    assert opened().left == 0
    assert caplog.messages == []


def test_the_youngest_segment_may_end_in_the_middle_of_a_write(opened, caplog):
    spool = opened()
    write(spool, 1, 2)
    crash(spool)
    path = spool.path / "00000001.spool"
    whole = path.read_bytes()
    for left in (whole[:-1], whole[:-100], whole + bytes(5000), whole + whole[32:60]):
        path.write_bytes(left)
        caplog.clear()
        spool = opened()
        assert numbers(spool) == ([1] if len(left) < len(whole) else [1, 2])
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "read from its file again" in caplog.text
        crash(spool)
        caplog.clear()
        spool = opened()
        assert caplog.messages == []
        crash(spool)
        assert not list(spool.path.glob("*.corrupt"))


def test_a_record_that_is_there_a_second_time_is_given_out_once(opened, caplog):
    spool = opened()
    write(spool, 1, 2)
    crash(spool)
    path = spool.path / "00000001.spool"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[segments.HEADER_BYTES :])
    spool = opened()
    taken = take(spool)
    assert [number for _, number in taken] == [1, 2]
    for place, _ in taken:
        spool.done(place)
    spool.settle()
    assert (spool.left, spool.waiting) == (0, False)
    assert len(caplog.messages) == 1


def test_a_segment_that_vanishes_is_a_loss_that_is_said_and_no_hang(opened, caplog):
    spool = opened()
    write(spool, 1, 2)
    (spool.path / "00000001.spool").unlink()
    assert numbers(spool) == []
    assert (spool.left, spool.lost) == (0, 2)
    assert "2 documents" in caplog.text


def test_that_something_is_missing_is_known_until_it_is_made_good_for(opened, caplog):
    spool = opened(segment_bytes=700)
    spool.mended()
    write(spool, 0, 1, 2, size=200)
    write(spool, 3, size=200)
    spool.note()
    crash(spool)
    first = spool.path / "00000001.spool"
    data = bytearray(first.read_bytes())
    data[40] ^= 1
    first.write_bytes(data)
    spool = opened()
    assert spool.damaged
    crash(spool)
    assert (spool.path / "00000001.spool.corrupt").exists()
    spool = opened()
    assert spool.damaged, "a kill came before anybody could do anything about it"
    spool.mended()
    crash(spool)
    spool = opened()
    assert not spool.damaged, "what is set aside is known"
    assert numbers(spool) == [1, 2, 3]
    crash(spool)
    (spool.path / "00000002.spool").unlink()
    caplog.clear()
    assert opened().damaged
    assert "00000002.spool is not there" in caplog.text


def test_what_is_missing_is_seen_beside_a_segment_that_a_kill_kept_from_being_removed(opened):
    spool = opened(segment_bytes=700)
    spool.mended()
    write(spool, 0, 1, 2, size=200)
    write(spool, 3, 4, size=200)
    spool.note()
    first, second = (spool.path / f"0000000{number}.spool" for number in (1, 2))
    as_noted = [(path, path.read_bytes()) for path in (first, spool.path / "manifest")]
    taken = take(spool)
    for place, _ in taken[:3]:
        spool.done(place)
    assert not first.exists()
    crash(spool)
    for path, data in as_noted:
        path.write_bytes(data)
    for place, _ in taken[:3]:
        append(spool.path / "00000001.done", segments.encode_done(1, place.record.sequence))
    os.truncate(second, segments.scan(second, 2).records[0].end)
    spool = opened()
    assert spool.damaged
    assert numbers(spool) == [3]


def test_a_record_that_a_sender_has_while_its_segment_is_condemned_counts_once(opened):
    spool = opened()
    write(spool, 1, 2, 3)
    first, second = spool.take(), spool.take()
    with (spool.path / "00000001.spool").open("r+b") as file:
        for place in (first, second):
            file.seek(place.record.end - 2)
            file.write(b"?")
    assert spool.read(second) is None
    assert (spool.left, spool.lost) == (1, 2)
    spool.done(first)
    assert (spool.left, numbers(spool)) == (1, [3])
