from __future__ import annotations

import threading

from shipper.delivery.ledger import Ledger
from shipper.delivery.queue import BatchQueue
from shipper.outputs.batch import Batch


def test_batches_come_out_in_order_and_none_after_the_last():
    queue = BatchQueue(100, Ledger())
    for size in (1, 2):
        assert queue.put(Batch(b"x" * size, 1), 0)
    queue.close()
    assert [len(queue.get().body), len(queue.get().body), queue.get()] == [1, 2, None]


def test_a_full_queue_takes_nothing_until_there_is_room():
    queue = BatchQueue(10, Ledger())
    assert queue.put(Batch(b"x" * 8, 1), 0)
    assert not queue.put(Batch(b"x" * 3, 1), 0)
    taken = []
    thread = threading.Thread(target=lambda: taken.append(queue.get()))
    thread.start()
    assert queue.put(Batch(b"x" * 3, 1), 10)
    thread.join()
    assert len(taken[0].body) == 8


def test_a_batch_larger_than_the_queue_goes_through_alone():
    queue = BatchQueue(10, Ledger())
    assert queue.put(Batch(b"x" * 1000, 1), 0)
    assert not queue.put(Batch(b"x", 1), 0)


def test_a_batch_knows_its_documents_and_ids():
    whole = Batch(b"".join(b'{"create":{"_id":"%020d"}}\n{"n":%d}\n' % (n, n) for n in range(3)), 3)
    assert whole.documents() == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    assert whole.ids() == [f"{n:020}" for n in range(3)]
    some = whole.select([0, 2])
    assert (some.count, some.documents(), some.ids()) == (2, [b'{"n":0}', b'{"n":2}'], [f"{0:020}", f"{2:020}"])
