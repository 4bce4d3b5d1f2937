"""Expressions built from sample lines: each matches all of them, the most specific comes first."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parser.errors import GrokError
from parser.grok import Grok
from parser.grok.suggest import suggest

SPRING = [
    "2017-07-04 11:11:37.921  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET DATA",
    "2017-07-04 11:11:37.952  WARN 60820 --- [main] br.com.ContaServiceLog           : CALL SOMEthing",
]


def best(*lines, **options):
    return suggest(lines, 1, **options)[0].expression


@pytest.mark.parametrize(
    ("lines", "expression"),
    [
        (
            SPRING,
            (
                r"\A%{TIMESTAMP_ISO8601:timestamp}%{SPACE}%{LOGLEVEL:level} %{INT:pid:int} --- \[%{DATA:thread}\] "
                r"%{JAVACLASS:logger}%{SPACE}: %{GREEDYDATA:message}"
            ),
        ),
        (
            ["11:11:37.921 [main] INFO  c.e.Foo - Started it", "11:11:37.922 [http-nio-1] ERROR c.e.Bar - Took 15 ms"],
            r"\A%{TIME:time} \[%{DATA:thread}\] %{LOGLEVEL:level}%{SPACE}%{JAVACLASS:logger} - %{GREEDYDATA:message}",
        ),
        (['127.0.0.1 - - [11/Dec/2013:00:01:45 -0800] "GET /x HTTP/1.1" 200 3 "-" "x"'], r"\A%{HTTPD_COMBINEDLOG}"),
        (
            ['127.0.0.1 [11/Dec/2013:00:01:45 -0800] "GET /x?a=b HTTP/1.1" 200 3'],
            (
                r'\A%{IP:ip} \[%{HTTPDATE:timestamp}\] "%{WORD:method} %{URIPATHPARAM:path} HTTP/%{NUMBER:httpversion}" '
                "%{INT:status:int} %{INT:bytes:int}"
            ),
        ),
        (
            ["time=2020-01-01T00:00:00Z level=info user=bob n=1", "time=2020-01-01T00:00:01Z level=warn user=al n=22"],
            r"\Atime=%{TIMESTAMP_ISO8601:time} level=%{LOGLEVEL:level} user=%{WORD:user} n=%{INT:n:int}",
        ),
        (
            ["2020-01-01 00:00:00|INFO|com.foo.Bar|x y|12", "2020-01-01 00:00:01|WARN|com.foo.Bar|some more|13"],
            r"\A%{TIMESTAMP_ISO8601:timestamp}\|%{LOGLEVEL:level}\|%{JAVACLASS:logger}\|%{DATA:text}\|%{INT:number:int}",
        ),
        (["one thing", "2017-07-04"], r"\A%{GREEDYDATA:message}"),
    ],
)
def test_the_best(lines, expression):
    assert best(*lines) == expression


def test_fields_of_ecs():
    assert best(*SPRING, ecs_compatibility="v8") == (
        r"\A%{TIMESTAMP_ISO8601:timestamp}%{SPACE}%{LOGLEVEL:[log][level]} %{INT:[process][pid]:int} --- "
        r"\[%{DATA:[process][thread][name]}\] %{JAVACLASS:[log][logger]}%{SPACE}: %{GREEDYDATA:message}"
    )
    found = Grok(best(*SPRING, ecs_compatibility="v8"), ecs_compatibility="v8").match(SPRING[1])
    assert found == {
        "timestamp": "2017-07-04 11:11:37.952",
        "log": {"level": "WARN", "logger": "br.com.ContaServiceLog"},
        "process": {"pid": 60820, "thread": {"name": "main"}},
        "message": "CALL SOMEthing",
    }


def test_a_field_is_never_named_twice():
    expression = best("10.0.0.1 -> 10.0.0.2: 5 ms, 7 ms")
    fields = [capture.name for capture in Grok(expression).expression.captures]
    assert len(fields) == len(set(fields))


def test_separators_in_free_text_are_chance():
    texts = (
        "this is a text - of some length: with - and - more; ",
        "nor are these - any field: but a - story - told; ",
    )
    lines = [f"2017-07-04 11:11:37 INFO {text * 5}" for text in texts]
    assert best(*lines) == r"\A%{TIMESTAMP_ISO8601:timestamp} %{LOGLEVEL:level} %{GREEDYDATA:message}"


def test_several_are_ranked():
    found = suggest(SPRING, 5)
    assert 1 < len(found) <= 5
    assert [each.cost for each in found] == sorted(each.cost for each in found)
    assert len({each.expression for each in found}) == len(found)


def test_all_samples_count_though_few_are_built_from():
    lines = [f"{number} ok" for number in range(60)] + ["none at all"]
    assert all(Grok(each.expression).match("none at all") is not None for each in suggest(lines))


def test_no_samples():
    with pytest.raises(GrokError, match="no sample line"):
        suggest(["", "  "])


TOKENS = st.sampled_from(
    [
        "INFO",
        "main",
        "[x]",
        "10.0.0.1",
        "2017-07-04 11:11:37",
        "12",
        "a.b.C",
        "k=v",
        "/p/q",
        '"q"',
        " ",
        "  ",
        "-",
        ":",
        "|",
        "%{x}",
        "ä",
        "\\",
        "\t",
    ]
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(TOKENS, min_size=1, max_size=9).map("".join).filter(str.strip), min_size=1, max_size=4))
def test_every_suggestion_matches_every_sample(lines):
    found = suggest(lines, 4)
    assert found
    for each in found:
        grok = Grok(each.expression)
        for line in lines:
            assert grok.match(line) is not None, (each.expression, line)
