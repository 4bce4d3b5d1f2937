"""A hypothesis state machine: a service that writes, logrotate, crashes and outages, against files, registry and ledger.

The model knows what was written and what is acknowledged, and nothing else. The agent's parts are the real ones, put together
without threads (one step reads a block, one step lets the output answer), so that hypothesis decides the order of everything,
finds the shortest sequence that breaks something, and a run costs milliseconds. The output is a stand-in that keeps what it was
given by id, loses answers and fails by halves.

In CI: a minute at most. ``SHIPPER_NIGHTLY=1`` (or a number: that many times as long) for the length of a night.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from launcher import quick, switched_off
from oracle import judge
from shipping import MULTILINE
from writer import Log

from shipper.agent import Agent
from shipper.delivery.queue import BatchQueue
from shipper.errors import UnavailableError
from shipper.outputs.base import Output
from shipper.outputs.batch import Outcomes
from shipper.settings import from_mapping

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(0)]

NIGHTLY = int(os.environ.get("SHIPPER_NIGHTLY", "0") or 0)
LENGTH = settings(
    max_examples=150 * (200 * NIGHTLY or 1),
    stateful_step_count=30 if not NIGHTLY else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=not NIGHTLY,
)


MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""What is synced here costs nothing; crashes of the machine are not what is tested."""

BLOCK = 512


class Sink(Output):
    """Keeps documents by id, as the store and Elasticsearch do; what it answers is decided by the test."""

    name = "sink"

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.mode = "well"

    def send(self, batch):
        mode, documents, ids = self.mode, batch.documents(), batch.ids()
        if mode == "down":
            raise UnavailableError("down")
        taken = range(0, batch.count, 2) if mode == "half" else range(batch.count)
        for at in taken:
            self.kept.setdefault(ids[at], documents[at])
        if mode == "answer lost":
            raise UnavailableError("reset")
        return Outcomes(retry=[at for at in range(batch.count) if at not in taken])


