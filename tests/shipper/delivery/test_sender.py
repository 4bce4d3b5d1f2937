from __future__ import annotations

import gc
import socket
import sqlite3
import threading
import weakref

import orjson
import pytest

from shipper.delivery.ledger import Ledger
from shipper.delivery.queue import BatchQueue
from shipper.delivery.retry import Backoff
from shipper.delivery.sender import Sender
from shipper.errors import RefusedError, StateError, TooLargeError, UnavailableError, UnfitError
from shipper.outputs import open_output
from shipper.outputs.base import Output
from shipper.outputs.batch import Batch, Outcomes, Rejection
from shipper.settings import from_mapping
from shipper.state.rejects import Rejects


def batch(numbers, segments=()):
    body = b"".join(b'{"create":{"_id":"%020d"}}\n{"n":%d}\n' % (number, number) for number in numbers)
    return Batch(body, len(numbers), segments)


class Script(Output):
    """A scripted output: a stand-in for faults. Each step gets the numbers of a batch; what it does not say is taken."""

    name = "script"

    def __init__(self, *steps):
        self.steps = list(steps)
        self.sent = []
        self.taken = []
        self.closed = False

    def send(self, batch):
        numbers = [orjson.loads(document)["n"] for document in batch.documents()]
        self.sent.append(numbers)
        outcomes = self.steps.pop(0)(numbers) if self.steps else Outcomes()
        failed = {*outcomes.retry, *(rejection.position for rejection in outcomes.rejected)}
        self.taken += [number for at, number in enumerate(numbers) if at not in failed]
        return outcomes

    def close(self):
        self.closed = True


def fails(error):
    def step(numbers):
        raise error

    return step


@pytest.fixture
def deliver(tmp_path):
    def run(output, *batches):
        queue = BatchQueue(1 << 20, ledger := Ledger())
        sender = Sender(output, queue, tmp_path / "state.db", Backoff(0.001, 0.002))
        ends = 0
        for numbers in batches:
            ends += 10
            assert queue.put(batch(numbers, [ledger.add(1, ends)]), 1)
        queue.close()
        sender.start()
        assert ledger.wait(60)
        assert ledger.acknowledged() == {1: ends}
        sender.close()
        assert output.closed
        assert sender.failure is None
        return sender.counts

    return run


def rejected(tmp_path):
    with sqlite3.connect(tmp_path / "state.db") as connection:
        rows = connection.execute("SELECT id, status, reason, document FROM rejects ORDER BY id").fetchall()
    connection.close()
    return rows


def test_only_what_was_not_taken_is_sent_again(deliver):
    output = Script(lambda numbers: Outcomes(retry=[1, 3]), lambda numbers: Outcomes(retry=[0]))
    counts = deliver(output, [0, 1, 2, 3])
    assert output.sent == [[0, 1, 2, 3], [1, 3], [1]]
    assert sorted(output.taken) == [0, 1, 2, 3]
    assert (counts.delivered, counts.retries) == (4, 3)


@pytest.mark.parametrize("error", [UnavailableError("down"), RefusedError("who are you")])
def test_an_output_that_is_down_or_refuses_is_tried_until_it_works(deliver, error):
    output = Script(*[fails(error)] * 5)
    counts = deliver(output, [0, 1], [2])
    assert output.taken == [0, 1, 2]
    assert counts.delivered == 3
    assert counts.trouble == ""


def test_rejects_are_kept_and_count_as_settled(deliver, tmp_path):
    output = Script(lambda numbers: Outcomes(rejected=[Rejection(1, 400, "mapping")], retry=[2], duplicates=1))
    counts = deliver(output, [0, 1, 2])
    assert output.taken == [0, 2]
    assert rejected(tmp_path) == [(f"{1:020}", 400, "mapping", b'{"n":1}')]
    assert (counts.delivered, counts.rejected, counts.duplicates) == (2, 1, 1)


def test_a_batch_that_is_too_large_is_split_until_it_fits(deliver):
    output = Script()
    plain = output.send
    output.send = lambda batch: plain(batch) if batch.count <= 2 else fails(TooLargeError("413"))(None)
    assert deliver(output, list(range(7))).rejected == 0
    assert sorted(output.taken) == list(range(7))


