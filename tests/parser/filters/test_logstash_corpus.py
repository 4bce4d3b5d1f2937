"""Logstash's own answers for whole filters (corpus/logstash and the events of corpus/grok)."""

from __future__ import annotations

import contextlib
import copy
import json
import os
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest

from parser import ParserError, Pipeline
from parser.filters import FILTERS
from parser.pipeline import ERROR_TAG
from parser.timestamps import Timestamp, TimestampTextError, compile_matcher, zone

CORPUS = Path(os.environ.get("CORPUS_DIR", Path(__file__).resolve().parents[3].parent / "shared" / "corpus"))
ENVIRONMENT = {
    "LSF_SET": "va", "LSF_SP": "a b", "LSF_N": "500", "LSF_EMPTY": "", "LSF_FLD": "message", "LSF_HI": "hi",
}  # fmt: skip
GROUPS = (
    "syntax", "cond", "fieldref", "sprintf", "grok", "date", "mutate", "json", "drop", "common", "hashorder", "pipeline",
)  # fmt: skip
UNSUPPORTED = [f"{name} {{" for name in ("dissect", "kv", "truncate", "prune", "translate") if name not in FILTERS]
CREATION = "the event is malformed when it is made, which is the shipper's matter: a pipeline gets well-formed events"
DECIMAL = "Logstash keeps decimals of JSON as BigDecimal; here they are floats"
YEARS = "beyond the year 9999"
DEVIATIONS = {
    "syntax-1c375691": "a broken regular expression over an empty branch: refused here, where Logstash never looks at it",
    "syntax-d6812332": "`[]` alone: an empty list in a condition is harmless here, and an internal error in Logstash",
    "common-dfe3000d": CREATION, "common-71a83f16": CREATION, "common-8a8604be": CREATION, "common-268aef73": CREATION,
    "cond-bc7f062d": CREATION, "cond-a441835f": CREATION, "cond-58c7d687": CREATION, "cond-362d5288": CREATION,
    "cond-6172f5ef": CREATION, "cond-2d4f3c48": CREATION, "cond-f73a2ffe": CREATION,
    "date-4a67d958": CREATION, "date-a97e84ba": CREATION, "date-ed511ed6": CREATION, "date-2f3cf886": CREATION,
    "date-94915461": CREATION, "date-f9ff2d5b": CREATION,
    "date-e6ae25e0": YEARS, "date-7ab59118": YEARS,
    "sprintf-9b72ff42": DECIMAL, "sprintf-30b1fd11": DECIMAL, "sprintf-0f6bcbb9": DECIMAL,
    "grok-3baa0ce3": "an empty target fails every match in Logstash; here it is no target",
    "grok-9495eda5": "HAPROXYHTTP is of a pattern file that is not shipped",
    "json-f4d1bfd0": "a number in @timestamp is kept as the number, not as its text",
}  # fmt: skip


def cases():
    path = CORPUS / "logstash" / "filters.jsonl"
    found = defaultdict(list)
    if path.is_file():
        for line in filter(None, path.read_text(encoding="utf-8").split("\n")):
            case = json.loads(line)
            # A pattern that runs away is stopped by the agent's watchdog, not by the filter.
            if "timeout_millis => 300" in case["config"]:
                continue
            if "expect" in case and any(name in case["config"] for name in UNSUPPORTED):
                continue
            found[case["group"]].append(case)
    return found


CASES = cases()


def plain(value):
    """A form in which 1, 1.0 and true differ from each other no more and no less than in JSON."""
    if isinstance(value, dict):
        if value.keys() in ({"__float"}, {"__bigdecimal"}):
            return ("number", float(next(iter(value.values())).replace("Infinity", "inf")))
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if type(value) in (int, float):
        return ("number", value)
    return str(value) if isinstance(value, Timestamp) else value


def prepared(event):
    event = {**copy.deepcopy(event), "@version": event.get("@version", "1")}
    if isinstance(event.get("@timestamp"), str):
        with contextlib.suppress(TimestampTextError):
            event["@timestamp"] = compile_matcher("ISO8601")(event["@timestamp"], zone("UTC"))
    return event


def answer(case):
    now = case.get("now")
    pipeline = Pipeline.parse(
        case["config"],
        ecs_compatibility=case["ecs_compatibility"],
        env={**ENVIRONMENT, **case.get("env", {})},
        now=datetime.fromisoformat(now) if now else None,
        support_escapes=case.get("support_escapes", False),
    )
    return pipeline.run([prepared(event) for event in case["events"]])


def met(case):
    try:
        events = answer(case)
    except ParserError:
        return "error" in case
    if "crash" in case:  # where Logstash's worker dies, the event is kept here, and tagged
        return len(events) == len(case["events"])
    if "error" in case:
        return False
    if "condition_error" in case:  # where Logstash drops the event, it is kept here, and tagged
        events = [event for event in events if ERROR_TAG not in event.get("tags", [])]
    for event, wanted in zip(events, case["expect"], strict=False):
        if not event.get("@metadata"):
            event.pop("@metadata", None)
        if "@timestamp" not in wanted:
            event.pop("@timestamp", None)
    return plain(events) == plain(case["expect"])


@pytest.mark.skipif(not CASES, reason=f"the corpus is not there: {CORPUS} (set CORPUS_DIR)")
@pytest.mark.parametrize("group", GROUPS)
def test_filters(group):
    missed = {case["id"] for case in CASES[group] if not met(case)}
    assert missed == {name for name in DEVIATIONS if name in {case["id"] for case in CASES[group]}}


def grok_cases(name):
    path = CORPUS / "grok" / name
    lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
    return [case for case in map(json.loads, filter(None, lines)) if "expect_event" in case]


OPTIONS = {
    "match", "target", "overwrite", "break_on_match", "named_captures_only", "keep_empty_captures", "tag_on_failure",
    "pattern_definitions", "add_field", "add_tag", "remove_field", "remove_tag", "timeout_millis", "tag_on_timeout",
}  # fmt: skip


@pytest.mark.skipif(not CASES, reason=f"the corpus is not there: {CORPUS} (set CORPUS_DIR)")
@pytest.mark.parametrize("name", ["filter.jsonl", "springboot.jsonl"])
def test_grok_events(name):
    missed = []
    for case in grok_cases(name):
        if case.get("timeout_millis") is not None:
            continue  # the watchdog's matter, as above
        options = {key: value for key, value in case.items() if key in OPTIONS}
        options.setdefault("match", {"message": case.get("pattern")})
        ecs = {True: "v1", False: "disabled"}.get(case.get("ecs", False), case.get("ecs"))
        (event,) = Pipeline.build([("grok", options)], ecs_compatibility=ecs).run([copy.deepcopy(case["event"])])
        if plain(event) != plain(case["expect_event"]):
            missed.append(case["id"])
    assert missed == []
