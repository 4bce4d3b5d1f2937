"""Runs ``shipper`` with one thing broken: it kills itself at a named point, or one of the delivery rules is switched off.

    python tests/faults/launcher.py '{"kill": ["send", 3], "off": "cuts are durable"}' run -c shipper.yml --once

The product has no hooks for this: its functions are wrapped here, from the outside. ``POINTS`` are the places where a process
can be killed; ``RULES`` are the rules of DESIGN.md that a fault test guards, each with what happens where it is not kept.
"""

# ruff: noqa: PLC0415 - what is not broken is not imported: a start is a fifth quicker

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

# --- SIGKILL at a named point ----------------------------------------------------------------------------------------


class Suicide:
    """Kills this process when a point is passed for the n-th time."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _before(passed: Callable[[], None], when: Callable[..., bool] = lambda *_: True) -> Callable:
    def wrap(function: Callable) -> Callable:
        @functools.wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if when(*arguments):
                passed()
            return function(*arguments, **named)

        return wrapped

    return wrap


def _after(passed: Callable[[], None], when: Callable[[Any], bool] = lambda _: True) -> Callable:
    def wrap(function: Callable) -> Callable:
        @functools.wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            result = function(*arguments, **named)
            if when(result):
                passed()
            return result

        return wrapped

    return wrap


def _outputs() -> list[type]:
    from shipper.outputs.elasticsearch import ElasticsearchOutput
    from shipper.outputs.file import FileOutput
    from shipper.outputs.store import StoreOutput

    return [ElasticsearchOutput, FileOutput, StoreOutput]


def _points(point: str, passed: Callable[[], None]) -> list:
    from shipper.delivery.encoder import Encoder
    from shipper.delivery.ledger import Ledger
    from shipper.delivery.queue import BatchQueue
    from shipper.files.harvest import Harvest
    from shipper.files.reader import Reader
    from shipper.state.registry import Registry

    def renamed(function: Callable) -> Callable:
        @functools.wraps(function)
        def wrapped(self: Any, **named: Any) -> Any:
            before = {id(each): each.path for each in self.harvesters}
            result = function(self, **named)
            if any(before.get(id(each), each.path) != each.path for each in self.harvesters):
                passed()
            return result

        return wrapped

    match point:
        case "read":
            return [mock.patch.object(Reader, "read", _after(passed, lambda block: block is not None)(Reader.read))]
        case "parse":
            return [mock.patch.object(Encoder, "encode", _after(passed)(Encoder.encode))]
        case "enqueue":
            return [mock.patch.object(BatchQueue, "put", _after(passed, bool)(BatchQueue.put))]
        case "send":
            return [mock.patch.object(each, "send", _before(passed)(each.send)) for each in _outputs()]
        case "response":
            return [mock.patch.object(each, "send", _after(passed)(each.send)) for each in _outputs()]
        case "acknowledge":
            return [mock.patch.object(Ledger, "settle", _after(passed)(Ledger.settle))]
        case "before checkpoint":
            return [mock.patch.object(Registry, "commit", _before(passed)(Registry.commit))]
        case "checkpoint":
            return [mock.patch.object(Registry, "commit", _after(passed)(Registry.commit))]
        case "register":
            return [mock.patch.object(Registry, "register", _after(passed)(Registry.register))]
        case "cut":
            return [mock.patch.object(Registry, "cut", _after(passed)(Registry.cut))]
        case "rename":
            return [
                mock.patch.object(Harvest, "scan", renamed(Harvest.scan)),
                mock.patch.object(os, "rename", _after(passed)(os.rename)),
                mock.patch.object(os, "replace", _after(passed)(os.replace)),
            ]
        case "fsync":
            return [
                mock.patch.object(os, "fsync", _after(passed)(os.fsync)),
                mock.patch.object(os, "fdatasync", _after(passed)(os.fdatasync)),
            ]
        case _:
            raise ValueError(point)


POINTS = (
    "read",
    "parse",
    "enqueue",
    "send",
    "response",
    "acknowledge",
    "before checkpoint",
    "checkpoint",
    "register",
    "fsync",
)
"""Those that every run passes; ``rename`` and ``cut`` need a log that is rotated, or that ends without its newline."""


# --- rules switched off ----------------------------------------------------------------------------------------------


def _settled_when_read() -> list:
    from shipper.delivery.ledger import Ledger

    add = Ledger.add
    return [
        mock.patch.object(
            Ledger, "add", lambda self, *span, settled=False, **named: add(self, *span, settled=True, **named)
        )
    ]


def _highest_settled() -> list:
    from shipper.delivery.ledger import Ledger

    def settle(self: Any, segments: Any) -> None:
        with self._condition:
            for segment in segments:
                segment.settled = True
                self._acknowledged[segment.file] = max(segment.end, self._acknowledged.get(segment.file, 0))
                queue = self._segments.get(segment.file)
                while queue and queue[0].settled:
                    queue.popleft()
                if queue is not None and not queue:
                    del self._segments[segment.file]
            self._condition.notify_all()

    return [mock.patch.object(Ledger, "settle", settle)]


def _retries_delivered() -> list:
    def forgetful(send: Callable) -> Callable:
        def wrapped(self: Any, batch: Any) -> Any:
            outcomes = send(self, batch)
            outcomes.retry.clear()
            return outcomes

        return wrapped

    return [mock.patch.object(each, "send", forgetful(each.send)) for each in _outputs()]


def _random_ids() -> list:
    from shipper.delivery import encoder

    honest = encoder.blake2b
    return [mock.patch.object(encoder, "blake2b", lambda data, **named: honest(data + os.urandom(8), **named))]


def _no_salt() -> list:
    from shipper.state.registry import Registry

    register = Registry.register

    def registered(self: Any, **named: Any) -> Any:
        entry = register(self, **named)
        entry.salt = 0
        return entry

    return [mock.patch.object(Registry, "register", registered)]


def _any_file_matches() -> list:
    from shipper.files.identity import Fingerprint

    return [mock.patch.object(Fingerprint, "matches", return_value=True)]


def _cuts_in_memory() -> list:
    from shipper.state.registry import Registry

    return [mock.patch.object(Registry, "cut", return_value=None)]


def _rejects_forgotten() -> list:
    from shipper.state.rejects import Rejects

    return [mock.patch.object(Rejects, "add", return_value=None)]


def _closed_when_idle() -> list:
    """As Filebeat did it (beats#50738): what is read counts as the place to go on from when a file is closed."""
    from shipper.files.harvest import Harvest

    honest = Harvest.close_idle

    def close_idle(self: Any, *arguments: Any, **named: Any) -> None:
        for harvester in self.harvesters:
            if time.monotonic() - harvester.quiet_since > self._opened.options.close_inactive:
                harvester.acknowledged = harvester.reader.position
                harvester.checkpoint()
                self._registry.commit([harvester.entry])
        honest(self, *arguments, **named)

    return [mock.patch.object(Harvest, "close_idle", close_idle)]


def _blind_while_waiting() -> list:
    from shipper.reading import Reading

    look = Reading.look

    def blinking(self: Any) -> None:
        if sys._getframe(1).f_code.co_name == "_work":
            look(self)

    return [mock.patch.object(Reading, "look", blinking)]


def _all_well() -> list:
    """A bulk answer is not looked at: status 200 is success, as with journalpump."""
    from shipper.outputs.batch import Outcomes
    from shipper.outputs.elasticsearch import ElasticsearchOutput

    return [mock.patch.object(ElasticsearchOutput, "_outcomes", side_effect=lambda *_: Outcomes())]


RULES: dict[str, Callable[[], list]] = {
    "output first, registry after": _settled_when_read,
    "acknowledged is contiguous": _highest_settled,
    "an outcome belongs to one document": _retries_delivered,
    "the answer is looked at": _all_well,
    "ids are made of content and place": _random_ids,
    "files with one key have salts": _no_salt,
    "a file is told by its content": _any_file_matches,
    "cuts are durable": _cuts_in_memory,
    "rejects are kept": _rejects_forgotten,
    "closed only when acknowledged": _closed_when_idle,
    "looked at while the queue is full": _blind_while_waiting,
}
"""The rules that can be switched off, and the functions that do so."""


@contextlib.contextmanager
def switched_off(rule: str) -> Iterator[None]:
    """This process, without one rule; empty for none."""
    with contextlib.ExitStack() as patches:
        for patch in RULES[rule]() if rule else ():
            patches.enter_context(patch)
        yield


QUICK = {
    "shipper.agent.CHECKPOINT": 0.05,
    "shipper.files.closing.GONE_AFTER": 0.5,
    "shipper.files.reader.BLOCK": 4096,
}
"""Waits that a test need not sit through, and small blocks: many batches, and many places where an event is cut by a block."""


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """This process, with ``QUICK`` instead of the product's constants."""
    with contextlib.ExitStack() as patches:
        for place, value in QUICK.items():
            patches.enter_context(mock.patch(place, value))
        yield


# --- a process -------------------------------------------------------------------------------------------------------


def _note_peak(path: Path) -> None:
    """The most memory that this process has had, in KiB, into a file.

    Not ``ru_maxrss``: that goes through ``exec``, and so is at least what the process that started this one has had.
    """
    status = Path("/proc/self/status").read_text()
    path.write_text(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    """See the module's docstring."""
    plan = json.loads(sys.argv[1])
    sys.argv[1:] = sys.argv[2:]
    with contextlib.ExitStack() as patches:
        patches.enter_context(switched_off(plan.get("off", "")))
        if plan.get("quick", True):
            patches.enter_context(quick())
        if plan.get("kill"):
            point, nth = plan["kill"]
            for patch in _points(point, Suicide(nth)):
                patches.enter_context(patch)
        if plan.get("peak"):
            patches.callback(_note_peak, Path(plan["peak"]))
        from shipper.cli import main as shipper

        shipper()


if __name__ == "__main__":
    main()
