from __future__ import annotations

import errno
import os
import threading
from unittest import mock

import pytest
from small_disk import SmallDisk
from waiting import wait_for

from shipper.delivery.ledger import Ledger
from shipper.delivery.queue import BatchQueue, open_queue
from shipper.delivery.spooled import SpooledQueue
from shipper.errors import StateError
from shipper.outputs.batch import Batch
from shipper.settings import from_mapping
from shipper.state import segments
from shipper.state.spool import Spool


def body(number, size=0):
    return b'{"create":{"_id":"%020d"}}\n{"n":%d,"x":"%b"}\n' % (number, number, b"x" * size)


def numbers(batch):
    return [int(document.split(b":")[1].split(b",")[0]) for document in batch.documents()]


class Bench:
    """A spooled queue and its ledger, opened as often as wanted on the same folder."""

    def __init__(self, folder):
        self.folder = folder
        self.queue = None

    def open(self, *, linger=0.0, max_bytes=1 << 20, spool_bytes=4 << 20, batch_bytes=1):
        self.ledger = Ledger()
        self.spool = Spool(self.folder, "test", max_bytes=spool_bytes)
        self.queue = SpooledQueue(self.spool, self.ledger, max_bytes=max_bytes, batch_bytes=batch_bytes, linger=linger)
        self.end = 0

    def put(self, number, *, size=0, timeout=10.0):
        self.end += 10
        return self.queue.put(Batch(body(number, size), 1, [self.ledger.add(1, self.end)]), timeout)

    def crash(self):
        """As a kill: nothing more is written, nothing is closed."""
        with self.queue._condition:
            self.queue._released = True
            self.queue._condition.notify_all()
        self.queue._thread.join(60)
        self.spool._lock.release()
        self.queue = None

    def close(self):
        if self.queue is not None:
            self.queue.release()
            self.queue = None


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def files(bench):
    return [path.name for path in bench.spool.path.glob("*.spool")]


def test_an_output_that_keeps_up_leaves_the_disk_alone(bench):
    bench.open(linger=60)
    for number in range(5):
        assert bench.put(number)
        batch = bench.queue.get()
        with bench.queue._condition:
            assert bench.queue._due_in() > 30
        assert numbers(batch) == [number]
        bench.queue.done(batch)
    assert bench.ledger.acknowledged() == {1: 50}
    assert bench.queue.empty()
    assert files(bench) == []


def test_what_is_not_taken_is_on_disk_and_settled(bench):
    bench.open(linger=0.01)
    for number in range(5):
        bench.put(number)
    assert bench.ledger.wait(60)
    assert bench.ledger.acknowledged() == {1: 50}
    depth = bench.queue.depth()
    assert (depth.batches, bench.spool.documents, bench.queue.undelivered()) == (0, 5, {1})
    assert depth.disk_bytes > 0
    for number in range(5):
        batch = bench.queue.get()
        assert numbers(batch) == [number]
        assert not bench.queue.empty()
        bench.queue.done(batch)
    assert bench.queue.empty()
    assert bench.queue.undelivered() == frozenset()
    assert files(bench) == []


def test_what_a_sender_has_is_made_safe_too(bench):
    bench.open()
    bench.put(1)
    batch = bench.queue.get()
    assert bench.ledger.wait(60)
    bench.crash()
    bench.open()
    again = bench.queue.get()
    assert numbers(again) == numbers(batch) == [1]
    bench.queue.done(again)
    bench.close()
    bench.open()
    assert bench.queue.empty()


def test_each_batch_is_settled_once_whoever_is_first(bench, monkeypatch):
    """The ledger may count; the disk and the output race for every batch here."""
    bench.open()
    settled = []
    monkeypatch.setattr(bench.ledger, "settle", lambda segments: settled.extend(s.end for s in segments))
    for number in range(200):
        bench.put(number)
        batch = bench.queue.get()
        bench.queue.done(batch)
    wait_for(bench.queue.empty)
    bench.close()
    assert sorted(settled) == [10 * n for n in range(1, 201)]


def test_a_batch_that_is_delivered_while_it_is_written_is_settled_once_and_not_sent_again(bench, monkeypatch):
    bench.open(linger=0.05)
    settled = []
    monkeypatch.setattr(bench.ledger, "settle", lambda segments: settled.extend(s.end for s in segments))
    write = bench.spool.write

    def slow(items):
        places = write(items)
        bench.queue.done(batch)
        return places

    monkeypatch.setattr(bench.spool, "write", slow)
    bench.put(1)
    batch = bench.queue.get()
    wait_for(lambda: settled and bench.queue.empty())
    bench.crash()
    assert settled == [10]
    bench.open()
    assert bench.queue.empty()


