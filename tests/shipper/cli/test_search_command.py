from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from rich.console import Console

from shipper.cli import chart, hits, main
from shipper.cli.hits import Table
from shipper.query import Hit, Selection, histogram, search
from shipper.query.searching import Bucket, Histogram
from shipper.store import Store

STACK = "java.lang.IllegalStateException: pool exhausted\n\tat com.example.Foo.run(Foo.java:17)\n\tat com.example.Bar.go(Bar.java:3)"
DOCUMENTS = [
    {"@timestamp": "2026-11-22T10:00:00.123Z", "message": "Started", "log": {"level": "INFO", "logger": "com.example.Main"}, "service": {"name": "orders"}},
    {"@timestamp": "2026-11-22T10:05:00Z", "message": 'a "quoted", text', "log": {"level": "WARN", "logger": "com.example.Main"}, "service": {"name": "billing"}},
    {"@timestamp": "2026-11-22T11:00:00Z", "message": "Could not serve\nthe request", "log": {"level": "ERROR", "logger": "com.example.OrderService"}, "service": {"name": "orders"},
     "error": {"type": "java.lang.IllegalStateException", "message": "pool exhausted", "stack_trace": STACK}},
    {"@timestamp": "2026-11-23T09:00:00Z", "message": "evil \x1b[31mred\x07", "labels": {"tenant": "acme"}},
]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    store = Store(folder / "store")
    store.write([f"{number:_>20}" for number in range(4)], [json.dumps(document).encode() for document in DOCUMENTS])
    store.close()
    return folder


@pytest.fixture(autouse=True)
def _berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def run(home, *arguments):
    return CliRunner().invoke(main, ["search", "--home", str(home), *arguments], prog_name="shipper")


def on_terminal(home, query="", *, width=80, full=False):
    """What a terminal of this width shows."""
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    table = Table(console, full=full)
    for hit in search(Store(home / "store"), Selection.of(query)):
        table.print(hit)
    return console.file.getvalue().splitlines()


def test_a_pipe_gets_a_line_per_document_with_the_local_time(home):
    result = run(home, "service:orders")
    assert result.exit_code == 0
    error, info = result.stdout.splitlines()
    assert info == "2026-11-22 11:00:00.123+0100 INFO  orders com.example.Main: Started"
    assert error == (
        "2026-11-22 12:00:00.000+0100 ERROR orders com.example.OrderService: Could not serve [+1 lines]"
        " [java.lang.IllegalStateException: pool exhausted, +2 lines]"
    )


def test_control_characters_do_not_reach_the_terminal(home):
    for output in (run(home, "evil").stdout, "\n".join(on_terminal(home, "evil"))):
        assert "evil ␛[31mred␇" in output
        assert "\x1b" not in output


def test_a_terminal_gets_days_and_folded_columns(home):
    lines = on_terminal(home, "service:*")
    assert lines == [
        "Sunday 2026-11-22 (UTC+01:00, CET)",
        "12:00:00.000 ERROR orders OrderService  Could not serve [+1 lines]",
        "                          IllegalStateException: pool exhausted [+2 lines]",
        '11:05:00.000 WARN  billing Main  a "quoted", text',
        "11:00:00.123 INFO  orders  Main  Started",
    ]


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_terminal_line_is_never_wider_than_the_terminal(tmp_path, width):
    store = Store(tmp_path / "store")
    document = {
        "message": "word " * 30 + "x" * 200,
        "log": {"level": "ERROR", "logger": "a.b.C"},
        "service": {"name": "a-service-with-a-long-name"},
    }
    store.write(["1" * 20], [json.dumps(document).encode()])
    store.close()
    lines = on_terminal(tmp_path, width=width)[1:]
    assert max(map(len, lines)) <= max(width, 34)
    assert lines[-1].endswith("…")
    assert len(lines) <= 6


