"""Logstash's own answers for single expressions (corpus/grok), and how ``parser.grok`` is asked for the same.

What needs options of the filter, or a whole event, is the grok filter's test.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from parser.errors import GrokError, UnknownPatternError
from parser.grok import Expression, compile_expression, load_dictionary
from parser.grok.values import add, convert

CORPUS = Path(os.environ.get("CORPUS_DIR", Path(__file__).resolve().parents[1].parent / "shared" / "corpus")) / "grok"
FILES = ("springboot.jsonl", "semantics.jsonl", "patterns.jsonl")
OF_THE_FILTER = {"event", "match", "overwrite", "target", "tag_on_failure", "tag_on_timeout", "input_b64", "add_tag"}

SHIPPED = (
    "grok-patterns",
    "java",
    "httpd",
    "linux-syslog",
    "core_spec",
    "syslog_spec",
    "extra",
    "springboot",
    "semantics",
)
"""The pattern files that the product carries; for the others the dictionary comes from a cluster (``patterns import``)."""


def cases() -> dict[str, list[dict[str, Any]]]:
    """The cases by group, of those files that are there."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name in FILES:
        path = CORPUS / name
        if not path.is_file():
            continue
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                case = json.loads(line)
                source = case.get("group") or case["source"].split(":")[0].removesuffix(" (other mode)")
                kind = "filter" if OF_THE_FILTER & case.keys() else f"{source} {'ecs' if case['ecs'] else 'legacy'}"
                groups[f"{path.stem}: {kind}"].append(case)
    return dict(groups)


GROUPS = cases()
ANSWERED = [name for name in GROUPS if not name.endswith(": filter") and any(file in name for file in SHIPPED)]


@lru_cache(maxsize=64)
def compiled(
    pattern: str,
    *,
    ecs: bool,
    named_only: bool,
    definitions: tuple[tuple[str, str], ...],
    directory: Path | None = None,
) -> Expression:
    return compile_expression(
        pattern,
        dictionary=load_dictionary("v1" if ecs else "disabled", [directory] if directory else ()),
        pattern_definitions=dict(definitions),
        named_captures_only=named_only,
    )


def answer(case: dict[str, Any], directory: Path | None = None) -> Any:
    """What the filter makes of an event with the input as its message, in the corpus's notation.

    ``directory`` holds more pattern files.
    """
    try:
        expression = compiled(
            case["pattern"],
            ecs=case["ecs"],
            named_only=case.get("named_captures_only", True),
            definitions=tuple(case.get("pattern_definitions", {}).items()),
            directory=directory,
        )
    except GrokError:
        return "error"
    found = expression.match(case["input"])
    if found is None:
        return "nomatch"
    event: dict[str, Any] = {"message": case["input"], "@version": "1", "@timestamp": 0}
    before = dict(event)
    for capture in expression.captures:
        for index, group in enumerate(capture.groups):
            kind = capture.type if index == 0 else None
            value = convert(found[group], kind)
            if value in (None, "") and not case.get("keep_empty_captures"):
                continue
            if not capture.path or not add(event, capture.path, value):
                return "nomatch"
    expected = case["expect"]
    if isinstance(expected, dict) and "@metadata" not in expected:
        event.pop("@metadata", None)
    return {name: value for name, value in event.items() if name not in before or before[name] != value} or "match"


@lru_cache(maxsize=4096)
def _foreign(pattern: str, *, ecs: bool) -> bool:
    try:
        compile_expression(pattern, dictionary=load_dictionary("v1" if ecs else "disabled"))
    except UnknownPatternError:
        return True
    except GrokError:
        pass
    return False


def foreign(case: dict[str, Any]) -> bool:
    """Whether the case uses a pattern of a file that the product does not ship."""
    return (
        case["expect"] != "error" and "pattern_definitions" not in case and _foreign(case["pattern"], ecs=case["ecs"])
    )


def equal(one: Any, other: Any) -> bool:
    """Equality that tells 1 from 1.0 and "1", and knows the corpus's notation for infinity."""
    if isinstance(other, dict) and "__float" in other:
        return isinstance(one, float) and one == float(other["__float"])
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and one == other
