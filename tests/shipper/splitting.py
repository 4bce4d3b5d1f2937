"""The reading part of an agent, run by run, and rotations that split an event."""

from __future__ import annotations

import gzip
import os
import shutil

from parser.multiline import Starts
from shipper.delivery.encoder import Encoder
from shipper.delivery.ledger import Ledger
from shipper.files.discovery import Discovery
from shipper.files.harvest import Harvest
from shipper.files.options import Options
from shipper.state.registry import Registry

FIRST = "1 first\n2 begins\n\tat a\n"
REST = "\tat b\n\tat c\n"
NEXT = "3 next\n4 last\n"


class Run:
    """One run of an agent's reading part; what it read is acknowledged where the test says so."""

    def __init__(self, folder, pattern="*", encoding="utf-8"):
        self.folder = folder
        self.registry = Registry(folder / "state.db", "test")
        options = Options(framer=Starts(rb"\d"), host_id="h", encoding=encoding)
        self.harvest = Harvest(Discovery([f"{folder}/logs/{pattern}"]), self.registry, options)
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
                    block = harvester.flush(self.registry, lines=not (once or harvester.final))
                if block is not None:
                    self._take(harvester, block)
                    more = True
        return self

    def _take(self, harvester, block):
        encoded = Encoder(None, {}).encode(block, harvester.path, harvester.seed)
        self._keep(block, encoded.body.splitlines())
        segments = [self.ledger.add(harvester.entry.file, block.end)]
        if block.borrowed and harvester.joined:
            segments.append(self.ledger.add(harvester.joined.next, harvester.joined.until))
        self.blocks.append((os.path.basename(harvester.path), segments))

    def _keep(self, block, lines):
        begin = 0
        for end, action in zip(block.cuts, lines[::2], strict=True):
            self.events.setdefault(block.data[begin:end].decode(), []).append(action)
            begin = end

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
