"""An event that a rotation has split is one event, with one id, exactly once."""

from __future__ import annotations

import gzip
import os
import shutil
import time

import pytest

from parser.multiline import Starts
from shipper.delivery.encoder import Encoder
from shipper.delivery.ledger import Ledger
from shipper.files import joining
from shipper.files.discovery import Discovery
from shipper.files.harvest import Harvest
from shipper.files.options import Options
from shipper.state.registry import Registry

FIRST = "1 first\n2 begins\n\tat a\n"
REST = "\tat b\n\tat c\n"
NEXT = "3 next\n4 last\n"


class Run:
    """One run of an agent's reading part; what it read is acknowledged where the test says so."""

    def __init__(self, folder, pattern="*"):
        self.folder = folder
        self.registry = Registry(folder / "state.db", "test")
        self.harvest = Harvest(
            Discovery([f"{folder}/logs/{pattern}"]), self.registry, Options(framer=Starts(rb"\d"), host_id="h")
        )
        self.events = {}
        self.ledger = Ledger()
        self.blocks = []

    def read(self, *, waited=False, once=False):
        """As the agent does: in each round a block of each file, what a look has left, then the ends that are known."""
        self.harvest.check()
        self.harvest.scan(partial=once)
        more = True
        while more:
            more = False
            for harvester in self.harvest.reading():
                if (block := harvester.read()) is not None:
                    self._take(harvester, block)
                    more = True
            more |= self.harvest.work()
            for harvester in list(self.harvest.harvesters):
                block = None
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
        segments = [self.ledger.add(harvester.entry.file, block.end)]
        if block.borrowed and harvester.joined:
            segments.append(self.ledger.add(harvester.joined.next, harvester.joined.until))
        self.blocks.append((os.path.basename(harvester.path), segments))

    def acknowledge(self, *names):
        """All that was read, or what was read of the files with these names."""
        for name, segments in self.blocks:
            if not names or name in names:
                self.ledger.settle(segments)
        self.blocks = [each for each in self.blocks if names and each[0] not in names]
        for file, offset in self.ledger.acknowledged().items():
            if (harvester := self.harvest.harvester(file)) is not None and offset > harvester.acknowledged:
                harvester.acknowledged = offset
                harvester.checkpoint()
        self.registry.commit(self.registry.entries())
        return self

    def unacknowledged(self):
        return {h.path: h.size() - h.acknowledged for h in self.harvest.held() if h.size() > h.acknowledged}

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


JOINED = "2 begins\n\tat a\n\tat b\n\tat c\n"


def shift(logs, count):
    """One rotation: ``app.log`` is ``app.log.1`` now, and so on."""
    for number in range(count, 0, -1):
        (logs / f"app.log.{number}").rename(logs / f"app.log.{number + 1}")
    (logs / "app.log").rename(logs / "app.log.1")


def pack(path, *, hidden=None):
    """As ``gzip`` does, which keeps the time; ``hidden``: where the archive comes to lie first."""
    status = path.stat()
    archive = hidden or path.with_name(f"{path.name}.gz")
    archive.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.unlink()


def joined_and_killed(tmp_path, logs, rotate=rename):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read()
    rotate(logs)
    run.read().registry.commit(run.registry.entries())
    events = run.stop()
    assert JOINED in events
    return events


def once_each(*runs):
    """The texts that came out; each with one id, in whichever run."""
    found = {}
    for events in runs:
        for text, actions in events.items():
            found.setdefault(text, set()).update(actions)
    assert all(len(ids) == 1 for ids in found.values())
    return set(found)


def test_what_waits_for_its_end_since_before_a_restart_is_given_no_other_end(tmp_path, logs):
    first = joined_and_killed(tmp_path, logs)
    shift(logs, 1)
    (logs / "app.log").write_text("\tat d\n5 five\n")
    shift(logs, 2)  # and the new log is not there yet
    second = Run(tmp_path).read().read(waited=True).stop()
    assert second[JOINED] == first[JOINED]
    assert once_each(first, second) == {"1 first\n", JOINED, "3 next\n", "4 last\n", "\tat d\n", "5 five\n"}