def test_full_shows_the_whole_message_and_trace(home):
    lines = on_terminal(home, "level:ERROR", full=True)
    assert lines[1:] == [
        "12:00:00.000 ERROR orders com.example.OrderService  Could not serve",
        "    the request",
        "    java.lang.IllegalStateException: pool exhausted",
        "        at com.example.Foo.run(Foo.java:17)",
        "        at com.example.Bar.go(Bar.java:3)",
    ]


def test_ndjson_is_what_is_stored_with_the_id(home):
    lines = run(home, "-o", "ndjson").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"_id": f"{number:_>20}", **DOCUMENTS[number]} for number in (3, 2, 1, 0)
    ]


def test_ndjson_of_an_empty_document():
    assert hits.ndjson(hits_of(b" {} ")) == b'{"_id":"i"}\n'
    assert hits.ndjson(hits_of(b'{"a":1.0}')) == b'{"_id":"i","a":1.0}\n'


def hits_of(source):
    return Hit(0, 1, "i", source)


def test_csv(home):
    rows = list(csv.DictReader(io.StringIO(run(home, "-o", "csv", "service:*").stdout)))
    assert list(rows[0]) == list(hits.CSV_COLUMNS)
    assert rows[0]["message"] == "Could not serve\nthe request"
    assert rows[1]["message"] == 'a "quoted", text'
    assert rows[1]["error.type"] == ""
    assert run(home, "-o", "csv", "--columns", "level, labels.tenant", "evil").stdout == "level,labels.tenant\n,acme\n"


def test_csv_of_nothing_is_a_header(home):
    assert run(home, "-o", "csv", "nosuch").stdout == ",".join(hits.CSV_COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        ([], 4),
        (["service:orders"], 2),
        (["--service", "orders", "--level", "error"], 1),
        (["--level", "WARN+"], 2),
        (["--level", "warn,INFO"], 2),
        (["--since", "2026-11-22T11:05"], 3),
        (["--until", "2026-11-22T11:05"], 1),
        (["--since", "2026-11-22", "--until", "2026-11-23"], 3),
        (["--since", "2026-11-22T10:05:00Z", "-n", "1"], 3),
        (["not", "level:*"], 1),
        (["nosuch"], 0),
        (["-o", "csv", "level:*"], 3),
    ],
)
def test_count_prints_one_number(home, arguments, number):
    result = run(home, "--count", *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{number}\n", "")


def test_as_many_as_asked_for(home):
    assert len(run(home, "-n", "1").stdout.splitlines()) == 1
    assert len(run(home, "-n", "0").stdout.splitlines()) == 4


def test_nothing_found_is_no_error(home):
    result = run(home, "nosuch")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "nothing found\n")


