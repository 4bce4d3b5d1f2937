"""What is damaged or missing in a spool costs what it hits and no more, is said, and is known until it is made good for."""

from __future__ import annotations

import logging
import os
import shutil

import pytest
from spooling import crash, item, numbers, take, write

from shipper.state import segments
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
