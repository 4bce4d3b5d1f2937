"""Exported pipelines in a real Elasticsearch: their documents are equal to the parser's.

``INGEST_EVENTS`` is how many events of each Spring layout are compared (200).
"""

from __future__ import annotations

import copy
import importlib
import itertools
import json
import os
import random
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from parser import ParserError, Pipeline
from parser.errors import PipelineConfigError
from parser.ingest import export
from parser.multiline import PRESETS

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("CORPUS_DIR", ROOT.parent / "shared" / "corpus"))
EVENTS = int(os.environ.get("INGEST_EVENTS", "200"))
NOW = datetime(2017, 7, 4, 12, tzinfo=UTC)
CHUNK = 2000


def plain(value):
    """A form in which 1, 1.0 and true are three values."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return (
        (type(value).__name__, value)
        if type(value) in (int, float)
        else str(value)
        if isinstance(value, str)
        else value
    )


@pytest.fixture(scope="session")
def simulate(elasticsearch_url):
    """The documents that a definition makes of events; ``None`` for a dropped one, a text for one that failed."""

    def simulate(definition, events):
        answers = []
        for begin in range(0, len(events), CHUNK):
            body = {"pipeline": definition, "docs": [{"_source": event} for event in events[begin : begin + CHUNK]]}
            request = Request(
                f"{elasticsearch_url}/_ingest/pipeline/_simulate",
                json.dumps(body).encode(),
                {"content-type": "application/json"},
            )
            try:
                with urlopen(request, timeout=120) as answer:
                    answers += json.loads(answer.read())["docs"]
            except HTTPError as error:
                raise AssertionError(error.read().decode()[:3000]) from None
        return [
            None if each is None else each["doc"]["_source"] if "doc" in each else str(each["error"])
            for each in answers
        ]

    return simulate


@pytest.fixture(scope="session")
def differences(simulate):
    """What the two places make of events differently: (event, the cluster's, ours)."""

    def differences(pipeline, events):
        ours = pipeline.transform_guarded(made(pipeline, events))
        for document in ours:
            if document is not None:
                document.pop("@metadata", None)
        theirs = simulate(export(pipeline), events)
        return [triple for triple in zip(events, theirs, ours, strict=True) if plain(triple[1]) != plain(triple[2])]

    return differences


def made(pipeline, events):
    """The events as ``Pipeline.run`` makes them; it would not say which of them were dropped."""
    from parser.logstash.creation import create  # noqa: PLC0415 - the tests' only look inside

    return [create(event, pipeline.context.now) for event in copy.deepcopy(events)]


# ---- the bundled pipelines

sys.path.insert(0, str(ROOT / "scripts"))
LAYOUTS = sorted(importlib.import_module("spring_layouts").LAYOUTS)
SERVICES = ({}, {"group": "shop"}, {"tracing": False}, {"named": False})
ODD = (
    "",
    " ",
    "\n",
    "{",
    "{}",
    '{"',
    '{"a":',
    '{"a":1}',
    '{"@timestamp":"nonsense","log.level":"INFO","message":"m"}',
    '{"@timestamp":"2024-11-21T09:00:00.123Z","log.level":"INFO","message":"m","tags":["a"],"x":{"y":[1,2.5,null]}}',
    '{"@timestamp":"2024-11-21T09:00:00Z","logger_name":"a.B","level":"WARN","message":"m","tags":7}',
    '{"short_message":"s","timestamp":1732179600.5,"host":"h","_level_name":"ERROR","_error_stack_trace":"a.B: c\\n\\tat x(y)"}',
    "garbage \x1b[31mred\x1b[0m garbage",
    "2017-07-04 11:11:37.921  INFO 1 --- [           main] a.B                                      : ",
    "2017-07-04 11:11:37.921  INFO 1 --- [           main] a.B                                      :",
    "2017-02-30 11:11:37.921  INFO 1 --- [           main] a.B                                      : no such day",
    "2017-07-04 11:11:37.921  INFO 1 --- [           main] a.B                                      : Ação 日本 \U0001f600",
    "2017-07-04 11:11:37.921  INFO 1 --- [           main] o.a.c.c.C.[Tomcat].[localhost].[/]       : %{message} ${x}",
    "2017-07-04 11:11:37.921 ERROR 99999 --- [ex]or] a.B : m\njava.lang.IllegalStateException\n\tat a.B.c(D.java:1)\n",
    "2017-07-04 11:11:37.921 ERROR 1 --- [main] a.B : \njava.io.IOException: x\n\nCaused by: a.b.CException: y\r\n\tat q(r)",
    "2017-07-04 11:11:37.921 ERROR 1 --- [main] a.B : one\ntwo\nthree",
    "2017-07-04 11:11:37.921 ERROR 1 --- [main] a.B : one\na.b.SomeException: said\n  more",
    "2017-07-04 11:11:37.921 [pool-3-thread-1] br.com.Foo [id] hello",
    "2017-07-04 11:11:37,921 [ main] WARN  a.B - hello",
)
FIELDS = (
    {},
    {"service": {"name": "given"}, "log": {"file": {"path": "/x"}}, "labels": {"a": "b"}, "tags": ["one"]},
    {"service": "text", "log": "text", "error": {"type": "t"}, "tags": "one"},
)


@pytest.fixture
def spring_events(tmp_path):
    """Framed events of a layout."""
    spring_logs = importlib.import_module("spring_logs")

    def events(layout, zone, **options):
        log = spring_logs.Log(tmp_path / f"{len(options)}.log")
        service = spring_logs.Service("orders", zone=zone, **options)
        spring_logs.write(log, service, layout, events=max(EVENTS // len(SERVICES), 1), failures=0.2, multiline=0.1)
        log.close()
        data = log.path.read_bytes()
        log.path.unlink()
        cuts = sorted({0, *PRESETS["spring-boot"].cuts(data), len(data)})
        return [
            {"message": data[begin:end].decode().rstrip("\r\n"), "log": {"offset": begin}}
            for begin, end in itertools.pairwise(cuts)
        ]

    return events


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_spring_boot(differences, spring_events, layout, zone):
    pipeline = Pipeline.load("spring-boot", env={"LOG_TIMEZONE": zone})
    events = [event for options in SERVICES for event in spring_events(layout, zone, **options)]
    assert len(events) >= min(EVENTS, 100)
    assert differences(pipeline, events) == []


@pytest.mark.parametrize("name", ["spring-boot", "my-example"])
def test_odd_lines(differences, name):
    events = [{"message": line, **copy.deepcopy(fields)} for line in ODD for fields in FIELDS]
    events += [{}, {"message": None}, {"message": 7}, {"message": ["a", ODD[-1]]}, {"message": {"a": 1}}]
    assert differences(Pipeline.load(name, env={}), events) == []


SCRAPS = (
    "",
    " ",
    "  ",
    "\n",
    "\r\n",
    "[",
    "]",
    ": ",
    " : ",
    "{",
    '"',
    ",",
    "\\",
    "\x1b[0m",
    "\tat a.b(c)",
    "Caused by: ",
    "é",
    "0",
    "x" * 50,
)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lines_that_are_nearly_right(differences, spring_events, layout):
    """A scrap in the place of a few characters, up to three times: brackets that miss, times that are none, half of JSON."""
    rng = random.Random(layout)
    events = spring_events(layout, "UTC", group="shop")
    for event in events:
        line = event["message"]
        for _ in range(rng.randint(1, 3)):
            at = int(len(line) * rng.random() ** 2)
            line = line[:at] + rng.choice(SCRAPS) + line[at + rng.choice((0, 0, 1, 2, 30)) :]
        event["message"] = line
    assert differences(Pipeline.load("spring-boot", env={}), events) == []


def test_my_example(differences, spring_events):
    events = [event for layout in ("boot-1.5-file", "boot-2.7-file") for event in spring_events(layout, "UTC")]
    assert differences(Pipeline.load("my-example", env={}), events) == []


# ---- each filter, each operator

VALUES = [
    {},
    *({"a": value} for value in (None, "", "x", "abc", "10", 10, 10.0, -1, True, False, [], ["x"], ["abc", 10], {})),
    *({"a": one, "b": other} for one in ("x", 10, 1.5, None, ["x", 10]) for other in ("x", "10", 10, 10.5, ["x", 10])),
    {"a": {"b": {"c": "deep"}}, "b": "c"},
    {"a": "two\nlines", "tags": ["t"]},
    {"a": "2017-07-04 11:11:37", "@timestamp": "2017-07-04T11:11:37.921+02:00"},
]  # fmt: skip
CONDITIONS = (
    "[a]", "![a]", "[a][b][c]", "[a][0]", "[tags]",
    '[a] == "x"', "[a] == 10", "[a] == 10.0", '[a] != "x"', "[a] == [b]", "[a] != [b]", '"x" == [a]',
    "[a] < 10", "[a] >= 10", '[a] > "w"', "[a] <= [b]", "[@timestamp] > [a]",
    '[a] in "abcx"', '[a] in ["x", "10"]', "[a] not in [b]", "[a] in [b]", '"x" in [a]', '"t" in [tags]', "10 in [b]",
    "[a] =~ /x/", "[a] =~ /^li.*s$/", r"[a] =~ /(?<q>.)\k<q>|\A\d+\z/", "[a] !~ /[[:alpha:]]/", r"[a] =~ /(\w)b/",
    '[a] and [b] == "x"', "[a] == 10 or [b] == 10", "[a] nand [b]", "[a] xor [b]", "!([a] and [b])",
)  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions(differences, condition):
    config = f"""filter {{
        if {condition} {{ mutate {{ add_tag => ["yes"] }} }} else {{ mutate {{ add_tag => ["no"] }} }}
        if {condition} {{ grok {{ match => {{ "a" => "(?<g>.)" }} }} }} else if [b] {{ drop {{ }} }}
    }}"""
    assert differences(Pipeline.parse(config, env={}, now=NOW), VALUES) == []


FILTERS = {
    "conditions that filters change": """
        if [a] { mutate { remove_field => ["a"] } if [b] { grok { match => { "b" => "x" } } } mutate { add_tag => ["in"] } }
        else if [b] { mutate { add_tag => ["b"] } } else { mutate { add_tag => ["none"] } }
        if ![a] and [b] =~ /\\d/ { mutate { add_tag => ["digits"] } }""",
    "grok": """grok { match => { "a" => ["%{INT:n:int} %{WORD:w}", "(?<x>b(?<y>.)?)", "%{NUMBER:f:float}"] }
        add_field => { "hit" => "%{a}" } add_tag => ["%{n}"] remove_field => ["b"] }""",
    "grok, all of it": """grok { match => { "a" => ["(?<p>.)(?<p>.)", "(?<[q][r]>b)"] "b" => "(?<a>.)" } break_on_match => false
        keep_empty_captures => true tag_on_failure => ["f1", "f2"] }""",
    "grok, overwrite and target": """grok { match => { "a" => "(?<a>.)(?<b>.)" } overwrite => ["a"] }
        grok { match => { "a" => "(?<c>.)" } target => "[t][u]" pattern_definitions => { "X" => "a+" } }""",
    "mutate": """mutate { rename => { "a" => "[n][a]" } copy => { "b" => "[n][b]" } replace => { "r" => "%{b}-%{nope}" }
        update => { "b" => "new" } uppercase => ["r"] add_field => { "%{r}" => "v" "l" => ["1", "2"] } }""",
    "mutate, conversions": """mutate { convert => { "a" => "integer" "b" => "string" } } mutate { convert => { "b" => "boolean" } }
        mutate { convert => { "b" => "float" } }""",
    "mutate, texts": """mutate { gsub => ["a", "[xa]", "<\\0>", "b", "(.)(.)", "\\2\\1", "a", "b", "$1"]  }
        mutate { split => { "a" => "1" } capitalize => ["b"] strip => ["a"] } mutate { join => { "a" => "+" } merge => { "a" => "b" } }""",
    "mutate that fails": """mutate { convert => { "a" => "integer" } add_tag => ["done"] }
        mutate { rename => { "a" => "[b][c]" } gsub => ["b", "\\d+$", ""] add_tag => ["done too"] }""",
    "sprintf": """mutate { add_field => { "day" => "%{+yyyy.MM.dd'T'HH}" "s" => "%{+%s}" "j" => "%{{MMM EEE a}}" "h" => "%{[a]} %{b}" } }""",
    "date": """date { match => ["a", "ISO8601", "yyyy-MM-dd HH:mm:ss", "UNIX", "UNIX_MS", "dd/MMM/yyyy:HH:mm:ss Z", "MMM d HH:mm:ss"]
        timezone => "Europe/Berlin" target => "[t][at]" remove_field => ["a"] }""",
    "json": """json { source => "a" target => "j" } json { source => "b" add_tag => ["parsed"] }""",
    "drop": """if [a] == "x" { drop { } } mutate { add_tag => ["kept"] }""",
    "metadata": """mutate { add_field => { "[@metadata][m]" => "%{a}" } } if [@metadata][m] == "x" { mutate { copy => { "[@metadata][m]" => "m" } } }""",
}  # fmt: skip
TEXTS = [
    *({"a": text, "b": text} for text in (
        "12 word", "x", "bb", "b", "a1b1c", "1,234.5", "0x1F", "1e3", "true", "no", " a b ", "Éa ß", "$1\\1",
        "2017-07-04T11:11:37.921Z", "2017-W27-2T11", "2017-185T", "2017-03-26 02:30:00", "2017-10-29 02:30:00",
        "1499166697", "1499166697.921", "04/Jul/2017:11:11:37 -0300", "Jul 4 11:11:37", "dec 31 23:59:59", "9999999999999",
        '{"a":{"b":1}}', '{"b":2,"@timestamp":"2017-07-04T11:11:37.123456Z"}', "[1,2]", "null", "{bad", '{"tags":3}', '"s"',
    )),
    {"a": [" x ", "b1", 3], "b": ["1.5", 2, True]},
]  # fmt: skip


@pytest.mark.parametrize("name", FILTERS)
def test_filters(differences, name):
    pipeline = Pipeline.parse(f"filter {{ {FILTERS[name]} }}", env={}, now=NOW)
    events = [{"@timestamp": "2017-07-04T11:11:37.921Z", **event} for event in [*VALUES, *TEXTS]]
    assert differences(pipeline, events) == []


def test_numbers_that_no_log_has(differences):
    """What is too long for a number is none, in both places."""
    pipeline = Pipeline.parse(
        """filter {
          mutate { copy => { "a" => "i" } } mutate { copy => { "a" => "e" } } mutate { copy => { "a" => "d" } }
          mutate { convert => { "i" => "integer" } } mutate { convert => { "e" => "integer_eu" } }
          dissect { convert_datatype => { "d" => "int" } }
          date { match => ["a", "UNIX"] target => "u" } date { match => ["a", "UNIX_MS"] target => "m" }
          kv { source => "k" }
        }""",
        env={},
    )
    texts = [
        "1e1000000",
        "-1e1000000",
        "1e1000",
        "0e1000000",
        "0e5",
        "1e-1000000",
        "9" * 1000,
        "-" + "9" * 5000,
        "1" * 19,
    ]
    texts += [
        "0x" + "f" * 2000,
        "0xff",
        "-62135596800",
        "-62135596801",
        "+1",
        "0." + "0" * 900 + "1",
        "9" * 900 + "e500",
    ]
    events = [{"@timestamp": "2017-07-04T11:11:37.921Z", "a": text} for text in texts]
    events += [
        {"@timestamp": "2017-07-04T11:11:37.921Z", "k": f"[l][{at}]=x", "l": [1]} for at in (2, 10_000, 99_999_999)
    ]
    assert differences(pipeline, events) == []


def test_a_pattern_that_runs_away_is_stopped(simulate):
    pipeline = Pipeline.parse(
        r'filter { grok { match => { "a" => "\A(?<x>(?:a|aa|aaa)+)b" } } mutate { add_tag => ["next"] } }'
    )
    assert simulate(export(pipeline), [{"a": "a" * 60}]) == [{"a": "a" * 60, "tags": ["_groktimeout", "next"]}]


# ---- Logstash's own cases

_LONG = "_simulate does not take integers beyond 64 bits"
DEVIATIONS = {
    "fieldref-5a366e10": "Elasticsearch has no field without a name",
    "grok-353dddcd": _LONG, "mutate-afd79cf6": _LONG, "mutate-fd5b8277": _LONG, "mutate-889a5582": _LONG,
    "mutate-79301944": _LONG, "json-1b5e81fc": _LONG,
    "mutate-37bf7efb": "infinity, which is no JSON",
    "dissect-5c06c664": _LONG, "s0349": _LONG, "s0351": _LONG, "s0352": _LONG,
    "s0395": "infinity, which is no JSON",
    "json-7788f4ef": "half of a surrogate pair, which is no UTF-8",
}  # fmt: skip
"""The cases whose documents are not equal, by id."""
REFUSED = {
    "mutate-09b3481c": "gsub with a pattern that depends on the event",
    "kv-076bf789": "kv's trim_value trims newlines",
    "kv-167f98c9": "kv's recursive",
    "kv-24e44ba9": "kv's recursive",
}  # fmt: skip
"""The cases that cannot be exported, by id."""
ENVIRONMENT = {
    "LSF_SET": "va", "LSF_SP": "a b", "LSF_N": "500", "LSF_EMPTY": "", "LSF_FLD": "message", "LSF_HI": "hi",
}  # fmt: skip


def cases():
    path = CORPUS / "logstash" / "filters.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
    found = defaultdict(list)
    for case in map(json.loads, filter(None, lines)):
        if case["group"] != "multiline" and "error" not in case and "timeout_millis" not in case["config"]:
            found[case["group"]].append(case)
    return found


CASES = cases()


def small(value):
    """The value with integers that ``_simulate`` takes."""
    if isinstance(value, dict):
        return {key: small(item) for key, item in value.items()}
    if isinstance(value, list):
        return [small(item) for item in value]
    return value // 1000 if type(value) is int and abs(value) >= 2**63 else value


def compare(differences, cases, parse):
    """Ids of the cases that are equal, different, and refused; ``parse`` makes a pipeline and events of one."""
    equal, different, refused = set(), {}, set()
    for case in cases:
        try:
            pipeline, events = parse(case)
            found = differences(pipeline, small(events))
        except PipelineConfigError as error:
            if "no equivalent in an ingest pipeline" in str(error):
                refused.add(case["id"])
        except ParserError:
            pass  # of a pattern file that is not shipped, or refused by Logstash too
        else:
            equal.add(case["id"])
            if found:
                equal.discard(case["id"])
                different[case["id"]] = found
    ids = {case["id"] for case in cases}
    assert {key: value for key, value in different.items() if key not in DEVIATIONS} == {}
    assert (different.keys(), refused) == (DEVIATIONS.keys() & ids, REFUSED.keys() & ids)
    return len(equal)


def configured(case):
    now = case.get("now")
    pipeline = Pipeline.parse(
        case["config"],
        ecs_compatibility=case["ecs_compatibility"],
        env={**ENVIRONMENT, **case.get("env", {})},
        now=datetime.fromisoformat(now) if now else NOW,
        support_escapes=case.get("support_escapes", False),
    )
    return pipeline, [{"@version": "1", **event} for event in case["events"]]


EQUAL = {
    "syntax": 117, "cond": 176, "fieldref": 47, "sprintf": 77, "grok": 111, "date": 67, "mutate": 119, "dissect": 47,
    "kv": 46, "json": 56, "drop": 8, "common": 24, "hashorder": 26, "pipeline": 33,
}  # fmt: skip
"""How many cases of each group are equal, at least."""
needs_corpus = pytest.mark.skipif(not CASES, reason=f"the corpus is not at {CORPUS} (set CORPUS_DIR)")


@needs_corpus
@pytest.mark.parametrize("group", EQUAL)
def test_corpus(differences, group):
    assert compare(differences, CASES[group], configured) >= EQUAL[group]


GROK_OPTIONS = {
    "match", "target", "overwrite", "break_on_match", "named_captures_only", "keep_empty_captures", "tag_on_failure",
    "pattern_definitions", "add_field", "add_tag", "remove_field", "remove_tag",
}  # fmt: skip
GROK_EQUAL = {"springboot": 18, "semantics": 326, "filter": 73, "patterns": 851}


def grok(case):
    options = {key: value for key, value in case.items() if key in GROK_OPTIONS}
    options.setdefault("match", {"message": case.get("pattern")})
    ecs = {True: "v1", False: "disabled"}.get(case["ecs"], case["ecs"])
    events = case["events"] if "events" in case else [case.get("event", {"message": case.get("input")})]
    return Pipeline.build([("grok", options)], ecs_compatibility=ecs), events


def grok_cases(name):
    """The cases of a file, those that only differ in their input as one: a pipeline for each would take minutes."""
    path = CORPUS / "grok" / f"{name}.jsonl"
    together = {}
    for case in map(json.loads, filter(None, path.read_text(encoding="utf-8").split("\n"))):
        if case.get("timeout_millis") or "input_b64" in case or case["expect"] == "error":
            continue
        if "event" in case or case["id"] in DEVIATIONS:
            together[case["id"]] = case
            continue
        options = json.dumps({key: case.get(key) for key in (*GROK_OPTIONS, "pattern", "ecs")}, sort_keys=True)
        first = together.setdefault(options, {**case, "events": []})
        first["events"].append({"message": case["input"]})
    return list(together.values())


@needs_corpus
@pytest.mark.parametrize("name", GROK_EQUAL)
def test_grok_corpus(differences, name):
    """Logstash's cases of single expressions."""
    assert compare(differences, grok_cases(name), grok) >= GROK_EQUAL[name]
