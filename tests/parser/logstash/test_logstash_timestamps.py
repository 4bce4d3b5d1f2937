"""Timestamps: the quick way and the exact way must agree."""

from __future__ import annotations

import pytest

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
