"""Logstash's multiline codec, beyond what the corpus has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser import Multiline, PipelineConfigError, PipelineSyntaxError


def test_lines_into_events():
    codec = Multiline(pattern=r"^%{TIMESTAMP_ISO8601}", negate=True, what="previous")
    events = codec.run(["2017-07-04 11:11:37 a", "\tat b", "2017-07-04 11:11:38 c"])
    assert events == [
        {"message": "2017-07-04 11:11:37 a\n\tat b", "@version": "1", "tags": ["multiline"]},
        {"message": "2017-07-04 11:11:38 c", "@version": "1"},
    ]
    assert codec.run([]) == [], "nothing is left from the run before"


def test_bytes_are_decoded():
    codec = Multiline("^ ", "previous", charset="ISO-8859-1")
    assert [event["message"] for event in codec.run([b"caf\xe9", b" \xe7"])] == ["café\n ç"]
    assert Multiline("^ ", "previous").run([b"\xff"])[0]["message"] == "\ufffd"


def test_own_patterns(tmp_path):
    (tmp_path / "own").write_text("HEAD <\\d+>\n")
    codec = Multiline("^%{HEAD}", "previous", negate=True, patterns_dir=[tmp_path])
    assert [event["message"] for event in codec.run(["<1> a", "b", "<2> c"])] == ["<1> a\nb", "<2> c"]


@pytest.mark.parametrize(
    ("size", "events"), [(5, 2), ("5 b", 2), ("0.005kB", 2), ("5KiB", 1), ("1,000 B", 1), ("2 MiB", 1)]
)
def test_sizes(size, events):
    assert len(Multiline("^ ", "previous", max_bytes=size).run(["12345", " 6"])) == events


@pytest.mark.parametrize(
    "options",
    [
        {"what": "both"},
        {"negate": "maybe"},
        {"pattern": "("},
        {"pattern": "%{NOPE}"},
        {"charset": "NOPE"},
        {"max_bytes": "5 apples"},
        {"max_bytes": "1.1.1 kB"},
        {"max_lines": "many"},
        {"auto_flush_interval": "soon"},
        {"ecs_compatibility": "v7"},
    ],
)
def test_a_mistake_is_named(options):
    with pytest.raises(PipelineConfigError, match=r"multiline: .*(must be|is unknown|expression)"):
        Multiline(**{"pattern": "x", "what": "previous", **options})


def test_mistakes_in_a_configuration_have_their_place():
    with pytest.raises(PipelineConfigError, match=r"^<multiline>:2:3: .*nope"):
        Multiline.parse('pattern => "x" what => next\n  nope => 1')
    with pytest.raises(PipelineSyntaxError, match=r"^f:1:") as caught:
        Multiline.parse("pattern = 5", name="f")
    assert caught.value.line == 1
    with pytest.raises(PipelineSyntaxError, match="more than the options"):
        Multiline.parse("} } filter { x {")
    assert Multiline.parse('pattern => "${P}" what => next', env={"P": "^a"}).run(["a", "b"])[0]["message"] == "a\nb"


@given(
    st.lists(st.text("aX \n", max_size=5)),
    st.sampled_from(["previous", "next"]),
    st.booleans(),
    st.integers(0, 4),
    st.integers(1, 12),
)
def test_no_line_is_lost(lines, what, negate, max_lines, max_bytes):
    codec = Multiline("X", what, negate=negate, max_lines=max_lines, max_bytes=max_bytes)
    kept = [line for line in (line.rstrip("\n") for line in lines) if line]
    assert "\n".join(event["message"] for event in codec.run(lines)) == "\n".join(kept)
