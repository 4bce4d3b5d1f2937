"""Any text, and any event, through any supported pipeline: nothing raises, and the message is not lost."""

from __future__ import annotations

import functools
import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parser import ParserError, Pipeline
from parser.filters import FILTERS

PIECES = st.sampled_from(
    [
        "2017-07-04 11:11:37.921", " INFO ", " ERROR ", "60820", " --- ", "[main]", " br.com.Foo ", " : ", "hello", "\n", "\r\n",
        "\tat a.b.C(D.java:1)", "java.lang.X: y", "a=1", "=", '"', "'", "[", "]", "(", "{", "}", "\\", "é", "😀", "\0", "\x1b[31m",
        '{"a":1}', '{"@timestamp":"x","tags":5}', '{"message":"m"}', "%{a}", "%{+yyyy}", "1.5e9", "-", " ", ",", ";", ":", "_",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=14).map("".join))
NAMES = st.sampled_from(
    ["a", "b", "[c][d]", "[c]", "[c][0]", "tags", "@timestamp", "[@metadata][m]", "x%{a}", "a[b", ""]
)
GROKS = st.sampled_from(
    [
        "%{GREEDYDATA:a}", "%{WORD:a} %{INT:b:int}", "^%{TIMESTAMP_ISO8601:a}", "%{COMBINEDAPACHELOG}", "%{SYSLOGLINE}",
        "(?<a>.*?)=(?<b>.*)", "%{IP:[c][d]}|%{NUMBER:[c][d]:float}", "%{JAVASTACKTRACEPART}", "(?<tags>x)?", "%{DATA:@timestamp}",
        "(?<x%{a}>.)", r"(?<a[b>.)", r"\G\A(?<a>\S+)\s*\z", "%{QUOTEDSTRING:a}", "%{UUID:a}",
    ]
)  # fmt: skip
TAGS = {"add_tag": st.just("t"), "remove_tag": st.just("t"), "add_field": st.dictionaries(NAMES, TEXTS, max_size=2)}


def options(required, **optional):
    return st.fixed_dictionaries(required, optional={**TAGS, **optional})


BOOLEAN = st.sampled_from(["true", "false"])
MAPPINGS = st.lists(
    st.tuples(st.sampled_from(["a", "+a", "?b", "&b", "", "c->", "[c][d]", "+a/2"]), st.sampled_from([" ", "-", "", ": ", "\n"])),
    min_size=1, max_size=4,
).map(lambda parts: "".join(f"%{{{name}}}{delimiter}" for name, delimiter in parts))  # fmt: skip
SPLITS = st.sampled_from([" ", ",", ";&", "\n", r"\s", ":"])
FILTER = {
    "grok": options({"match": st.fixed_dictionaries({"message": GROKS})}, break_on_match=BOOLEAN, keep_empty_captures=BOOLEAN),
    "date": options(
        {"match": st.tuples(NAMES, st.sampled_from(["ISO8601", "UNIX", "yyyy-MM-dd HH:mm:ss.SSS", "TAI64N"]))}, target=NAMES
    ),
    "mutate": options(
        {},
        rename=st.dictionaries(NAMES, NAMES, max_size=2),
        convert=st.dictionaries(NAMES, st.sampled_from(["integer", "float", "string", "boolean"]), max_size=2),
        copy=st.just({"message": "copied"}),
        gsub=st.tuples(NAMES, st.sampled_from([".", "%{b}", "(a)|b"]), TEXTS),
        split=st.just({"copied": "%{a}"}),
        uppercase=st.just("copied"),
        merge=st.dictionaries(NAMES, NAMES, max_size=2),
    ),
    "dissect": options({"mapping": st.fixed_dictionaries({"message": MAPPINGS})}, convert_datatype=st.just({"a": "int"})),
    "kv": options(
        {"target": st.just("kv")}, field_split=SPLITS, value_split=SPLITS, trim_value=st.just(r"\s,"), recursive=BOOLEAN,
        include_brackets=BOOLEAN, allow_empty_values=BOOLEAN, allow_duplicate_values=BOOLEAN,
        whitespace=st.sampled_from(["strict", "lenient"]), prefix=TEXTS,
    ),
    "json": options({"source": st.just("message"), "target": st.just("json")}, skip_on_invalid_json=BOOLEAN),
    "drop": st.just({"percentage": 0}),
    "truncate": options({"length_bytes": st.integers(0, 9), "fields": st.just(["copied", "a", "c"])}),
    "prune": options({}, blacklist_names=st.just(["^a$"]), blacklist_values=st.just({"b": "x"})),
    "translate": options({"source": NAMES, "target": st.just("to"), "dictionary": st.dictionaries(TEXTS, TEXTS, max_size=3)}, exact=BOOLEAN),
}  # fmt: skip
FILTER_LISTS = st.lists(
    st.sampled_from(sorted(FILTER)).flatmap(lambda name: FILTER[name].map(lambda given: (name, given))), max_size=5
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "d"]), inner, max_size=3),
    max_leaves=6,
)
EVENTS = st.dictionaries(st.sampled_from(["message", "a", "b", "c", "tags", "@timestamp"]), VALUES)


def texts_of(value):
    if isinstance(value, str):
        return [str(value)]
    return [text for item in value for text in texts_of(item)] if isinstance(value, list) else []


def test_every_filter_is_among_them():
    assert FILTER.keys() == FILTERS.keys()


def built(filters):
    try:
        return Pipeline.build(filters)
    except ParserError:  # a name that is none, refused when the pipeline is built
        return None


@settings(deadline=None)
@given(FILTER_LISTS, st.lists(TEXTS, min_size=1, max_size=4))
def test_no_text_raises_and_no_message_is_lost(filters, texts):
    pipeline = built(filters)
    if pipeline is not None:
        events = pipeline.run([{"message": text} for text in texts])
        assert len(events) == len(texts)
        for event, text in zip(events, texts, strict=True):
            assert text in texts_of(event["message"])


@settings(deadline=None)
@given(FILTER_LISTS, EVENTS)
def test_no_event_raises_or_is_lost(filters, event):
    pipeline = built(filters)
    if pipeline is not None:
        assert len(pipeline.run([event, {"message": "next"}])) == 2


shipped = functools.lru_cache(None)(Pipeline.load)


@pytest.mark.parametrize("name", Pipeline.bundled())
@settings(deadline=None)
@given(text=TEXTS)
@example(text='{"message":1,"@timestamp":[],"log":5,"service":null,"tags":{}}')
@example(text="2017-07-04 11:11:37.921  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET DATA")
def test_shipped_pipelines_keep_every_message(name, text):
    events = shipped(name).run([{"message": text}, {"message": text}])
    assert len(events) == 2
    assert events[0] == events[1]
    event = events[0]
    if isinstance(parsed(text), dict):
        assert event
        return
    left = "".join(texts_of(event["message"])) + event.get("error", {}).get("stack_trace", "")
    if any(tag.startswith("_") for tag in event.get("tags", [])):
        assert re.sub(r"\x1b\[[\d;]*m", "", text) in (text, left) or text == left
    else:
        assert set(left) <= set(text)


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None
