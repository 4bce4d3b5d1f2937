"""The bundled pipelines, both ways, over every layout that Spring writes and every kind of constant field."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parser import Pipeline
from parser.multiline import PRESETS

TEXT_LAYOUTS = (
    *("boot-1.5-file", "boot-1.5-console", "boot-2.7-file", "boot-2.7-console", "boot-3.0-file", "boot-3.1-console"),
    *("boot-3.2-file", "boot-3.2-console", "boot-3.4-file", "boot-3.4-console", "boot-3.4-log4j2"),
)
OTHER_LAYOUTS = ("boot-2.7-ansi", "boot-3.4-ansi", "ecs-3.4", "ecs-3.5", "logstash", "gelf")
FIELDS = {
    "none": {},
    "as shipped": {
        "host": {"name": "h"},
        "agent": {"name": "h", "type": "t", "version": "1"},
        "input": {"type": "log"},
    },
    "a service name": {"service": {"name": "orders"}},
    "an empty service name": {"service": {"name": "", "id": "x"}},
    "no service name": {"service": {"name": None}},
    "a service that is none": {"service": "orders"},
    "service names": {"service": {"name": ["a", "b"]}},
    "tags": {"tags": ["a", "%b"]},
    "a tag of failure": {"tags": ["_grokparsefailure"]},
    "one tag": {"tags": "x"},
    "nested labels": {"labels": {"team": {"name": "kassa"}, "n": 1}},
    "a label that a line has": {"labels": {"application_group": "shop", "correlation": 1}},
    "labels that are none": {"labels": 5},
    "odd values": {"labels": {'q"\\': 'a "b" \\ 100% %(x)s %b ü €', "100%": [1.5, None, {"%d": True}]}, "ü%": "\x1f"},
    "error is a text": {"error": "e"},
    "error has a type": {"error": {"type": "T", "message": 1, "stack_trace": None}},
    "empty hashes": {"error": {}, "trace": {}, "labels": {}, "service": {}, "process": {"thread": {}}},
    "process is a number": {"process": 3.5},
    "process has a pid": {"process": {"pid": "1", "thread": {"name": "t"}}},
    "process is null": {"process": None},
    "trace is a list": {"trace": [{"id": "x"}], "span": False},
    "log": {"log": {"level": "X", "env": {"a": 1}}},
    "logger": {"log": {"logger": None}},
    "a timestamp": {"timestamp": "2020-01-01T00:00:00.000Z", "@timestamp": "x"},
    "a message": {"message": "constant"},
    "metadata": {"@metadata": {"no_message": "yes", "doc": {"a": 1}}},
}


@pytest.fixture(scope="module", params=["UTC", "America/Sao_Paulo"])
def spring_boot(request):
    return Pipeline.load("spring-boot", env={"LOG_TIMEZONE": request.param})


@pytest.fixture(scope="module")
def utc():
    return Pipeline.load("spring-boot", env={})


@pytest.fixture(scope="module")
def my_example():
    return Pipeline.load("my-example", env={})


@pytest.fixture(scope="module")
def written(spring_logs, tmp_path_factory):
    """The events of a layout, each whole, for services of several kinds."""
    known = {}

    def write(layout):
        if layout not in known:
            known[layout] = []
            for options in ({}, {"group": "shop"}, {"tracing": False}, {"named": False, "tracing": False}):
                log = spring_logs.Log(tmp_path_factory.mktemp("logs") / "a.log")
                service = spring_logs.Service("orders", zone="America/Sao_Paulo", **options)
                spring_logs.write(log, service, layout, events=40, failures=0.2, multiline=0.1)
                log.close()
                data = log.path.read_bytes()
                cuts = sorted({0, *PRESETS["spring-boot"].cuts(data), len(data)})
                known[layout] += [data[begin:end].removesuffix(b"\n") for begin, end in pairwise(cuts)]
        return known[layout]

    return write


@pytest.mark.parametrize("layout", [*TEXT_LAYOUTS, *OTHER_LAYOUTS])
def test_every_layout_is_read_alike(spring_boot, written, ways, layout):
    events = written(layout)
    found = ways(spring_boot, FIELDS["as shipped"]).check(*events)
    if layout in TEXT_LAYOUTS:
        assert found.count(None) < len(found) / 10
    else:
        assert found == [None] * len(found)


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_constant_fields_of_every_kind(utc, written, ways, fields):
    both = ways(utc, fields)
    for layout in ("boot-1.5-file", "boot-3.2-console", "boot-3.4-file", "ecs-3.5"):
        both.check(*written(layout)[::3])


DIRECT = ("none", "as shipped", "a service name", "tags", "nested labels", "odd values")


@pytest.mark.parametrize("name", DIRECT)
def test_the_usual_fields_leave_the_usual_lines_direct(utc, written, ways, name):
    found = ways(utc, FIELDS[name]).check(*written("boot-3.4-file"))
    assert found.count(None) < len(found) / 10


def test_every_layout_is_here(spring_logs):
    assert sorted((*TEXT_LAYOUTS, *OTHER_LAYOUTS)) == sorted(spring_logs.LAYOUTS)


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_my_example_is_read_alike(my_example, written, ways, fields):
    ways(my_example, fields).check(*written("boot-1.5-file"), *written("boot-3.4-file"))


LINES = (
    "2017-07-04 11:11:37.921  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET DATA",
    (
        f"2024-11-21T09:00:00.001+01:00 ERROR 1 --- [orders] [shop] [nio-1] [{'a' * 32}-{'b' * 16}] c.e.A : no %s\n"
        "\njava.lang.IllegalStateException: broken\n\tat a.B.c(B.java:1)\nCaused by: x.Y: z\n\t... 3 common frames omitted"
    ),
    f"2024-11-21T09:00:00.001Z  WARN 7 --- [orders] [  main] [{' ' * 49}] o.s.b.A  : a \nb\norg.x.SomeError: é",
)
PIECES = (
    "[",
    "]",
    " ",
    "\n",
    ":",
    "-",
    "\tat a.B(",
    "java.x.BException",
    "é",
    '"',
    "%",
    "\\",
    "\x00",
    "{",
    '{"',
    "1",
    "Z",
    "\x1b[0m",
)


@st.composite
def mutated(draw):
    line = draw(st.sampled_from(LINES))
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(line)))
        end = begin + draw(st.sampled_from((0, 0, 1, 2, 7, 40)))
        line = line[:begin] + draw(st.one_of(st.just(""), st.sampled_from(PIECES), st.text(max_size=2))) + line[end:]
    raw = line.encode("utf-8", "surrogatepass")
    at = draw(st.integers(0, len(raw)))
    return raw[:at] + draw(st.sampled_from((b"", b"", b"\xff", b"\xe2\x82", b"\xed\xa0\x80"))) + raw[at:] or b"x"


@pytest.fixture(scope="module")
def every_way(utc, ways):
    return {name: ways(utc, fields) for name, fields in FIELDS.items()}


@given(
    st.lists(st.one_of(mutated(), st.binary(min_size=1, max_size=60)), min_size=3, max_size=6),
    st.sampled_from(list(FIELDS)),
)
@settings(max_examples=40, deadline=None)
def test_mutated_lines(every_way, lines, name):
    every_way[name].check(*lines)