class Machine(RuleBasedStateMachine):
    """``off`` is the rule of ``launcher.RULES`` that is not kept."""

    off = ""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="model-", dir=MEMORY))
        (self.folder / "logs").mkdir()
        self.log = Log(self.folder / "logs/app.log", trace_every=4)
        self.sink = Sink()
        self.rest = ""
        self.clock = 1_000.0
        self.patches = ExitStack()
        self.patches.enter_context(quick())
        self.patches.enter_context(switched_off(self.off))
        self.patches.enter_context(mock.patch("shipper.files.reader.BLOCK", BLOCK))  # many batches in flight
        self.patches.enter_context(mock.patch("time.monotonic", self.now))
        self.agent = None
        self.start()

    def teardown(self):
        if hasattr(self, "folder"):
            try:
                self.everything_arrives()
            finally:
                self.crash()
                self.patches.close()
                shutil.rmtree(self.folder)

    def now(self):
        return self.clock

    # --- the agent -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.agent is None)
    @rule()
    def start(self):
        one = {
            "type": "filestream",
            "paths": [f"{self.folder}/logs/app.log*"],
            "multiline": MULTILINE,
            "scan_frequency": "100ms",
        }
        data = {"inputs": [one], "host.id": "host", "output.store.bulk_max_bytes": "1KiB"}
        with (
            mock.patch("shipper.sending.open_output", return_value=self.sink),
            mock.patch("shipper.agent.open_queue", self.in_flight),
        ):
            self.agent = Agent(from_mapping(data, env={"SHIPPER_HOME": str(self.folder / "home")}))

    def in_flight(self, settings, ledger):
        """A queue that has room for everything, and that no sender looks at."""
        self.flying = deque()
        self.queue = BatchQueue(settings.queue_max_bytes, ledger)
        self.queue.put = lambda batch, timeout: (self.flying.append(batch), True)[1]
        return self.queue

    @rule()
    def crash(self):
        """Everything in memory is gone. Files are closed, and nothing else is done."""
        if self.agent is not None:
            self.agent.__exit__()
            self.agent = None
            self.flying = deque()

    @precondition(lambda self: self.agent)
    @rule()
    def step(self):
        """What the agent's loop does once."""
        self.clock += 0.3
        self.agent._reading.look()
        if not self.agent._reading.read():
            self.agent._reading.flush()
        self.agent._tick()

    @precondition(lambda self: self.agent)
    @rule(times=st.integers(2, 6))
    def steps(self, times):
        """A while in which the output says nothing."""
        for _ in range(times):
            self.step()
            self.hand_over()

    @precondition(lambda self: self.agent)
    @rule()
    def hand_over(self):
        self.agent._publisher.enqueue()

    @precondition(lambda self: self.agent and self.flying)
    @rule(which=st.integers(0, 3), mode=st.sampled_from(["well", "well", "half", "answer lost", "down"]))
    def answer(self, which, mode):
        """The output answers one of the requests that are in flight, in whatever order."""
        batch = self.flying[which % len(self.flying)]
        self.deliver(batch, mode)

    def deliver(self, batch, mode):
        self.sink.mode = mode
        whole = batch
        try:
            outcomes = self.sink.send(batch)
        except UnavailableError:
            return
        if outcomes.retry:
            self.sink.mode = "well"
            batch = batch.select(outcomes.retry)
            outcomes = self.sink.send(batch)
        self.flying.remove(whole)
        self.queue.done(whole)

    @precondition(lambda self: self.agent)
    @rule()
    def checkpoint(self):
        self.agent._checkpoint()

    @rule(seconds=st.sampled_from([1.0, 6.0, 400.0]))
    def time_passes(self, seconds):
        self.clock += seconds

    # --- the service -----------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.rest)
    @rule(count=st.integers(1, 40))
    def write(self, count):
        self.log.write(count)

    @precondition(lambda self: not self.rest)
    @rule()
    def write_half_a_line(self):
        self.rest = self.log.write_half()

    @precondition(lambda self: self.rest)
    @rule()
    def write_the_rest(self):
        self.log.write_rest(self.rest)
        self.rest = ""

    @precondition(lambda self: not self.rest)
    @rule()
    def rename(self):
        self.log.rename()

    @precondition(lambda self: not self.rest)
    @rule()
    def rename_twice(self):
        self.log.rename()
        self.log.write(3)
        self.log.rename()

    @precondition(lambda self: self.agent and not self.rest)
    @rule()
    def truncate_and_regrow_after_all_was_read(self):
        """What is gone before it was read is gone; but what was read is not to be mixed up with what comes."""
        self.everything_arrives()
        self.log.regrow()

    # --- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_twice_or_changed(self):
        if hasattr(self, "sink"):
            verdict = self.verdict()
            assert not verdict.twice, str(verdict)
            assert not verdict.changed or self.rest, str(verdict)

    def everything_arrives(self):
        """Given an output that works and a little time, all that was written is there."""
        if self.rest:
            self.write_the_rest()
        if self.agent is None:
            self.start()
        # A step reads one block of a file: what was written decides how many it takes.
        blocks = sum(len(event) + 1 for event in self.log.events) // BLOCK
        for _ in range(400 + blocks):
            before = len(self.sink.kept)
            self.step()
            self.clock += 1.0
            self.hand_over()
            while self.flying:
                self.deliver(self.flying[0], "well")
            self.agent._checkpoint()
            if len(self.sink.kept) == before and not self.verdict().missing:
                break
        verdict = self.verdict()
        assert not verdict, str(verdict)

    def verdict(self):
        return judge(self.log.events, [orjson.loads(each) for each in self.sink.kept.values()])


def test_the_model_holds():
    run_state_machine_as_test(Machine, settings=LENGTH)


@pytest.mark.parametrize(
    "rule",
    [
        "output first, registry after",
        "a file is told by its content",
        "ids are made of content and place",
    ],
)
def test_the_model_finds_what_is_broken(rule):
    broken = type("Broken", (Machine,), {"off": rule})
    longer = settings(
        LENGTH,
        max_examples=150,
        phases=[phase for phase in settings.default.phases if phase.name not in {"shrink", "explain"}],
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(broken, settings=longer)
