from __future__ import annotations

import errno
import os
import threading

import orjson
import pytest
from following import following
from waiting import wait_for

from shipper.agent import Agent
from shipper.errors import StateError, UnavailableError
from shipper.outputs.base import Output
from shipper.outputs.batch import Outcomes
from shipper.settings import from_mapping

RECORD = "2017-07-04 11:11:37.%03d  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET %d\n"
TRACE = "java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\n"


@pytest.fixture
def settings(tmp_path, logs):
    def make(**more):
        one = {"type": "filestream", "paths": [f"{logs}/*.log"], **more.pop("input", {})}
        data = {"inputs": [one], "output.file.path": str(tmp_path / "out"), **more}
        return from_mapping(data, env={"SHIPPER_HOME": str(tmp_path / "home")})

    return make


@pytest.fixture
def shipped(tmp_path):
    def read():
        path = tmp_path / "out/shipper.ndjson"
        return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    return read


def ship(settings):
    with Agent(settings) as agent:
        assert agent.run(once=True)
        return agent.progress()


def test_once_ships_everything_and_a_second_time_nothing(settings, logs, shipped):
    (logs / "a.log").write_text("".join(RECORD % (n, n) for n in range(100)) + TRACE + "last without newline")
    progress = ship(settings(input={"pipeline": "spring-boot"}))
    assert progress.documents.delivered == 100
    assert [each["message"] for each in shipped()[:2]] == ["GET 0", "GET 1"]
    assert shipped()[-1]["error"]["type"] == "java.lang.IllegalStateException"
    assert ship(settings(input={"pipeline": "spring-boot"})).documents.delivered == 0
    assert len(shipped()) == 100


def test_fields_are_those_of_the_agent_the_settings_and_the_input(settings, logs, shipped):
    (logs / "a.log").write_text("x\n")
    ship(
        settings(
            input={"fields": {"service.name": "s1"}, "fields_under_root": True, "tags": ["b"]},
            name="web-1",
            fields={"env": "prod"},
            tags=["a"],
        )
    )
    [document] = shipped()
    assert document["host"] == {"name": "web-1"}
    assert document["service"] == {"name": "s1"}
    assert document["fields"] == {"env": "prod"}
    assert document["tags"] == ["a", "b"]
    assert document["log"] == {"file": {"path": f"{logs}/a.log"}, "offset": 0}


def test_lines_without_an_offset_are_in_the_configured_zone(settings, logs, shipped):
    (logs / "a.log").write_text(RECORD % (921, 1))
    ship(settings(input={"pipeline": "spring-boot", "timezone": "America/Sao_Paulo"}))
    assert shipped()[0]["@timestamp"] == "2017-07-04T14:11:37.921Z"


def test_following_ships_what_is_appended_and_what_appears(settings, logs, shipped):
    (logs / "a.log").write_text("one\n")
    with following(settings()):
        wait_for(lambda: len(shipped()) == 1)
        with (logs / "a.log").open("a") as log:
            log.write("two\nhalf")
        wait_for(lambda: len(shipped()) == 2)
        (logs / "b.log").write_text("three\n")
        wait_for(lambda: len(shipped()) == 3)
    assert [each["message"] for each in shipped()] == ["one", "two", "three"]


@pytest.mark.slow
def test_a_rotation_while_following_loses_and_doubles_nothing(settings, logs, shipped):
    written = []
    with following(settings()):
        for generation in range(5):
            with (logs / "a.log").open("w") as log:
                for n in range(200):
                    log.write(f"{generation} {n}\n")
                    written.append(f"{generation} {n}")
                log.flush()
                if generation:
                    wait_for(lambda: len(shipped()) >= len(written) - 200)  # so that a rotated-away file was seen
                (logs / "a.log").rename(logs / f"a.{generation}.log")
        wait_for(lambda: len(shipped()) >= len(written))
    assert sorted(each["message"] for each in shipped()) == sorted(written)


def test_an_event_whose_end_is_not_seen_is_sent_after_a_while(settings, logs, shipped):
    multiline = {"pattern": "^[0-9]", "negate": True, "match": "after", "timeout": "100ms"}
    with following(settings(input={"multiline": multiline})):
        (logs / "a.log").write_text("1 a\n b\n")
        wait_for(lambda: len(shipped()) == 1)
    assert shipped()[0]["message"] == "1 a\n b"


def test_a_second_instance_is_refused(settings):
    with Agent(settings()), pytest.raises(StateError, match="in use by another shipper"):
        Agent(settings())
    Agent(settings()).__exit__()


