"""Logstash's own answers for whole filters, configurations and the multiline codec (corpus/logstash, and the events of corpus/grok)."""

from __future__ import annotations

import base64
import copy
import json
import os
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest
from deviations import GROK_EVENTS, LOGSTASH

from parser import Multiline, ParserError, Pipeline
from parser.pipeline import ERROR_TAG
from parser.timestamps import Timestamp

CORPUS = Path(os.environ.get("CORPUS_DIR", Path(__file__).resolve().parents[2].parent / "shared" / "corpus"))
ENVIRONMENT = {
    "LSF_SET": "va", "LSF_SP": "a b", "LSF_N": "500", "LSF_EMPTY": "", "LSF_FLD": "message", "LSF_HI": "hi",
}  # fmt: skip
GROUPS = (
    "syntax", "cond", "fieldref", "sprintf", "grok", "date", "mutate", "dissect", "kv", "json", "drop", "common",
    "multiline", "hashorder", "pipeline", "extra",
)  # fmt: skip
QUICK = 40
"""Milliseconds that a runaway pattern is given instead of the 300 of its case: the answer is the same."""


def read(path):
    lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
    return [json.loads(line) for line in lines if line]


def cases():
    found = defaultdict(list)
    for case in read(CORPUS / "logstash" / "filters.jsonl"):
        found[case["group"]].append(case)
    return found


CASES = cases()
needs_corpus = pytest.mark.skipif(not CASES, reason=f"the corpus is not at {CORPUS} (set CORPUS_DIR)")


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


def answer(case):
    if case["group"] == "multiline":
        return Multiline.parse(case["config"], ecs_compatibility=case["ecs_compatibility"]).run(case["events"])
    now = case.get("now")
    pipeline = Pipeline.parse(
        re.sub(r"timeout_millis => 300\b", f"timeout_millis => {QUICK}", case["config"]),
        ecs_compatibility=case["ecs_compatibility"],
        env={**ENVIRONMENT, **case.get("env", {})},
        now=datetime.fromisoformat(now) if now else None,
        support_escapes=case.get("support_escapes", False),
    )
    return pipeline.run([{"@version": "1", **copy.deepcopy(event)} for event in case["events"]])


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


@needs_corpus
@pytest.mark.parametrize("group", GROUPS)
def test_filters(group):
    missed = {case["id"] for case in CASES[group] if not met(case)}
    assert missed == LOGSTASH.keys() & {case["id"] for case in CASES[group]}


@needs_corpus
def test_the_corpus_is_whole():
    assert CASES.keys() == set(GROUPS)
    count = sum(map(len, CASES.values()))
    assert count == 1141
    assert len(LOGSTASH) < 0.02 * count


OPTIONS = {
    "match", "target", "overwrite", "break_on_match", "named_captures_only", "keep_empty_captures", "tag_on_failure",
    "pattern_definitions", "add_field", "add_tag", "remove_field", "remove_tag", "timeout_millis", "timeout_scope",
    "tag_on_timeout",
}  # fmt: skip


def grok_answer(case):
    """The event before and after; both without the fields that only Logstash adds."""
    options = {key: value for key, value in case.items() if key in OPTIONS}
    options.setdefault("match", {"message": case.get("pattern")})
    if case["id"] in ("s0607", "s0610", "s0611", "fg0090", "fg0117"):
        options["timeout_millis"] = QUICK
    text = base64.b64decode(case["input_b64"]).decode("utf-8", "replace") if "input_b64" in case else case.get("input")
    before = copy.deepcopy(case.get("event", {"message": text, "@version": "1"}))
    ecs = {True: "v1", False: "disabled"}.get(case["ecs"], case["ecs"])
    [after] = Pipeline.build([("grok", options)], ecs_compatibility=ecs).run([copy.deepcopy(before)])
    return before, after


def grok_met(case):
    try:
        before, after = grok_answer(case)
    except ParserError:
        return case["expect"] == "error"
    if "expect_event" in case:
        wanted = case["expect_event"]
        after = {key: value for key, value in after.items() if key != "@version" or key in wanted}
    elif case["expect"] == "nomatch":
        wanted = {**before, **case.get("fields_despite_failure", {}), "tags": ["_grokparsefailure"]}
    else:
        wanted = {**before, **(case["expect"] if isinstance(case["expect"], dict) else {})}
    return plain(after) == plain(wanted)


@needs_corpus
@pytest.mark.parametrize("name", ["filter.jsonl", "semantics.jsonl", "springboot.jsonl"])
def test_grok_events(name):
    """What is in the corpus as a whole event, or needs the filter for another reason."""
    found = [
        case for case in read(CORPUS / "grok" / name) if {"event", "expect_event", "match", "input_b64"} & case.keys()
    ]
    assert found
    missed = {case["id"] for case in found if not grok_met(case)}
    assert missed == GROK_EVENTS.keys() & {case["id"] for case in found}