def test_a_document_that_is_too_large_by_itself_is_rejected(deliver, tmp_path):
    output = Script()
    plain = output.send
    output.send = lambda batch: fails(TooLargeError("413"))(None) if b'"n":2' in batch.body else plain(batch)
    deliver(output, [0, 1, 2, 3])
    assert sorted(output.taken) == [0, 1, 3]
    assert [row[:3] for row in rejected(tmp_path)] == [(f"{2:020}", 413, "413")]


def test_a_disk_too_full_for_rejects_pauses_and_sends_nothing_twice(deliver, monkeypatch, caplog):
    caplog.set_level("INFO")
    real, failures = Rejects.add, [1] * 3

    def add(self, output, rows):
        if failures:
            failures.pop()
            raise StateError("the disk is full")
        real(self, output, rows)

    monkeypatch.setattr(Rejects, "add", add)
    output = Script(lambda numbers: Outcomes(rejected=[Rejection(1, 400, "mapping")]))
    counts = deliver(output, [0, 1, 2], [3])
    assert output.sent == [[0, 1, 2], [3]]
    assert (counts.delivered, counts.rejected, counts.duplicates) == (3, 1, 0)
    assert caplog.text.count("the disk is full") == 1
    assert "takes documents again" in caplog.text


def test_stopped_in_the_middle_of_parts_nothing_is_settled(tmp_path):
    halves = threading.Event()

    def too_large(numbers):
        raise TooLargeError("413")

    def down(numbers):
        halves.set()
        raise UnavailableError("down")

    queue = BatchQueue(1 << 20, ledger := Ledger())
    output = Script(too_large, lambda _: Outcomes(), *[down] * 1000)
    sender = Sender(output, queue, tmp_path / "state.db", Backoff(60, 60))
    queue.put(batch([0, 1, 2, 3], [ledger.add(1, 10)]), 1)
    sender.start()
    assert halves.wait(60)
    sender.close()
    assert output.taken == [0, 1]
    assert ledger.acknowledged() == {}
    assert not queue.empty()


def test_parts_are_sent_again_by_themselves(deliver):
    def too_large(numbers):
        raise TooLargeError("413")

    output = Script(too_large, lambda _: Outcomes(retry=[1]), lambda _: Outcomes(retry=[0]))
    assert deliver(output, [0, 1, 2, 3]).delivered == 4
    assert output.sent == [[0, 1, 2, 3], [0, 1], [1], [1], [2, 3]]


def test_a_queue_that_cannot_be_read_is_tried_until_it_can(tmp_path):
    class Flaky(BatchQueue):
        failures = 3

        def get(self):
            if self.failures:
                self.failures -= 1
                raise StateError("the spool cannot be read")
            return super().get()

    queue = Flaky(1 << 20, ledger := Ledger())
    output = Script()
    sender = Sender(output, queue, tmp_path / "state.db", Backoff(0.001, 0.002))
    queue.put(batch([0], [ledger.add(1, 10)]), 1)
    sender.start()
    assert ledger.wait(60)
    queue.close()
    sender.close()
    assert (output.taken, sender.counts.trouble) == ([0], "")


def test_another_output_ends_one_wait_for_a_queue_that_cannot_be_read_and_no_more(tmp_path):
    asked, awake = threading.Semaphore(0), []

    class Unreadable(BatchQueue):
        def get(self):
            awake.append(sender._wake.is_set())
            asked.release()
            raise StateError("the spool cannot be read")

    first, second = Script(), Script()
    sender = Sender(first, Unreadable(1 << 20, Ledger()), tmp_path / "state.db", Backoff(60, 60))
    sender.start()
    assert asked.acquire(timeout=60)
    sender.renew(second, Backoff(60, 60))
    assert asked.acquire(timeout=60)
    sender.close()
    assert awake == [False, False], "it tried as fast as it could"
    assert (first.closed, second.closed) == (True, True)


def test_several_senders_share_a_queue_and_each_batch_is_settled_once(tmp_path):
    queue = BatchQueue(1 << 20, ledger := Ledger())
    outputs = [Script() for _ in range(4)]
    senders = [Sender(output, queue, tmp_path / "state.db", Backoff(0.001, 0.002)) for output in outputs]
    for number in range(50):
        assert queue.put(batch([number], [ledger.add(1, number + 1)]), 1)
    for sender in senders:
        sender.start()
    queue.close()
    assert ledger.wait(60)
    assert ledger.acknowledged() == {1: 50}
    for sender in senders:
        sender.close()
    assert sorted(number for output in outputs for number in output.taken) == list(range(50))
    assert queue.empty()


