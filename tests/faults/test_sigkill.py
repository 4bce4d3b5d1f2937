"""SIGKILL at random moments, then start again: nothing missing, and nothing twice where ids apply."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from urllib.request import Request, urlopen

import orjson
import pytest

pytestmark = [pytest.mark.faults, pytest.mark.slow]

EVENTS = 30_000
KILLS = 10


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
    command = [sys.executable, "-m", "shipper", "ship", "--once", "--patience", "120", "-q", *arguments]
    environment = {**os.environ, "SHIPPER_HOME": str(home)}
    chance = random.Random(seed)
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(command, env=environment)
        wait_until_reading(process)
        try:
            process.wait(chance.uniform(0.0, 0.12))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
    subprocess.run(command, env=environment, check=True, timeout=200)
    return killed


def wait_until_reading(process):
    """Wait until it has a log open: start-up takes longer on some machines than all the rest on others."""
    descriptors = Path(f"/proc/{process.pid}/fd")
    while process.poll() is None:
        with suppress(OSError):
            if any(os.readlink(each).endswith(".log") for each in descriptors.iterdir()):
                return
        threading.Event().wait(0.005)


def test_the_store_has_every_event_once(tmp_path):
    write_log(tmp_path / "a.log")
    killed = ship_with_kills([str(tmp_path / "a.log"), "-E", "output.store.bulk_max_bytes=64KiB"], tmp_path / "home", 1)
    assert killed > 0
    check(list(stored(tmp_path / "home/store")), doubles=False)


def test_a_file_has_every_event_at_least_once(tmp_path):
    write_log(tmp_path / "a.log")
    settings = ["-E", f"output.file.path={tmp_path}/out", "-E", "output.file.bulk_max_bytes=64KiB"]
    killed = ship_with_kills([str(tmp_path / "a.log"), *settings], tmp_path / "home", 2)
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


def test_equal_lines_and_equal_beginnings_are_all_there_once(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    banner = "the banner of the company, which all services have\n" * 41
    for name in ("one", "two"):
        (logs / f"{name}.log").write_text(banner + "".join(f"{name} {n}\n" for n in range(EVENTS)))
    for name in ("three", "four"):
        (logs / f"{name}.log").write_text("the same\n" * EVENTS)
    arguments = [f"{logs}/*.log", "--pipeline", "none", "-E", "output.store.bulk_max_bytes=64KiB"]
    assert ship_with_kills(arguments, tmp_path / "home", 3) > 0
    messages = Counter(document["message"] for document in stored(tmp_path / "home/store"))
    assert messages.pop("the same") == 2 * EVENTS
    assert messages.pop(banner[:50]) == 82
    assert messages == {f"{name} {n}": 1 for name in ("one", "two") for n in range(EVENTS)}


@pytest.mark.integration
def test_elasticsearch_has_every_event_once(tmp_path, elasticsearch_url):
    write_log(tmp_path / "a.log")
    index = f"test-{uuid.uuid4().hex[:12]}"
    settings = {"hosts": elasticsearch_url, "index": index, "bulk_max_bytes": "64KiB"}
    arguments = [part for name, value in settings.items() for part in ("-E", f"output.elasticsearch.{name}={value}")]
    try:
        assert ship_with_kills([str(tmp_path / "a.log"), *arguments], tmp_path / "home", 4) > 0
        check(indexed(f"{elasticsearch_url}/{index}"), doubles=False)
    finally:
        urlopen(Request(f"{elasticsearch_url}/{index}", method="DELETE"), timeout=60).close()


def stored(folder):
    for partition in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(partition)) as connection:
            yield from (orjson.loads(row[0]) for row in connection.execute("SELECT source FROM documents"))


def indexed(url):
    """Every document of an index, page by page in the order of their offsets, which are all different."""
    urlopen(Request(f"{url}/_refresh", method="POST"), timeout=60).close()
    query = {"size": 10_000, "sort": ["log.offset"]}
    found = []
    while True:
        request = Request(f"{url}/_search", orjson.dumps(query), {"content-type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            hits = orjson.loads(answer.read())["hits"]["hits"]
        found += [hit["_source"] for hit in hits]
        if not hits:
            return found
        query["search_after"] = hits[-1]["sort"]
