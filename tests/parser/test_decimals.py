"""Numbers of events, long ones: an answer at once, and the tag that the filter has for what is no number."""

from __future__ import annotations

import re
import time
from decimal import Decimal

import pytest

from parser import Pipeline
from parser.decimals import decimal, whole

HUGE = [
    "1e1000000",
    "-1e1000000",
    "9" * 100_000,
    "-" + "9" * 100_000,
    "0x" + "f" * 100_000,
    "1_" * 5000,
    "9" * 5000 + "x",
]
FORM = re.compile(r"\d[\d_]*(?:e\d+)?")


@pytest.mark.parametrize("text", HUGE, ids=lambda text: text[:10])
@pytest.mark.parametrize(
    ("name", "options", "tag"),
    [
        ("mutate", {"convert": {"a": "integer"}}, "_mutate_error"),
        ("mutate", {"convert": {"a": "integer_eu"}}, "_mutate_error"),
        ("dissect", {"convert_datatype": {"a": "int"}}, "_dataconversionuncoercible_a_int"),
        ("date", {"match": ["a", "UNIX"]}, "_dateparsefailure"),
        ("date", {"match": ["a", "UNIX_MS"]}, "_dateparsefailure"),
        ("date", {"match": ["a", "TAI64N", "ISO8601", "yyyy", "yyyyMMdd"]}, "_dateparsefailure"),
    ],
)
def test_what_no_log_has_is_no_number(name, options, tag, text):
    pipeline = Pipeline.build([(name, options)])
    begin = time.process_time()
    assert pipeline.transform([{"a": text}]) == [{"a": text, "tags": [tag]}]
    assert time.process_time() - begin < 0.5


@pytest.mark.parametrize("text", ["1e400", "1_0e998", "0e1000000", "1e-1000000", "0." + "9" * 900, "0x" + "f" * 800])
def test_what_fits_is_exact(text):
    [event] = Pipeline.build([("mutate", {"convert": {"a": "integer"}})]).transform([{"a": text}])
    assert event == {"a": int(text, 16) if "x" in text else int(Decimal(text))}


def test_a_float_has_no_bound_but_its_length():
    [event] = Pipeline.build([("mutate", {"convert": {"a": "float"}})]).transform([{"a": "1e1000000"}])
    assert event == {"a": float("inf")}


@pytest.mark.parametrize("text", ["", "x", "1e99999999999999999999", "9" * 1000])
def test_none(text):
    with pytest.raises(ValueError, match="is not a number"):
        decimal(text, FORM)


def test_whole():
    assert [whole(1.9), whole(True), whole(Decimal("-1.9")), whole(decimal("1_000", FORM))] == [1, 1, -1, 1000]
    assert whole(Decimal("1e999")) == 10**999
    with pytest.raises(ValueError, match="1001 digits"):
        whole(Decimal("1e1000"))


@pytest.mark.parametrize(
    ("key", "value"), [("10000", None), ("9" * 3000, None), ("2", [1, None, "x"])], ids=["far", "endless", "near"]
)
def test_a_list_is_not_filled_up_without_an_end(key, value):
    [event] = Pipeline.build([("kv", {})]).transform([{"message": f"[l][{key}]=x", "l": [1]}])
    assert event["l"] == (value or [1])
    assert event.get("tags") == (None if value else ["_kv_filter_error"])


def test_a_time_in_json_that_is_infinite():
    [event] = Pipeline.build([("json", {"source": "message"})]).transform([{"message": '{"@timestamp":1e400}'}])
    assert (event["_@timestamp"], event["tags"]) == ("Infinity", ["_timestampparsefailure"])
