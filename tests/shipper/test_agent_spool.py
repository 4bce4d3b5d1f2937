"""The agent with ``queue.disk``: an outage that outlasts the files."""

from __future__ import annotations

import threading

import orjson
import pytest

from shipper.agent import Agent
from shipper.delivery import queue
from shipper.errors import UnavailableError
from shipper.outputs.file import FileOutput
from shipper.settings import from_mapping


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "logs").mkdir()
    data = {
        "inputs": [{"type": "filestream", "paths": [f"{tmp_path}/logs/*.log"]}],
        "output.file.path": str(tmp_path / "out"),
        "queue.disk.max_size": "64MiB",
    }
    return from_mapping(data, env={"SHIPPER_HOME": str(tmp_path / "home")})


@pytest.fixture
def down(monkeypatch):
    """The output takes nothing, until the function is called."""
    monkeypatch.setattr(queue.open_queue, "__kwdefaults__", {"linger": 0.05})
    broken = threading.Event()
    broken.set()
    real = FileOutput.send

    def send(self, batch):
        if broken.is_set():
            raise UnavailableError("down")
        return real(self, batch)

    monkeypatch.setattr(FileOutput, "send", send)
    return broken.clear


def shipped(tmp_path):
    path = tmp_path / "out/shipper.ndjson"
    return [orjson.loads(line)["message"] for line in path.read_bytes().splitlines()] if path.exists() else []


def until(condition):
    waited = threading.Event()
    for _ in range(1000):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("it did not come about")


def test_a_file_that_is_gone_before_the_output_is_back_is_not_lost(settings, down, tmp_path):
    log = tmp_path / "logs/a.log"
    log.write_text("".join(f"line {n}\n" for n in range(500)))
    with Agent(settings) as agent:
        thread = threading.Thread(target=agent.run)
        thread.start()
        until(lambda: agent._queue._spool.documents == 500)
        agent.stop()
        thread.join(20)
        assert not thread.is_alive(), "all is safe: nothing to wait for"
        assert agent.progress().documents.delivered == 0
    log.unlink()
    down()
    with Agent(settings) as agent:
        assert agent.run(once=True)
    assert shipped(tmp_path) == [f"line {n}" for n in range(500)]
    with Agent(settings) as agent:
        assert agent.run(once=True)
        assert agent.progress().documents.delivered == 0


def test_a_single_run_is_complete_only_when_the_output_has_it(settings, down, tmp_path):
    (tmp_path / "logs/a.log").write_text("one\n")
    with Agent(settings) as agent:
        assert not agent.run(once=True, patience=0.3)
    down()
    with Agent(settings) as agent:
        assert agent.run(once=True)
    assert shipped(tmp_path) == ["one"]