def test_paths_that_cannot_be_read_are_named(settings, logs, tmp_path):
    (logs / "a.log").write_text("x\n")
    os.mkfifo(logs / "pipe")
    with Agent(settings(input={"paths": [f"{logs}/a.log", f"{logs}/pipe", str(logs)]})) as agent:
        assert agent.run(once=True)
        assert agent.progress().documents.delivered == 1
        assert set(agent.unreadable()) == {f"{logs}/pipe", str(logs)}


class Down(Output):
    """Takes nothing while it is down: a stand-in for a server that is not there."""

    name = "down"

    def __init__(self):
        self.up = threading.Event()
        self.taken = []

    def send(self, batch):
        if not self.up.is_set():
            raise UnavailableError("down: nobody answers")
        self.taken += [orjson.loads(document)["message"] for document in batch.documents()]
        return Outcomes()


@pytest.fixture
def down(monkeypatch):
    output = Down()
    monkeypatch.setattr("shipper.sending.open_output", lambda settings: output)
    return output


def test_a_one_shot_run_gives_up_on_a_dead_output_and_says_what_is_left(settings, logs, down):
    (logs / "a.log").write_text("x" * 99 + "\n")
    with Agent(settings()) as agent:
        assert not agent.run(once=True, patience=0.2)
        assert agent.outstanding() == {f"{logs}/a.log": 100}
        assert agent.progress().documents.trouble == "down: nobody answers"
    down.up.set()
    with Agent(settings()) as agent:
        assert agent.run(once=True)
    assert down.taken == ["x" * 99]


def test_back_pressure_stops_the_reader_not_the_agent(settings, logs, down):
    lines = [f"{n} {'x' * 1000}" for n in range(4000)]
    (logs / "a.log").write_text("\n".join(lines) + "\n")
    small = settings(**{"queue.mem.bytes": "64KiB", "output.file.bulk_max_bytes": "64KiB"})
    with following(small) as agent:
        wait_for(lambda: agent.progress().documents.trouble)
        held = agent.progress().read
        assert held < 2_000_000, "the rest of the file stays where it is"
        down.up.set()
        wait_for(lambda: len(down.taken) == len(lines))
    assert down.taken == lines


def test_what_is_not_settled_is_not_acknowledged(settings, logs, down):
    (logs / "a.log").write_text("one\n")
    with Agent(settings()) as agent:
        agent.run(once=True, patience=0.1)
        assert [entry.offset for entry in agent._registry.entries()] == [0]


def test_a_one_shot_run_has_patience_with_an_output_that_comes_back(settings, logs, down):
    lines = [f"{n} {'x' * 1000}" for n in range(1000)]
    (logs / "a.log").write_text("\n".join(lines) + "\n")
    small = settings(**{"queue.mem.bytes": "64KiB", "output.file.bulk_max_bytes": "64KiB"})

    def come_back(progress):
        if progress.documents.trouble:
            down.up.set()

    with Agent(small, watch=come_back) as agent:
        assert agent.run(once=True, patience=20)
    assert down.taken == lines


@pytest.mark.slow
def test_an_idle_file_is_closed_only_when_the_registry_has_its_end(settings, logs, down):
    (logs / "a.log").write_text("one\n")
    with following(settings(input={"close_inactive": "100ms", "scan_frequency": "100ms"})) as agent:
        wait_for(lambda: agent.progress().documents.trouble)
        assert len(agent._reading.inputs[0].harvest.harvesters) == 1
        down.up.set()
        wait_for(lambda: len(agent._reading.inputs[0].harvest.harvesters) == 0)
        [entry] = agent._registry.entries()
        assert entry.offset == 4


@pytest.mark.slow
def test_a_stop_is_heard_while_a_full_queue_waits_for_a_dead_output(settings, logs, down):
    (logs / "a.log").write_text("".join(f"{n} {'x' * 1000}\n" for n in range(4000)))
    small = settings(**{"queue.mem.bytes": "64KiB", "output.file.bulk_max_bytes": "64KiB"})
    with Agent(small) as agent:
        thread = threading.Thread(target=agent.run, kwargs={"patience": 0.3})
        thread.start()
        wait_for(lambda: agent.progress().documents.trouble)
        thread.join(1)
        assert thread.is_alive(), "a service waits as long as it takes"
        agent.stop()
        thread.join(60)
        assert not thread.is_alive()
    down.up.set()
    ship(small)
    assert len(down.taken) == 4000


