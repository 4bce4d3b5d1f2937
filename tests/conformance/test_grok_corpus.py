"""Logstash's own answers for single expressions (corpus/grok) against ``parser.grok``.

What needs options of the filter, or a whole event, is the grok filter's test.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deviations import GROK_ENGINE
from grok_corpus import ANSWERED, CORPUS, FILES, GROUPS, answer, equal, foreign


@pytest.mark.skipif(not GROUPS, reason=f"the corpus is not at {CORPUS} (set CORPUS_DIR)")
def test_the_corpus_is_whole():
    assert {name.partition(":")[0] for name in GROUPS} == {Path(name).stem for name in FILES}


@pytest.mark.parametrize("group", ANSWERED)
def test_answers_are_those_of_logstash(group):
    wrong = {}
    for case in GROUPS[group]:
        if foreign(case):
            continue
        got = answer(case)
        if equal(got, case["expect"]) != (case["id"] not in GROK_ENGINE):
            wrong[case["id"]] = {"pattern": case["pattern"], "input": case["input"], "want": case["expect"], "got": got}
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False, default=str)


@pytest.mark.skipif(not GROUPS, reason=f"the corpus is not at {CORPUS} (set CORPUS_DIR)")
def test_most_cases_are_answered():
    answered = sum(not foreign(case) for group in ANSWERED for case in GROUPS[group])
    left = sum(map(len, GROUPS.values())) - answered
    assert answered > 2000
    if left:
        pytest.skip(
            f"{left} cases use pattern files that the product does not ship (tests/integration), or need the whole filter"
        )
