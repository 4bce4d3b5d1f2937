"""An event that a rotation has split is one event, with one id, exactly once."""

from __future__ import annotations

import shutil
import time

import pytest

from parser.multiline import Starts
from shipper.delivery.encoder import Encoder
from shipper.files.discovery import Discovery
from shipper.files.harvest import Harvest
from shipper.files.options import Options
from shipper.state.registry import Registry

FIRST = "1 first\n2 begins\n\tat a\n"
REST = "\tat b\n\tat c\n"
NEXT = "3 next\n4 last\n"


class Run:
    """One run of an agent's reading part; what it read is acknowledged where the test says so."""

    def __init__(self, folder):
        self.folder = folder
        self.registry = Registry(folder / "state.db", "test")
        self.harvest = Harvest(
            Discovery([f"{folder}/logs/*"]), self.registry, Options(framer=Starts(rb"\d"), host_id="h")
        )
        self.events = {}
        self.spans = []

    def read(self, *, waited=False):
        self.harvest.check()
        self.harvest.scan()
        more = True
        while more:
            more = False
            for harvester in self.harvest.reading():
                while (block := harvester.read()) is not None:
                    self._take(harvester, block)
                    more = True
                if harvester.successor is not None:
                    block = self.harvest.end_of(harvester, waited=waited)
                    more |= harvester.successor is None
                elif harvester.reader.pending and waited and harvester.at_end():
                    block = harvester.flush(self.registry, lines=not harvester.final)
                if block is not None:
                    self._take(harvester, block)
                    more = True
        return self

    def _take(self, harvester, block):
        encoded = Encoder(None, {}).encode(block, harvester.path, harvester.seed)
        begin = 0
        lines = encoded.body.splitlines()[::2]
        for end, action in zip(block.cuts, lines, strict=True):
            self.events.setdefault(block.data[begin:end].decode(), []).append(action)
            begin = end
        self.spans.append((harvester, block.end, harvester.joined if block.borrowed else None))

    def acknowledge(self):
        for harvester, end, joined in self.spans:
            harvester.acknowledged = max(end, harvester.acknowledged)
            if joined:
                following = self.harvest.harvester(joined.next)
                following.acknowledged = max(following.acknowledged, joined.until)
        entries = []
        for harvester in self.harvest.held():
            harvester.checkpoint()
            entries.append(harvester.entry)
        self.registry.commit(entries)
        self.spans.clear()
        return self

    def stop(self):
        self.harvest.close()
        self.registry.close()
        return self.events


def rename(logs):
    (logs / "app.log").rename(logs / "app.log.1")
    (logs / "app.log").write_text(REST + NEXT)


def copytruncate(logs):
    shutil.copyfile(logs / "app.log", logs / "app.log.1")
    (logs / "app.log").write_text(REST + NEXT)


ONE = {"1 first\n", "2 begins\n\tat a\n\tat b\n\tat c\n", "3 next\n", "4 last\n"}


@pytest.mark.parametrize("rotate", [rename, copytruncate])
def test_it_is_one_event_while_running(tmp_path, logs, rotate):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    rotate(logs)
    events = run.read().acknowledge().read(waited=True).acknowledge().stop()
    assert set(events) == ONE
    assert all(len(ids) == 1 for ids in events.values())


@pytest.mark.parametrize("rotate", [rename, copytruncate])
def test_it_is_one_event_when_the_rotation_came_while_stopped(tmp_path, logs, rotate):
    (logs / "app.log").write_text(FIRST)
    before = Run(tmp_path).read().acknowledge().stop()
    rotate(logs)
    after = Run(tmp_path).read().acknowledge().read(waited=True).stop()
    assert set(before) | set(after) == ONE
    assert not set(before) & set(after)


@pytest.mark.parametrize("rotate", [rename, copytruncate])
@pytest.mark.parametrize("acknowledged", [False, True])
def test_after_a_crash_it_is_the_same_event_with_the_same_id(tmp_path, logs, rotate, acknowledged):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    rotate(logs)
    run.read()
    if acknowledged:
        run.acknowledge()
    first = run.stop()  # as a crash: what was not committed is not there
    second = Run(tmp_path).read(waited=True).acknowledge().stop()
    assert set(first) | set(second) == ONE
    joined = "2 begins\n\tat a\n\tat b\n\tat c\n"
    assert joined in first
    if acknowledged:
        assert joined not in second
        assert "3 next\n" not in second
    else:
        assert second[joined] == first[joined]
        assert second["3 next\n"] == first["3 next\n"]
    assert Run(tmp_path).read(waited=True).stop() == {}


