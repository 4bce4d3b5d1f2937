from __future__ import annotations

import os

import pytest

from parser.multiline import Lines
from shipper.files.discovery import Discovery
from shipper.files.harvest import GONE_AFTER, Harvest
from shipper.state.registry import Registry


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "state.db", "test")
    yield registry
    registry.close()


@pytest.fixture
def harvest(tmp_path, registry):
    (tmp_path / "logs").mkdir()
    with_files = Harvest(Discovery([f"{tmp_path}/logs/*.log*"]), registry, Lines(), host_id="h")
    yield with_files
    with_files.close()


@pytest.fixture
def logs(tmp_path, harvest):
    return tmp_path / "logs"


def lines(harvest):
    """Everything that can be read now, by the harvester's seed: ids come from it."""
    found = {}
    for harvester in harvest.harvesters:
        while (block := harvester.read()) is not None:
            found.setdefault(harvester.seed, []).extend(block.data.decode().splitlines())
    return found


def acknowledge(harvest, registry):
    for harvester in harvest.harvesters:
        harvester.acknowledged = harvester.reader.position
        assert harvester.checkpoint()
    registry.commit([harvester.entry for harvester in harvest.harvesters])


def restarted(harvest, registry, tmp_path):
    harvest.close()
    again = Harvest(Discovery([f"{tmp_path}/logs/*.log*"]), registry, Lines(), host_id="h")
    again.scan()
    return again


def test_after_a_restart_reading_goes_on_at_the_acknowledged_offset(harvest, registry, logs, tmp_path):
    (logs / "a.log").write_text("one\ntwo\n")
    harvest.scan()
    assert list(lines(harvest).values()) == [["one", "two"]]
    acknowledge(harvest, registry)
    with (logs / "a.log").open("a") as log:
        log.write("three\n")
    assert list(lines(restarted(harvest, registry, tmp_path)).values()) == [["three"]]


def test_what_was_read_and_not_acknowledged_is_read_again_with_the_same_ids(harvest, registry, logs, tmp_path):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    first = lines(harvest)
    assert lines(restarted(harvest, registry, tmp_path)) == first


def test_a_renamed_file_is_read_on_and_the_new_one_from_its_beginning(harvest, registry, logs):
    (logs / "a.log").write_text("same\none\n")
    harvest.scan()
    before = lines(harvest)
    acknowledge(harvest, registry)
    with (logs / "a.log").open("a") as old:
        (logs / "a.log").rename(logs / "a.log.1")
        old.write("late\n")
    (logs / "a.log").write_text("same\ntwo\n")
    harvest.scan()
    after = lines(harvest)
    assert sorted(after.values()) == [["late"], ["same", "two"]]
    [seed] = before
    assert after[seed] == ["late"]


def test_a_rotation_while_stopped_is_recognised(harvest, registry, logs, tmp_path):
    (logs / "a.log").write_text("same\none\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "a.log").rename(logs / "a.log.1")
    (logs / "a.log").write_text("same\ntwo\n")
    assert list(lines(restarted(harvest, registry, tmp_path)).values()) == [["same", "two"]]


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
    harvest.close_idle()
    assert len(harvest.harvesters) == len(registry.entries()) == 1


def test_a_file_that_was_truncated_while_stopped_is_read_from_its_beginning(harvest, registry, logs, tmp_path):
    (logs / "a.log").write_text("one\ntwo\n")
    harvest.scan()
    [seed] = lines(harvest)
    acknowledge(harvest, registry)
    (logs / "a.log").write_text("one\nxxx\nmore\n")
    again = lines(restarted(harvest, registry, tmp_path))
    assert list(again.values()) == [["one", "xxx", "more"]]
    assert seed not in again


def test_files_with_the_same_beginning_have_ids_of_their_own(harvest, logs):
    banner = "".join(f"banner {n:04}\n" for n in range(200))
    for name in ("a.log", "b.log"):
        (logs / name).write_text(banner + name + "\n")
    harvest.scan()
    found = lines(harvest)
    assert len(found) == 2
    assert sorted(each[-1] for each in found.values()) == ["a.log", "b.log"]


def test_a_file_that_is_gone_is_read_to_its_end_then_closed_and_forgotten(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    with (logs / "a.log").open("a") as log:
        (logs / "a.log").unlink()
        harvest.scan()
        log.write("two\n")
        log.flush()
        assert list(lines(harvest).values()) == [["one", "two"]]
    harvest.close_idle()
    assert harvest.harvesters, "too early to take it for finished"
    harvest.harvesters[0].quiet_since -= GONE_AFTER + 1
    harvest.close_idle()
    assert harvest.harvesters, "events of it are on their way"
    acknowledge(harvest, registry)
    harvest.close_idle()
    assert harvest.harvesters == []
    assert registry.entries() == []


def test_an_idle_file_is_closed_and_read_on_when_it_grows(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    harvest.harvesters[0].quiet_since -= 301
    harvest.close_idle()
    assert harvest.harvesters == []
    harvest.scan()
    assert harvest.harvesters == [], "nothing has changed"
    with (logs / "a.log").open("a") as log:
        log.write("two\n")
    harvest.scan()
    assert list(lines(harvest).values()) == [["two"]]


def test_a_first_line_that_is_not_complete_is_waited_for_unless_the_run_is_one_shot(harvest, logs):
    (logs / "a.log").write_text("half a li")
    harvest.scan()
    assert harvest.harvesters == []
    harvest.scan(partial=True)
    assert len(harvest.harvesters) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\x7fELF\0\0\n", "binary"), (b"\x1f\x8b\x08\n", "gzip"), ("x\n".encode("utf-16"), "UTF-16")],
)
def test_what_is_no_text_is_named_with_the_reason(harvest, logs, content, reason):
    (logs / "a.log").write_bytes(content)
    harvest.scan()
    assert reason in harvest.unreadable[f"{logs}/a.log"]
    assert harvest.harvesters == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named_and_read_once_it_is_granted(harvest, logs):
    (logs / "a.log").write_text("one\n")
    (logs / "a.log").chmod(0)
    harvest.scan()
    assert "permission denied" in harvest.unreadable[f"{logs}/a.log"]
    (logs / "a.log").chmod(0o600)
    harvest.scan()
    assert harvest.unreadable == {}
    assert list(lines(harvest).values()) == [["one"]]


def test_a_file_that_another_input_reads_is_left_to_it(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    other = Harvest(Discovery([f"{logs}/a.log"]), registry, Lines(), host_id="h")
    other.scan()
    assert "another input" in other.unreadable[f"{logs}/a.log"]


def test_a_cut_that_was_made_durable_is_made_again_after_a_crash(harvest, registry, logs, tmp_path):
    (logs / "a.log").write_text("one\ntwo without end")
    harvest.scan()
    [harvester] = harvest.harvesters
    assert harvester.read().data == b"one\n"
    assert harvester.flush(registry, lines=True) is None
    block = harvester.flush(registry, lines=False)
    with (logs / "a.log").open("a") as log:
        log.write(" and its end\n")
    [again] = restarted(harvest, registry, tmp_path).harvesters
    events = []
    while (read := again.read()) is not None:
        events += [read.data[begin:end] for begin, end in zip([0, *read.cuts], read.cuts, strict=False)]
    assert events == [b"one\n", block.data, b" and its end\n"]
