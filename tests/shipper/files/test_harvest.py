"""What was acknowledged is not read again, and what was not is, with the same ids."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest
from harvesting import acknowledge, lines, numbered, restarted

from shipper.errors import StateError


def test_after_a_restart_reading_goes_on_at_the_acknowledged_offset(harvest, registry, logs):
    (logs / "a.log").write_text("one\ntwo\n")
    harvest.scan()
    assert list(lines(harvest).values()) == [["one", "two"]]
    acknowledge(harvest, registry)
    with (logs / "a.log").open("a") as log:
        log.write("three\n")
    assert list(lines(restarted(harvest, registry, logs)).values()) == [["three"]]


def test_what_was_read_and_not_acknowledged_is_read_again_with_the_same_ids(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    first = lines(harvest)
    assert lines(restarted(harvest, registry, logs)) == first


def test_files_with_the_same_beginning_have_ids_of_their_own(harvest, logs):
    banner = "".join(f"banner {n:04}\n" for n in range(200))
    for name in ("a.log", "b.log"):
        (logs / name).write_text(banner + name + "\n")
    harvest.scan()
    found = lines(harvest)
    assert len(found) == 2
    assert sorted(each[-1] for each in found.values()) == ["a.log", "b.log"]


def test_a_file_whose_device_has_another_number_after_a_restart_is_the_same(harvest, registry, logs):
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
    with closing(restarted(harvest, registry, logs)) as again:
        assert list(lines(again).values()) == [["more"]]


def test_a_cut_that_was_made_durable_is_made_again_after_a_crash(harvest, registry, logs):
    (logs / "a.log").write_text("one\ntwo without end")
    harvest.scan()
    [harvester] = harvest.harvesters
    assert harvester.read().data == b"one\n"
    assert harvester.flush(registry, lines=True) is None
    block = harvester.flush(registry, lines=False)
    with (logs / "a.log").open("a") as log:
        log.write(" and its end\n")
    [again] = restarted(harvest, registry, logs).harvesters
    events = []
    while (read := again.read()) is not None:
        events += [read.data[begin:end] for begin, end in zip([0, *read.cuts], read.cuts, strict=False)]
    assert events == [b"one\n", block.data, b" and its end\n"]


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


def test_content_that_changes_before_anything_is_acknowledged_is_noticed(harvest, logs):
    (logs / "a.log").write_text("one\n" * 100)
    harvest.scan()
    lines(harvest)
    (logs / "a.log").write_text("two\n" * 200)
    assert harvest.check()
    harvest.scan()
    assert list(lines(harvest).values()) == [["two"] * 200]


def test_a_checkpoint_never_binds_an_offset_to_other_content(harvest, registry, logs):
    (logs / "a.log").write_text("one\n" * 100)
    harvest.scan()
    lines(harvest)
    [harvester] = harvest.harvesters
    (logs / "a.log").write_text("two\n" * 200)
    harvester.acknowledged = 400
    assert harvester.checkpoint()
    registry.commit([harvester.entry])
    assert list(lines(restarted(harvest, registry, logs)).values()) == [["two"] * 200]


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
