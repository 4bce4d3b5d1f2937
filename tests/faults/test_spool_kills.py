"""The agent with ``queue.disk`` while its output is down: killed at any moment, its files deleted as soon as they are settled."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
from scripted import ScriptedElasticsearch
from waiting import wait_for

pytestmark = [pytest.mark.faults, pytest.mark.slow]

LINES = 400


class Agent:
    """``shipper run`` with an output that is down until ``url`` says otherwise."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "logs").mkdir()
        self.process = None

    def start(self, url):
        settings = {
            "inputs": [{"type": "filestream", "paths": [f"{self.folder}/logs/*.log"], "scan_frequency": "50ms"}],
            "output.elasticsearch": {"hosts": [url], "index": "t", "backoff": {"init": "50ms", "max": "100ms"}},
            "queue.disk.max_size": "64MiB",
        }
        (self.folder / "shipper.yml").write_text(json.dumps(settings))
        # The time that a batch may wait is shortened, or every round would take it.
        program = (
            "from shipper.delivery import queue; queue.open_queue.__kwdefaults__ = {'linger': 0.05};"
            "from shipper.cli import main; main()"
        )
        with (self.folder / "stderr").open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, "run", "-c", str(self.folder / "shipper.yml")],
                env={**os.environ, "SHIPPER_HOME": str(self.folder / "home")},
                stderr=stderr,
            )

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(60)

    def settled(self):
        """The names of the files that the registry has acknowledged to their end."""
        path = self.folder / "home/state.db"
        if not path.exists():
            return set()
        try:
            with closing(sqlite3.connect(path, timeout=60)) as connection:
                known = dict(connection.execute("SELECT path, offset FROM files"))
        except sqlite3.OperationalError:  # its tables are not made yet
            return set()
        return {log for log in self.logs() if known.get(str(log)) == log.stat().st_size}

    def logs(self):
        return set((self.folder / "logs").glob("*.log"))


def test_files_that_are_gone_before_the_output_is_back_are_all_there_once(tmp_path):
    agent = Agent(tmp_path)
    expected = set()
    for number in range(6):
        lines = [f"file {number} line {line} {'x' * 100}" for line in range(LINES)]
        (tmp_path / f"logs/{number}.log").write_text("\n".join(lines) + "\n")
        expected |= set(lines)
        agent.start("http://127.0.0.1:9")  # nobody listens there
        if number % 2:
            wait_for(lambda: agent.settled() == agent.logs())
            gone = agent.settled()
            agent.end(signal.SIGKILL)
            for log in gone:
                log.unlink()
        else:
            time.sleep(0.5 + 0.1 * number)  # it starts, reads, writes: at another moment in each round
            agent.end(signal.SIGKILL)
    assert "home/spool" in str(next((tmp_path / "home").rglob("*.spool"), "")), "it held something"
    with ScriptedElasticsearch() as server:
        agent.start(server.url)
        wait_for(lambda: len(server.documents()) >= len(expected))
        agent.end(signal.SIGTERM)
        found = [document["message"] for document in server.documents()]
    assert set(found) == expected
    assert len(found) == len(expected)
    spool = next((tmp_path / "home/spool").iterdir())
    assert sorted(path.name for path in spool.iterdir()) == ["lock", "manifest", "target"]