def test_after_a_crash_what_was_settled_and_not_delivered_comes_again(bench):
    bench.open()
    for number in range(6):
        bench.put(number)
    assert bench.ledger.wait(60)
    for _ in range(2):
        bench.queue.done(bench.queue.get())
    bench.queue.get()
    bench.crash()
    bench.open(batch_bytes=1 << 20)
    assert numbers(bench.queue.get()) == [2, 3, 4, 5], "small records are sent together"


def test_nothing_overtakes_what_is_on_disk(bench):
    bench.open()
    bench.put(0)
    assert bench.ledger.wait(60)
    bench.put(1)
    assert [numbers(bench.queue.get()) for _ in range(2)] == [[0], [1]]


def test_full_is_back_pressure_and_room_ends_it(bench, caplog):
    bench.open(max_bytes=300_000, spool_bytes=1 << 20)
    put = 0
    while bench.put(put, size=100_000, timeout=0.2):
        put += 1
    assert 10 <= put <= 14
    assert "has reached queue.disk.max_size" in caplog.text
    assert not bench.ledger.wait(0)
    for number in range(put):
        batch = bench.queue.get()
        assert numbers(batch) == [number]
        bench.queue.done(batch)
    assert bench.put(put, size=100_000)
    assert caplog.text.count("has reached") == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_takes_nothing_pauses_and_settles_nothing_until_it_is_mended(bench, monkeypatch, caplog, code):
    """The system call is a stand-in: it fails as a full, read-only or broken disk makes it fail."""
    caplog.set_level("INFO")
    monkeypatch.setattr("shipper.delivery.spooled.RETRY", 0.01)
    bench.open()
    tries = []

    def broken(*_):
        tries.append(1)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", broken)
        bench.put(1)
        wait_for(lambda: len(tries) > 3)
        assert not bench.ledger.wait(0)
        assert bench.queue.trouble
    assert bench.ledger.wait(60)
    wait_for(lambda: not bench.queue.trouble)
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1, "one clear message"
    assert "can be written again" in caplog.text
    assert numbers(bench.queue.get()) == [1]


