"""``shipper pipeline export``."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from parser import Pipeline
from parser.ingest import export
from shipper.cli import main


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(main, ["pipeline", "export", *map(str, arguments)])


def test_the_definition_goes_to_the_screen_or_to_a_file(run, tmp_path):
    target = tmp_path / "pipeline.json"
    assert run("my-example", "--to", "ingest", "-o", target).output == ""
    shown = run("my-example", "--to", "ingest")
    assert (shown.exit_code, shown.output) == (0, target.read_text())
    assert json.loads(shown.output) == export(Pipeline.load("my-example"))


def test_ecs_and_patterns_of_ones_own(run, tmp_path):
    (tmp_path / "patterns").mkdir()
    (tmp_path / "patterns" / "mine").write_text("TICKET [A-Z]+-\\d+ or more\n")
    config = tmp_path / "p.conf"
    config.write_text('filter { grok { match => { "message" => "%{TICKET:t} %{SYSLOGPROG}" } } }')
    shown = run(config, "--to", "ingest", "--patterns-dir", tmp_path / "patterns", "--ecs-compatibility", "disabled")
    assert "LOGSTASH_TICKET" in shown.output
    assert "['program']" in shown.output


def test_what_has_no_equivalent_is_a_mistake_of_the_user(run, tmp_path):
    config = tmp_path / "p.conf"
    config.write_text('filter {\n  mutate { gsub => ["a", "%{b}+", ""] }\n}')
    result = run(config, "--to", "ingest")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        f"shipper: {config}:2: mutate: 'gsub' has a pattern or a replacement that depends on"
    )


def test_a_form_and_a_file_that_cannot_be(run, tmp_path):
    assert run("my-example").exit_code == 2
    result = run("my-example", "--to", "ingest", "-o", tmp_path / "no" / "file")
    assert result.exit_code == 1
    assert "No such file or directory" in result.output
