from __future__ import annotations

import pytest

from shipper.errors import RefusedError, UnavailableError
from shipper.outputs.batch import Batch
from shipper.outputs.store import StoreOutput
from shipper.query import Selection, count, search
from shipper.store import Store

IDS = [f"{number:_>20}" for number in range(5)]


def batch(*documents):
    lines = [
        b'{"create":{"_id":"%b"}}\n%b\n' % pair
        for pair in zip((name.encode() for name in IDS), documents, strict=False)
    ]
    return Batch(b"".join(lines), len(lines))


@pytest.fixture
def output(tmp_path):
    opened = StoreOutput(tmp_path / "store")
    yield opened
    opened.close()


def test_a_batch_is_stored_once(output, tmp_path):
    first = output.send(batch(b'{"message":"a"}', b'{"message":"b"}'))
    again = output.send(batch(b'{"message":"a"}', b'{"message":"b"}', b'{"message":"c"}'))
    assert (first.duplicates, again.duplicates, output.conflicts) == (0, 2, 0)
    assert sorted(hit.id for hit in search(Store(tmp_path / "store"), Selection())) == sorted(IDS[:3])


def test_other_content_under_a_known_id_is_counted_and_said_once(output, caplog):
    caplog.set_level("INFO")
    output.send(batch(b'{"message":"a"}'))
    for _ in range(2):
        assert output.send(batch(b'{"message":"b"}')).duplicates == 1
    assert output.conflicts == 2
    assert len(caplog.messages) == 1


def test_a_document_that_is_no_json_is_rejected_and_the_rest_delivered(output, tmp_path):
    outcomes = output.send(batch(b'{"message":"a"}', b"oops", b'{"message":"c"}'))
    assert [(rejection.position, rejection.status) for rejection in outcomes.rejected] == [(1, 400)]
    assert outcomes.retry == []
    assert count(Store(tmp_path / "store"), Selection()) == 2


def test_check_makes_the_store(output, tmp_path):
    output.check()
    assert Store(tmp_path / "store").exists
    assert count(Store(tmp_path / "store"), Selection()) == 0


def test_a_store_in_use_or_damaged_is_refused(output, tmp_path):
    output.check()
    with pytest.raises(RefusedError, match="in use by another shipper"):
        StoreOutput(tmp_path / "store").check()
    output.close()
    (tmp_path / "store/000001.db").write_bytes(b"x" * 5000)
    with pytest.raises(RefusedError, match=r"000001\.db"):
        output.send(batch(b"{}"))


def test_a_full_disk_is_worth_another_try(output):
    output.check()
    output._store._writer._active.execute("PRAGMA max_page_count = 1")
    with pytest.raises(UnavailableError, match="disk is full"):
        output.send(batch(b'{"message":"%b"}' % (b"x" * 100_000)))
    assert output.send(batch(b'{"message":"a"}')).duplicates == 0
