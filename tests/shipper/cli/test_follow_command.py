from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from shipper.cli import main
from shipper.store import Store


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "store", partition_documents=3)
    yield opened
    opened.close()


def add(store, *numbers, level="INFO"):
    for number in numbers:
        document = {"@timestamp": "2026-11-22T10:00:00Z", "message": f"number {number}", "log": {"level": level}}
        store.write([f"{number:020d}"], [json.dumps(document).encode()])


@pytest.fixture
def follow(tmp_path):
    """Starts ``shipper follow``; kills what is left of it."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "shipper", "follow", "--home", str(tmp_path), *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TZ": "UTC"}
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_last_ones_then_new_ones_until_ctrl_c(store, follow):
    add(store, 1, 2, 3, 4)
    process = follow("-n", "2")
    assert process.stdout.readline() == "2026-11-22 10:00:00.000+0000 INFO  number 3\n"
    assert process.stdout.readline().endswith("number 4\n")
    add(store, 5, 6, 7, 8)
    assert [process.stdout.readline().split()[-1] for _ in range(4)] == ["5", "6", "7", "8"]
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 130


def test_only_what_matches_as_ndjson_until_sigterm(store, follow):
    add(store, 1, level="ERROR")
    process = follow("number", "--level", "ERROR", "-o", "ndjson")
    assert json.loads(process.stdout.readline())["_id"] == f"{1:020d}"
    add(store, 2)
    add(store, 3, level="ERROR")
    assert json.loads(process.stdout.readline())["message"] == "number 3"
    process.terminate()
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


def test_a_reader_that_goes_away_is_no_error(store, follow):
    add(store, 1)
    process = follow()
    process.stdout.readline()
    process.stdout.close()
    add(store, 2)
    assert process.wait(20) == 0
    assert process.stderr.read() == ""
    process.stdout = None


def test_a_wrong_query_and_no_store(tmp_path):
    result = CliRunner().invoke(main, ["follow", "--home", str(tmp_path), "a", "and"])
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, "       ^")
    result = CliRunner().invoke(main, ["follow", "--home", str(tmp_path)])
    assert result.exit_code == 1
    assert "nothing was shipped" in result.stderr
