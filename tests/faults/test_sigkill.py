"""SIGKILL at random moments, then start again: nothing missing, and nothing twice where ids apply."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

pytestmark = [pytest.mark.faults, pytest.mark.slow]

EVENTS = 30_000
KILLS = 8


def write_log(path: Path) -> None:
    """Numbered Spring records, every tenth with a stack trace, the last without its newline."""
    with path.open("w", encoding="utf-8") as log:
        for n in range(EVENTS):
            log.write(
                f"2024-11-21T10:{n // 60000:02}:{n // 1000 % 60:02}.{n % 1000:03}+01:00  INFO 42 --- [main] a.B : event {n}\n"
            )
            if n % 10 == 0:
                log.write("java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\n")
        log.write("2024-11-21T11:00:00.000+01:00  INFO 42 --- [main] a.B : the end")


def ship_with_kills(arguments: list[str], home: Path, seed: int) -> int:
    """How many times it was killed before a run came to its end."""
    command = [sys.executable, "-m", "shipper", "ship", "--once", "-q", *arguments]
    environment = {**os.environ, "SHIPPER_HOME": str(home)}
    chance = random.Random(seed)
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(command, env=environment)
        try:
            process.wait(chance.uniform(0.5, 1.6))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
    subprocess.run(command, env=environment, check=True, timeout=100)
    return killed


def test_the_store_has_every_event_once(tmp_path):
    write_log(tmp_path / "a.log")
    killed = ship_with_kills([str(tmp_path / "a.log"), "-E", "output.store.bulk_max_bytes=64KiB"], tmp_path / "home", 1)
    assert killed > 0
    documents = []
    for partition in sorted((tmp_path / "home/store").glob("*.db")):
        with sqlite3.connect(partition) as connection:
            documents += [orjson.loads(row[0]) for row in connection.execute("SELECT source FROM documents")]
        connection.close()
    check(documents, doubles=False)


def test_a_file_has_every_event_at_least_once(tmp_path):
    write_log(tmp_path / "a.log")
    killed = ship_with_kills([str(tmp_path / "a.log"), "-E", f"output.file.path={tmp_path}/out"], tmp_path / "home", 2)
    assert killed > 0
    lines = (tmp_path / "out/shipper.ndjson").read_bytes().splitlines()
    check([orjson.loads(line) for line in lines], doubles=True)


def check(documents, *, doubles):
    messages = [document["message"] for document in documents]
    assert set(messages) == {f"event {n}" for n in range(EVENTS)} | {"the end"}
    assert doubles or len(messages) == EVENTS + 1
    for document in documents:
        assert "tags" not in document
        number = document["message"].removeprefix("event ")
        assert ("error" in document) == (number.isdigit() and int(number) % 10 == 0)
