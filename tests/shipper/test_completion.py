"""``on_complete: delete`` deletes what the output has, and nothing else."""

from __future__ import annotations

import gzip
import os
import time

import pytest
from following import following
from waiting import wait_for

from shipper import completion
from shipper.agent import Agent
from shipper.errors import SettingsError, UnavailableError
from shipper.outputs.base import Output
from shipper.settings import from_mapping


@pytest.fixture
def settings(tmp_path, logs):
    def make(**more):
        one = {"paths": [f"{logs}/*.log"], "on_complete": "delete", "scan_frequency": "20ms", **more.pop("input", {})}
        data = {"inputs": [one], "output.file.path": str(tmp_path / "out"), **more}
        return from_mapping(data, env={"SHIPPER_HOME": str(tmp_path / "home")})

    return make


def ship(settings, **how):
    with Agent(settings) as agent:
        return agent.run(once=True, **how)


def test_a_one_shot_run_deletes_what_is_delivered(settings, logs, shipped):
    (logs / "a.log").write_text("one\ntwo without newline")
    (logs / "empty.log").write_text("")
    assert ship(settings())
    assert shipped() == ["one", "two without newline"]
    assert os.listdir(logs) == ["empty.log"]


def test_what_was_shipped_before_is_deleted_too(settings, logs, shipped):
    (logs / "a.log").write_text("one\n")
    ship(settings(input={"on_complete": "keep"}))
    assert os.listdir(logs) == ["a.log"]
    ship(settings())
    assert os.listdir(logs) == []
    assert shipped() == ["one"]


def test_archives_are_deleted_too(settings, logs, shipped):
    (logs / "a.log").write_bytes(gzip.compress(b"one\n"))
    ship(settings())
    assert (shipped(), os.listdir(logs)) == (["one"], [])


def test_what_somebody_is_writing_to_is_kept(settings, logs):
    with (logs / "a.log").open("w") as log:
        log.write("one\n")
        log.flush()
        ship(settings())
        assert os.listdir(logs) == ["a.log"]
    ship(settings())
    assert os.listdir(logs) == []


def test_a_symbolic_link_and_its_file_are_kept(settings, logs, tmp_path):
    (tmp_path / "target").write_text("one\n")
    (logs / "a.log").symlink_to(tmp_path / "target")
    ship(settings())
    assert os.listdir(logs) == ["a.log"]
    assert (tmp_path / "target").exists()


@pytest.mark.slow
def test_nothing_is_deleted_that_the_output_has_not(settings, logs, monkeypatch):
    class Down(Output):
        name = "down"

        def send(self, batch):
            del batch
            raise UnavailableError("down")

    monkeypatch.setattr("shipper.sending.open_output", lambda settings: Down())
    (logs / "a.log").write_text("one\n")
    assert not ship(settings(), patience=0.1)
    assert not ship(settings(**{"queue.disk.max_size": "1MiB"}), patience=3)  # durable, but with the spool only
    assert os.listdir(logs) == ["a.log"]


def test_nothing_is_deleted_while_the_state_cannot_be_kept(settings, logs, monkeypatch):
    from shipper.errors import StateError  # noqa: PLC0415 - only here

    (logs / "a.log").write_text("one\n")
    with Agent(settings()) as agent, monkeypatch.context() as patched:

        def refuse(*_):
            raise StateError("the disk is full")

        patched.setattr(agent._registry, "commit", refuse)
        with pytest.raises(StateError):
            agent.run(once=True)
    assert os.listdir(logs) == ["a.log"]


def between(monkeypatch, name, do):
    """Do something right before the call of ``os.<name>`` for a log."""
    real = getattr(os, name)

    def call(path, *arguments, **more):
        if str(path).endswith("a.log"):
            do(path)
        return real(path, *arguments, **more)

    monkeypatch.setattr(completion.os, name, call)


def test_what_is_written_right_before_the_last_look_keeps_the_file(settings, logs, monkeypatch, shipped):
    (logs / "a.log").write_text("one\n")
    with monkeypatch.context() as patched:

        def append(path):
            patched.undo()
            with open(path, "a", encoding="utf-8") as log:
                log.write("two\n")

        between(patched, "lstat", append)
        ship(settings())
    assert os.listdir(logs) == ["a.log"]
    assert shipped() == ["one", "two"], "and what came is shipped by the same run"


@pytest.mark.parametrize("other", ["ONE\n", "another one\n"])
def test_a_file_that_took_the_name_is_kept(settings, logs, monkeypatch, other):
    (logs / "a.log").write_text("one\n")
    with monkeypatch.context() as patched:

        def replace(path):
            patched.undo()
            (logs / "b.tmp").write_text(other)
            os.replace(logs / "b.tmp", path)

        between(patched, "lstat", replace)
        ship(settings())
    assert (logs / "a.log").read_text() == other


@pytest.mark.parametrize("opened", [True, False])
def test_what_is_written_between_the_last_look_and_the_end_is_shipped(settings, logs, monkeypatch, shipped, opened):
    """Also where the agent had closed the file long before."""
    (logs / "a.log").write_text("one\n")
    if not opened:
        ship(settings(input={"on_complete": "keep"}))
    with monkeypatch.context() as patched:

        def append(path):
            patched.undo()
            with open(path, "a", encoding="utf-8") as log:
                log.write("two\n")

        between(patched, "unlink", append)
        ship(settings())
    assert os.listdir(logs) == []
    assert shipped() == ["one", "two"]


@pytest.mark.slow
def test_while_following_a_file_is_deleted_when_it_is_quiet_and_read_on_after_that(settings, logs, shipped):
    (logs / "a.log").write_text("one\n")
    wanted = settings(input={"on_complete_quiet": "300ms"})
    with following(wanted):
        wait_for(lambda: shipped() == ["one"])
        held = (logs / "a.log").open("a")  # a process that writes to it is seen
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > 1.0)
        assert os.listdir(logs) == ["a.log"]
        held.close()
        descriptor = os.open(logs / "a.log", os.O_RDONLY)
        wait_for(lambda: os.listdir(logs) == [])
        with open(f"/proc/self/fd/{descriptor}", "a", encoding="utf-8") as late:
            late.write("two\n")
        os.close(descriptor)
        wait_for(lambda: shipped() == ["one", "two"])


def test_a_console_keeps_nothing(settings):
    with pytest.raises(SettingsError, match="needs an output that keeps what it takes"):
        from_mapping({"inputs": [{"paths": ["/a"], "on_complete": "delete"}], "output.console": {}})
