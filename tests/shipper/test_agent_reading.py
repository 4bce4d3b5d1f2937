"""Single rounds of reading, where two things happen at once that a running agent seldom meets together."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from shipper.agent import Agent
from shipper.files.closing import LOOKS
from shipper.handover import plan
from shipper.reading import Reading
from shipper.settings import from_mapping
from shipper.state.registry import Registry


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.fixture
def reading(tmp_path, logs, monkeypatch):
    monkeypatch.setattr("shipper.reading.CHECK", 0.0)
    data = {
        "inputs": [{"type": "filestream", "paths": [f"{logs}/*"]}],
        "output.file.path": str(tmp_path / "out"),
    }
    made = plan(from_mapping(data, env={"SHIPPER_HOME": str(tmp_path / "home")}))
    events = []
    registry = Registry(tmp_path / "state.db", "nowhere")
    reading = Reading(made, registry, lambda each, harvester, block: events.append(block.data) or True, frozenset)
    reading.events = events
    yield reading
    reading.close()
    registry.close()


def look(reading):
    reading.inputs[0].next_scan = 0.0
    reading.look()


def read(reading):
    while reading.read() or reading.flush():
        pass


def waited(reading):
    """As if nothing had been written for longer than an event waits for its end."""
    for harvester in reading.inputs[0].harvest.harvesters:
        harvester.quiet_since -= 60


def test_half_a_line_waits_for_the_copy_of_a_file_that_was_truncated(reading, logs):
    (logs / "app.log").write_bytes(b"one\nhal")
    look(reading)
    read(reading)
    with (logs / "app.log").open("ab") as log:
        log.write(b"f\n")
    shutil.copyfile(logs / "app.log", logs / "app.log.1")
    os.truncate(logs / "app.log", 0)
    waited(reading)
    reading.inputs[0].harvest.check()  # notices the truncation; the look that finds the copy comes after it
    read(reading)
    look(reading)
    read(reading)
    waited(reading)
    read(reading)
    assert reading.events == [b"one\n", b"half\n"]


def test_half_a_line_of_a_file_that_was_truncated_without_a_copy_is_an_event(reading, logs):
    (logs / "app.log").write_bytes(b"one\nhal")
    look(reading)
    read(reading)
    os.truncate(logs / "app.log", 0)
    for _ in range(LOOKS):
        assert reading.events == [b"one\n"]
        look(reading)
        read(reading)
    assert reading.events == [b"one\n", b"hal"]


def test_a_mount_that_vanishes_under_an_open_file_ends_nothing(reading, logs, monkeypatch):
    (logs / "app.log").write_bytes(b"one\nhal")
    look(reading)
    read(reading)

    def stale(*_):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with monkeypatch.context() as gone:
        gone.setattr("shipper.files.content.Plain.size", stale)
        gone.setattr("shipper.files.content.Plain.read", stale)
        waited(reading)
        read(reading)
        reading.look()
        assert reading.progress().size == 7
        assert reading.outstanding()
        assert "Stale" in reading.unreadable()[f"{logs}/app.log"]
    with (logs / "app.log").open("ab") as log:
        log.write(b"f\n")
    read(reading)
    assert reading.events == [b"one\n", b"half\n"]


@pytest.mark.parametrize("framing", ["lines", "records"])
def test_before_room_at_the_end_of_a_file_a_one_shot_run_says_that_more_may_come(tmp_path, logs, framing):
    log = logs / "app.log"
    log.write_bytes(b"1 one\n cont\n2 two\n")
    os.truncate(log, 100_000)
    one = {"type": "filestream", "paths": [f"{logs}/*"]}
    if framing == "records":
        one["multiline"] = {"pattern": "^\\d", "negate": True, "match": "after"}
    settings = from_mapping(
        {"inputs": [one], "output.file.path": str(tmp_path / "out")}, env={"SHIPPER_HOME": str(tmp_path / "home")}
    )

    def once():
        with Agent(settings) as agent:
            assert agent.run(once=True)
            return agent.progress().documents.delivered, agent.unreadable(), agent.outstanding()

    delivered, why, left = once()
    assert delivered == (3 if framing == "lines" else 2)
    assert "from byte 18 on" in why[str(log)]
    assert left == {}
    with log.open("r+b") as file:
        file.seek(18)
        file.write(b"3 three\n")
        file.truncate(26)
    assert once() == (1, {}, {})


def test_a_record_before_room_is_taken_when_it_has_waited_long_enough(reading, logs):
    (logs / "app.log").write_bytes(b"one\nhal")
    os.truncate(logs / "app.log", 100_000)
    look(reading)
    read(reading)
    waited(reading)
    read(reading)
    assert reading.events == [b"one\n"], "half a line is not"
    assert reading.unreadable() == {}
    assert reading.progress().size == 7


def test_the_last_record_of_a_quiet_file_does_not_wait_for_busy_ones(tmp_path, logs, monkeypatch):
    (logs / "app.log").write_bytes(b"one\n\ttrace\n")
    settings = {
        "inputs": [{"paths": [f"{logs}/*"], "multiline": {"pattern": r"^\s", "match": "after"}}],
        "output.file.path": str(tmp_path / "out"),
    }
    rounds, events = 0, []
    with Agent(from_mapping(settings, env={"SHIPPER_HOME": str(tmp_path / "home")})) as agent:
        reading = agent._reading
        read_once = reading.read

        def busy():
            nonlocal rounds
            rounds += 1
            read_once()
            waited(reading)
            if events or rounds == 10:
                agent.stop()
            return True  # some other file always has more

        monkeypatch.setattr(reading, "read", busy)
        monkeypatch.setattr(agent._publisher, "ship", lambda each, harvester, block: events.append(block.data))
        agent.run()
    assert events == [b"one\n\ttrace\n"]
