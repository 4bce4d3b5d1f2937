from __future__ import annotations

import pytest

from shipper.delivery import patience
from shipper.delivery.patience import Patience
from shipper.delivery.sender import Deliveries


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when they are told to."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    return clock


def test_it_is_over_when_nothing_has_an_outcome_for_so_long(clock):
    one, counts = Patience(30), Deliveries()
    for _ in range(3):
        clock.now += 29
        counts.delivered += 1
        assert not one.is_over(counts)
    clock.now += 29
    counts.rejected += 1
    assert not one.is_over(counts)
    clock.now += 31
    counts.retries += 1
    assert one.is_over(counts)


def test_what_else_goes_on_renews_it(clock):
    one = Patience(30)
    clock.now += 29
    one.renew()
    clock.now += 29
    assert not one.is_over(Deliveries())


@pytest.mark.parametrize(("seconds", "most", "over"), [(30, 5, True), (30, None, False), (3, 5, True), (30, 60, False)])
def test_the_shorter_time_counts(clock, seconds, most, over):
    one = Patience(seconds)
    clock.now += 6
    assert one.is_over(Deliveries(), most=most) == over
