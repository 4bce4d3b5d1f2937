"""The kv filter, beyond what the corpus has."""

from __future__ import annotations

import pytest

from parser import Pipeline, PipelineConfigError


def kv(event, **options):
    event = {"message": event} if isinstance(event, str) else event
    found = Pipeline.build([("kv", options)]).transform([event])[0]
    return {key: value for key, value in found.items() if key != "message"}


@pytest.mark.parametrize(
    ("options", "text", "wanted"),
    [
        ({}, r"a=x\ y b=2", {"a": r"x\ y", "b": "2"}),
        ({}, r"a\=b=1 c=2", {r"a\=b": "1", "c": "2"}),
        ({}, r'a="x \" y" b=2', {"a": r"x \" y", "b": "2"}),
        ({"field_split_pattern": r"\\\|"}, r"a=1\|b=2", {"a": "1", "b": "2"}),
        ({"field_split_pattern": r"(;)", "value_split_pattern": "(:)"}, "a:1;b:2", {"a": ":", "b": ":"}),
        ({"prefix": "%{p}_"}, {"message": "a=1", "p": "x"}, {"x_a": "1", "p": "x"}),
        ({"include_keys": ["%{p}"]}, {"message": "a=1 b=2", "p": "b"}, {"b": "2", "p": "b"}),
        ({"exclude_keys": ["%{p}"]}, {"message": "a=1 b=2", "p": "b"}, {"a": "1", "p": "b"}),
        ({"default_keys": {"a": "0", "z": "9"}}, "a=1", {"a": "1", "z": "9"}),
        ({"remove_char_value": "xy"}, "a=xzyx", {"a": "z"}),
        ({"allow_duplicate_values": "false"}, "a=12 a=1", {"a": "12"}),
        ({"allow_empty_values": "true", "whitespace": "strict"}, 'a= b="" c=3', {"a": "", "b": "", "c": "3"}),
        ({"recursive": "true"}, 'a="b=1 b=[c=2]" d=3', {"a": {"b": ["1", {"c": "2"}]}, "d": "3"}),
        ({"source": "m"}, {"m": ["a=1", 5, "a=2 b=3"]}, {"a": ["1", "2"], "b": "3", "m": ["a=1", 5, "a=2 b=3"]}),
        ({"source": "m"}, {"m": 5}, {"m": 5}),
        ({"source": "m", "target": "t", "default_keys": {"z": "9"}}, {}, {"t": {"z": "9"}}),
        ({}, "@metadata=1", {"tags": ["_kv_filter_error"]}),
        ({"tag_on_failure": ["x", "y"]}, "a=1 b[=2 c=3", {"a": "1", "tags": ["x", "y"]}),
        ({"target": "[t][u]"}, {"message": "a=1", "t": "text"}, {"t": "text", "tags": ["_kv_filter_error"]}),
        ({"transform_key": "uppercase", "transform_value": "capitalize"}, "a=bC", {"A": "Bc"}),
    ],
)
def test_options(options, text, wanted):
    assert kv(text, **options) == wanted


def test_success_is_something_found():
    assert kv("a=1", add_tag="t") == {"a": "1", "tags": ["t"]}
    assert kv("nothing", add_tag="t") == {}


@pytest.mark.parametrize(
    "options",
    [
        {"value_split": ""},
        {"field_split_pattern": ""},
        {"field_split": "[]"},
        {"trim_key": "]["},
        {"transform_key": "upcase"},
        {"whitespace": "none"},
        {"nope": 1},
    ],
)
def test_a_mistake_is_named(options):
    with pytest.raises(PipelineConfigError, match="kv: "):
        Pipeline.build([("kv", options)])


def test_what_it_touches():
    assert Pipeline.build([("kv", {"target": "[t][u]"})]).touches == {"t", "tags"}
    assert Pipeline.build([("kv", {})]).touches is None
