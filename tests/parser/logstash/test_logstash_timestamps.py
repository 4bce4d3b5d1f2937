"""Timestamps: the quick way and the exact way must agree."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from parser import Pipeline
from parser.logstash.timeformat import TimestampFormat
from parser.timestamps import (
    Reader,
    Timestamp,
    TimestampPatternError,
    compile_matcher,
    epoch_millis,
    from_millis,
    zone,
)

TEXTS = [
    "2017-07-04 11:11:37.921",
    "2017-07-04 11:11:37.922",
    "2017-07-04T11:11:37.921Z",
    "2017-07-04T11:11:37.922Z",
    "2017-07-04T11:11:37.921+08:00",
    "2017-07-04T11:11:37.922+08:00",
    "2017-07-04T11:11:37.922-08:00",
    "2017-07-04 11:11:37,921",
    "2017-07-04T11:11:37.9215",
    "2017-07-04T11:11:37.921999999Z",
    "2017-07-04T11:11:37.9219999999Z",
    "2017-07-04T11:11:37.921999+08:00",
    "2017-07-04 11:11:37.921999",
    "2017-07-04T11:11:37.92",
    "2017-07-04T11:11:37.９２１",
    "2017-07-04 11:11:37.9x1",
    "2017-11-05 01:30:00.000",
    "2017-03-12 02:30:00.000",
    "2017-07-04",
    "",
]


@pytest.mark.parametrize("place", ["UTC", "America/New_York", "+05:30"])
def test_remembered_answers_are_the_exact_ones(place):
    reader = Reader(["ISO8601"], zone(place))
    for _ in range(2):
        assert [reader(text) for text in TEXTS] == [Reader(["ISO8601"], zone(place))(text) for text in TEXTS]
    assert reader.seconds["2017-07-04T11:11:37.+08:00"] == "2017-07-04T03:11:37."


def test_nothing_is_remembered_where_a_pattern_could_see_the_digits():
    reader = Reader(["yyyy-MM-dd HH:mm:ss.SSSSSS", "ISO8601"], zone("UTC"))
    assert reader("2017-07-04 11:11:37.921") == "2017-07-04T11:11:37.921Z"
    assert reader.seconds == {}


def test_memory_is_bounded():
    reader = Reader(["ISO8601"], zone("UTC"))
    for second in range(20000):
        reader(from_millis(second * 1000)[:-1])
    assert 0 < len(reader.seconds) <= 8192


def test_a_timestamp_is_told_from_text():
    found = compile_matcher("UNIX_MS")("1499166697921", zone("UTC"))
    assert type(found) is Timestamp
    assert found == "2017-07-04T11:11:37.921Z"
    assert epoch_millis(found) == 1499166697921


@pytest.mark.parametrize("pattern", ["yyyy-MM-dd'T", "yyyy-bb"])
def test_a_pattern_that_is_none(pattern):
    with pytest.raises(TimestampPatternError):
        compile_matcher(pattern)


def test_writing():
    assert TimestampFormat("'logs-'yyyy.MM.dd EEE").format("2017-07-04T11:11:37.921Z") == "logs-2017.07.04 Tue"


@pytest.mark.parametrize("value", [True, {}, [], float("inf"), "1.5", ""])
def test_what_is_no_number_of_milliseconds(value):
    assert Reader(["UNIX_MS"], zone("UTC"))(value) is None


@pytest.fixture
def clock(monkeypatch):
    """``clock(2026, 11, 23)`` sets the clock."""

    def set_clock(*moment):
        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime(*moment, tzinfo=tz)

        monkeypatch.setattr("parser.timestamps.matcher.datetime", Clock)

    return set_clock


def dated(pattern):
    return Pipeline.build([("date", {"match": ["message", pattern]})])


def read(pipeline, text):
    return pipeline.transform([{"message": text}])[0].get("@timestamp")


def test_the_year_is_that_of_the_reading(clock):
    """Not that of the compiling: an agent runs over New Year. Logstash's rule holds on the days around it."""
    clock(2026, 11, 23)
    pipeline = dated("MMM dd HH:mm:ss")
    assert read(pipeline, "Nov 23 12:00:00") == "2026-11-23T12:00:00.000Z"
    assert read(pipeline, "Jan 01 00:00:01") == "2026-01-01T00:00:01.000Z"
    clock(2026, 12, 31)
    assert read(pipeline, "Dec 31 23:59:59") == "2026-12-31T23:59:59.000Z"
    assert read(pipeline, "Jan 01 00:00:01") == "2027-01-01T00:00:01.000Z"
    clock(2027, 1, 15)
    assert read(pipeline, "Jan 15 12:00:00") == "2027-01-15T12:00:00.000Z"
    assert read(pipeline, "Dec 31 23:59:59") == "2026-12-31T23:59:59.000Z"
    clock(2027, 2, 1)
    assert read(pipeline, "Dec 05 12:00:00") == "2027-12-05T12:00:00.000Z"


def test_the_century_is_that_of_the_reading(clock):
    clock(2026, 11, 23)
    pipeline = dated("yy-MM-dd")
    assert read(pipeline, "46-01-02") == "1946-01-02T00:00:00.000Z"
    clock(2027, 1, 1)
    assert read(pipeline, "46-01-02") == "2046-01-02T00:00:00.000Z"


def test_a_given_clock_stands_still(clock):
    pipeline = Pipeline.build([("date", {"match": ["message", "MMM dd"]})], now=datetime(2017, 7, 4, tzinfo=UTC))
    clock(2027, 1, 1)
    assert read(pipeline, "Jul 04") == "2017-07-04T00:00:00.000Z"


def test_an_offset_that_is_none():
    with pytest.raises(TimestampPatternError, match="less than a day"):
        zone("+24:00")
    assert read(dated("yyyy-MM-dd Z"), "2017-07-04 +02:00") == "2017-07-03T22:00:00.000Z"
    for pattern, text in (("yyyy-MM-dd Z", "2017-07-04 +99:00"), ("ISO8601", "2017-07-04T11:11:37+99:00")):
        [event] = dated(pattern).transform([{"message": text}])
        assert event == {"message": text, "tags": ["_dateparsefailure"]}
