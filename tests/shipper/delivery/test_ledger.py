from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from shipper.delivery.ledger import Ledger


def test_an_offset_is_acknowledged_only_when_all_before_it_is_settled():
    ledger = Ledger()
    first, second, third = (ledger.add(1, end) for end in (10, 20, 30))
    ledger.settle([second, third])
    assert ledger.acknowledged() == {}
    ledger.settle([first])
    assert ledger.acknowledged() == {1: 30}
    assert ledger.acknowledged() == {}


def test_a_run_with_nothing_to_send_still_waits_for_what_is_before_it():
    ledger = Ledger()
    first = ledger.add(1, 10)
    ledger.add(1, 20, settled=True)
    assert ledger.acknowledged() == {}
    ledger.settle([first])
    assert ledger.acknowledged() == {1: 20}


def test_waiting_ends_when_the_last_segment_is_settled():
    ledger = Ledger()
    segment = ledger.add(1, 10)
    assert not ledger.wait(0)
    thread = threading.Thread(target=ledger.settle, args=[[segment]])
    thread.start()
    assert ledger.wait(60)
    thread.join()


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 50)), max_size=40), st.randoms())
def test_in_any_order_the_acknowledged_offset_is_the_end_of_the_contiguous_run(runs, random):
    ledger = Ledger()
    ends: dict[int, int] = {}
    segments = []
    for file, size in runs:
        ends[file] = ends.get(file, 0) + size
        segments.append(ledger.add(file, ends[file]))
    acknowledged: dict[int, int] = {}
    order = segments[:]
    random.shuffle(order)
    for segment in order:
        ledger.settle([segment])
        acknowledged |= ledger.acknowledged()
        for file in ends:
            unsettled = [each.end for each in segments if each.file == file and not each.settled]
            contiguous = [
                each.end for each in segments if each.file == file and each.end < min(unsettled, default=10**9)
            ]
            assert acknowledged.get(file, 0) == max(contiguous, default=0)
