"""``shipper files``: what it says of each file is true, and its exit codes can be relied on before a file is deleted."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import subprocess
import sys
from contextlib import closing

import pytest
from click.testing import CliRunner

from shipper.agent import Agent
from shipper.cli import main
from shipper.cli.files import files
from shipper.files.writers import writers
from shipper.outputs.target import target
from shipper.settings import load
from shipper.state.registry import Registry


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.delenv("SHIPPER_HOME", raising=False)


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.log").write_text("one\ntwo\n", encoding="utf-8")
    return folder


@pytest.fixture
def config(tmp_path, logs):
    path = tmp_path / "shipper.yml"
    path.write_text(
        f"inputs: [{{paths: [{logs}/*.log]}}]\npath.data: {tmp_path}/data\noutput.file.path: {tmp_path}/out\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def ship(config):
    def once():
        with Agent(load(config)) as agent:
            assert agent.run(once=True)

    return once


@pytest.fixture
def ask(config):
    """The exit code and the files by their names."""

    def run(*arguments):
        result = CliRunner().invoke(main, ["files", "-c", str(config), "--json", *map(str, arguments)])
        assert "Traceback" not in result.output
        return result.exit_code, {
            os.path.basename(each["path"]): each for each in map(json.loads, result.stdout.splitlines())
        }

    return run


def test_a_file_that_is_acknowledged_to_its_end_is_safe(ship, ask, logs):
    ship()
    code, found = ask()
    assert code == 0
    one = found["a.log"]
    assert (one["state"], one["size"], one["read"], one["acknowledged"]) == ("idle", 8, 8, 8)
    assert (one["lag_bytes"], one["lag_seconds"], one["complete"], one["safe"]) == (0, 0.0, True, True)
    assert one["path"] == f"{logs}/a.log"


def test_what_was_written_since_is_lag(ship, ask, logs):
    ship()
    with (logs / "a.log").open("a") as log:
        log.write("three\n")
    os.utime(logs / "a.log", (1_000_000_000, 1_000_000_000))
    code, found = ask()
    assert code == 1
    assert (found["a.log"]["state"], found["a.log"]["lag_bytes"], found["a.log"]["safe"]) == ("reading", 6, False)
    assert found["a.log"]["lag_seconds"] > 100_000_000
    assert found["a.log"]["why"] == "6 bytes are not acknowledged"


def test_files_that_nobody_has_begun_are_listed(ask):
    code, found = ask()
    assert (code, found["a.log"]["state"], found["a.log"]["lag_bytes"]) == (1, "not begun", 8)


def test_there_is_nothing_to_wait_for_in_an_empty_file(ship, ask, logs):
    ship()
    (logs / "b.log").touch()
    (logs / "c.log").write_bytes(gzip.compress(b""))
    (logs / "d.log").write_bytes(gzip.compress(b"")[:-1])
    code, found = ask()
    assert {name: (each["state"], each["complete"], each["safe"]) for name, each in found.items()} == {
        "a.log": ("idle", True, True),
        "b.log": ("empty", True, False),
        "c.log": ("empty", True, True),
        "d.log": ("not begun", False, False),
    }
    assert (code, found["b.log"]["why"]) == (1, "it is empty: what comes may be written to it")
    (logs / "d.log").unlink()
    assert ask()[0] == 0


def test_a_file_under_another_name_is_still_known(ship, ask, logs):
    ship()
    (logs / "a.log").rename(logs / "a.log.1")
    (logs / "a.log").write_text("new\n")
    code, found = ask()
    assert code == 1
    assert {name: (each["state"], each["safe"]) for name, each in found.items()} == {
        "a.log": ("not begun", False),
        "a.log.1": ("rotated", True),
    }


def test_other_content_of_the_same_size_is_not_what_was_acknowledged(ship, ask, logs):
    ship()
    (logs / "a.log").write_text("ONE\nTWO\n")
    code, found = ask()
    assert (code, found["a.log"]["state"], found["a.log"]["safe"]) == (1, "not begun", False)


def test_a_file_that_is_open_for_writing_is_complete_and_not_safe(ship, ask, logs):
    ship()
    with (logs / "a.log").open("a"):
        code, found = ask()
        assert (code, found["a.log"]["complete"], found["a.log"]["safe"]) == (0, True, False)
        assert found["a.log"]["why"] == f"process {os.getpid()} has it open for writing"
        assert ask("--safe")[0] == 1
    with (logs / "a.log").open():
        assert ask()[1]["a.log"]["safe"]


def test_what_only_the_spool_has_acknowledged_is_not_complete(ship, ask, logs, config):
    ship()
    settings = load(config)
    with closing(Registry(settings.path_data / "state.db", target(settings))) as registry:
        [entry] = registry.entries()
        registry._keep("owed", entry.file, "a spool", 0, b"", 0, b"")
    code, found = ask()
    assert (code, found["a.log"]["complete"], found["a.log"]["safe"]) == (1, False, False)
    assert found["a.log"]["why"] == "the output has not taken it from the spool yet"
    (logs / "a.log").unlink()
    assert (ask()[0], list(ask()[1])) == (1, ["a.log"]), "it is gone, and not done"


def test_safe_prints_the_paths_that_may_be_deleted(ship, config, logs):
    ship()
    (logs / "b.log").write_text("not shipped\n")
    result = CliRunner().invoke(main, ["files", "-c", str(config), "--safe"])
    assert (result.exit_code, result.stdout) == (1, f"{logs}/a.log\n")


@pytest.fixture
def safe(config):
    def run(*arguments):
        result = CliRunner().invoke(main, ["files", "-c", str(config), "--safe", *arguments])
        return result.exit_code, result.stdout_bytes, result.stderr

    return run


@pytest.mark.parametrize("name", [b"\x1b[31mred.log", b"\xe9.log", b" a\tb .log"])
def test_a_pipe_gets_the_paths_as_they_are(ship, safe, logs, name):
    (logs / "a.log").rename(logs / os.fsdecode(name))
    ship()
    assert safe() == (0, os.fsencode(logs) + b"/" + name + b"\n", "")


def test_a_name_with_a_line_feed_is_never_taken_for_two(ship, safe, logs):
    (logs / "a\nb.log").write_text("four\n")
    ship()
    paths = os.fsencode(logs)
    code, printed, said = safe()
    assert (code, printed) == (0, paths + b"/a.log\n")
    assert said == f"left out, as its name has a line feed: {logs}/a\\nb.log; use -0, for xargs -0\n"
    for option in ("-0", "--null"):
        assert safe(option) == (0, paths + b"/a\nb.log\0" + paths + b"/a.log\0", "")


def test_null_goes_with_safe(config):
    result = CliRunner().invoke(main, ["files", "-c", str(config), "-0"])
    assert (result.exit_code, "--null goes with --safe" in result.stderr) == (2, True)


@pytest.mark.parametrize("option", ["--safe", "--all"])
def test_a_terminal_gets_no_control_characters(ship, config, logs, option):
    (logs / "a.log").rename(logs / "\x1b[31mred.log")
    (logs / "b\nc\udce9.log").write_text("four\n")
    ship()
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "250", "NO_COLOR": "1", "TERM": "xterm"}
    command = [sys.executable, "-m", "shipper", "files", "-c", str(config), option]
    with open(ours, "rb", buffering=0) as terminal:
        done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, env=environment, check=False)
        os.close(theirs)
        printed = re.sub(rb"\x1b\[[01]m", b"", terminal.read(1 << 16))  # the heading is bold
    assert done.returncode == 0, done.stderr
    assert b"/\\x1b[31mred.log" in printed
    assert b"\x1b" not in printed
    assert option == "--safe" or b"/b\\nc\\xe9.log" in printed


def test_a_name_that_is_no_utf_8_is_the_one_it_was(ship, ask, logs, config):
    (logs / "a.log").rename(logs / "a\udce9.log")
    ship()
    code, found = ask()
    assert (code, found["a\N{REPLACEMENT CHARACTER}.log"]["state"]) == (0, "idle")
    result = CliRunner().invoke(main, ["files", "-c", str(config), f"{logs}/a\udce9.log"])
    assert (result.exit_code, f"{logs}/a\\xe9.log  idle" in result.stdout) == (0, True)


def test_one_that_cannot_be_begun_neither(ask, logs):
    (logs / "a.log").rename(logs / "a\udce9.log")
    (logs / "folder\udce9").mkdir()
    assert ask(logs / "a\udce9.log")[1]["a\N{REPLACEMENT CHARACTER}.log"]["state"] == "not begun"
    assert ask(logs / "folder\udce9")[1]["folder\N{REPLACEMENT CHARACTER}"]["state"] == "unreadable"


def test_a_copy_is_complete_as_its_original_is(ship, ask, logs, config):
    config.write_text(config.read_text().replace("*.log", "*"))
    ship()
    (logs / "a.log.1.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    ship()
    code, found = ask()
    assert {name: (each["state"], each["complete"]) for name, each in found.items()} == {
        "a.log": ("idle", True),
        "a.log.1.gz": ("copy", True),
    }
    assert (code, found["a.log.1.gz"]["safe"]) == (0, False)
    assert found["a.log.1.gz"]["why"] == f"it is a copy of {logs}/a.log, by samples of both"
    (logs / "a.log.1.gz").write_bytes(gzip.compress(b"one\ntwo\nthree\n"))
    assert ask()[1]["a.log.1.gz"]["state"] == "not begun"


def test_a_copy_of_what_is_not_delivered_yet_is_not_complete(ship, ask, logs, config):
    config.write_text(config.read_text().replace("*.log", "*"))
    ship()
    (logs / "a.log.1.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    settings = load(config)
    with closing(Registry(settings.path_data / "state.db", target(settings))) as registry:
        [entry] = registry.entries()
        registry._keep("owed", entry.file, "a spool", 0, b"", 0, b"")
    code, found = ask()
    assert (code, found["a.log.1.gz"]["state"], found["a.log.1.gz"]["complete"]) == (1, "copy", False)


def test_a_copy_of_what_has_another_files_name_is_none(ship, ask, logs, config):
    config.write_text(config.read_text().replace("*.log", "*"))
    ship()
    (logs / "a.log").rename(logs / "a.log.1")
    (logs / "a.log").write_text("one\ntwo\nthree\n")
    (logs / "a.log.2.gz").write_bytes(gzip.compress(b"one\ntwo\nthree\n"))
    found = ask()[1]
    assert {name: each["state"] for name, each in found.items()} == {
        "a.log": "not begun",
        "a.log.1": "rotated",
        "a.log.2.gz": "not begun",
    }


def test_what_is_gone_and_was_read_is_shown_on_request(ship, ask, logs):
    ship()
    (logs / "a.log").unlink()
    assert ask() == (1, {})
    code, found = ask("--all")
    assert (code, found["a.log"]["state"], found["a.log"]["safe"]) == (0, "gone", False)


def test_patterns_choose_among_all_files_there_are(ship, ask, logs):
    ship()
    (logs / "b.txt").write_text("of no input\n")
    assert ask(logs / "a*")[0] == 0
    code, found = ask(f"{logs}/b*")
    assert (code, list(found), found["b.txt"]["state"]) == (1, ["b.txt"], "not begun")
    assert ask(f"{logs}/c*") == (1, {})


def test_an_archive_is_complete_when_it_was_read_as_it_is(ship, ask, logs, config):
    (logs / "old.log").write_bytes(gzip.compress(b"1\n2\n"))
    ship()
    code, found = ask()
    assert (code, found["old.log"]["state"], found["old.log"]["safe"]) == (0, "archived", True)
    with (logs / "old.log").open("ab") as archive:
        archive.write(gzip.compress(b"3\n"))
    assert ask()[0] == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_without_permission_is_unreadable(ship, ask, logs):
    ship()
    (logs / "a.log").chmod(0)
    code, found = ask()
    assert (code, found["a.log"]["state"], found["a.log"]["why"]) == (
        1,
        "unreadable",
        "cannot be read: permission denied",
    )


def test_a_directory_that_was_asked_for_is_unreadable(ship, ask, logs):
    ship()
    (logs / "folder").mkdir()
    code, found = ask(logs / "folder")
    assert (code, found["folder"]["state"]) == (1, "unreadable")


def test_it_works_beside_a_running_agent_and_tells_what_that_knows(config, ask, logs, tmp_path):
    with Agent(load(config)) as agent:
        assert agent.run(once=True)
        [entry] = agent._registry.entries()
        with (logs / "a.log").open("a") as log:
            log.write("three\n")
        agent._registry.note({entry.file: (1_000_000_000, 14, 14)})
        code, found = ask()
    assert (code, found["a.log"]["read"], found["a.log"]["acknowledged"]) == (1, 14, 8)
    assert found["a.log"]["lag_seconds"] > 100_000_000


def test_a_deleted_file_that_the_agent_still_has_is_a_lag(config, ship, ask, logs, tmp_path):
    ship()
    registry = Registry(tmp_path / "data/state.db", f"file {tmp_path}/out/shipper.ndjson")
    [entry] = registry.entries()
    registry.note({entry.file: (1_000_000_000, 8, 20)})
    registry.close()
    (logs / "a.log").unlink()
    code, found = ask()
    assert (code, found["a.log"]["state"], found["a.log"]["lag_bytes"]) == (1, "gone", 12)


def test_without_a_state_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("SHIPPER_HOME", str(tmp_path / "empty"))
    result = CliRunner().invoke(main, ["files"])
    assert (result.exit_code, result.stderr) == (1, "no files are known\n")
    assert not (tmp_path / "empty").exists(), "it only looks"


def test_without_settings_all_outputs_are_shown(ship, logs, tmp_path, monkeypatch):
    ship()
    monkeypatch.setenv("SHIPPER_HOME", str(tmp_path / "data"))
    result = CliRunner().invoke(main, ["files"])
    assert result.exit_code == 0
    assert [line.split() for line in result.stdout.splitlines()][1] == [
        f"{logs}/a.log",
        "idle",
        "8",
        "8",
        "8",
        "-",
        "yes",
    ]


def test_writers_are_those_that_write(tmp_path):
    path = tmp_path / "x"
    path.write_text("")
    status = path.stat()
    place = (status.st_dev, status.st_ino)
    command = [
        sys.executable,
        "-c",
        "import sys; f = open(sys.argv[1], sys.argv[2]); print(flush=True); input()",
        str(path),
    ]
    for mode, seen in (("a", True), ("r", False)):
        with subprocess.Popen([*command, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            assert (writers({place}).processes.get(place) == process.pid) is seen
            process.communicate(b"\n")


def test_the_command_says_its_exit_codes():
    assert "exit code is 0" in files.help
