"""A queue on disk whose folder the settings do not name any more: what is in it is acknowledged, and nowhere else."""

import pytest

from shipper.delivery.ledger import Ledger
from shipper.delivery.queue import BatchQueue, open_queue
from shipper.outputs.batch import Batch
from shipper.settings import from_mapping
from shipper.state.spools import folders

BODY = b'{"create":{"_id":"%b"}}\n{"message":"kept"}\n' % (b"A" * 20)


def settings(tmp_path, **disk):
    return from_mapping(
        {
            "inputs": [{"paths": ["/x"]}],
            "output.file.path": str(tmp_path / "out"),
            "path.data": str(tmp_path / "data"),
            **({"queue.disk": disk} if disk else {}),
        }
    )


@pytest.fixture
def left_in(tmp_path):
    """Opens a queue with a folder of its own, and leaves a batch in it."""
    (tmp_path / "data").mkdir()

    def leave(folder):
        ledger = Ledger()
        queue = open_queue(settings(tmp_path, path=str(folder)), ledger, linger=0.0)
        assert queue.put(Batch(BODY, 1, [ledger.add(1, 10)]), 5)
        assert ledger.wait(60)  # it is on the disk, and so acknowledged
        queue.release()

    return leave


@pytest.mark.parametrize("disk", [{}, {"path": "other"}, {"max_size": "1GiB"}], ids=["none", "another", "the default"])
def test_what_is_in_a_folder_of_before_is_delivered_first(tmp_path, left_in, caplog, disk):
    left_in(tmp_path / "far")
    changed = {**disk, **({"path": str(tmp_path / disk["path"])} if "path" in disk else {})}
    queue = open_queue(settings(tmp_path, **changed), Ledger())
    try:
        assert not queue.empty()
        batch = queue.get()
        assert batch.body == BODY
        queue.done(batch)
        assert queue.empty()
    finally:
        queue.release()
    assert "still holds documents" in caplog.text
    caplog.clear()
    queue = open_queue(settings(tmp_path, **changed), Ledger())
    queue.release()
    assert isinstance(queue, BatchQueue) == (not disk)
    assert "far" not in caplog.text
    assert tmp_path / "far" not in folders(tmp_path / "data", tmp_path / "data" / "spool")


def test_what_is_in_the_default_folder_is_delivered_before_another_one_is_used(tmp_path, left_in):
    left_in(tmp_path / "data" / "spool")
    queue = open_queue(settings(tmp_path, path=str(tmp_path / "other")), Ledger())
    try:
        assert not queue.empty()
        queue.done(queue.get())
        assert queue.empty()
    finally:
        queue.release()
    assert not (tmp_path / "other").exists()
    open_queue(settings(tmp_path, path=str(tmp_path / "other")), Ledger()).release()
    assert (tmp_path / "other").exists()


def test_a_folder_that_is_not_there_is_not_forgotten(tmp_path, left_in, caplog):
    left_in(tmp_path / "far")
    (tmp_path / "far").rename(tmp_path / "unmounted")
    open_queue(settings(tmp_path), Ledger()).release()
    assert "is not there" in caplog.text
    (tmp_path / "unmounted").rename(tmp_path / "far")
    queue = open_queue(settings(tmp_path), Ledger())
    assert not queue.empty()
    queue.release()


def test_nothing_is_written_down_without_a_folder_of_its_own(tmp_path):
    open_queue(settings(tmp_path, max_size="1GiB"), Ledger()).release()
    assert not (tmp_path / "data" / "spools").exists()
