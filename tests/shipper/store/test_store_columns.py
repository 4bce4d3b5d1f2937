from __future__ import annotations

import json

import pytest

from shipper.store import seen
from shipper.store.columns import columns

ARRIVED = 1_700_000_000_000


def of(**event):
    return columns(json.dumps(event).encode(), arrived=ARRIVED)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2017-07-04T11:11:37.921Z", 1499166697921),
        ("2017-07-04T13:11:37.921+02:00", 1499166697921),
        ("2017-07-04T11:11:37.921", 1499166697921),
        ("2017-07-04T11:11:37.921456789Z", 1499166697921),
        ("2017-07-04", 1499126400000),
        ("1969-12-31T23:59:59.999Z", -1),
        (1499166697921, 1499166697921),
        (1499166697921.7, 1499166697921),
        ("1499166697921", 1499166697921),
        ("yesterday", ARRIVED),
        ("", ARRIVED),
        (None, ARRIVED),
        (True, ARRIVED),
        (10**18, ARRIVED),
        (["2017-07-04T11:11:37.921Z"], ARRIVED),
    ],
)
def test_timestamps(timestamp, expected):
    assert of(**{"@timestamp": timestamp}).timestamp == expected


def test_a_document_without_a_timestamp_stands_where_it_arrived():
    assert of(message="x").timestamp == ARRIVED


@pytest.mark.parametrize(
    "event",
    [
        {"log": {"level": "WARN", "logger": "a.B"}, "service": {"name": "orders"}},
        {"log.level": "WARN", "log.logger": "a.B", "service.name": "orders"},
        {"log": {"level": "WARN"}, "log.logger": "a.B", "service": "x", "service.name": "orders"},
    ],
)
def test_fields_may_be_nested_or_dotted(event):
    found = of(**event)
    assert (found.level, found.logger, found.service) == ("WARN", "a.B", "orders")


def test_text_of_the_error():
    found = of(message="m", trace={"id": "t"}, error={"type": "a.E", "message": "no", "stack_trace": "a.E: no\n\tat x"})
    assert found.text == ("m", None, "t", "a.E", "no", "a.E: no\n\tat x")


def test_values_that_are_no_text_become_text():
    found = of(message=["a", 1, {"b": 2}], log={"level": 5})
    assert found.text[0] == 'a\n1\n{"b": 2}'
    assert found.level == "5"


@pytest.mark.parametrize("partitions", [1, 8, 9, 20])
def test_the_filters_tell_which_partitions_may_hold_an_id(partitions):
    ids = [f"{number:020d}" for number in range(30_000)]
    filters = seen.Filters()
    assert filters.candidates(ids[:10]) == {}
    parts = [ids[at * 1000 : (at + 1) * 1000] for at in range(partitions)]
    for part in parts:
        filters.add(seen.build(part))
    for number, part in enumerate(parts):
        found = filters.candidates(part)
        assert found.pop(number) == list(range(1000))
        assert sum(map(len, found.values())) < 5, "what other partitions hold"
    # More filters and more ids: what is in none of them is rarely looked up.
    assert sum(map(len, filters.candidates(ids[20_000:]).values())) < 50


def test_filters_that_are_dropped_are_forgotten_and_the_others_move_up():
    ids = [f"{number:020d}" for number in range(20_000)]
    parts = [ids[at * 1000 : (at + 1) * 1000] for at in range(20)]
    filters = seen.Filters()
    held = []
    for part in parts:
        filters.add(seen.build(part))
        held.append(part)
        while len(held) > 11 or (part is parts[-1] and held):
            dropped = held.pop(0)
            filters.drop()
            assert sum(map(len, filters.candidates(dropped).values())) < 5
            for number, each in enumerate(held):
                assert filters.candidates(each)[number] == list(range(1000))
    assert filters.candidates(ids) == {}
    filters.add(seen.build(parts[3]))
    assert filters.candidates(parts[3]) == {0: list(range(1000))}
