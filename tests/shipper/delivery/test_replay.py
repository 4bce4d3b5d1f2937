from __future__ import annotations

import orjson
import pytest

from shipper.delivery.replay import Replay
from shipper.delivery.retry import Backoff
from shipper.errors import StateError, TooLargeError, UnavailableError
from shipper.outputs.base import Output
from shipper.outputs.batch import Outcomes, Rejection
from shipper.state.rejects import Rejects


class Script(Output):
    """A scripted output: a stand-in. Each step gets the numbers of a batch; what it does not say is taken."""

    name = "script"

    def __init__(self, *steps):
        self.steps = list(steps)
        self.taken = {}

    def send(self, batch):
        documents = [orjson.loads(document)["n"] for document in batch.documents()]
        outcomes = self.steps.pop(0)(documents) if self.steps else Outcomes()
        failed = {*outcomes.retry, *(rejection.position for rejection in outcomes.rejected)}
        for at, (key, number) in enumerate(zip(batch.ids(), documents, strict=True)):
            if at not in failed:
                assert number not in self.taken
                self.taken[number] = key
        return outcomes


def key(number):
    return f"{number:020}"


@pytest.fixture
def rejects(tmp_path):
    kept = Rejects(tmp_path / "state.db")
    kept.add("script", [(key(n), 400, "mapping", b'{"n":%d}' % n) for n in range(5)])
    yield kept
    kept.close()


def replay(rejects, output, *, patience=10.0, batch_bytes=1 << 20):
    run = Replay(rejects, output, Backoff(0.001, 0.002), batch_bytes=batch_bytes, patience=patience)
    return run.run(rejects.numbers())


def test_what_is_taken_goes_and_what_is_rejected_again_stays_with_the_new_reason(rejects):
    output = Script(lambda numbers: Outcomes(rejected=[Rejection(1, 403, "still not")], retry=[2], duplicates=1))
    counts = replay(rejects, output)
    assert (counts.delivered, counts.rejected, counts.damaged) == (4, 1, 0)
    assert output.taken == {n: key(n) for n in (0, 2, 3, 4)}, "under the same ids"
    assert [rejects.get(number)[3:6] for number in rejects.numbers()] == [(403, "still not", key(1))]


def test_batches_are_bounded_and_too_large_ones_are_split(rejects):
    output = Script()
    plain, sizes = output.send, []

    def send(batch):
        sizes.append(batch.count)
        if batch.count > 1 or b'"n":3' in batch.body:
            raise TooLargeError("413")
        return plain(batch)

    output.send = send
    counts = replay(rejects, output, batch_bytes=24)
    assert max(sizes) == 3
    assert (counts.delivered, counts.rejected) == (4, 1)
    assert [rejects.get(number)[3:5] for number in rejects.numbers()] == [(413, "413")]


def test_an_output_that_stays_down_ends_it_and_nothing_is_removed(rejects):
    def down(_):
        raise UnavailableError("down")

    with pytest.raises(UnavailableError, match="down"):
        replay(rejects, Script(*[down] * 100_000), patience=0.02)
    assert len(rejects.numbers()) == 5
    assert replay(rejects, Script(down, down)).delivered == 5


def test_nothing_is_removed_before_it_is_delivered(rejects, monkeypatch):
    """Ended between the answer and the removal, the documents are sent again; the other way round they would be lost."""

    def full(numbers):
        raise StateError("the disk is full")

    monkeypatch.setattr(rejects, "remove", full)
    output = Script()
    with pytest.raises(StateError):
        replay(rejects, output)
    assert len(output.taken) == 5
    assert len(rejects.numbers()) == 5


@pytest.mark.parametrize("damage", [b'{"n":1', b'{"n":\n1}', b"[1]", b"\xff"])
def test_a_damaged_document_stays_and_does_not_keep_the_others(rejects, damage):
    rejects.add("script", [("x" * 20, 400, "mapping", damage)])
    counts = replay(rejects, Script())
    assert (counts.delivered, counts.damaged) == (5, 1)
    assert len(rejects.numbers()) == 1