def test_nothing_behind_a_joint_is_acknowledged_before_it(tmp_path, logs):
    first = joined_and_killed(tmp_path, logs)
    (logs / "app.log.1").rename(logs / "later")
    (logs / "app.log").rename(logs / "earlier.1")  # and read first, whatever the order of names
    (logs / "later").rename(logs / "later.1")
    run = Run(tmp_path).read().read(waited=True)
    run.acknowledge("earlier.1")
    offsets = {os.path.basename(entry.path): entry.offset for entry in run.registry.entries()}
    assert offsets["earlier.1"] == 0
    assert run.acknowledge().unacknowledged() == {}
    assert once_each(first, run.stop()) == ONE


@pytest.mark.parametrize("packed", ["old", "new", "both"])
@pytest.mark.parametrize("late", [False, True])
def test_after_a_crash_a_half_that_is_packed_or_late_is_waited_for(tmp_path, logs, packed, late):
    first = joined_and_killed(tmp_path, logs)
    hidden = []
    if packed != "old":
        shift(logs, 1)
        (logs / "app.log").write_text("5 five\n")
    names = {"old": ["app.log.1"], "new": ["app.log.1"], "both": ["app.log.1", "app.log.2"]}[packed]
    for name in names:
        hidden.append((tmp_path / name, logs / f"{name}.gz"))
        pack(logs / name, hidden=hidden[-1][0])
    if not late:
        for here, there in hidden:
            here.rename(there)
    run = Run(tmp_path).read().read(waited=True)
    if late:
        for here, there in hidden:
            here.rename(there)
            run.read(waited=True)
    second = run.acknowledge().stop()
    assert second[JOINED] == first[JOINED]
    assert once_each(first, second) - {"5 five\n"} == ONE
    assert Run(tmp_path).read(waited=True).stop() == {}


def test_a_joint_that_is_acknowledged_before_what_stands_before_it_keeps_its_id(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read()
    rename(logs)
    run.read()
    first, *run.blocks = run.blocks  # the first event is not acknowledged
    run.acknowledge()
    sent = run.stop()
    shift(logs, 1)
    pack(logs / "app.log.1", hidden=tmp_path / "hidden")
    run = Run(tmp_path).read().read(waited=True)
    (tmp_path / "hidden").rename(logs / "app.log.1.gz")
    again = run.read(waited=True).stop()
    assert set(again) == {"1 first\n", JOINED, "4 last\n"}
    assert once_each(sent, again) == ONE
    assert first[0] == "app.log"


@pytest.mark.parametrize("once", [False, True])
def test_a_half_that_never_comes_is_not_waited_for_for_ever(tmp_path, logs, once, monkeypatch):
    joined_and_killed(tmp_path, logs)
    (logs / "app.log.1").unlink()
    run = Run(tmp_path).read(waited=True, once=once)
    if not once:
        assert run.events == {}
        monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + joining.WAIT)
        run.read(waited=True)
    assert set(run.stop()) == {REST, "3 next\n", "4 last\n"}