def test_a_disk_that_cannot_be_read_is_no_reason_to_leave_anything_out(bench, monkeypatch):
    bench.open()
    bench.put(1)
    assert bench.ledger.wait(60)

    def broken(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as disk:
        disk.setattr(os, "pread", broken)
        with pytest.raises(StateError, match="Input/output"):
            bench.queue.get()
    assert numbers(bench.queue.get()) == [1]


def test_a_damaged_record_is_passed_over(bench, caplog):
    bench.open()
    for number in range(3):
        bench.put(number)
    assert bench.ledger.wait(60)
    path = bench.spool.path / files(bench)[0]
    path.write_bytes(path.read_bytes().replace(b'"n":1', b'"n":7'))
    assert [numbers(bench.queue.get()) for _ in range(2)] == [[0], [2]]
    assert bench.queue.depth().disk_damaged == 1
    assert "1 documents" in caplog.text


def test_nothing_more_is_written_to_a_segment_that_is_set_aside(bench):
    """Of that it is said that it may be deleted."""
    bench.open()
    for number in range(2):
        bench.put(number)
    assert bench.ledger.wait(60)
    [name] = files(bench)
    path = bench.spool.path / name
    path.write_bytes(path.read_bytes().replace(b'"n":1', b'"n":7'))
    assert numbers(bench.queue.get()) == [0]
    bench.queue.close()
    assert bench.queue.get() is None
    bench.put(2)
    assert bench.ledger.wait(60)
    assert files(bench) == ["00000002.spool"]
    assert numbers(bench.queue.get()) == [2]


def test_closed_it_still_makes_safe_what_is_left_and_gives_it_out(bench):
    bench.open(linger=0.05)
    bench.put(1)
    bench.queue.close()
    assert bench.ledger.wait(60)
    assert numbers(bench.queue.get()) == [1]
    assert bench.queue.get() is None


def test_one_who_waits_hears_of_a_batch_and_of_the_end(bench):
    bench.open()
    got = []
    thread = threading.Thread(target=lambda: got.extend([bench.queue.get(), bench.queue.get()]))
    thread.start()
    bench.put(1)
    wait_for(lambda: got or not thread.is_alive() or bench.queue.depth().batches)
    bench.queue.close()
    thread.join(60)
    assert numbers(got[0]) == [1]
    assert got[1] is None


@pytest.mark.faults
def test_a_real_full_disk_pauses_and_more_room_ends_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("shipper.delivery.spooled.RETRY", 0.02)
    disk = SmallDisk(tmp_path)
    bench = Bench(tmp_path)
    try:
        bench.open(max_bytes=300_000, spool_bytes=1 << 30)
        put = 0
        while bench.put(put, size=100_000, timeout=0.5):
            put += 1
        assert 5 <= put <= 14
        assert caplog.text.count("the disk is full") == 1
        assert bench.spool.documents < put
        disk.remount("size=8m")
        wait_for(lambda: bench.spool.documents == put)
        assert [numbers(bench.queue.get()) for _ in range(put)] == [[n] for n in range(put)]
    finally:
        bench.close()
        disk.unmount()


def test_switched_off_it_is_emptied_and_takes_nothing_more(tmp_path):
    data = {"inputs": [{"paths": ["/a"]}], "output.console": {}}
    environment = {"SHIPPER_HOME": str(tmp_path)}
    on = from_mapping({**data, "queue.disk.max_size": "1MiB"}, env=environment)
    queue = open_queue(on, ledger := Ledger(), linger=0)
    queue.put(Batch(body(1), 1, [ledger.add(1, 10)]), 1)
    assert ledger.wait(60)
    queue.release()
    queue = open_queue(from_mapping(data, env=environment), ledger := Ledger(), linger=0)
    queue.put(Batch(body(2), 1, [ledger.add(1, 20)]), 1)
    assert not ledger.wait(0.05)
    for number in (1, 2):
        batch = queue.get()
        assert numbers(batch) == [number]
        queue.done(batch)
    assert ledger.acknowledged() == {1: 20}
    assert queue.empty()
    queue.release()
    assert isinstance(open_queue(from_mapping(data, env=environment), Ledger()), BatchQueue)


def test_the_settings_choose(tmp_path):
    data = {"inputs": [{"paths": ["/a"]}], "output.console": {}}
    environment = {"SHIPPER_HOME": str(tmp_path)}
    plain = open_queue(from_mapping(data, env=environment), Ledger())
    assert isinstance(plain, BatchQueue)
    off = from_mapping({**data, "queue.disk.enabled": False}, env=environment)
    assert isinstance(open_queue(off, Ledger()), BatchQueue)
    queue = open_queue(from_mapping({**data, "queue.disk.max_size": "1GiB"}, env=environment), Ledger())
    assert isinstance(queue, SpooledQueue)
    assert queue.depth().disk_limit == 1 << 30
    queue.release()
    assert [path.name[:8] for path in (tmp_path / "spool").iterdir()] == ["console-"]


def test_what_was_taken_before_a_segment_could_not_be_read_is_given_out_later(bench, monkeypatch):
    bench.open()
    monkeypatch.setattr(bench.spool, "_segment_bytes", 1)
    for number in range(2):
        bench.put(number)
        assert bench.ledger.wait(60)
    assert len(files(bench)) == 2
    bench.crash()
    bench.open(batch_bytes=1 << 20)
    second = str(bench.spool.path / "00000002.spool")
    scan = segments.scan

    def broken(path, number):
        if str(path) == second:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return scan(path, number)

    with monkeypatch.context() as disk:
        disk.setattr(segments, "scan", broken)
        with pytest.raises(StateError, match="Input/output"):
            bench.queue.get()
    assert numbers(bench.queue.get()) == [0, 1]


def test_what_ends_the_thread_that_writes_is_told_to_whoever_puts_or_takes(bench, monkeypatch):
    bench.open()
    monkeypatch.setattr(bench.spool, "write", mock.Mock(side_effect=MemoryError))
    bench.put(1)
    bench.queue._thread.join(60)
    with pytest.raises(MemoryError):
        bench.put(2)
    with pytest.raises(MemoryError):
        bench.queue.get()


def test_an_outcome_that_comes_after_the_end_changes_nothing_on_disk(bench):
    """A request has taken longer than its sender was waited for; another queue has the spool by now."""
    bench.open()
    bench.put(1)
    assert bench.ledger.wait(60)
    late, before = bench.queue.get(), bench.queue
    bench.close()
    bench.open()
    bench.queue.secure()
    before.done(late)
    assert numbers(bench.queue.get()) == [1]
