"""``shipper ship`` and ``shipper run`` as a person calls them: what is said, and with which exit code."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import sys

import click
import pytest
from click.testing import CliRunner

from shipper.cli import main
from shipper.cli.ship import _progress_bar
from shipper.delivery.sender import Deliveries
from shipper.progress import Progress

LINE = "2024-11-21T10:15:30.123+01:00  INFO 42 --- [main] a.B : event {}\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SHIPPER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("".join(LINE.format(n) for n in range(3)), encoding="utf-8")
    return path


@pytest.fixture
def run(home):
    return lambda *arguments: CliRunner().invoke(main, [str(each) for each in arguments])


def ship(run, *arguments):
    return run("ship", "--once", *arguments)


def test_what_was_shipped_is_said_on_standard_error(run, log, home):
    result = ship(run, log)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"shipped 3 events from 1 file to the store {home}/store in ")
    assert result.stderr.count("\n") == 1


def test_a_second_time_there_is_nothing_to_ship(run, log, home):
    ship(run, log)
    result = ship(run, log)
    assert result.exit_code == 0
    assert (
        result.stderr == f"shipped 0 events from 1 file to the store {home}/store: what is in them was shipped before\n"
    )


def test_quiet_says_nothing(run, log):
    result = ship(run, "-q", log)
    assert (result.exit_code, result.output) == (0, "")


def test_what_was_not_parsed_is_counted(run, log):
    log.write_text("no Spring\n", encoding="utf-8")
    assert "\n  1 not parsed (tagged, shipped whole)\n" in ship(run, log).stderr


def test_names_and_zone_come_from_the_options(run, log):
    log.write_text("2024-07-01 12:00:00.000  INFO 42 --- [main] a.B : hot\n", encoding="utf-8")
    result = ship(run, log, "--service", "orders", "--timezone", "Europe/Berlin", "-E", "output.console.pretty=false")
    [document] = map(json.loads, result.stdout.splitlines())
    assert document["service"]["name"] == "orders"
    assert document["@timestamp"] == "2024-07-01T10:00:00.000Z"


def test_without_a_pipeline_lines_are_shipped_whole(run, log):
    result = ship(run, log, "--pipeline", "none", "-E", "output.console.pretty=false")
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [document["message"] + "\n" for document in documents] == [LINE.format(n) for n in range(3)]


@pytest.mark.parametrize(
    ("encoding", "codec", "word"),
    [
        ("utf-16", "utf-16", "Grüße 漢字 😀"),
        ("utf-16le", "utf-16-le", "Grüße 漢字 😀"),
        ("utf-16be", "utf-16-be", "Grüße 漢字 😀"),
        ("latin1", "latin-1", "Grüße"),
        ("windows-1252", "cp1252", "10 € „Grüße“"),
        ("koi8-r", "koi8-r", "Привет"),
        ("gbk", "gbk", "漢字"),
        ("shift_jis", "shift_jis", "表示"),
        ("euc-kr", "euc_kr", "한글"),
    ],
)
def test_logs_in_other_encodings(run, log, encoding, codec, word):
    lines = [LINE.format(f"{n} {word}") for n in range(3)]
    lines[1] += f"java.lang.IllegalStateException: {word}\n\tat a.B.c(B.java:1)\n"
    raw = [
        line.replace("\n", "\r\n").encode(codec).removeprefix(codecs.BOM_UTF16 * (at > 0))
        for at, line in enumerate(lines)
    ]
    log.write_bytes(b"".join(raw))
    archive = log.with_name("b.log.gz")
    archive.write_bytes(gzip.compress(b"".join([*raw, raw[2]])))
    call = (run, log, archive, "--encoding", encoding, "-E", "output.console.pretty=false")
    result = ship(*call)
    assert result.exit_code == 0, result.output
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    ends = [0, len(raw[0]), len(raw[0] + raw[1]), len(b"".join(raw))]
    for path, count in ((log, 3), (archive, 4)):
        found = [each for each in documents if each["log"]["file"]["path"] == str(path)]
        assert [each["message"] for each in found] == [f"event {min(n, 2)} {word}" for n in range(count)]
        assert [each["log"]["offset"] for each in found] == ends[:count]
        assert found[1]["error"]["message"] == word
    assert "shipped 0 events" in ship(*call).stderr


def test_utf_16_without_a_setting_says_which_one_helps(run, log):
    log.write_text("x\n", encoding="utf-16")
    result = ship(run, log)
    assert result.exit_code == 1
    assert f"{log} is UTF-16: set encoding: utf-16 for it" in result.output
    log.write_bytes("x".encode("utf-16-le"))
    assert "has no byte order mark, nor a line feed that tells" in ship(run, log, "--encoding", "utf-16").output


def test_the_rest_of_the_settings_may_come_from_a_file(run, log, tmp_path):
    (tmp_path / "shipper.yml").write_text("inputs: [{paths: /nowhere}]\noutput.file.path: out\n", encoding="utf-8")
    assert ship(run, log, "-c", tmp_path / "shipper.yml").exit_code == 0
    assert (tmp_path / "out" / "shipper.ndjson").read_bytes().count(b"\n") == 3


def test_options_go_over_the_file(run, log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings").mkdir()
    path = tmp_path / "settings/shipper.yml"
    path.write_text("inputs: [{paths: /nowhere}]\noutput.file: {path: out, filename: f}\n", encoding="utf-8")
    assert ship(run, log, "-c", path, "-E", "output.file.path=here", "-E", "name=n1").exit_code == 0
    lines = (tmp_path / "here/f").read_text().splitlines()
    assert [json.loads(line)["host"]["name"] for line in lines] == ["n1"] * 3
    assert run("run", "--once", "-c", path, "-E", f"inputs=[{{paths: {log}}}]").exit_code == 0
    assert (tmp_path / "settings/out/f").read_text().count("\n") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--timezone", "Berlin"], "--timezone: 'Berlin' is not a time zone: did you mean Europe/Berlin?"),
        (["--pipeline", "nope"], "nope: there is no such pipeline"),
        (["-E", "zebra"], "-E zebra: is not KEY=VALUE"),
        (["-E", "zebra=1"], "-E zebra: is not a setting"),
        (["-E", "output.file.path=/x", "-c", "a.yml"], "a.yml: cannot be read"),
        (["-c", "/nowhere/shipper.yml"], "/nowhere/shipper.yml: cannot be read"),
    ],
)
def test_a_mistake_is_named_after_its_option(run, log, home, arguments, message):
    result = ship(run, log, *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"shipper: {message}")
    assert not (home / "state.db").exists()


def test_what_cannot_be_read_is_named_and_the_rest_is_shipped(run, log, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    result = ship(run, tmp_path / "none.log", tmp_path / "fifo", log)
    assert result.exit_code == 1
    first, *rest = result.stderr.splitlines()
    assert first.startswith("shipped 3 events")
    assert f"shipper: {tmp_path}/none.log: there is no such file" in rest
    assert any(line.startswith(f"shipper: {tmp_path}/fifo is a FIFO: ") for line in rest)


@pytest.mark.parametrize("once", ["ship", "run"])
def test_a_name_that_looks_like_a_message_is_none(run, tmp_path, once):
    folder = tmp_path / "a\nshipper: \x1b[31mforged"
    folder.mkdir()
    (tmp_path / "shipper.yml").write_text(json.dumps({"inputs": [{"paths": [str(folder)]}]}), encoding="utf-8")
    result = ship(run, folder) if once == "ship" else run("run", "--once", "-c", tmp_path / "shipper.yml")
    [said] = [line for line in result.stderr.splitlines() if line.startswith("shipper: ")]
    assert said.startswith(f"shipper: {tmp_path}/a\\nshipper: \\x1b[31mforged is a directory: ")


def test_where_nothing_could_be_read_only_the_reason_is_said(run, tmp_path, home):
    result = ship(run, tmp_path / "none.log")
    assert (result.exit_code, result.stderr) == (1, f"shipper: {tmp_path}/none.log: there is no such file\n")


def test_a_dead_output_is_named_at_once(run, log):
    result = ship(run, log, "-E", "output.elasticsearch.hosts=http://127.0.0.1:9")
    assert result.exit_code == 1
    assert result.stderr == "shipper: Elasticsearch at http://127.0.0.1:9: connection refused: nothing listens there\n"


def test_run_once_ships_what_the_settings_say(run, log, home, tmp_path):
    (tmp_path / "shipper.yml").write_text(f"inputs: [{{paths: {log}, pipeline: spring-boot}}]\n", encoding="utf-8")
    assert run("run", "--once", "-c", tmp_path / "shipper.yml").exit_code == 0
    assert run("search", "--count").stdout == "3\n"


def test_the_bar_shows_the_outputs_words_as_they_are(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    with _progress_bar(quiet=False) as watch:
        watch(Progress(documents=Deliveries(trouble="no [index] here [/] \\")))
    assert "no [index] here [/] \\" in click.unstyle(shown.getvalue())
