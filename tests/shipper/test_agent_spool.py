"""The agent with ``queue.disk``: an outage that outlasts the files."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from unittest import mock

import pytest
from following import following
from small_disk import SmallDisk
from waiting import wait_for

from shipper.agent import Agent
from shipper.delivery import queue
from shipper.errors import StateError, UnavailableError
from shipper.outputs.file import FileOutput
from shipper.outputs.target import target
from shipper.settings import from_mapping
from shipper.state import database, segments
from shipper.state.registry import Registry
from shipper.state.spool import Spool

EVERYTHING = {f"line {n}" for n in range(200)}


@pytest.fixture
def settings(tmp_path, logs):
    data = {
        "inputs": [{"type": "filestream", "paths": [f"{logs}/*.log"]}],
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


def test_a_file_that_is_gone_before_the_output_is_back_is_not_lost(settings, down, shipped, tmp_path):
    log = tmp_path / "logs/a.log"
    log.write_text("".join(f"line {n}\n" for n in range(500)))
    with Agent(settings) as agent:
        thread = threading.Thread(target=agent.run)
        thread.start()
        wait_for(lambda: agent._queue._spool.documents == 500)
        agent.stop()
        thread.join(60)
        assert not thread.is_alive(), "all is safe: nothing to wait for"
        assert agent.progress().documents.delivered == 0
    log.unlink()
    down()
    with Agent(settings) as agent:
        assert agent.run(once=True)
    assert shipped() == [f"line {n}" for n in range(500)]
    with Agent(settings) as agent:
        assert agent.run(once=True)
        assert agent.progress().documents.delivered == 0


def test_a_single_run_is_complete_only_when_the_output_has_it(settings, down, shipped, tmp_path):
    (tmp_path / "logs/a.log").write_text("one\n")
    with Agent(settings) as agent:
        assert not agent.run(once=True, patience=0.3)
    down()
    with Agent(settings) as agent:
        assert agent.run(once=True)
    assert shipped() == ["one"]


def flip(segment):
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)


DAMAGES = {
    "cut in a record": lambda segment: os.truncate(segment, segment.stat().st_size // 2),
    "cut behind the last record but one": lambda segment: os.truncate(
        segment, segments.scan(segment, 1).records[0].end
    ),
    "emptied": lambda segment: os.truncate(segment, 0),
    "flipped": flip,
    "deleted": lambda segment: segment.unlink(),
    "all deleted": lambda segment: shutil.rmtree(segment.parent.parent),
}


@pytest.fixture
def outage(settings, down, tmp_path):
    """An agent with two records in its spool; what is read is said to be on disk."""

    def begin(agent):
        log = tmp_path / "logs/a.log"
        log.touch()
        thread = threading.Thread(target=agent.run)
        thread.start()
        for count in (100, 200):
            with log.open("a") as file:
                file.writelines(f"line {n}\n" for n in range(count - 100, count))
            wait_for(lambda count=count: agent._queue._spool.documents == count)
        wait_for(lambda: agent._registry.owed)
        return thread

    return begin


@pytest.fixture
def stopped(settings, outage, tmp_path):
    """Such an agent has been stopped; the segment of its spool."""
    with Agent(settings) as agent:
        thread = outage(agent)
        agent.stop()
        thread.join(60)
    [segment] = (tmp_path / "home/spool").glob("*/*.spool")
    return segment


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("disk", [True, False], ids=["with the spool", "without one now"])
def test_what_a_spool_lost_while_nothing_ran_is_read_again(settings, down, stopped, shipped, damage, disk, caplog):  # noqa: PLR0917 - fixtures
    damage(stopped)
    down()
    if not disk:
        settings = settings.model_copy(update={"queue_disk": None})
    with Agent(settings) as agent:
        assert agent.run(once=True)
    assert set(shipped()) == EVERYTHING
    assert "a.log is read again from byte 0" in caplog.text
    assert "read from its file again" not in caplog.text, "that is said of what never counted"
    with Agent(settings) as agent:
        assert agent.run(once=True)
        assert agent.progress().documents.delivered == 0


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_a_spool_loses_while_the_agent_runs_is_read_again(settings, down, outage, shipped, tmp_path, damage):  # noqa: PLR0917 - fixtures
    with Agent(settings) as agent:
        thread = outage(agent)
        [segment] = (tmp_path / "home/spool").glob("*/*.spool")
        damage(segment)
        down()
        wait_for(lambda: set(shipped()) == EVERYTHING)
        agent.stop()
        thread.join(60)
        assert not thread.is_alive()
    before = len(shipped())
    with Agent(settings) as agent:
        assert agent.run(once=True)
    assert len(shipped()) == before


@pytest.mark.slow
@pytest.mark.faults
def test_what_a_spool_loses_on_a_full_disk_is_read_again(settings, down, outage, shipped, tmp_path):
    (tmp_path / "small").mkdir()
    disk = SmallDisk(tmp_path / "small")
    try:
        path = tmp_path / "small"
        settings = settings.model_copy(update={"queue_disk": settings.queue_disk.model_copy(update={"path": path})})
        with Agent(settings) as agent:
            thread = outage(agent)
            [segment] = path.glob("*/*.spool")
            flip(segment)
            disk.fill()
            down()
            wait_for(lambda: set(shipped()) == EVERYTHING)
            agent.stop()
            thread.join(60)
            assert not thread.is_alive()
    finally:
        disk.unmount()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flip, os.unlink])
def test_what_cannot_be_made_good_for_now_is_no_reason_to_deliver_nothing(  # noqa: PLR0917 - fixtures
    settings, down, stopped, shipped, tmp_path, monkeypatch, damage
):
    """The spool may have filled the disk that the registry is on: only what is delivered makes room there."""
    damage(stopped)
    down()
    monkeypatch.setattr(database, "HELD", 0.2)
    with monkeypatch.context() as full:
        tried = threading.Event()

        def no_room(*_):
            tried.set()
            raise StateError("the disk is full")

        full.setattr(Registry, "delivered", no_room)
        with Agent(settings) as agent:
            assert not agent.run(once=True)
        assert tried.is_set()
        (tmp_path / "logs/b.log").write_text("more\n")
        with following(settings):
            wait_for(lambda: "more" in shipped())
            assert set(shipped()) < EVERYTHING | {"more"}
            full.undo()
            wait_for(lambda: set(shipped()) == EVERYTHING | {"more"})


@pytest.mark.slow
def test_where_the_spool_is_sound_nothing_is_sent_twice(settings, down, outage, shipped, tmp_path):
    with Agent(settings) as agent:
        thread = outage(agent)
        down()
        wait_for(lambda: not agent._registry.owed)
        agent.stop()
        thread.join(60)
    assert shipped() == [f"line {n}" for n in range(200)]
    (tmp_path / "home/spool").rename(tmp_path / "lost later")
    with Agent(settings) as agent:
        assert agent.run(once=True)
        assert agent.progress().documents.delivered == 0


@pytest.mark.slow
def test_another_spool_under_its_path_does_not_answer_for_it(settings, down, stopped, shipped, tmp_path):
    """A mount that is not there: its mount point may have been used as well."""
    spool = stopped.parent.parent
    other = Spool(tmp_path / "mount point", target(settings), max_bytes=1 << 20)
    other.note()
    other.close()
    spool.rename(tmp_path / "disk that died")
    (tmp_path / "mount point").rename(spool)
    down()
    with Agent(settings) as agent:
        assert agent.run(once=True)
    assert set(shipped()) == EVERYTHING


@pytest.mark.slow
def test_what_cannot_be_read_now_is_neither_delivered_nor_lost(settings, down, stopped, shipped, monkeypatch):
    assert stopped.exists()
    down()
    with monkeypatch.context() as broken:
        broken.setattr(segments, "scan", mock.Mock(side_effect=OSError(errno.EIO, "Input/output error")))
        with Agent(settings) as agent:
            agent.run(once=True)
            assert agent._registry.undelivered()
    assert shipped() == []
    with Agent(settings) as agent:
        assert agent.run(once=True)
        assert not agent._registry.undelivered()
    assert shipped() == [f"line {n}" for n in range(200)]


@pytest.mark.slow
def test_a_damaged_record_is_made_good_for_once(settings, down, stopped, shipped, caplog):
    flip(stopped)
    for _ in range(3):  # the output is down
        with Agent(settings) as agent:
            agent.run(once=True, patience=0.3)
    down()
    with Agent(settings) as agent:
        assert agent.run(once=True)
    assert set(shipped()) == EVERYTHING
    assert caplog.text.count("is read again from byte 0") == 1


@pytest.mark.slow
def test_damage_is_made_good_for_with_the_settings_in_use(settings, down, outage, shipped, tmp_path):
    pipeline = tmp_path / "pipeline.conf"
    pipeline.write_text('filter { mutate { add_field => { "x" => "y" } } }')
    [one] = settings.inputs
    settings = settings.model_copy(update={"inputs": (one.model_copy(update={"pipeline": str(pipeline)}),)})
    with Agent(settings) as agent:
        thread = outage(agent)
        pipeline.write_text("filter { mutate { add_fie")  # somebody is at work on it
        [segment] = (tmp_path / "home/spool").glob("*/*.spool")
        flip(segment)
        down()
        wait_for(lambda: set(shipped()) == EVERYTHING)
        agent.stop()
        thread.join(60)
        assert not thread.is_alive()