def test_a_wrong_query_is_shown_with_its_place(home):
    result = run(home, "level:ERROR", "and", "(timeout")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "shipper: a closing ) is missing",
        "  level:ERROR and (timeout",
        "                          ^",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "--since: not a time: 'soon'"),
        (["--since", "today", "--until", "yesterday"], "is not before"),
        (["--count", "--histogram"], "exclude each other"),
        (["--columns", "a"], "--columns is for -o csv"),
        (["-n", "-1"], "-n"),
        (["-o", "xml"], "xml"),
        (["@timestamp > soon"], "not a time"),
    ],
)
def test_wrong_usage(home, arguments, message):
    result = run(home, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("option", ["--count", "--histogram", "--full"])
def test_no_store_yet(tmp_path, option):
    result = run(tmp_path, option)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"nothing was shipped into {tmp_path}/store yet" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_documents_is_no_error(tmp_path):
    store = Store(tmp_path / "store")
    store.open()
    store.close()
    assert run(tmp_path, "--count").stdout == "0\n"
    assert run(tmp_path, "--histogram").stderr == "nothing found\n"


def test_a_damaged_store_is_named(home, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store/000001.db").write_bytes(b"x" * 9000)
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "000001.db: is damaged (file is not a database)" in result.stderr


def test_the_store_of_the_settings_and_of_the_environment(home, tmp_path, monkeypatch):
    monkeypatch.delenv("SHIPPER_HOME", raising=False)
    settings = tmp_path / "shipper.yml"
    settings.write_text(f"inputs:\n  - type: filestream\n    paths: [/x.log]\noutput.store:\n  path: {home}/store\n")
    found = CliRunner().invoke(main, ["search", "--count", "-c", str(settings)])
    assert (found.exit_code, found.stdout) == (0, "4\n")
    monkeypatch.setenv("SHIPPER_HOME", str(home))
    assert CliRunner().invoke(main, ["search", "--count"]).stdout == "4\n"


def test_histogram_is_drawn_without_colours(home):
    lines = run(home, "--histogram", "--until", "2026-11-23").stdout.splitlines()
    assert lines[0] == "3 events, a line per 5 minutes, local time (UTC+01:00, CET)"
    assert lines[1].split() == ["2026-11-22", "11:00", "▒" * (80 - 16 - 1 - 4), "1"]
    assert len(lines) == 15
    assert lines[-1].split("   ") == ["██ ERROR 1", "▓▓ WARN 1", "▒▒ INFO 1"]
    assert max(map(len, lines)) <= 80


def test_a_single_error_is_seen_among_many(tmp_path):
    store = Store(tmp_path / "store")
    levels = ["INFO"] * 2000 + ["ERROR"]
    documents = [b'{"@timestamp":"2026-11-22T10:00:00Z","log":{"level":"%s"}}' % level.encode() for level in levels]
    store.write([f"{number:020d}" for number in range(len(levels))], documents)
    store.close()
    lines = [line.plain for line in chart.draw(histogram(Store(tmp_path / "store"), Selection()), 80, "ascii")]
    assert " #-" in lines[1]
    assert lines[1].endswith("-  2,001")


def test_a_histogram_of_all_time_is_drawn(tmp_path):
    store = Store(tmp_path / "store")
    store.write(
        ["1" * 20, "2" * 20], [b'{"@timestamp":"0001-01-01T00:00:00Z"}', b'{"@timestamp":"9999-12-31T23:59:59Z"}']
    )
    store.close()
    assert run(tmp_path, "--histogram").stdout.startswith("2 events")
    assert len(run(tmp_path).stdout.splitlines()) == 2


def test_histogram_as_data(home):
    records = [json.loads(line) for line in run(home, "--histogram", "-o", "ndjson", "level:*").stdout.splitlines()]
    assert records[0] == {"start": "2026-11-22T11:00:00+01:00", "seconds": 300, "count": 1, "levels": {"INFO": 1}}
    assert sum(record["count"] for record in records) == 3
    rows = run(home, "--histogram", "-o", "csv", "level:*").stdout.splitlines()
    assert rows[:2] == ["start,level,count", "2026-11-22T11:00:00+01:00,INFO,1"]


@pytest.mark.parametrize("form", ["table", "ndjson", "csv"])
def test_a_reader_that_goes_away_is_no_error(tmp_path, form):
    store = Store(tmp_path / "store")
    store.write([f"{number:020d}" for number in range(3000)], [b'{"message":"%s"}' % (b"x" * 100)] * 3000)
    store.close()
    command = f'"{sys.executable}" -m shipper search -n 0 -o {form} | head -n 1; exit "${{PIPESTATUS[0]}}"'
    env = {**os.environ, "SHIPPER_HOME": str(tmp_path)}
    result = subprocess.run(["bash", "-c", command], capture_output=True, env=env, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.count(b"\n") == 1


def test_histogram_as_csv_holds_any_level():
    levels = {"INFO": 1, "a,b": 2, 'say "no"': 3, "two\nlines": 4, "": 5, "grüß,": 6}
    text = "".join(chart.csv_rows(Histogram(1000, [Bucket(0, levels)])))
    (header, *rows) = csv.reader(io.StringIO(text, newline=""))
    assert header == ["start", "level", "count"]
    assert {level: int(number) for _, level, number in rows} == levels
