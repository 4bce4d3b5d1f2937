"""Logstash's answers for the pattern files that the product does not ship: they are imported from a real Elasticsearch."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from grok_corpus import ANSWERED, CORPUS, GROUPS, answer, equal, foreign

from parser.grok import compile_expression, load_dictionary
from shipper.cli import main

pytestmark = pytest.mark.integration

MODES = {"disabled": "legacy", "v1": "ecs"}
DEVIATIONS: dict[str, str] = {}
"""The cases that are not met, and why. A case here must fail: one that is met after all breaks the build."""


def left_out():
    """The cases that ``tests/conformance`` leaves out for want of a pattern file."""
    return [
        case
        for group, cases in GROUPS.items()
        if not group.endswith(": filter")
        for case in cases
        if group not in ANSWERED or foreign(case)
    ]


@pytest.fixture(scope="module")
def imported(elasticsearch_url, tmp_path_factory):
    """The folder of the patterns of a mode."""
    folders = {}
    for mode, name in MODES.items():
        folders[name] = tmp_path_factory.mktemp("patterns") / name
        arguments = ["patterns", "import", "--from-elasticsearch", elasticsearch_url, "--ecs", mode, "-o"]
        result = CliRunner().invoke(main, [*arguments, str(folders[name])])
        assert result.exit_code == 0, result.output
        assert result.stderr == "", "every pattern compiles"
    return folders


@pytest.mark.skipif(not GROUPS, reason=f"the corpus is not at {CORPUS} (set CORPUS_DIR)")
def test_the_rest_of_the_corpus(imported):
    cases = left_out()
    assert len(cases) > 1500
    wrong = {}
    for case in cases:
        got = answer(case, imported["ecs" if case["ecs"] else "legacy"])
        if equal(got, case["expect"]) != (case["id"] not in DEVIATIONS):
            wrong[case["id"]] = {"pattern": case["pattern"], "input": case["input"], "want": case["expect"], "got": got}
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False, default=str)
    assert len(DEVIATIONS) <= len(cases) * 0.005


@pytest.mark.parametrize("mode", MODES)
def test_what_is_shipped_wins_nothing_back(imported, mode):
    """What is imported goes before what pygrok has of the same names; what is checked against Logstash stays."""
    shipped = load_dictionary(mode)
    both = load_dictionary(mode, [imported[MODES[mode]]])
    assert both.names() > shipped.names()
    assert all(both.get(name) == shipped.get(name) for name in load_dictionary("v1").names())
    compile_expression("%{BIND9}", dictionary=both)
