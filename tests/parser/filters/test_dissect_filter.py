"""The dissect filter, beyond what the corpus has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser import Pipeline, PipelineConfigError
from parser.filters.dissect import MappingError, parse_mapping


def dissect(mapping, event, **options):
    if isinstance(mapping, str):
        mapping = {"message": mapping}
    event = {"message": event} if isinstance(event, str) else event
    return Pipeline.build([("dissect", {"mapping": mapping, **options})]).transform([event])[0]


def captured(mapping, text):
    event = dissect(mapping, text)
    return None if "tags" in event else {key: value for key, value in event.items() if key != "message"}


@pytest.mark.parametrize(
    ("mapping", "text", "wanted"),
    [
        ("%{a}, %{b};", "1, 2;", {"a": "1", "b": "2"}),
        ("%{a}, %{b};", "1, 2", None),
        ("%{a} %{b}\n", "1 2\n", {"a": "1", "b": "2"}),
        ("%{a}-%{b}", "-1-2", {"a": "", "b": "-1-2"}),  # the delimiter at the beginning is not passed
        ("[%{a}]%{b}", "[]x", {"a": "", "b": "x"}),
        ("%{->} %{b}", "x    y", {"b": "y"}),
        ("%{+a/2} %{+a/1} %{+a/4} %{+a/3}", "1 2 3 go", {"a": "2 1 go 3"}),
        ("%{a/1} %{b}", "1 2", {"a": "1", "b": "2"}),
        ("%{+a->/2}   %{+a/1}", "1      2", {"a": "2 1"}),
        ("%{[a][b]} %{[a][c]}", "1 2", {"a": {"b": "1", "c": "2"}}),
        ("%{k} %{&k}", "key val", {"k": "key", "key": "val"}),
        ("%{?k} %{&k}", " val", {}),
        ("é%{a}ü%{b}", "é1ü2", {"a": "1", "b": "2"}),
    ],
)
def test_cuts(mapping, text, wanted):
    assert captured(mapping, text) == wanted


def test_a_field_that_exists_is_appended_to():
    event = {"message": "1 2", "a": "0", "n": 5}
    assert dissect("%{+a} %{+n}", event) == {"message": "1 2", "a": "0 1", "n": "5 2"}
    assert dissect("%{+n} %{b}", {"message": "1 2", "n": None})["tags"] == ["_dissectfailure"]


def test_what_cannot_be_set_fails():
    event = dissect("%{x} %{a[b} %{y}", "1 2 3")
    assert event == {"message": "1 2 3", "x": "1", "tags": ["_dissectfailure"]}
    assert dissect("%{[x][y]} %{z}", {"message": "1 2", "x": "text"})["tags"] == ["_dissectfailure"]


def test_each_mapping_that_fits_is_a_success():
    event = dissect(
        {"a": "%{x} %{y}", "b": "%{z}-%{w}", "c": "%{v}:%{u}"}, {"a": "1 2", "b": "34", "c": "5:6"}, add_tag="t"
    )
    assert event["tags"] == ["t", "_dissectfailure", "t"]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e3", 1000), ("-7.9", -7), (".5", 0), ("1e999", 10**999), ("1e9999", None), ("9" * 5000, None), ("0x1", None)],
)
def test_integers(text, number):
    event = dissect({}, {"a": text}, convert_datatype={"a": "INT"})
    assert event == ({"a": text, "tags": ["_dataconversionuncoercible_a_INT"]} if number is None else {"a": number})


@pytest.mark.parametrize("mapping", ["", "no field", "%{+&a}", "%{&+a}", "%{+}", "%{&}", "%{+/1}"])
def test_mappings_that_are_none(mapping):
    with pytest.raises(MappingError):
        parse_mapping(mapping)


@pytest.mark.parametrize("options", [{"mapping": {"m": "%{+}"}}, {"mapping": "x"}, {"convert_datatype": {"a": "long"}}])
def test_a_mistake_is_named(options):
    with pytest.raises(PipelineConfigError, match="dissect: "):
        Pipeline.build([("dissect", options)])


def test_what_it_touches():
    assert Pipeline.build([("dissect", {"mapping": {"m": "%{[a][b]} %{c} %{?d}"}})]).touches == {"a", "c", "tags"}
    assert Pipeline.build([("dissect", {"mapping": {"m": "%{?c} %{&c}"}})]).touches is None


def reference(delimiters, padded, prefix, text):
    """The plugin's own algorithm: search, step by step."""
    left = 0
    values = []
    if prefix:
        if not text.startswith(prefix):
            return None
        left = len(prefix)
    for at, delimiter in enumerate(delimiters):
        if at and padded[at - 1]:
            while text.startswith(delimiters[at - 1], left):
                left += len(delimiters[at - 1])
        found = text.find(delimiter, left)
        if found < 0:
            return None
        values.append(text[left:found] if found > 0 else "")
        if found > 0:
            left = found + len(delimiter)
    if delimiters and padded[-1]:
        while text.startswith(delimiters[-1], left):
            left += len(delimiters[-1])
    return [*values, text[left:]]


TEXT = st.text("ab -", max_size=12)


@given(
    st.lists(st.tuples(st.text("ab -", min_size=1, max_size=2), st.booleans()), min_size=1, max_size=4),
    st.text("ab -", max_size=2),
    TEXT.filter(bool),
)
def test_the_cuts_are_those_of_a_search(steps, prefix, text):
    delimiters, padded = zip(*steps, strict=True)
    mapping = prefix + "".join(
        f"%{{f{at}{'->' if pad else ''}}}{delimiter}" for at, (delimiter, pad) in enumerate(steps)
    )
    got = captured(f"{mapping}%{{f{len(steps)}}}", text)
    assert (None if got is None else list(got.values())) == reference(delimiters, padded, prefix, text)
