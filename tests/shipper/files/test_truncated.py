"""Logs that are truncated, copied before or not: a copy is read where the log was, and what is lost is told, but only that."""

from __future__ import annotations

import gzip
import os
import shutil
from contextlib import closing

import pytest
from harvesting import acknowledge, lines, numbered, open_harvest, read, restarted, settle, unpacked

from shipper.files.closing import LOOKS
from shipper.files.matching import Matching

LINES = [f"line {number:04}" for number in range(200)]
TEXT = "".join(f"{line}\n" for line in LINES)


@pytest.mark.parametrize("content", ["new\n", "other first line\nand more than before\n"])
def test_a_truncated_file_is_a_new_generation(harvest, registry, logs, content):
    (logs / "a.log").write_text("one\ntwo\n")
    harvest.scan()
    [seed] = lines(harvest)
    acknowledge(harvest, registry)
    (logs / "a.log").write_text(content)  # the same inode
    assert harvest.check()
    harvest.scan()
    again = lines(harvest)
    assert list(again.values()) == [content.splitlines()]
    assert seed not in again
    while harvest.check():
        harvest.scan()
    harvest.close_idle()
    assert len(harvest.harvesters) == 1
    assert [entry.inode > 0 for entry in registry.entries()] == [False, True], "it has no place any more"


def test_a_file_that_was_truncated_while_stopped_is_read_from_its_beginning(harvest, registry, logs):
    (logs / "a.log").write_text("one\ntwo\n")
    harvest.scan()
    [seed] = lines(harvest)
    acknowledge(harvest, registry)
    (logs / "a.log").write_text("one\nxxx\nmore\n")
    again = lines(restarted(harvest, registry, logs))
    assert list(again.values()) == [["one", "xxx", "more"]]
    assert seed not in again


def test_what_was_truncated_before_its_first_checkpoint_goes_on_in_its_copy(harvest, registry, logs):
    """It may have been delivered: the copy has to have the same ids."""
    (logs / "a.log").write_text(numbered(50))
    harvest.scan()
    before = lines(harvest)
    harvest.close()
    (logs / "a.log.1").write_text(numbered(50))
    os.truncate(logs / "a.log", 0)
    with closing(restarted(harvest, registry, logs)) as again:
        assert lines(again) == before


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_is_written_anew_while_copies_are_looked_at_does_not_hide_whose_copy_it_is(
    pack, harvest, registry, logs, monkeypatch
):
    """The log was empty when the look began, and is as long as it was when the copy's turn comes."""
    log, copy = logs / "a.log", logs / f"a.log.1{'' if pack is bytes else '.gz'}"
    log.write_text(numbered(50))
    harvest.scan()
    before = lines(harvest)
    acknowledge(harvest, registry)
    harvest.close()
    copy.write_bytes(pack((numbered(50) + "unread\n").encode()))
    os.truncate(log, 0)
    elsewhere = Matching.elsewhere

    def meanwhile(matching, candidate, **options):
        if candidate.file.path == str(copy):
            log.write_text("".join(f"other {n}\n" for n in range(50)))
        return elsewhere(matching, candidate, **options)

    monkeypatch.setattr(Matching, "elsewhere", meanwhile)
    with closing(restarted(harvest, registry, logs)) as again:
        assert unpacked(again) == {seed: ["unread"] for seed in before}
        again.scan()
        assert sorted(read(again)) == sorted(log.read_text().splitlines())


def test_a_copy_that_comes_after_the_truncation_and_has_less_than_was_read_is_not_read(harvest, registry, logs):
    (logs / "a.log").write_text(numbered(500))
    harvest.scan()
    lines(harvest)
    with (logs / "a.log").open("a") as log:
        log.write("late\n")
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "a.log.1").write_text(numbered(500))
    (logs / "a.log").write_text("new\n")
    assert harvest.check()
    harvest.scan()
    assert list(lines(harvest).values()) == [["new"]]
    while harvest.check():
        harvest.scan()
    harvest.close_idle()  # lets go of what was truncated
    harvest.scan()
    acknowledge(harvest, registry)
    assert [(entry.path, entry.inode > 0) for entry in registry.entries()] == [
        (str(logs / "a.log"), False),  # for the copy that has the rest
        (str(logs / "a.log"), True),
        (str(logs / "a.log.1"), True),
    ]
    (logs / "a.log.1").rename(logs / "a.log.2")
    assert harvest.scan() or lines(harvest) == {}
    with (logs / "a.log.2").open("a") as log:
        log.write("more\n")
    harvest.scan()
    assert list(lines(harvest).values()) == [["more"]]


@pytest.mark.parametrize(
    "other",
    [
        "".join(f"x {n}\n" for n in range(400)),
        "line 0\n" * 400,
        numbered(500)[:600] + "other\n" * 50,
        numbered(500)[:1500] + "x\n" * 99,
    ],
)
def test_what_only_begins_like_a_truncated_file_is_read(harvest, registry, logs, other):
    (logs / "a.log").write_text(numbered(500))
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "a.log.1").write_text(other)
    (logs / "a.log").write_text("new\n")
    assert harvest.check()
    harvest.scan()
    assert sorted(map(len, lines(harvest).values())) == sorted([1, len(other.splitlines())])


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
    with (
        closing(open_harvest(registry, f"{logs}/app.log")) as log,
        closing(open_harvest(registry, f"{logs}/app.log.*")) as rotated,
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
        settle(harvest, registry)
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


def test_an_archive_that_may_be_the_copy_is_waited_for_while_it_is_renamed(truncated, logs, caplog):
    packed = gzip.compress(TEXT.encode())
    (logs / "app.log.1.gz").write_bytes(packed[:100])
    look(truncated)
    (logs / "app.log.1.gz").rename(logs.parent / "away")
    for _ in range(LOOKS):
        truncated.scan()
    (logs.parent / "away").write_bytes(packed)
    (logs.parent / "away").rename(logs / "app.log.2.gz")
    assert unpacked(truncated) == {}
    truncated.scan()
    assert list(unpacked(truncated).values()) == [LINES]
    assert "lost" not in caplog.text


def test_what_was_truncated_takes_no_room_from_its_copy(registry, logs, caplog):
    with closing(open_harvest(registry, f"{logs}/*.log*", open_files=1)) as harvest:
        (logs / "app.log").write_text(TEXT)
        harvest.scan()
        shutil.copy(logs / "app.log", logs / "app.log.1")
        os.truncate(logs / "app.log", 0)
        look(harvest)
        assert read(harvest) == LINES
    assert "lost" not in caplog.text


def test_what_was_truncated_waits_for_a_copy_that_waits_for_room(registry, logs, caplog):
    with closing(open_harvest(registry, f"{logs}/*.log*", open_files=2)) as harvest:
        for name in ("app.log", "busy.log"):
            (logs / name).write_text(TEXT)
        harvest.scan()
        (logs / "other.log").write_text("other\n")
        os.utime(logs / "other.log", (10**9, 10**9))
        shutil.copy(logs / "app.log", logs / "app.log.1")
        os.truncate(logs / "app.log", 0)
        for _ in range(2 * LOOKS):
            look(harvest)
        assert "lost" not in caplog.text
        found = read(harvest)
        for _ in range(3):
            settle(harvest, registry)
            harvest.scan()
            found += read(harvest)
        assert sorted(found) == sorted([*LINES, *LINES, "other"])
