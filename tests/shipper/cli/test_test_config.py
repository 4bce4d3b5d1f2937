"""``shipper test config`` and ``shipper config reference``."""

from __future__ import annotations

import json

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


def test_the_pipelines_are_taken_as_the_agent_takes_them(check):
    """With its variables, and those of inputs that are used."""
    zoned = 'filter { date { match => ["t", "ISO8601"] timezone => "${LOG_TIMEZONE}" } }'
    result = check(
        "inputs: [{paths: /a, pipeline: ./zoned.conf}, {paths: /b, pipeline: nope, enabled: no}]\n", zoned=zoned
    )
    assert (result.exit_code, result.stderr) == (0, "")
    assert "input 1 (disabled): /b · pipeline nope" in result.stdout
    result = check("inputs: [{paths: /b, pipeline: nope, enabled: no}, {paths: /a, pipeline: nope}]\n")
    assert result.exit_code == 2
    assert [line for line in result.stderr.splitlines() if "pipeline" in line and "inputs[1]" not in line] == []


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


def tls(tmp_path, **ssl):
    import trustme  # noqa: PLC0415 - only here

    authority = trustme.CA()
    one, other = authority.issue_cert("a"), authority.issue_cert("b")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    one.cert_chain_pems[0].write_to_path(tmp_path / "one.crt")
    one.private_key_pem.write_to_path(tmp_path / "one.key")
    other.private_key_pem.write_to_path(tmp_path / "other.key")
    (tmp_path / "text").write_text("no certificate\n")
    path = tmp_path / "shipper.yml"
    path.write_text(
        json.dumps({"inputs": [{"paths": ["/a"]}], "output.elasticsearch": {"hosts": "https://es", "ssl": ssl}})
    )
    return CliRunner().invoke(main, ["test", "config", "-c", str(path)])


def test_good_certificates_are_good(tmp_path):
    done = tls(tmp_path, certificate_authorities=["ca.crt"], certificate="one.crt", key="one.key")
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("ssl", "problem"),
    [
        (
            {"certificate_authorities": ["ca.crt", "none.crt"]},
            "certificate_authorities[1]: {}/none.crt cannot be read: no such file",
        ),
        ({"certificate_authorities": ["text"]}, "certificate_authorities[0]: {}/text holds no certificate in PEM"),
        ({"certificate": "none.crt", "key": "one.key"}, "certificate: {}/none.crt cannot be read: no such file"),
        ({"certificate": "one.crt", "key": "none.key"}, "key: {}/none.key cannot be read: no such file"),
        ({"certificate": "one.crt", "key": "other.key"}, "key: {}/other.key is not the key of {}/one.crt"),
        ({"certificate": "one.crt", "key": "text"}, "key: {}/text holds no key in PEM"),
        ({"certificate": "one.crt"}, "certificate: {}/one.crt holds no certificate with its key in PEM"),
    ],
)
def test_certificates_that_cannot_be_used_are_named_with_their_setting(tmp_path, ssl, problem):
    done = tls(tmp_path, **ssl)
    assert done.exit_code == 2
    expected = problem.replace("{}", str(tmp_path))
    assert done.stderr.startswith(f"shipper: {tmp_path}/shipper.yml: output.elasticsearch.ssl.{expected}")


def test_show_prints_the_settings_in_use_without_secrets(tmp_path):
    (tmp_path / "shipper.yml").write_text(GOOD)
    done = CliRunner().invoke(main, ["config", "show", "-c", str(tmp_path / "shipper.yml"), "-E", "name=web-1"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert "name: web-1" in done.stdout
    assert "password: '********'" in done.stdout
    assert "geheim" not in done.stdout
