import math

import pytest

from parser.grok.values import add, convert, to_float, to_integer


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12), ("+12", 12), ("-0", 0), ("007", 7), ("1_000", 1000), ("1__0", 1), ("_1", 0), ("12abc", 12),
        ("abc", 0), ("", 0), (" \t12", 12), ("1e5", 1), ("0x1A", 0), ("١٢", 0), ("-", 0), ("5\n6", 5),
        ("99999999999999999999", 99999999999999999999), ("-9223372036854775809", -9223372036854775809),
    ],
)  # fmt: skip
def test_to_i(text, number):
    assert to_integer(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0), ("1_000", 1000.0), ("1__0", 10.0), ("_1", 0.0), (".5", 0.5), ("-.5", -0.5), ("1.", 1.0),
        ("1e", 1.0), ("1e+", 1.0), ("1.0e-10", 1e-10), ("1_0.5", 10.5), ("0x1A", 0.0), ("1,5", 1.0), ("abc", 0.0),
        ("NaN", 0.0), ("-1e400", -math.inf), (" 12abc", 12.0), ("--1", 0.0),
    ],
)  # fmt: skip
def test_to_f(text, number):
    assert to_float(text) == number


def test_a_group_that_took_no_part_stays_none():
    assert convert(None, "int") is None
    assert convert("x", None) == "x"


def test_numbers_longer_than_python_reads_are_zero():
    assert to_integer("9" * 5000) == 0


@pytest.mark.parametrize(
    ("present", "after"),
    [
        ({}, {"a": "v"}),
        ({"a": None}, {"a": "v"}),
        ({"a": "s"}, {"a": ["s", "v"]}),
        ({"a": ["s"]}, {"a": ["s", "v"]}),
        ({"a": 5}, {"a": 5}),
        ({"a": True}, {"a": True}),
        ({"a": {"k": 1}}, {"a": {"k": 1}}),
    ],
)
def test_adding_to_what_is_there(present, after):
    assert add(present, ("a",), "v")
    assert present == after


def test_adding_below():
    fields = {"a": {"b": "1"}}
    assert add(fields, ("a", "b"), "2")
    assert add(fields, ("c", "d", "e"), "3")
    assert fields == {"a": {"b": ["1", "2"]}, "c": {"d": {"e": "3"}}}
    assert not add(fields, ("c", "d", "e", "f"), "4")
