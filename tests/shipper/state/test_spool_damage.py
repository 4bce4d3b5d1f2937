"""What is damaged or missing in a spool costs what it hits and no more, is said, and is known until it is made good for."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from unittest import mock

import pytest
from small_disk import SmallDisk
from spooling import TARGET, crash, deliver, item, numbers, take, write

from shipper.state import segments, spool
from shipper.state.manifest import Manifest
from shipper.state.spool import Spool
from shipper.state.spool_segment import append


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
    assert deliver(spool) == [2, 3]
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
    assert deliver(spool) == [1, 2]
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
    name, spool = spool.name, opened()
    assert spool.name != name, "a kill came before anybody could do anything about it"
    crash(spool)
    spool = opened()
    assert not spool.damaged, "what is set aside is known"
    assert numbers(spool) == [1, 2, 3]
    spool.note()
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


def flip(at):
    def damage(segment):
        data = bytearray(segment.read_bytes())
        data[at] ^= 1
        segment.write_bytes(data)

    return damage


DAMAGES = {
    "a header": flip(segments.HEADER_BYTES + 2),
    "a body": flip(segments.HEADER_BYTES + segments.RECORD_BYTES + 100),
    "an end mark": lambda segment: os.truncate(segment, segments.scan(segment, 1).records[1].end),
    "all of it": lambda segment: os.truncate(segment, 0),
    "the file": lambda segment: segment.unlink(),
}


@pytest.fixture
def relied_on():
    """Make a spool of two segments in a folder that somebody relies on, and damage the first; its name."""

    def make(folder, damage):
        one = Spool(folder, TARGET, max_bytes=1 << 20, segment_bytes=700)
        write(one, 0, 1, 2, size=200)
        write(one, 3, size=200)
        one.note()
        crash(one)
        damage(one.path / "00000001.spool")
        return one.name

    return make


def is_known(folder, name):
    """Whether whoever relies on the spool of that name hears that something of it is missing, once all was tried."""
    again = Spool(folder, TARGET, max_bytes=1 << 20)
    take(again)
    crash(again)
    return again.damaged or again.name != name


@pytest.mark.faults
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_that_is_found_on_a_full_disk_is_known_after_a_kill(tmp_path, relied_on, damage):
    disk = SmallDisk(tmp_path)
    try:
        name = relied_on(tmp_path, damage)
        disk.fill()
        for _ in range(2):
            assert is_known(tmp_path, name)
    finally:
        disk.unmount()


class Killed(BaseException):
    pass


def killed_at(monkeypatch, nth):
    """The process ends before the ``nth`` change of what is on the disk."""
    left = iter(range(nth))

    def guarded(real):
        def call(*given, **named):
            if next(left, None) is None:
                raise Killed
            return real(*given, **named)

        return call

    for name in ("unlink", "rename", "replace", "write", "pwrite", "ftruncate", "fsync"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True], ids=["room", "full"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_known_wherever_a_kill_comes(tmp_path, relied_on, monkeypatch, damage, full):
    def lock(path, **_):  # nobody lets go of one whose process is killed
        path.parent.mkdir(parents=True, exist_ok=True)
        return mock.Mock()

    monkeypatch.setattr(spool, "FileLock", lock)
    nth, done = 0, False
    while not done:
        folder = tmp_path / str(nth)
        name = relied_on(folder, damage)
        with monkeypatch.context() as process:
            killed_at(process, nth)
            if full:
                failure = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                process.setattr(os, "write", mock.Mock(side_effect=failure))
                process.setattr(Manifest, "write", mock.Mock(side_effect=failure))
            try:
                first = Spool(folder, TARGET, max_bytes=1 << 20)
                for place, _ in take(first):
                    first.done(place)
                first.note()
                done = True
            except Killed:
                pass
        for _ in range(2):
            assert is_known(folder, name), nth
        nth += 1
    assert nth > 1
