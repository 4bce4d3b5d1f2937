"""``shipper pipeline``: run, test, list."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from shipper.cli import main

SPRING = "2017-07-04 11:11:37.921  INFO 60820 --- [main] br.com.Foo : hi"


@pytest.fixture
def shipper():
    def run(*arguments, lines=""):
        return CliRunner().invoke(main, ["pipeline", *map(str, arguments)], input=lines)

    return run


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "p.conf").write_text('filter { grok { match => { "message" => "%{INT:n:int}" } } }')
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "p.yml").write_text(
        "cases:\n  - {name: good, input: n 1, expect: {n: 1}}\n  - {name: bad, input: n 1, expect: {n: 2}}\n"
    )
    return tmp_path


def documents(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_lines_become_documents(shipper):
    result = shipper(
        "run", "spring-boot", "--timezone", "America/Sao_Paulo", lines=f"{SPRING}\n{SPRING}\n\tat x.Y(Z.java)\n"
    )
    first, second = documents(result)
    assert first == {
        "@timestamp": "2017-07-04T14:11:37.921Z",
        "message": "hi",
        "log": {"level": "INFO", "logger": "br.com.Foo"},
        "process": {"pid": 60820, "thread": {"name": "main"}},
    }
    assert second["message"] == "hi\n\tat x.Y(Z.java)"


def test_a_file_of_ones_own_has_a_line_per_event(shipper, folder):
    found = documents(shipper("run", folder / "p.conf", lines="a 1\r\n b 2\nc"))
    assert [(each["message"], each.get("n"), each.get("tags")) for each in found] == [
        ("a 1", 1, None),
        (" b 2", 2, None),
        ("c", None, ["_grokparsefailure"]),
    ]


def test_framing_of_ones_own(shipper, folder):
    options = ["--multiline-pattern", r"^\s", "--multiline-match", "after"]
    assert [each["message"] for each in documents(shipper("run", folder, *options, lines="a\n b\nc\n"))] == [
        "a\n b",
        "c",
    ]
    options = ["--multiline-pattern", "^-", "--multiline-negate"]
    assert [each["message"] for each in documents(shipper("run", folder, *options, lines="-a\nb\n-c\n"))] == [
        "-a\nb",
        "-c",
    ]


def test_fields_and_modes(shipper):
    (found,) = documents(
        shipper("run", "my-example", "--field", "host.name=h", "--ecs-compatibility", "disabled", lines=SPRING)
    )
    assert (found["host"], found["program"]) == ({"name": "h"}, "---")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "no-such"], "there is no such pipeline"),
        (["run", "spring-boot", "--timezone", "Berlin"], "--timezone Berlin: is no zone"),
        (["run", "spring-boot", "--field", "x"], "--field x: is not NAME=VALUE"),
        (["run", "spring-boot", "--multiline-pattern", "("], "is not a regular expression"),
        (["test", "no-such"], "no-such: there is no such file"),
    ],
)
def test_mistakes(shipper, arguments, message):
    result = shipper(*arguments)
    assert (result.exit_code, message in result.stderr) == (2, True), result.output


def test_an_event_is_there_as_soon_as_it_is_complete():
    command = [sys.executable, "-m", "shipper", "pipeline", "run", "my-example"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdin.write(f"{SPRING}\n{SPRING}\n".encode())
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["service"] == "br.com.Foo"
        running.stdin.close()
        assert json.loads(running.stdout.readline())["service"] == "br.com.Foo"
    assert running.returncode == 0


def test_a_reader_that_goes_away():
    line = f"for i in $(seq 3000); do echo '{SPRING}'; done | {sys.executable} -m shipper pipeline run my-example | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_cases(shipper, folder):
    result = shipper("test", folder)
    assert result.exit_code == 1
    assert "tests/p.yml:3: bad\n      n\n          expected 2\n          got      1\n" in result.stdout
    assert result.stdout.endswith("1 passed, 1 failed\n")
    assert "good" not in result.stdout


def test_cases_that_pass(shipper):
    result = shipper("test", "-v", "my-example", "spring-boot")
    assert result.exit_code == 0
    assert "pass  " in result.stdout
    assert " 0 failed" in result.stdout


def test_the_conf_leads_to_its_cases(shipper, folder):
    assert "1 passed, 1 failed" in shipper("test", folder / "p.conf").stdout


def test_no_cases(shipper, tmp_path):
    result = shipper("test", tmp_path)
    assert (result.exit_code, "there are no cases" in result.stderr) == (1, True)


def test_the_bundled_ones(shipper):
    names = [line.split()[0] for line in shipper("list").stdout.splitlines()]
    assert names == ["my-example", "spring-boot"]
