from __future__ import annotations

from shipper.delivery.retry import Backoff


def test_waits_double_up_to_the_longest_with_jitter_below():
    backoff = Backoff(1, 60)
    for ceiling in (1, 2, 4, 8, 16, 32, 60, 60):
        assert ceiling / 2 <= backoff.next() <= ceiling
    backoff.reset()
    assert backoff.next() <= 1


def test_waits_differ_between_agents():
    assert len({Backoff(1, 60).next() for _ in range(20)}) > 1
