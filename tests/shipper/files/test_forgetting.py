"""Entries of files that are gone: how long they are kept, whatever the clock says."""

from __future__ import annotations

import gzip

import pytest
from harvesting import acknowledge, lines, numbered, open_harvest, quiet, unpacked

from shipper.files.forgetting import CERTAIN, DETACHED


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


def test_what_is_not_seen_for_long_is_forgotten(harvest, registry, logs):
    (logs / "a.log").write_text("one\n")
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    harvest.close()
    (logs / "a.log").unlink()
    again = open_harvest(registry, f"{logs}/*.log*", clean_inactive=3600.0)
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
