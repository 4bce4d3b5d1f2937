"""Logs that are copied and truncated: the copy is read where the log was, and what is lost is told, but only that."""

from __future__ import annotations

import gzip
import os
import shutil
from contextlib import closing

import pytest

from parser.multiline import Lines
from shipper.files.closing import LOOKS
from shipper.files.discovery import Discovery
from shipper.files.harvest import Harvest
from shipper.files.options import Options
from shipper.state.registry import Registry

LINES = [f"line {number:04}" for number in range(200)]
TEXT = "".join(f"{line}\n" for line in LINES)


@pytest.fixture
def registry(tmp_path):
    with closing(Registry(tmp_path / "state.db", "test")) as registry:
        yield registry


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.fixture
def harvest(registry, logs):
    options = Options(framer=Lines(), host_id="h")
    with closing(Harvest(Discovery([f"{logs}/*"]), registry, options)) as harvest:
        yield harvest


def read(harvest):
    found = []
    for harvester in harvest.harvesters:
        while (block := harvester.read()) is not None:
            found += block.data.decode().splitlines()
    return found


def look(harvest):
    """As the agent does, until there is no hurry any more."""
    looks = 0
    while harvest.check() or not looks:
        harvest.scan()
        while harvest.work():
            pass
        harvest.close_idle(0.0)
        looks += 1
        assert looks < 10
    return looks


def test_a_copy_that_is_still_being_written_is_no_file_of_its_own(harvest, logs):
    (logs / "app.log").write_text(TEXT)
    look(harvest)
    assert read(harvest) == LINES
    with (logs / "app.log.1").open("w") as copy:
        for at in range(0, len(TEXT), 300):
            copy.write(TEXT[at : at + 300])
            copy.flush()
            look(harvest)
            assert read(harvest) == []
    os.truncate(logs / "app.log", 0)
    look(harvest)
    (logs / "app.log").write_text("new\n")
    look(harvest)
    assert read(harvest) == ["new"]


def test_a_log_that_has_grown_as_large_again_before_the_look_is_truncated_all_the_same(harvest, logs):
    (logs / "app.log").write_text(TEXT)
    look(harvest)
    assert read(harvest) == LINES
    with (logs / "app.log").open("a") as log:
        log.write("more\n")
    shutil.copyfile(logs / "app.log", logs / "app.log.1")
    (logs / "app.log").write_text("new\n" * 1000)
    harvest.scan()  # without a check
    look(harvest)
    assert sorted(read(harvest)) == ["more", *["new"] * 1000]
    assert harvest.lost == 0


@pytest.fixture
def truncated(harvest, logs):
    """A log of which nothing was read, though it was seen."""
    (logs / "app.log").write_text(TEXT)
    harvest.scan()
    os.truncate(logs / "app.log", 0)
    return harvest


def test_what_was_truncated_and_not_read_is_reported_once(truncated, caplog):
    assert look(truncated) == LOOKS
    assert truncated.lost == len(TEXT)
    assert look(truncated) == 1
    assert caplog.text.count("are lost") == 1


def test_a_copy_that_one_look_misses_is_found_by_the_next(truncated, logs, caplog):
    (logs.parent / "away").write_text(TEXT)
    assert truncated.check()
    truncated.scan()
    truncated.close_idle(0.0)
    (logs.parent / "away").rename(logs / "app.log.1")
    look(truncated)
    assert read(truncated) == LINES
    assert "lost" not in caplog.text


@pytest.mark.parametrize(("name", "lost"), [("app.log.1.gz", 0), ("other.log.1.gz", len(TEXT))])
def test_an_archive_that_is_not_complete_may_be_the_copy(truncated, logs, name, lost):
    packed = gzip.compress(TEXT.encode())
    (logs / name).write_bytes(packed[:100])
    look(truncated)
    assert truncated.lost == lost
    (logs / name).write_bytes(packed)
    look(truncated)
    assert read(truncated) == LINES, "in any case"
    assert truncated.lost == lost


@pytest.fixture
def two(registry, logs):
    """One input for the log, and one for what it is rotated to."""
    options = Options(framer=Lines(), host_id="h")
    with (
        closing(Harvest(Discovery([f"{logs}/app.log"]), registry, options)) as log,
        closing(Harvest(Discovery([f"{logs}/app.log.*"]), registry, options)) as rotated,
    ):
        yield log, rotated


def look_at(inputs):
    again = True
    while again:
        for harvest in inputs:
            harvest.scan()
            while harvest.work():
                pass
        for harvest in inputs:
            harvest.close_idle(0.0)
        again = True in {harvest.check() for harvest in inputs}


def read_and_acknowledged(inputs, registry):
    found = [line for harvest in inputs for line in read(harvest)]
    for harvest in inputs:
        for harvester in harvest.held():
            harvester.acknowledged = harvester.reader.position
            harvester.checkpoint()
            registry.commit([harvester.entry])
    return found


def test_the_copy_of_what_one_input_reads_is_read_on_by_the_other(two, logs, registry):
    (logs / "app.log").write_text(TEXT)
    look_at(two)
    assert read_and_acknowledged(two, registry) == LINES
    for turn in range(3):
        with (logs / "app.log").open("a") as log:
            log.write(f"more {turn}\n")
        shutil.copyfile(logs / "app.log", logs / f"app.log.{turn}")
        if turn:
            look_at(two)
        (logs / "app.log").write_text(f"new {turn}\n")
        look_at(two)
        assert sorted(read_and_acknowledged(two, registry)) == [f"more {turn}", f"new {turn}"]
    assert [harvest.lost for harvest in two] == [0, 0]


@pytest.mark.parametrize("unread", ["", "more\n"])
def test_the_archive_of_what_one_input_reads_is_not_read_again_by_the_other(two, logs, registry, unread):
    (logs / "app.log").write_text(TEXT)
    look_at(two)
    assert read_and_acknowledged(two, registry) == LINES
    with (logs / "app.log").open("a") as log:
        log.write(unread)
    (logs / "app.log.1.gz").write_bytes(gzip.compress((logs / "app.log").read_bytes()))
    (logs / "app.log").unlink()
    (logs / "app.log").write_text("new\n")
    look_at(two)
    assert sorted(read_and_acknowledged(two, registry)) == [*unread.splitlines(), "new"]
    for harvester in two[0].held():
        harvester.quiet_since -= 1e6
    look_at(two)
    look_at(two)
    assert read_and_acknowledged(two, registry) == []