def test_where_an_archive_may_have_come_between_nothing_is_joined(tmp_path, logs):
    (logs / "app.log").write_text("1 first\n2 second\n")
    run = Run(tmp_path).read().acknowledge()
    (logs / "app.log").rename(logs / "app.log.2")
    (logs / "app.log.1").write_text(FIRST.replace("1 f", "3 f").replace("2 b", "4 b"))
    pack(logs / "app.log.1")
    (logs / "app.log").write_text(REST + "5 five\n")
    events = run.read().read(waited=True).stop()
    assert set(events) == {"1 first\n", "2 second\n", "3 first\n", "4 begins\n\tat a\n", REST, "5 five\n"}


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_joint_that_lies_behind_the_end_of_its_file_holds_nobody_back(tmp_path, logs, suffix):
    """A shorter file that begins the same was taken for it, as nothing of it was acknowledged."""
    banner = "== Spring ==\n\n"
    (logs / "app.log").write_text(banner)
    run = Run(tmp_path).read()
    with (logs / "app.log").open("a") as log:
        log.write("1 one\n2 two\n")
    (logs / "app.log").rename(logs / "app.1.log")
    (logs / "app.log").write_text(banner + "3 three\n")
    run.read().read(waited=True).stop()
    assert "2 two\n" + banner in run.events
    if suffix:
        pack(logs / "app.1.log")
    (logs / "app.log").rename(logs / "app.2.log")
    (logs / "app.3.log").write_text(banner + "4 four\n")
    (logs / "app.log").write_text(banner + "5 five\n")
    run = Run(tmp_path).read().read(waited=True)
    assert not [each for each in run.harvest.harvesters if each.predecessor]
    text = "".join(run.stop())
    assert all(each in text for each in ("1 one", "2 two", "3 three", "4 four", "5 five"))


def test_what_came_behind_an_archive_is_known_though_it_is_older(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    Run(tmp_path).read().stop()
    (logs / "app.log").rename(logs / "app.1.log")
    (logs / "app.log").write_text("4 four\n5 five\n")
    pack(logs / "app.1.log")
    run = Run(tmp_path).read()
    (logs / "app.log").rename(logs / "app.2.log")
    (logs / "app.log").write_text(REST + "6 six\n")
    pack(logs / "app.2.log")
    events = run.read().read(waited=True).stop()
    assert "2 begins\n\tat a\n" in events
    assert "2 begins\n\tat a\n" + REST not in events


def test_a_log_that_is_packed_at_once_is_joined_nevertheless(tmp_path, logs):
    (logs / "app.log").write_text("0 zero\n")
    pack(logs / "app.log")
    (logs / "app.log.gz").rename(logs / "app.log.9.gz")
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    (logs / "app.log").rename(logs / "app.log.1")
    pack(logs / "app.log.1")
    (logs / "app.log").write_text(REST + NEXT)
    events = run.read().read(waited=True).stop()
    assert once_each(events) - {"0 zero\n"} == ONE


@pytest.mark.parametrize("copied", [False, True])
def test_files_of_other_folders_are_not_what_came_between(tmp_path, logs, copied):
    for name in ("one", "two"):
        (logs / name).mkdir()
    one, two = logs / "one", logs / "two"
    (one / "app.log").write_text(FIRST)
    if copied:
        (two / "app.log").write_text("6 six\n\tat f\n7 seven\n\tat g\n")
    run = Run(tmp_path, "*/*").read().acknowledge()
    (one / "app.log").rename(one / "app.log.1")
    time.sleep(0.02)
    if copied:
        shutil.copyfile(two / "app.log", two / "app.log.1")
        (two / "app.log").write_text("")
    else:
        (two / "app-7.log").write_text("\tat f\n7 seven\n\tat g\n")
    time.sleep(0.02)
    (one / "app.log").write_text(REST + NEXT)
    events = run.read().read(waited=True).acknowledge().stop()
    other = {"6 six\n\tat f\n", "7 seven\n\tat g\n"} if copied else {"\tat f\n", "7 seven\n\tat g\n"}
    assert once_each(events) == ONE | other


def test_other_logs_of_a_folder_whose_names_have_numbers_are_not_what_came_between(tmp_path, logs):
    logs_of = [(logs / f"worker-{number}.log") for number in (1, 2)]
    for number, log in enumerate(logs_of):
        log.write_text(f"{number} begins\n\tat a\n")
        time.sleep(0.02)
    run = Run(tmp_path).read()
    for number, log in enumerate(logs_of):
        log.rename(f"{log}.1")
        log.write_text(f"\tat b\n{number} ends\n")
        time.sleep(0.02)
    events = run.read().read(waited=True).stop()
    assert set(events) == {text for n in "01" for text in (f"{n} begins\n\tat a\n\tat b\n", f"{n} ends\n")}
