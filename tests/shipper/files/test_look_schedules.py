"""Rotations that move on while the agent looks and reads, or is stopped: random schedules, step by step, against what was written."""

from __future__ import annotations

import os
import random

import pytest
from worlds import ROTATIONS, Agent, World, moving, together

NIGHTLY = bool(os.environ.get("SHIPPER_NIGHTLY"))


@pytest.fixture
def follow(tmp_path, monkeypatch):
    def run(seed, rotation=""):
        chance = random.Random(f"{rotation} {seed}")
        folder = tmp_path / str(seed)
        (folder / "logs").mkdir(parents=True)
        world = World(folder / "logs", chance, rotation)
        agent = Agent(folder)
        with moving(world, monkeypatch, chance.choice([0, 0.02, 0.1])):
            together(world, agent, chance)
        return world, agent

    return run


@pytest.mark.parametrize("rotation", [*ROTATIONS, ""], ids=lambda rotation: rotation or "all")
@pytest.mark.parametrize("first", range(0, 1000 if NIGHTLY else 20, 10))
def test_each_line_is_read_once_under_one_id(follow, rotation, first):
    for seed in range(first, first + 10):
        world, agent = follow(seed, rotation)
        found, name = agent.lines(), f"seed {seed} {rotation}"
        assert world.lines - found == {}, f"{name}: missing"
        assert found - world.lines == {}, f"{name}: twice"
