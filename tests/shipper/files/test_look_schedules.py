"""Rotations that move on while the agent looks and reads: random schedules, step by step, against what the files hold.

The world writes, shifts the names, copies (in two pieces, perhaps) and truncates. It takes its steps before a
look, within it, and after it; what it does is lost by none of its own, so that whatever is missing, twice or reported as lost
is the agent's fault.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from contextlib import closing

import pytest

from parser.multiline import Starts
from shipper.files.discovery import Discovery
from shipper.files.harvest import Harvest
from shipper.files.opening import Opening
from shipper.files.options import Options
from shipper.state.registry import Registry


class World:
    """One log, and who rotates it."""

    def __init__(self, folder, chance):
        self.log = folder / "a.log"
        self.ended = False
        self._folder = folder
        self._chance = chance
        self._written = 0
        self._life = self._live()

    def moves(self, probability):
        while not self.ended and self._chance.random() < probability:
            self.ended = next(self._life, "ended") == "ended"

    def lines(self):
        return Counter(line for path in self._folder.iterdir() for line in path.read_text().splitlines())

    def _live(self):
        chance = self._chance
        for _ in range(chance.randint(3, 7)):
            for _ in range(chance.randint(1, 6)):
                self._write(chance.choice([20, 60, 200, 1500]))
                yield
            for number in range(len(os.listdir(self._folder)) - 1, 0, -1):
                (self._folder / f"a.log.{number}").rename(self._folder / f"a.log.{number + 1}")
            yield
            yield from self._rotate()
        self._write(20)

    def _write(self, count):
        with self.log.open("a") as log:
            for number in range(self._written, self._written + count):
                print(f"W {number:08d}", "x" * 40, file=log)
                if number % 7 == 0:
                    print(f"\tand more of {number}", file=log)
        self._written += count

    def _rotate(self):
        data = self.log.read_bytes()
        half = self._chance.randrange(len(data)) if self._chance.random() < 0.3 else 0
        with (self._folder / "a.log.1").open("wb") as copy:
            if half:
                copy.write(data[:half])
                copy.flush()
                yield
            copy.write(data[half:])
        yield
        os.truncate(self.log, 0)
        yield


class Agent:
    """Its reading part, one action at a time."""

    def __init__(self, harvest, registry):
        self.harvest = harvest
        self.events = []
        self._registry = registry
        self._ends = {}

    def looks(self, *, always):
        if self.harvest.check() or always:
            self.harvest.scan()
            self.harvest.close_idle(0.0)

    def reads(self, slow):
        for harvester in self.harvest.reading():
            if slow():
                self._take(harvester, harvester.read())

    def ends(self, *, waited):
        for harvester in list(self.harvest.harvesters):
            if harvester.successor is not None:
                self._take(harvester, self.harvest.end_of(harvester, waited=waited))
            elif self._is_over(harvester, waited=waited):
                self._take(harvester, harvester.flush(self._registry, lines=not harvester.final))

    def acknowledges(self):
        for harvester in self.harvest.held():
            harvester.acknowledged = max(harvester.acknowledged, self._ends.get(harvester, 0))
            if harvester.checkpoint():
                self._registry.commit([harvester.entry])

    @staticmethod
    def _is_over(harvester, *, waited):
        decided = harvester.given_up or (waited and not harvester.truncated)
        return harvester.reader.pending and decided and harvester.at_end()

    def _take(self, harvester, block):
        if block is not None:
            begin = 0
            for end in block.cuts:
                self.events.append(block.data[begin:end].decode())
                begin = end
            self._ends[harvester] = block.end


@pytest.fixture
def follow(tmp_path, monkeypatch):
    def run(seed):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        (folder / "logs").mkdir(parents=True)
        world = World(folder / "logs", chance)
        options = Options(framer=Starts(b"W"), host_id="h")
        look, begin = Discovery.scan, Opening.begin

        def moving_look(discovery):
            world.moves(0.15)
            found = look(discovery)
            world.moves(0.25)
            return found

        def moving_begin(opening):
            world.moves(0.2)
            begin(opening)
            world.moves(0.1)

        monkeypatch.setattr(Discovery, "scan", moving_look)
        monkeypatch.setattr(Opening, "begin", moving_begin)
        with (
            closing(Registry(folder / "state.db", "test")) as registry,
            closing(Harvest(Discovery([f"{folder}/logs/*.log*"]), registry, options)) as harvest,
        ):
            agent = Agent(harvest, registry)
            _together(world, agent, chance)
        monkeypatch.undo()
        return world, agent

    return run


def _together(world, agent, chance):
    share = chance.choice([1, 0.5, 0.1])
    reads, quiet = True, 0
    while quiet < 8:
        if chance.random() < 0.1:
            reads = not reads
        world.moves(0.6)
        agent.looks(always=world.ended or chance.random() < 0.5)
        before = len(agent.events)
        if reads or world.ended:
            agent.reads(lambda: world.ended or chance.random() < share)
            if len(agent.events) == before or chance.random() < 0.3:
                agent.ends(waited=world.ended or chance.random() < 0.1)
            if chance.random() < 0.5 or world.ended:
                agent.acknowledges()
        quiet = quiet + 1 if world.ended and len(agent.events) == before else 0


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_what_is_copied_and_truncated_within_a_look_is_read_once(follow, first):
    for seed in range(first, first + 10):
        world, agent = follow(seed)
        lines = Counter(line for event in agent.events for line in event.splitlines())
        assert lines == world.lines(), f"seed {seed}: missing or twice"
        assert agent.harvest.lost == 0, f"seed {seed}: reported as lost"
