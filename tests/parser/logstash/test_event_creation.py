"""What Logstash makes of an event's ``@timestamp`` and ``tags`` when the event is made."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from parser import Pipeline
from parser.timestamps import Timestamp

NOW = datetime(2020, 2, 3, 4, 5, 6, 7000, tzinfo=UTC)


def made(event):
    return Pipeline.build([], now=NOW).run([event])[0]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2017-07-04T11:11:37Z", "2017-07-04T11:11:37.000Z"),
        ("2017-07-04T11:11:37.921123+02:00", "2017-07-04T09:11:37.921123Z"),
        ("2017-07-04T11:11:37.9210", "2017-07-04T11:11:37.921Z"),
        ("2017-07-04T11:11:37.1234Z", "2017-07-04T11:11:37.123400Z"),
        ("2017-07-04", "2017-07-04T00:00:00.000Z"),
    ],
)
def test_a_time(text, instant):
    event = made({"@timestamp": text})
    assert event == {"@timestamp": instant}
    assert type(event["@timestamp"]) is Timestamp


@pytest.mark.parametrize(
    "value", ["", "soon", "2017-07-04 11:11:37", "2017-13-04", "2017-07-04T11:11:37,5Z", 5, 1.5, {}]
)
def test_what_is_no_time_is_kept_beside_the_clock(value):
    assert made({"@timestamp": value, "tags": "t"}) == {
        "@timestamp": "2020-02-03T04:05:06.007Z",
        "_@timestamp": value,
        "tags": ["t", "_timestampparsefailure"],
    }


@pytest.mark.parametrize("value", [None, 5, True, {"a": 1}, ["a", 1]])
def test_what_is_no_tags_is_kept_beside_them(value):
    assert made({"tags": value}) == {"tags": ["_tagsparsefailure"], "_tags": [value]}


def test_both():
    event = made({"tags": 1, "@timestamp": 1})
    assert event["tags"] == ["_tagsparsefailure", "_timestampparsefailure"]
    assert (event["_tags"], event["_@timestamp"]) == ([1], 1)


def test_what_is_well_formed_stays():
    stamp = Timestamp("2017-07-04T11:11:37.921Z")
    event = {"@timestamp": stamp, "tags": ["a"], "message": "m"}
    assert made(event) is event
    assert event == {"@timestamp": stamp, "tags": ["a"], "message": "m"}
    assert made({"@timestamp": None}) == {"@timestamp": "2020-02-03T04:05:06.007Z"}
