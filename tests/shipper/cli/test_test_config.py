"""``shipper test config`` and ``shipper config reference``."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from shipper.cli import main

GOOD = """\
inputs:
  - {id: app, paths: [/logs/*.log], pipeline: spring-boot}
output.elasticsearch: {hosts: [es], username: u, password: geheim}
"""


@pytest.fixture
def check(tmp_path):
    def check(text, **files):
        for name, content in files.items():
            (tmp_path / f"{name}.conf").write_text(content)
        (tmp_path / "shipper.yml").write_text(text)
        return CliRunner().invoke(main, ["test", "config", "-c", str(tmp_path / "shipper.yml")])

    return check


def test_good_settings_are_summed_up(check):
    result = check(GOOD)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "input app: /logs/*.log · pipeline spring-boot" in result.stdout
    assert "data stream logs-generic-default at http://es:9200" in result.stdout
    assert "geheim" not in result.stdout


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("output.console:", "output: console"),
        ("output.file.path: /x", "output: file /x/shipper.ndjson"),
        ("output.store.path: /y", "output: store /y"),
        ("output.elasticsearch: {hosts: es, index: logs}", "index logs at http://es:9200"),
    ],
)
def test_each_output_is_described(check, output, shown):
    assert shown in check(f"inputs: [{{paths: /a}}]\n{output}\n").stdout


def test_each_mistake_is_a_line(check, tmp_path):
    result = check("inputs:\n  - path: /a\nzebra: 1\n")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"shipper: {tmp_path}/shipper.yml:") for line in lines)


def test_the_pipelines_are_read_too(check, tmp_path):
    result = check(
        "inputs: [{paths: /a, pipeline: ./bad.conf}, {paths: /b, pipeline: nope}]\n", bad="filter {\n  grok {\n"
    )
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()[0], result.stderr.splitlines()[-1]
    assert f"inputs[0].pipeline: {tmp_path}/bad.conf:" in first
    assert "inputs[1].pipeline: " in second
    assert "nope" in second


def test_a_missing_file(tmp_path):
    result = CliRunner().invoke(main, ["test", "config", "-c", str(tmp_path / "none.yml")])
    assert (result.exit_code, result.stderr) == (
        2,
        f"shipper: {tmp_path}/none.yml: cannot be read: No such file or directory\n",
    )


def test_the_reference_is_printed():
    result = CliRunner().invoke(main, ["config", "reference"])
    assert result.exit_code == 0
    assert "| `output.elasticsearch.hosts` |" in result.stdout
