"""What the agent says, and does, while its own state cannot be kept."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from contextlib import contextmanager

import pytest
from waiting import wait_for

from shipper.agent import Agent
from shipper.observer import Observer
from shipper.settings import from_mapping
from shipper.state import database
from shipper.status.health import reasons


@pytest.fixture
def settings(tmp_path, logs):
    def make(**one):
        data = {
            "inputs": [{"type": "filestream", "paths": [f"{logs}/*.log"], **one}],
            "output.file.path": str(tmp_path / "out"),
        }
        return from_mapping(data, env={"SHIPPER_HOME": str(tmp_path / "home")})

    return make


@contextmanager
def following(settings):
    """An agent that runs in a thread until the block ends, and its observer."""
    observer = Observer()
    with Agent(settings, observer=observer) as agent:
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            yield agent, observer
        finally:
            agent.stop()
            thread.join(30)


def failing(observer):
    return reasons(observer.latest, time.monotonic())[0]


def limit(agent, pages):
    """Its database gets no page beyond these, or beyond those that it has: as on a full disk."""
    agent._registry._connection.execute(f"PRAGMA max_page_count={pages}")


@pytest.mark.slow
def test_a_registry_that_takes_no_new_files_is_failing_though_known_ones_go_on(
    settings, logs, shipped, monkeypatch, caplog
):
    (logs / "a.log").write_text("first\n")
    with following(settings()) as (agent, observer):
        wait_for(lambda: shipped() == ["first"])
        limit(agent, 1)
        for n in range(300):
            (logs / f"{n}.log").write_text(f"new {n}\n")
        wait_for(lambda: failing(observer))
        assert "state.db: the disk is full" in failing(observer)[0]
        with (logs / "a.log").open("a") as log:
            log.write("second\n")
        wait_for(lambda: "second" in shipped())
        time.sleep(2.5)  # its checkpoint still fits: a row that is there takes no room
        assert failing(observer)
        limit(agent, 1 << 30)
        monkeypatch.setattr(database, "HELD", 1.0)
        wait_for(lambda: not failing(observer) and len(shipped()) == 302)
    assert (
        len([each for each in caplog.messages if each.startswith(f"{logs.parent}/home/state.db: the disk is full")])
        == 1
    )


@pytest.mark.slow
def test_an_event_whose_end_cannot_be_noted_is_failing_too(settings, logs, shipped):
    (logs / "a.log").write_text("first\n")
    with following(settings()) as (agent, observer):
        wait_for(lambda: shipped() == ["first"])
        time.sleep(2.5)  # the first one is committed
        agent._registry._connection.execute("PRAGMA query_only=ON")
        with (logs / "a.log").open("a") as log:
            log.write("without an end")
        wait_for(lambda: failing(observer), 30)
        assert "read-only" in failing(observer)[0]
        agent._registry._connection.execute("PRAGMA query_only=OFF")


@pytest.mark.slow
@pytest.mark.parametrize(
    "remove",
    [shutil.rmtree, lambda home: shutil.copy(home / "state.db", home / "copy").replace(home / "state.db")],
    ids=["deleted", "replaced"],
)
def test_an_agent_whose_state_was_taken_away_says_so_once_and_ships_on(settings, logs, shipped, remove, caplog):
    (logs / "a.log").write_text("first\n")
    with following(settings()) as (_, observer):
        wait_for(lambda: shipped() == ["first"] and not failing(observer))
        remove(logs.parent / "home")
        wait_for(lambda: failing(observer))
        assert "state.db" in failing(observer)[0]
        assert "restart" in failing(observer)[0].lower()
        with (logs / "a.log").open("a") as log:
            log.write("second\n")
        wait_for(lambda: shipped() == ["first", "second"])
        time.sleep(2.5)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "state.db" in errors[0].message


@pytest.mark.slow
def test_nothing_is_deleted_while_the_state_is_lost(settings, logs, shipped, tmp_path):
    """What was rejected is in the lost state only: its file is needed."""
    log = logs / "a.log"
    with following(settings(on_complete="delete", on_complete_quiet="1s")) as (_, observer):
        wait_for(lambda: observer.latest.inputs)
        shutil.rmtree(tmp_path / "home")
        wait_for(lambda: failing(observer))
        log.write_text("line\n")
        os.utime(log, (1e9, 1e9))
        wait_for(lambda: shipped() == ["line"])
        time.sleep(6.5)
        assert log.exists()
