"""An event that a rotation has split, when a run ends before it is acknowledged: the same one, with the same id."""

from __future__ import annotations

import os
import time

import pytest
from splitting import FIRST, JOINED, ONE, REST, Run, copytruncate, joined_and_killed, once_each, pack, rename, shift

from shipper.files import joining


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
