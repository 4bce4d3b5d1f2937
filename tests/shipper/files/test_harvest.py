from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

import pytest

from parser.multiline import Lines
from shipper.errors import StateError
from shipper.files.closing import GONE_AFTER
from shipper.files.discovery import Discovery
from shipper.files.forgetting import CERTAIN, DETACHED
from shipper.files.harvest import Harvest
from shipper.files.options import Options
from shipper.state.registry import Registry


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "state.db", "test")
    yield registry
    registry.close()


@pytest.fixture
def harvest(tmp_path, registry):
    (tmp_path / "logs").mkdir()
    with_files = Harvest(Discovery([f"{tmp_path}/logs/*.log*"]), registry, Options(framer=Lines(), host_id="h"))
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
    again = Harvest(Discovery([f"{tmp_path}/logs/*.log*"]), registry, Options(framer=Lines(), host_id="h"))
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
    while harvest.check():
        harvest.scan()
    harvest.close_idle()
    assert len(harvest.harvesters) == 1
    assert [entry.inode > 0 for entry in registry.entries()] == [False, True], "it has no place any more"


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


def test_a_file_that_is_gone_is_read_to_its_end_then_closed_and_some_day_forgotten(harvest, registry, logs):
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
    [entry] = registry.entries()
    assert (entry.offset, entry.inode) == (8, 0), "its archive may come"
    entry.seen -= int(DETACHED) + 1
    harvest._forgetting._next_clean = 0.0
    harvest.close_idle()
    assert registry.entries() == [entry], "the clock may have jumped"
    harvest._forgetting._next_clean = 0.0
    harvest.close_idle()
    assert registry.entries() == []


@pytest.mark.parametrize("how", ["renamed", "deleted", "deleted, another user's"])
def test_what_is_written_late_to_a_file_that_is_gone_is_read(harvest, registry, logs, monkeypatch, how):
    """A service that was not told of the rotation goes on writing, now and then."""
    log = (logs / "a.log").open("a")
    log.write("one\n")
    log.flush()
    harvest.scan()
    if how == "renamed":
        (logs / "a.log").rename(logs / "a.old")
    else:
        (logs / "a.log").unlink()
    for count in range(3):
        harvest.scan()
        lines(harvest)
        acknowledge(harvest, registry)
        quiet(harvest)
        harvest.close_idle()
        print(count, file=log, flush=True)
        assert [each for lines in lines(harvest).values() for each in lines] == [str(count)]
    acknowledge(harvest, registry)
    log.close()
    if how == "deleted, another user's":
        monkeypatch.setattr("fcntl.fcntl", mock.Mock(side_effect=PermissionError))
    quiet(harvest)
    harvest.close_idle()
    assert (harvest.harvesters == []) == (how == "deleted"), "only there it is known that nobody can write to it"
    for harvester in harvest.harvesters:
        harvester.quiet_since -= 300
    harvest.close_idle()
    assert harvest.harvesters == []


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
    [(b"\x7fELF\0\0\n", "binary"), ("x\n".encode("utf-16"), "UTF-16")],
)
def test_what_is_no_text_is_named_with_the_reason(harvest, logs, content, reason):
    (logs / "a.log").write_bytes(content)
    harvest.scan()
    assert reason in harvest.unreadable[f"{logs}/a.log"]
    assert harvest.harvesters == []


