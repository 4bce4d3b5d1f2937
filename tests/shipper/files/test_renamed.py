"""Files that are renamed or replaced: which of them go on where another was read to."""

from __future__ import annotations

import pytest
from harvesting import acknowledge, lines, numbered, restarted


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


def test_a_rotation_while_stopped_is_recognised(harvest, registry, logs):
    (logs / "a.log").write_text("same\none\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "a.log").rename(logs / "a.log.1")
    (logs / "a.log").write_text("same\ntwo\n")
    assert list(lines(restarted(harvest, registry, logs)).values()) == [["same", "two"]]


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


def test_a_file_that_was_replaced_by_its_copy_is_read_on(harvest, registry, logs):
    (logs / "a.log").write_text(numbered(500))
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "copy").write_text(numbered(501))
    (logs / "copy").rename(logs / "a.log")
    assert list(lines(restarted(harvest, registry, logs)).values()) == [["line 500"]]


@pytest.mark.parametrize("content", ["same\n" * 500, "short\n"])
def test_content_that_might_be_chance_makes_no_copy(harvest, registry, logs, content):
    (logs / "a.log").write_text(content)
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    (logs / "new").write_text(content + "more\n")
    (logs / "new").rename(logs / "a.log")
    assert list(lines(restarted(harvest, registry, logs)).values()) == [(content + "more").split()]