def test_closing_gives_up_on_an_output_that_stays_down_and_settles_nothing(tmp_path):
    tried = threading.Event()

    def down(numbers):
        tried.set()
        raise UnavailableError("down")

    queue = BatchQueue(1 << 20, ledger := Ledger())
    output = Script(*[down] * 1000)
    sender = Sender(output, queue, tmp_path / "state.db", Backoff(60, 60))
    queue.put(batch([0], [ledger.add(1, 10)]), 1)
    sender.start()
    assert tried.wait(60)
    queue.close()
    sender.close()
    assert output.closed
    assert ledger.acknowledged() == {}
    assert sender.counts.trouble == "down"


class Watched(Batch):
    """One that tells whether it is still held."""

    __slots__ = ("__weakref__",)


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_an_attempt_that_failed_holds_no_batch_in_memory(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = {"hosts": [f"http://127.0.0.1:{probe.getsockname()[1]}"]}
    settings = from_mapping({"inputs": [{"paths": ["/a"]}], "output.elasticsearch": nobody}, env={})
    queue = BatchQueue(1 << 20, ledger := Ledger())
    sender = Sender(open_output(settings), queue, tmp_path / "state.db", Backoff(0.01, 0.01))
    sent = batch([0], [ledger.add(1, 10)])
    sent = Watched(sent.body, sent.count, sent.segments)
    held = weakref.ref(sent)
    queue.put(sent, 1)
    del sent
    sender.start()
    while not sender.counts.trouble:
        assert not ledger.wait(0.01)
    sender.renew(Script(), Backoff())
    assert ledger.wait(60)
    queue.close()
    sender.close()
    assert held() is None


def test_a_fault_in_an_output_is_seen_by_the_agent(tmp_path):
    queue = BatchQueue(1 << 20, ledger := Ledger())
    output = Script(fails(ZeroDivisionError()))
    sender = Sender(output, queue, tmp_path / "state.db", Backoff())
    queue.put(batch([0], [ledger.add(1, 10)]), 1)
    queue.close()
    sender.start()
    sender._thread.join(60)
    assert isinstance(sender.failure, ZeroDivisionError)
    assert not ledger.wait(0)


class Disliking(Script):
    """A stand-in for a proxy that answers 400 to a request with certain documents in it."""

    def __init__(self, *bad):
        super().__init__()
        self.bad = set(bad)

    def send(self, batch):
        if self.bad & {orjson.loads(document)["n"] for document in batch.documents()}:
            raise UnfitError("it answered 400")
        return super().send(batch)


@pytest.mark.parametrize("bad", [{0}, {7}, {3, 4, 12}])
def test_a_request_that_is_refused_as_a_whole_is_sent_without_the_documents_that_it_is_for(deliver, tmp_path, bad):
    output = Disliking(*bad)
    counts = deliver(output, list(range(16)), [100, 101])
    assert sorted(output.taken) == sorted({*range(16), 100, 101} - bad)
    assert {int(row[0]) for row in rejected(tmp_path)} == bad
    assert {row[1] for row in rejected(tmp_path)} == {400}
    assert (counts.delivered, counts.rejected) == (18 - len(bad), len(bad))


@pytest.mark.parametrize("count", [1, 2, 500])
def test_where_everything_is_refused_it_is_not_the_documents(deliver, tmp_path, count):
    output = Script(*[fails(UnfitError("it answered 400"))] * 100)
    counts = deliver(output, list(range(count)))
    assert sorted(output.taken) == list(range(count))
    assert not (tmp_path / "state.db").exists()
    assert counts.delivered == count


def test_a_refusal_that_was_for_the_moment_rejects_nothing(deliver, tmp_path):
    refused = fails(UnfitError("it answered 400"))
    output = Script(refused, lambda numbers: Outcomes(), refused, lambda numbers: Outcomes(), refused)
    deliver(output, [0, 1, 2, 3])
    assert sorted(output.taken) == [0, 1, 2, 3]
    assert not (tmp_path / "state.db").exists()
