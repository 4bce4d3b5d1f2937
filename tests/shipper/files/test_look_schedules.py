"""Rotations that move on while the agent looks and reads, or is stopped: random schedules, step by step, against what was written."""

from __future__ import annotations

import os
import random

import pytest
from worlds import ROTATIONS, Agent, World, moving, together

NIGHTLY = bool(os.environ.get("SHIPPER_NIGHTLY"))

PACKED = "copytruncate and pack"
FAILED = [*((PACKED, seed) for seed in (123, 133, 146, 377)), ("copytruncate", 87), ("copytruncate", 303), ("", 75)]
"""Schedules that were red, on a file system that gives an inode again at once (ext4)."""


@pytest.fixture
def follow(tmp_path, monkeypatch):
    def run(seed, rotation="", **options):
        chance = random.Random(f"{rotation} {seed}")
        folder = tmp_path / str(seed)
        (folder / "logs").mkdir(parents=True)
        world = World(folder / "logs", chance, rotation)
        agent = Agent(folder, **options)
        with moving(world, monkeypatch, chance.choice([0, 0.02, 0.1])):
            together(world, agent, chance)
        return world, agent

    return run


def holds(world, agent, name=""):
    found = agent.lines()
    assert world.lines - found == {}, f"{name}: missing"
    assert found - world.lines == {}, f"{name}: twice"


@pytest.mark.parametrize("rotation", [*ROTATIONS, ""], ids=lambda rotation: rotation or "all")
@pytest.mark.parametrize("first", range(0, 1000 if NIGHTLY else 20, 10))
def test_each_line_is_read_once_under_one_id(follow, rotation, first):
    for seed in range(first, first + 10):
        holds(*follow(seed, rotation), f"seed {seed}")


@pytest.mark.slow
@pytest.mark.parametrize("open_files", [1, 2, 10_000])
@pytest.mark.parametrize("first", range(0, 1000 if NIGHTLY else 30, 10))
def test_so_it_is_where_files_are_closed_at_once_and_few_may_be_open(follow, open_files, first):
    for seed in range(first, first + 10):
        holds(*follow(seed, open_files=open_files, close_inactive=0.0), f"seed {seed}")


@pytest.mark.parametrize(("rotation", "seed"), FAILED)
def test_so_it_is_where_it_once_was_not(follow, rotation, seed):
    holds(*follow(seed, rotation))