def test_only_one_of_its_spans_acknowledged_is_not_the_end_of_it(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    rename(logs)
    run.read()
    for harvester in run.harvest.held():  # the new file is acknowledged, the old one is not
        if harvester.path.endswith("app.log"):
            harvester.acknowledged = harvester.reader.position
            harvester.checkpoint()
            run.registry.commit([harvester.entry])
    first = run.stop()
    second = Run(tmp_path).read(waited=True).acknowledge().stop()
    joined = "2 begins\n\tat a\n\tat b\n\tat c\n"
    assert second[joined] == first[joined]
    assert set(first) | set(second) == ONE
    assert REST not in second


def test_a_new_file_that_begins_with_an_event_ends_the_one_before(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    (logs / "app.log").rename(logs / "app.log.1")
    (logs / "app.log").write_text(NEXT)
    assert set(run.read().read(waited=True).stop()) == {"1 first\n", "2 begins\n\tat a\n", "3 next\n", "4 last\n"}


def test_what_has_been_sent_already_is_not_joined(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read(waited=True).acknowledge()
    rename(logs)
    events = run.read().read(waited=True).stop()
    assert set(events) == {"1 first\n", "2 begins\n\tat a\n", REST, "3 next\n", "4 last\n"}


BETWEEN = "\tat b\n3 middle\n\tat m\n"
LAST = "\tat n\n4 last\n"


def rename_twice(logs):
    (logs / "app.log").rename(logs / "app.log.2")
    (logs / "app.log.1").write_text(BETWEEN)
    (logs / "app.log").write_text(LAST)


def copytruncate_twice(logs):
    shutil.copyfile(logs / "app.log", logs / "app.log.2")
    (logs / "app.log").write_text(BETWEEN)
    time.sleep(0.02)  # births have the clock's ticks
    shutil.copyfile(logs / "app.log", logs / "app.log.1")
    (logs / "app.log").write_text(LAST)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("rotate", [rename_twice, copytruncate_twice])
def test_where_files_came_between_the_order_of_their_births_is_theirs(tmp_path, logs, rotate, before):
    if before:
        (logs / "app.log.1").write_text("0 before\n")
        time.sleep(0.02)
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    if before:
        (logs / "app.log.1").rename(logs / "app.log.3")
    rotate(logs)
    events = run.read().read(waited=True).stop()
    assert set(events) - {"0 before\n"} == {
        "1 first\n",
        "2 begins\n\tat a\n\tat b\n",
        "3 middle\n\tat m\n\tat n\n",
        "4 last\n",
    }


def test_no_file_waits_for_ever_for_one_that_another_follows(tmp_path, logs):
    log = logs / "app.log"
    (logs / "app.log.1").write_text("0 before\n")
    time.sleep(0.02)
    log.write_text("1 first\n")
    run = Run(tmp_path).read()
    (logs / "app.log.1").rename(logs / "app.log.3")
    for name, line in (("app.log.2", "2 second\n"), ("app.log.1", "3 third\n")):
        time.sleep(0.02)
        shutil.copyfile(log, logs / name)
        log.write_text(line)
    events = run.read().read(waited=True).read(waited=True).stop()
    assert set(events) == {"0 before\n", "1 first\n", "2 second\n", "3 third\n"}


def test_another_file_that_comes_is_no_successor(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    (logs / "other.log").write_text(REST + NEXT)
    events = run.read().read(waited=True).stop()
    assert set(events) == {"1 first\n", "2 begins\n\tat a\n", REST, "3 next\n", "4 last\n"}


def test_a_new_file_of_continuation_lines_only_is_waited_for(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    (logs / "app.log").rename(logs / "app.log.1")
    (logs / "app.log").write_text("\tat b\n")
    assert set(run.read().events) == {"1 first\n"}
    with (logs / "app.log").open("a") as log:
        log.write("\tat c\n" + NEXT)
    assert set(run.read().read(waited=True).stop()) == ONE
