"""The compiled function: positions, errors of single events, what a pipeline touches, where it comes from."""

from __future__ import annotations

import json
import random
import string

import pytest

from parser import Pipeline, PipelineConfigError
from parser.filters import GrokFilter
from parser.pipeline import ERROR_TAG, If


def parse(text, **options):
    return Pipeline.parse(f"filter {{ {text} }}", env={}, **options)


def test_a_dropped_event_leaves_its_position():
    pipeline = parse('if [a] == "x" { drop { } }')
    events = [{"a": "x"}, {"a": "y"}, {"a": "x"}]
    assert pipeline.transform(events) == [None, {"a": "y"}, None]
    assert pipeline.run(events) == [{"a": "y"}]


def test_a_condition_that_fails_keeps_its_event_and_spares_the_others():
    pipeline = parse(
        'mutate { add_tag => ["before"] } if [n] > 5 { mutate { add_tag => ["big"] } } mutate { add_tag => ["after"] }'
    )
    found = pipeline.transform([{"n": 9}, {"n": "text", "message": "m"}, {"message": "none"}, {"n": 1}])
    assert found == [
        {"n": 9, "tags": ["before", "big", "after"]},
        {"n": "text", "message": "m", "tags": ["before", ERROR_TAG]},
        {"message": "none", "tags": ["before", ERROR_TAG]},
        {"n": 1, "tags": ["before", "after"]},
    ]


@pytest.mark.parametrize(
    ("text", "touches"),
    [
        ('grok { match => { "message" => "(?<[a][b]>x)(?<c>y)" } }', {"a", "c", "tags"}),
        ('date { match => ["t", "ISO8601"] remove_field => ["t"] }', {"@timestamp", "t", "tags"}),
        ('mutate { rename => { "a" => "[b][c]" } add_field => { "d" => "%{e}" } }', {"a", "b", "d", "tags"}),
        (
            'if [x] { mutate { gsub => ["[m][n]", "a", "b"] } } else { json { source => "s" target => "t" } }',
            {"m", "t", "tags"},
        ),
        ('json { source => "s" }', None),
        ('mutate { add_field => { "%{a}" => "b" } }', None),
        ('mutate { rename => { "%{a}" => "b" } }', None),
    ],
)
def test_touches(text, touches):
    assert parse(text).touches == (None if touches is None else frozenset(touches))


def test_texts_of_the_configuration_are_never_code():
    nasty = '\'); raise SystemExit #\\n{e}"""'
    pipeline = Pipeline.build(
        [("mutate", {"add_field": {nasty: nasty}, "add_tag": [nasty], "rename": {"a": nasty + "2"}})]
    )
    assert pipeline.run([{"a": 1}]) == [{nasty: nasty, nasty + "2": 1, "tags": [nasty]}]


def test_input_and_output_are_only_read():
    pipeline = Pipeline.parse(
        "input { beats { port => 5043 } } filter { } output { stdout { codec => rubydebug } }", env={}
    )
    assert pipeline.statements == ()


def test_statements_are_open_to_others():
    pipeline = parse(
        'if [message] =~ /x/ { grok { match => { "message" => ["(?<a>.)", "(?<b>.)"] } } } else { drop { } }'
    )
    (branch,) = pipeline.statements
    assert isinstance(branch, If)
    assert branch.arms[1].condition is None
    (grok,) = branch.arms[0].statements
    assert isinstance(grok, GrokFilter)
    ((field, path, expressions),) = grok.matches
    assert (field, path) == ("message", ("message",))
    assert [each.captures[0].path for each in expressions] == [("a",), ("b",)]


def test_a_directory_is_joined_in_the_order_of_names(tmp_path):
    (tmp_path / "20-b.conf").write_text('filter { mutate { add_field => { "b" => "%{a}" } } }')
    (tmp_path / "10-a.conf").write_text('filter { mutate { add_field => { "a" => "1" } } } # no newline')
    (tmp_path / "notes.txt").write_text("not a configuration")
    assert Pipeline.load(tmp_path).run([{}]) == [{"a": "1", "b": "1"}]


def test_what_comes_with_the_package():
    assert {"my-example", "spring-boot"} <= set(Pipeline.bundled())


@pytest.mark.parametrize("make", ["missing", "empty", "binary"])
def test_a_pipeline_that_cannot_be_read(tmp_path, make):
    path = tmp_path / make
    if make == "empty":
        path.mkdir()
    if make == "binary":
        path.write_bytes(b"\xff\xfe filter")
    with pytest.raises(PipelineConfigError) as caught:
        Pipeline.load(path)
    assert str(path) in str(caught.value)


def test_an_unknown_mode_is_named():
    with pytest.raises(PipelineConfigError, match="v9"):
        parse("", ecs_compatibility="v9")


def test_environment_and_escapes():
    text = r'filter { mutate { add_field => { "a" => "${X:d}\t" } } }'
    assert Pipeline.parse(text, env={"X": "set"}).run([{}]) == [{"a": "set\\t"}]
    assert Pipeline.parse(text, env={}, support_escapes=True).run([{}]) == [{"a": "d\t"}]


@pytest.mark.parametrize("seed", range(20))
def test_the_inline_way_and_the_general_way_of_grok_agree(seed):
    """A list of one text takes the general way; the fields must be those of the text itself."""
    pick = random.Random(seed)
    pipeline = parse(
        r'grok { match => { "message" => ["(?<[a][b]>\w+) (?<[a][c]>\d+)?(?<d>x)?", "(?<e>\W)"] } overwrite => ["e"] }'
    )
    event = {
        key: pick.choice(values)
        for key, values in {
            "a": [None, "s", {"b": "old"}, {"z": 1}, ["l"]],
            "d": [1, "old", ["old"]],
            "e": ["old", {}],
        }.items()
        if pick.random() < 0.6
    }
    message = "".join(pick.choice(string.ascii_letters[:3] + " x1 -") for _ in range(6))
    first = pipeline.run([{**json.loads(json.dumps(event)), "message": message}])
    second = pipeline.run([{**json.loads(json.dumps(event)), "message": [message]}])
    second[0]["message"] = message
    assert first == second