@pytest.fixture
def open_logs():
    """A folder that every user may enter; pytest's own are closed to the others."""
    with tempfile.TemporaryDirectory(prefix="logs-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextmanager
def unprivileged():
    """As a user who may not read everything: nobody, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_without_permission_is_named_and_read_once_it_is_granted(registry, open_logs):
    (open_logs / "a.log").write_text("one\n")
    (open_logs / "a.log").chmod(0)
    with closing(Harvest(Discovery([f"{open_logs}/*.log"]), registry, Options(framer=Lines(), host_id="h"))) as harvest:
        with unprivileged():
            harvest.scan()
        assert "permission denied" in harvest.unreadable[f"{open_logs}/a.log"]
        assert harvest.harvesters == []
        (open_logs / "a.log").chmod(0o600)
        harvest.scan()
        assert harvest.unreadable == {}
        assert list(lines(harvest).values()) == [["one"]]


def test_a_file_that_another_input_reads_is_left_to_it(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    other = Harvest(Discovery([f"{logs}/a.log"]), registry, Options(framer=Lines(), host_id="h"))
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


def test_a_file_that_one_look_missed_while_it_was_renamed_stays_the_same(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    [harvester] = harvest.harvesters
    lines(harvest)
    (logs / "a.log").rename(logs / "elsewhere")
    harvest.scan()
    assert harvester.final
    (logs / "elsewhere").rename(logs / "a.log.1")
    harvest.scan()
    assert (harvest.harvesters, harvest.unreadable, harvester.final) == ([harvester], {}, False)
    with (logs / "a.log.1").open("a") as log:
        log.write("two\n")
    assert list(lines(harvest).values()) == [["two"]]


@pytest.fixture
def full(registry, monkeypatch):
    """The registry while its disk is full; call it to make room."""

    def refuse(*_, **__):
        raise StateError("the disk is full")

    with monkeypatch.context() as patched:
        for name in ("register", "cut"):
            patched.setattr(registry, name, refuse)
        yield patched.undo


def test_a_file_waits_while_the_registry_cannot_take_it(harvest, logs, full):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    assert "disk is full" in harvest.unreadable[f"{logs}/a.log"]
    full()
    harvest.scan()
    assert harvest.unreadable == {}
    assert list(lines(harvest).values()) == [["one"]]


def test_an_end_that_cannot_be_made_durable_is_not_sent_yet(harvest, registry, logs, request):
    (logs / "a.log").write_text("one\nhalf")
    harvest.scan()
    [harvester] = harvest.harvesters
    lines(harvest)
    make_room = request.getfixturevalue("full")
    assert harvester.flush(registry, lines=False) is None
    assert "disk is full" in harvester.trouble
    assert (harvester.read(), harvester.trouble == "") == (None, False), "it is not read to its end yet"
    make_room()
    assert harvester.flush(registry, lines=False).data == b"half"
    assert harvester.trouble == ""


def test_a_file_is_not_closed_before_it_is_read_to_its_end(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    with (logs / "a.log").open("a") as log:
        log.write("two\n")
    (logs / "a.log").rename(logs / "gone")
    harvest.scan()
    harvest.harvesters[0].quiet_since -= 1000
    harvest.close_idle()
    assert list(lines(harvest).values()) == [["two"]]


def test_what_is_written_while_a_file_goes_to_sleep_wakes_it(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    harvest.harvesters[0].quiet_since -= 1000
    harvest.close_idle()
    with (logs / "a.log").open("a") as log:
        log.write("two\n")
    os.utime(logs / "a.log", (1, 1))  # whatever the clock says: the size tells
    harvest.scan()
    assert list(lines(harvest).values()) == [["two"]]


def test_content_that_changes_before_anything_is_acknowledged_is_noticed(harvest, logs):
    (logs / "a.log").write_text("one\n" * 100)
    harvest.scan()
    lines(harvest)
    (logs / "a.log").write_text("two\n" * 200)
    assert harvest.check()
    harvest.scan()
    assert list(lines(harvest).values()) == [["two"] * 200]


def test_a_checkpoint_never_binds_an_offset_to_other_content(harvest, registry, logs, tmp_path):
    (logs / "a.log").write_text("one\n" * 100)
    harvest.scan()
    lines(harvest)
    [harvester] = harvest.harvesters
    (logs / "a.log").write_text("two\n" * 200)
    harvester.acknowledged = 400
    assert harvester.checkpoint()
    registry.commit([harvester.entry])
    assert list(lines(restarted(harvest, registry, tmp_path)).values()) == [["two"] * 200]


def numbered(count):
    return "".join(f"line {n}\n" for n in range(count))


def test_a_file_that_was_replaced_by_its_copy_is_read_on(harvest, registry, logs, tmp_path):
    (logs / "a.log").write_text(numbered(500))
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "copy").write_text(numbered(501))
    (logs / "copy").rename(logs / "a.log")
    assert list(lines(restarted(harvest, registry, tmp_path)).values()) == [["line 500"]]


@pytest.mark.parametrize("content", ["same\n" * 500, "short\n"])
def test_content_that_might_be_chance_makes_no_copy(harvest, registry, logs, tmp_path, content):
    (logs / "a.log").write_text(content)
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "new").write_text(content + "more\n")
    (logs / "new").rename(logs / "a.log")
    assert list(lines(restarted(harvest, registry, tmp_path)).values()) == [(content + "more").split()]


def test_a_name_that_is_no_utf8_is_read_all_the_same(harvest, logs):
    with open(os.fsencode(logs) + b"/a\xff.log", "w") as log:
        log.write("one\n")
    harvest.scan()
    assert list(lines(harvest).values()) == [["one"]]
    assert harvest.harvesters[0].path == f"{logs}/a\N{REPLACEMENT CHARACTER}.log"


def unpacked(harvest):
    while harvest.work():
        pass
    return lines(harvest)


def test_an_archive_is_read_when_it_is_complete(harvest, logs):
    packed = gzip.compress(numbered(500).encode())
    for size in (3, 100, len(packed) - 1):
        (logs / "a.log.gz").write_bytes(packed[:size])
        harvest.scan()
        assert unpacked(harvest) == {}
        assert "not complete" in (harvest.scan() or harvest.unreadable)[f"{logs}/a.log.gz"]
    (logs / "a.log.gz").write_bytes(packed)
    harvest.scan()
    assert [len(each) for each in unpacked(harvest).values()] == [500]
    harvest.scan()
    assert harvest.unreadable == {}


def test_a_broken_archive_is_named_and_what_can_be_unpacked_is_read(harvest, registry, logs, caplog):
    packed = gzip.compress(numbered(500).encode())
    (logs / "a.log.gz").write_bytes(packed[: len(packed) // 2])
    os.utime(logs / "a.log.gz", (1, 1))
    harvest.scan()
    [found] = unpacked(harvest).values()
    assert found == numbered(500).splitlines()[: len(found)]
    assert len(found) > 100
    for _ in range(3):
        harvest.scan()
        assert "ends too soon" in harvest.unreadable[f"{logs}/a.log.gz"]
    assert caplog.text.count("ends too soon") == 1
    acknowledge(harvest, registry)
    (logs / "a.log.gz").write_bytes(packed)  # mended
    assert harvest.check()
    harvest.scan()
    [rest] = unpacked(harvest).values()
    assert found + rest == numbered(500).splitlines()


@pytest.mark.parametrize("once", [False, True])
def test_an_archive_that_is_being_renamed_is_named_only_where_no_other_look_is_to_come(harvest, logs, once):
    (logs / "a.log.1.gz").write_bytes(gzip.compress(numbered(500).encode()))
    harvest.scan(partial=once)
    (logs / "a.log.1.gz").rename(logs / "a.log.2.gz")
    assert unpacked(harvest) == {}
    assert list(harvest.unreadable) == [f"{logs}/a.log.1.gz"] * once
    harvest.scan()
    assert list(unpacked(harvest).values()) == [numbered(500).splitlines()]
    assert harvest.unreadable == {}


def test_an_archive_of_something_else_is_no_log(harvest, logs):
    (logs / "a.log.gz").write_bytes(gzip.compress(b"\x7fELF" + bytes(5000)))
    harvest.scan()
    assert unpacked(harvest) == {}
    assert "binary" in harvest.unreadable[f"{logs}/a.log.gz"]


def test_a_deleted_file_is_held_until_it_is_read(harvest, registry, logs):
    (logs / "a.log").write_text(numbered(50))
    harvest.scan()
    (logs / "a.log").unlink()
    harvest.scan()
    harvest.harvesters[0].quiet_since -= 10_000
    harvest.harvesters[0].removed_since -= 10_000
    harvest.close_idle()
    assert [len(each) for each in lines(harvest).values()] == [50]


def test_past_close_removed_a_deleted_file_is_closed_and_its_loss_reported(registry, logs, caplog):
    with closing(
        Harvest(Discovery([f"{logs}/*.log"]), registry, Options(framer=Lines(), host_id="h", close_removed=60.0))
    ) as harvest:
        (logs / "a.log").write_text(numbered(50))
        harvest.scan()
        (logs / "a.log").unlink()
        harvest.scan()
        harvest.close_idle()
        assert harvest.harvesters
        harvest.harvesters[0].removed_since -= 61
        harvest.close_idle()
        assert harvest.harvesters == []
        assert harvest.lost == len(numbered(50))
        assert f"its last {len(numbered(50))} bytes are lost" in caplog.text


def test_the_time_of_close_removed_is_one_in_which_nothing_can_be_read(registry, logs, caplog):
    options = Options(framer=Lines(), host_id="h", close_removed=60.0, open_files=2)
    with closing(Harvest(Discovery([f"{logs}/*.log"]), registry, options)) as harvest:
        (logs / "a.log").write_text(numbered(50))
        harvest.scan()
        (logs / "a.log").unlink()
        harvest.scan()
        [harvester] = harvest.harvesters
        harvester.removed_since -= 61
        harvest.close_idle(time.monotonic())
        assert harvest.harvesters, "what is shipped may be another file's: this one has its turn"
        harvester.troubled("cannot be read: Input/output error")
        harvester.quiet_since -= 61
        harvest.close_idle(time.monotonic())
        assert harvest.lost == len(numbered(50)), "it has its turns, and they are of no use"


def test_where_no_more_files_can_be_open_close_removed_is_counted_from_the_removal(registry, logs):
    options = Options(framer=Lines(), host_id="h", close_removed=60.0, open_files=2)
    with closing(Harvest(Discovery([f"{logs}/*.log"]), registry, options)) as harvest:
        for name in "ab":
            (logs / f"{name}.log").write_text(f"{name}\n")
        harvest.scan()
        (logs / "a.log").unlink()
        harvest.scan()
        [harvester] = [each for each in harvest.harvesters if each.final]
        harvester.removed_since -= 61
        harvest.close_idle(time.monotonic())
        assert len(harvest.harvesters) == 1
        assert harvest.lost == 2


def test_a_deleted_file_that_is_read_is_closed_past_close_removed_and_nothing_is_lost(registry, logs, caplog):
    options = Options(framer=Lines(), host_id="h", close_removed=60.0)
    with (
        closing(Harvest(Discovery([f"{logs}/*.log"]), registry, options)) as harvest,
        (logs / "a.log").open("a") as log,
    ):
        print("one", file=log, flush=True)
        harvest.scan()
        (logs / "a.log").unlink()
        harvest.scan()
        lines(harvest)
        [harvester] = harvest.harvesters
        harvester.removed_since -= 61
        harvest.close_idle(0.0)
        assert harvest.harvesters == [], "also where it is on its way"
        acknowledge(harvest, registry)
        assert not harvest.lost
        assert "lost" not in caplog.text


def test_a_folder_that_cannot_be_looked_at_is_no_proof_that_its_files_are_gone(registry, open_logs):
    folder = open_logs / "in"
    folder.mkdir()
    (folder / "a.log").write_text("one\n")
    with closing(
        Harvest(Discovery([f"{open_logs}/*/*.log"]), registry, Options(framer=Lines(), host_id="h"))
    ) as harvest:
        harvest.scan()
        assert list(lines(harvest).values()) == [["one"]]
        folder.chmod(0)
        with unprivileged():
            harvest.scan()
        assert not harvest.harvesters[0].final
        folder.chmod(0o700)


def test_many_files_are_registered_in_the_order_of_their_age(harvest, registry, logs):
    for name, age in (("a.log", 1), ("b.log.1", 3), ("c.log.2", 2)):
        (logs / name).write_text("same\n" + name)
        os.utime(logs / name, (1e9 - age, 1e9 - age))
    harvest.scan()
    assert [os.path.basename(entry.path) for entry in registry.entries()] == ["b.log.1", "c.log.2", "a.log"]
    assert [entry.salt for entry in registry.entries()] == [0, 1, 2]


def test_a_closed_file_that_is_not_acknowledged_yet_is_read_on_where_it_was_left(harvest, registry, logs, monkeypatch):
    monkeypatch.setattr("shipper.files.closing.MANY", 0)
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    lines(harvest)
    harvest.harvesters[0].quiet_since -= 60
    harvest.close_idle()
    assert harvest.harvesters == []
    with (logs / "a.log").open("a") as log:
        log.write("two\n")
    harvest.scan()
    assert list(lines(harvest).values()) == [["two"]]
    acknowledge(harvest, registry)
    assert [entry.offset for entry in registry.entries()] == [8]


def quiet(harvest):
    for harvester in harvest.harvesters:
        harvester.quiet_since -= GONE_AFTER + 1


def test_a_file_that_is_gone_is_remembered_for_its_archive_however_long_ago_it_was_seen(harvest, registry, logs):
    (logs / "a.log").write_text(numbered(500))
    harvest.scan()
    [seed] = lines(harvest)
    acknowledge(harvest, registry)
    registry.entries()[0].seen -= 2 * DETACHED  # that is noted every few hours only
    (logs / "a.log").unlink()
    harvest.scan()
    quiet(harvest)
    harvest._forgetting._next_clean = 0.0
    harvest.close_idle()
    (logs / "a.log.1.gz").write_bytes(gzip.compress((numbered(500) + "more\n").encode()))
    harvest.scan()
    assert unpacked(harvest) == {seed: ["more"]}


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
    assert [entry.path for entry in registry.entries()] == [str(logs / "a.log.1"), str(logs / "a.log")]
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


def test_a_file_whose_device_has_another_number_after_a_restart_is_the_same(harvest, registry, logs, tmp_path):
    (logs / "a.log").write_text("same\n" * 3)
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    [entry] = registry.entries()
    assert entry.born, "this file system keeps no births"
    registry.move(entry, entry.path, entry.device + 1, entry.inode, entry.born)
    registry.commit([entry])
    with (logs / "a.log").open("a") as log:
        log.write("more\n")
    with closing(restarted(harvest, registry, tmp_path)) as again:
        assert list(lines(again).values()) == [["more"]]


def test_empty_files_are_not_opened(harvest, logs, monkeypatch):
    for number in range(3):
        (logs / f"{number}.log").touch()
    opened = []
    monkeypatch.setattr(os, "open", lambda *arguments, real=os.open: opened.append(arguments) or real(*arguments))
    harvest.scan()
    assert not opened
    (logs / "1.log").write_text("one\n")
    assert harvest.check()
    harvest.scan()
    assert list(lines(harvest).values()) == [["one"]]


def test_what_is_not_seen_for_long_is_forgotten(harvest, registry, logs, tmp_path):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    harvest.close()
    (logs / "a.log").unlink()
    again = Harvest(
        Discovery([f"{logs}/*.log*"]), registry, Options(framer=Lines(), host_id="h", clean_inactive=3600.0)
    )
    again.scan()
    again.close_idle()
    assert len(registry.entries()) == 1
    registry.entries()[0].seen -= 3601
    for left in (1, 0):  # the clock may have jumped: two looks have to agree
        again._forgetting._next_clean = 0.0
        again.close_idle()
        assert len(registry.entries()) == left


@pytest.mark.parametrize(("seconds", "left"), [(DETACHED + 60, 1), (DETACHED + CERTAIN + 60, 0)])
def test_a_clock_that_jumps_at_a_restart_makes_nothing_forgotten(harvest, registry, seconds, left):
    entry = registry.register(key=b"k", path="gone", device=0, inode=0)
    entry.seen -= int(seconds)
    harvest.close_idle()  # the first look of a process, as every one-shot run's
    assert len(registry.entries()) == left


def test_what_was_truncated_before_its_first_checkpoint_goes_on_in_its_copy(harvest, registry, logs, tmp_path):
    """It may have been delivered: the copy has to have the same ids."""
    (logs / "a.log").write_text(numbered(50))
    harvest.scan()
    before = lines(harvest)
    harvest.close()
    (logs / "a.log.1").write_text(numbered(50))
    os.truncate(logs / "a.log", 0)
    with closing(restarted(harvest, registry, tmp_path)) as again:
        assert lines(again) == before


@pytest.mark.parametrize("read", ["before it is taken up", "after"])
def test_what_was_written_anew_since_it_was_recognised_is_another_file(harvest, registry, logs, monkeypatch, read):
    """Its ids are made of the first line that was seen."""
    (logs / "a.log").write_text(numbered(50))
    register = registry.register

    def replaced():
        shutil.copyfile(logs / "a.log", logs / "a.log.1")
        (logs / "a.log").write_text("other\n" * 3)

    def registered(**named):
        monkeypatch.undo()
        entry = register(**named)
        replaced()
        return entry

    if read == "after":
        harvest.scan()
        replaced()
    else:
        monkeypatch.setattr(registry, "register", registered)
        harvest.scan()
    found = lines(harvest)
    assert not found
    assert harvest.check()
    harvest.scan()
    assert sorted(lines(harvest).values()) == [numbered(50).splitlines(), ["other"] * 3]
    assert {entry.salt for entry in registry.entries()} == {0}


def test_a_file_with_room_at_its_end_is_read_as_it_is_filled(harvest, registry, logs, tmp_path, caplog):
    """Log4j's MemoryMappedFile: the file has its size before it has its text, and the beginning is of the text only."""
    log = logs / "a.log"
    log.write_text("one\n")
    os.truncate(log, 100_000)
    harvest.scan()
    [seed] = found = lines(harvest)
    acknowledge(harvest, registry)
    with log.open("r+b") as file:
        file.seek(4)
        file.write(b"two\n")
    assert not harvest.check()
    assert [found, lines(harvest)] == [{seed: ["one"]}, {seed: ["two"]}]
    acknowledge(harvest, registry)
    harvest.harvesters[0].quiet_since -= 1000
    harvest.close_idle()
    assert harvest.harvesters, "nothing but a look at its content would tell that it goes on"
    again = restarted(harvest, registry, tmp_path)
    with log.open("r+b") as file:
        file.seek(8)
        file.write(b"three\n")
    assert lines(again) == {seed: ["three"]}
    log.write_text("")
    assert again.check()
    again.scan(partial=True)  # the last look: no copy can come
    assert not again.lost
    assert "lost" not in caplog.text
    again.close()


def test_a_file_with_room_at_its_end_is_closed_when_it_has_left_its_place(harvest, registry, logs):
    log = logs / "a.log"
    log.write_text("one\n")
    os.truncate(log, 100_000)
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    log.unlink()
    harvest.scan()
    lines(harvest)
    quiet(harvest)
    harvest.close_idle()
    assert harvest.harvesters == []
    assert not harvest.lost


def test_a_file_that_is_nothing_but_room_waits_for_its_first_line(harvest, registry, logs):
    log = logs / "a.log"
    log.touch()
    for text, found in ((b"", []), (b"half of the fir", []), (b"half of the first line\n", ["half of the first line"])):
        with log.open("r+b") as file:
            file.write(text)
            file.truncate(100_000)
        harvest.scan()
        assert [each for some in lines(harvest).values() for each in some] == found
