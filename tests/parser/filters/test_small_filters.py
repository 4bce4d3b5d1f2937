"""truncate, prune and translate, beyond what the corpus has."""

from __future__ import annotations

import pytest

from parser import Pipeline, PipelineConfigError


def run(name, event, **options):
    return Pipeline.build([(name, options)]).transform([event])[0]


def test_truncate_enters_lists_and_hashes():
    event = {"a": {"b": "xyz", "c": {"d": "é€"}}, "l": ["xyz", 1], "n": 1}
    cut = {"a": {"b": "xy", "c": {"d": "é"}}, "l": ["xy", 1], "n": 1}
    assert run("truncate", event, length_bytes=2) == cut
    assert run("truncate", {"a": "x"}, fields=["a", "[b][c]"], length_bytes=0, add_tag="t") == {"a": "", "tags": ["t"]}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"whitelist_names": ["^a$", "b"]}, {"a": "1", "b": ["x", "y"]}),
        ({"blacklist_names": ["[ab]"]}, {"n": 5, "%{z}": 1}),
        ({"whitelist_values": {"b": "x", "n": "6"}}, {"a": "1", "b": ["x"]}),
        ({"blacklist_values": {"b": "[xy]", "a": "2"}}, {"a": "1", "n": 5}),
        ({"blacklist_values": {"%{name}": "1"}, "interpolate": "true"}, {"b": ["x", "y"], "n": 5}),
    ],
)
def test_prune(options, wanted):
    event = {"a": "1", "b": ["x", "y"], "n": 5, "%{z}": 1, "@metadata": {"m": 1}}
    if "interpolate" in options:
        options = {**options, "blacklist_values": {"a": "%{a}"}}
    assert run("prune", event, **options) == {**wanted, "@metadata": {"m": 1}}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"target": "t"}, {"a": "x1", "t": "old"}),
        ({"target": "t", "override": "true"}, {"a": "x1", "t": {"k": "v"}}),
        ({"target": "a"}, {"a": {"k": "v"}, "t": "old"}),
        ({"target": "n", "exact": "false", "dictionary": {"x": "y.", ".": "-"}}, {"a": "x1", "t": "old", "n": "y.1"}),
        ({}, {"a": "x1", "t": "old", "translation": {"k": "v"}}),
        ({"dictionary": {}, "exact": "false"}, {"a": "x1", "t": "old"}),
    ],
)
def test_translate(options, wanted):
    options = {"dictionary": {"x1": {"k": "v"}}, **options}
    assert run("translate", {"a": "x1", "t": "old"}, source="a", **options) == wanted


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("truncate", {}),
        ("truncate", {"length_bytes": -1}),
        ("prune", {"whitelist_names": ["("]}),
        ("translate", {"dictionary": {}}),
        ("translate", {"source": "a", "field": "b"}),
        ("translate", {"source": "a", "regex": "true", "dictionary": {"(": "x"}}),
        ("translate", {"source": "a", "dictionary_path": "/etc/x.yml"}),
    ],
)
def test_a_mistake_is_named(name, options):
    with pytest.raises(PipelineConfigError, match=f"{name}: "):
        Pipeline.build([(name, options)])