def test_files_with_the_same_beginning_and_files_of_equal_lines_are_shipped_whole(settings, logs, shipped):
    banner = "the banner of the company, which all services have\n" * 41
    assert len(banner) > 2048
    for name in ("one", "two"):
        (logs / f"{name}.log").write_text(banner + "".join(f"{name} {n}\n" for n in range(1000)))
    for name in ("three", "four"):
        (logs / f"{name}.log").write_text("the same\n" * 10_000)
    ship(settings())
    found = [each["message"] for each in shipped()]
    assert {each for each in found if each[-1].isdigit()} == {
        f"{name} {n}" for name in ("one", "two") for n in range(1000)
    }
    assert (found.count("the same"), found.count(banner[:50]), len(found)) == (20_000, 82, 22_082)


def test_once_is_not_done_while_its_state_cannot_be_kept(settings, logs, shipped, monkeypatch):
    def refuse(*_):
        raise StateError("the disk is full")

    (logs / "a.log").write_text("one\n")
    with monkeypatch.context() as patched, Agent(settings()) as agent:
        patched.setattr(agent._registry, "commit", refuse)
        with pytest.raises(StateError, match="disk is full"):
            agent.run(once=True)
    ship(settings())
    assert {each["message"] for each in shipped()} == {"one"}


def test_a_file_that_cannot_be_read_to_its_end_is_named(settings, logs, monkeypatch):
    (logs / "a.log").write_text("one\n")
    with Agent(settings()) as agent, monkeypatch.context() as patched:

        def fail(*_):
            raise OSError(errno.EIO, "Input/output error")

        patched.setattr("shipper.files.reader.Reader.read", fail)
        agent.run(once=True)
        assert agent.unreadable() == {f"{logs}/a.log": "cannot be read: Input/output error"}


def test_what_is_rotated_away_during_an_outage_is_shipped_when_it_ends(settings, logs, down):
    small = settings(**{"queue.mem.bytes": "64KiB", "output.file.bulk_max_bytes": "64KiB"})
    written = []
    with following(small) as agent:
        for generation in range(3):
            lines = [f"{generation} {n} {'x' * 300}" for n in range(500)]
            (logs / "a.log").write_text("\n".join(lines) + "\n")
            written += lines
            wait_for(lambda generation=generation: agent.progress().files == generation + 1)
            (logs / "a.log").rename(logs / f"a.log.{generation}")  # out of the input's paths
        down.up.set()
        wait_for(lambda: len(down.taken) == len(written))
    assert sorted(down.taken) == sorted(written)


def test_a_stop_cuts_no_event_in_two(settings, logs, down):
    lines = [f"{n} {'x' * 300}" for n in range(5000)]
    (logs / "a.log").write_text("\n".join(lines) + "\n")
    small = settings(**{"queue.mem.bytes": "64KiB", "output.file.bulk_max_bytes": "64KiB"})
    with following(small) as agent:
        wait_for(lambda: agent.progress().documents.trouble)
        agent.stop()
        down.up.set()
    assert 0 < len(down.taken) < len(lines)
    with Agent(small) as agent:
        assert agent.run(once=True)
    assert down.taken == lines


def test_a_folder_where_files_come_and_go_costs_no_core(settings, logs, shipped):
    (logs / "a.log").write_text("one\n")
    looks = 0
    with following(settings()) as agent:
        wait_for(shipped)
        harvest = agent._reading.inputs[0].harvest
        scan = harvest.scan

        def counted(**how):
            nonlocal looks
            looks += 1
            scan(**how)

        harvest.scan = counted
        for n in range(200):
            (logs / "b.tmp").write_text(str(n))
            (logs / "b.tmp").unlink()
            threading.Event().wait(0.005)
    assert 0 < looks < 20


def test_a_pattern_that_runs_away_holds_up_neither_the_agent_nor_other_events(settings, logs, shipped, tmp_path):
    (tmp_path / "slow.conf").write_text(
        r'filter { grok { match => { "message" => "^(?<x>(a|aa)+)$" } timeout_millis => 100 } }'
    )
    (logs / "a.log").write_text("aaa\n" + "a" * 60 + "!\naa\n")
    ship(settings(input={"pipeline": str(tmp_path / "slow.conf")}))
    assert [each.get("x") for each in shipped()] == ["aaa", None, "aa"]
    assert [each.get("tags") for each in shipped()] == [None, ["_groktimeout"], None]
    assert shipped()[1]["message"] == "a" * 60 + "!"
