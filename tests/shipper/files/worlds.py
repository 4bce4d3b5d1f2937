"""A log and who rotates it, and the reading part of an agent, each taking one step at a time, as chance has it."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from contextlib import contextmanager

from parser.multiline import Starts
from shipper.files import joining
from shipper.files.discovery import Discovery
from shipper.files.harvest import Harvest
from shipper.files.matching import Matching
from shipper.files.opening import Opening
from shipper.files.options import Options
from shipper.state.registry import Registry

ROTATIONS = ("copytruncate", "rename", "copytruncate and pack", "rename and pack")
BANNERS = ([], ["W start"], ["W :: Spring Boot ::", f" /\\\\ / ___ {'x' * 80}", "W up"])


class World:
    """One log. What it does is lost by none of its own; ``lines`` is what was written.

    Event ``n`` is ``W n`` and perhaps lines that name it; ``split``: how likely a write ends within an event, so that the next
    one, perhaps into another file, begins with the rest of it.
    """

    def __init__(self, folder, chance, rotation=""):
        self.log = folder / "a.log"
        self.log.touch()
        self.lines = Counter()
        self.ended = False
        self._folder, self._chance, self._rotation = folder, chance, rotation
        self._banner = chance.choice(BANNERS)
        self.beginning = len("".join(f"{line}\n" for line in self._banner))
        self._width = chance.choice([0, 40, 120])
        self._counts = chance.choice([[1, 2, 5], [1, 5, 20, 100], [20, 60, 200, 1500]])
        self._traces = chance.choice([7, 2])
        self._split = chance.choice([0, 0.3])
        self._written, self._rest = 0, ""
        self._life = self._live()

    def moves(self, probability):
        while not self.ended and self._chance.random() < probability:
            self.ended = next(self._life, "ended") == "ended"

    def _live(self):
        chance = self._chance
        for _ in range(chance.randint(2, 6)):
            for _ in range(chance.randint(1, 5)):
                self._write(chance.choice(self._counts))
                yield
            rotation = self._rotation or chance.choice(ROTATIONS)
            yield from self._shift()
            yield from self._copy() if rotation.startswith("copy") else self._rename()
            if rotation.endswith("pack"):
                yield from self._pack(self._folder / f"a.log.{chance.choice([1, 2])}")
        self._split = 0
        self._write(20)

    def _write(self, count):
        lines = list(self._banner) if not self._rest and not self.log.stat().st_size else []
        for number in range(self._written, self._written + count):
            lines.append(f"W {number:08d} {'x' * self._width}")
            if number % self._traces == 0:
                lines += [f"\tat {number}", f"\tof {number}"]
        self._written += count
        self.lines.update(lines)
        lines = [*self._rest.splitlines(), *lines]
        inside = [at for at, line in enumerate(lines) if at and line.startswith("\t")]
        end = self._chance.choice(inside) if inside and self._chance.random() < self._split else len(lines)
        self._rest = "".join(f"{line}\n" for line in lines[end:])
        with self.log.open("a") as log:
            log.write("".join(f"{line}\n" for line in lines[:end]))

    def _shift(self):
        yield
        rotated = sorted(self._folder.glob("a.log.*"), key=lambda path: int(path.name.split(".")[2]), reverse=True)
        for path in rotated:
            name = path.name.split(".")
            name[2] = str(int(name[2]) + 1)
            path.rename(path.with_name(".".join(name)))
            if self._chance.random() < 0.5:
                yield

    def _copy(self):
        yield from self._slowly(self._folder / "a.log.1", self.log.read_bytes())
        os.truncate(self.log, 0)
        if self._chance.random() < 0.5:
            yield

    def _rename(self):
        self.log.rename(self._folder / "a.log.1")
        yield
        self.log.touch()
        if self._chance.random() < 0.5:
            yield

    def _pack(self, path):
        if not path.exists():
            return
        yield
        status, packed = path.stat(), path.with_name(f"{path.name}.gz")
        yield from self._slowly(packed, gzip.compress(path.read_bytes(), 1))
        if self._chance.random() < 0.7:
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
            yield
        path.unlink()
        yield

    def _slowly(self, path, data):
        with path.open("wb", buffering=0) as file:
            half = self._chance.randrange(len(data) + 1) if self._chance.random() < 0.5 else 0
            if half or self._chance.random() < 0.3:
                file.write(data[:half])
                yield
            file.write(data[half:])
        yield


class Agent:
    """Its reading part, one action at a time. ``events``: what came out, by what the ids of documents are made of."""

    def __init__(self, folder, **options):
        self.events = set()
        self._folder, self._options = folder, options
        self.start()

    def start(self):
        self.registry = Registry(self._folder / "state.db", "test")
        options = Options(framer=Starts(b"W"), host_id="h", **self._options)
        self.harvest = Harvest(Discovery([f"{self._folder}/logs/*.log*"]), self.registry, options)
        self._ends = {}

    def stop(self):
        self.harvest.close()
        self.registry.close()

    def looks(self, *, always, once=False):
        if self.harvest.check() or always:
            self.harvest.scan(partial=once)
            self.harvest.close_idle(0.0)

    def reads(self, slow=lambda: True):
        for harvester in self.harvest.reading():
            if slow():
                self._take(harvester, harvester.read())

    def ends(self, *, waited, once=False):
        for harvester in list(self.harvest.harvesters):
            if harvester.successor is not None:
                self._take(harvester, self.harvest.end_of(harvester, waited=waited))
            elif self._is_over(harvester, waited=waited, once=once):
                self._take(harvester, harvester.flush(self.registry, lines=not (once or harvester.final)))

    def acknowledges(self):
        for harvester in self.harvest.held():
            harvester.acknowledged = max(harvester.acknowledged, self._ends.get(harvester.entry.file, 0))
            if harvester.checkpoint():
                self.registry.commit([harvester.entry])

    def runs_once(self):
        """Until there is nothing more to read."""
        self.start()
        self.looks(always=True, once=True)
        count = -1
        while len(self.events) > count:
            count = len(self.events)
            while self.harvest.work():
                pass
            self.reads()
            self.ends(waited=True, once=True)
            self.acknowledges()
            self.looks(always=False, once=True)
        self.stop()

    def lines(self):
        return Counter(line for *_, event in self.events for line in event.splitlines())

    @staticmethod
    def _is_over(harvester, *, waited, once):
        decided = harvester.given_up or (waited and (once or not harvester.truncated))
        return harvester.reader.pending and decided and harvester.at_end()

    def _take(self, harvester, block):
        if block is None:
            return
        begin = 0
        for end in block.cuts:
            text = block.data[begin:end].decode()
            self.events.add((harvester.seed, block.offset + begin, text))
            begin = end
        ends = {harvester.entry.file: block.end}
        if block.borrowed:
            joined = self.registry.joined(harvester.entry)
            ends[joined.next] = joined.until
        for file, end in ends.items():
            self._ends[file] = max(self._ends.get(file, 0), end)


@contextmanager
def moving(world, monkeypatch, within):
    """The world takes steps around each part of a look; ``within``: how likely before a single file's turn."""

    def steps(owner, name, before, after=0.0):
        function = getattr(owner, name)

        def stepping(*arguments, **options):
            world.moves(before)
            found = function(*arguments, **options)
            world.moves(after)
            return found

        patch.setattr(owner, name, stepping)

    with monkeypatch.context() as patch:
        patch.setattr(joining, "WAIT", 1e9)
        steps(Discovery, "scan", 0.15, 0.25)
        steps(Opening, "begin", 0.2, 0.1)
        for owner, name in ((Opening, "found"), (Matching, "here"), (Matching, "elsewhere")):
            steps(owner, name, within)
        yield


def together(world, agent, chance):
    """Both to their ends: the world's steps come before, within and after the agent's. It is stopped, or killed, now and then."""
    restarts, share = chance.choice([0, 0.03, 0.1]), chance.choice([1, 0.5, 0.1])
    reads, quiet = True, 0
    while quiet < 8:
        # Where only a banner is acknowledged, nobody could tell later whose it was.
        known = all(not 0 < entry.offset <= world.beginning for entry in agent.registry.entries())
        if known and not world.ended and chance.random() < restarts:
            if chance.random() < 0.5:
                agent.acknowledges()
            agent.stop()
            world.moves(0.5)
            agent.start()
        reads ^= chance.random() < 0.1
        world.moves(0.6)
        agent.looks(always=world.ended or chance.random() < 0.5)
        before = len(agent.events)
        if reads or world.ended:
            agent.reads(lambda: world.ended or chance.random() < share)
            while agent.harvest.work() and world.ended:
                pass
            if len(agent.events) == before or chance.random() < 0.3:
                agent.ends(waited=world.ended or chance.random() < 0.1)
            if chance.random() < 0.5 or world.ended:
                agent.acknowledges()
        quiet = quiet + 1 if world.ended and len(agent.events) == before else 0
    agent.stop()
    agent.runs_once()
