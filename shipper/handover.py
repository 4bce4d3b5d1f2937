"""From the inputs of the settings before a reload to those after it, with no line lost and none read twice.

A file that is open stays open, and is read on where it was left, by the input that asks for it now. So does one that was
rotated away or deleted while the output took nothing: no look at the folders would find it again. A file that is in its
place and that no input asks for any more is let go of; where it was left is known, should it be asked for again.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from shipper.errors import SettingsError
from shipper.inputs import Input, pipeline_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parser import Pipeline
    from shipper.files.harvester import Harvester
    from shipper.settings import InputSettings, Settings
    from shipper.state.registry import Registry


log = logging.getLogger(__name__)


class Plan(NamedTuple):
    """Settings that have been found good: whatever could be wrong with them was tried."""

    settings: Settings
    inputs: list[tuple[InputSettings, Pipeline | None]]
    """Those that are enabled, with their compiled pipelines."""

    @property
    def event_limit(self) -> float | None:
        """Seconds of computing that one event may take."""
        return min((each.timeout for _, each in self.inputs if each and each.timeout), default=None)


def plan(settings: Settings) -> Plan:
    """Compile the pipelines. Raises ``ParserError``, ``OSError``, or ``SettingsError`` where there are no inputs."""
    if not settings.inputs:
        raise SettingsError(
            "inputs is missing: `shipper run` reads files; the section receive is for `shipper receive`"
        )
    return Plan(settings, [(each, pipeline_of(each)) for each in settings.inputs if each.enabled])


def rearrange(inputs: list[Input], plan: Plan, registry: Registry) -> list[Input]:
    """The inputs of the plan; behind them those that have been removed, as long as something of theirs is left."""
    before = [each for each in inputs if not each.removed]
    pairs = match([each.settings for each in before], [own for own, _ in plan.inputs])
    after: list[Input] = []
    for (own, pipeline), at in zip(plan.inputs, pairs, strict=True):
        if at is None:
            after.append(Input(plan.settings, own, pipeline, registry))
        else:
            before[at].configure(plan.settings, own, pipeline)
            after.append(before[at])
    gone = [each for each in inputs if each not in after]
    for each in gone:
        each.remove(plan.settings)
    _move(inputs, after)
    return after + [each for each in gone if each.harvest.held()]


class Stray(NamedTuple):
    """An open file that no look at the folders would find."""

    input: Input
    """The one that had it, which is closed by the time it is adopted."""
    path: str
    node: tuple[int, int]
    """Its device and inode."""
    descriptor: int


def stray(inputs: Iterable[Input]) -> list[Stray]:
    """The open files that were rotated away or deleted, with descriptors of their own: for ``adopt``."""
    found = []
    for each in inputs:
        for harvester in each.harvest.held():
            if harvester.truncated:
                log.warning("%s was truncated: what was read of it and not delivered is lost", harvester.path)
            elif not harvester.closed and not _is_in_place(harvester):
                try:
                    descriptor = os.dup(harvester.reader.content.descriptor)
                except OSError as error:
                    why = error.strerror
                    log.warning("%s cannot be kept open: %s; what was not delivered of it is lost", harvester.path, why)
                    continue
                node = (harvester.entry.device, harvester.entry.inode)
                found.append(Stray(each, harvester.entry.path, node, descriptor))
    return found


def adopt(strays: list[Stray], inputs: list[Input], settings: Settings, registry: Registry) -> None:
    """Go on with the files that were open before; where an input finds one by itself, it has it already.

    What was an input's that is in the settings no more is read to its end by one that is removed, as in ``rearrange``: it is
    added to the ``inputs``.
    """
    for each in inputs:
        each.harvest.scan()
    for one in strays:
        known = {(h.entry.device, h.entry.inode) for each in inputs for h in each.harvest.held()}
        if one.node in known:
            os.close(one.descriptor)
            continue
        pairs = match([one.input.settings], [each.settings for each in inputs])
        heir = next((each for each, at in zip(inputs, pairs, strict=True) if at is not None), None)
        if heir is None:
            heir = Input(settings, one.input.settings, one.input.pipeline, registry)
            heir.remove(settings)
            inputs.append(heir)
        heir.harvest.adopt(one.path, one.descriptor)


def match(before: list[InputSettings], after: list[InputSettings]) -> list[int | None]:
    """For each of the new inputs which of the old ones it was, if any: by its id, else by what it reads, else by some of it."""
    found: list[int | None] = [None] * len(after)
    left = set(range(len(before)))

    def pair(same: Iterable[tuple[int, int]]) -> None:
        for new, old in same:
            if found[new] is None and old in left:
                found[new] = old
                left.discard(old)

    both = [(new, old) for new in range(len(after)) for old in range(len(before))]
    pair((n, o) for n, o in both if after[n].id is not None and after[n].id == before[o].id)
    pair((n, o) for n, o in both if after[n] == before[o])
    # An id that is another says that it is another input.
    alike = [(n, o) for n, o in both if None in {after[n].id, before[o].id}]
    pair((n, o) for n, o in alike if after[n].paths == before[o].paths)
    pair((n, o) for n, o in alike if set(after[n].paths) & set(before[o].paths))
    return found


def _move(inputs: list[Input], after: list[Input]) -> None:
    """Each file to the first input that asks for it. What nobody asks for is let go of, where it is still in its place."""
    places = [(each, {(file.device, file.inode) for file in each.harvest.found()}) for each in after]
    for each in inputs:
        for harvester in each.harvest.held():
            node = (harvester.entry.device, harvester.entry.inode)
            wanted = [other for other, found in places if node in found]
            if wanted and each not in wanted:
                each.harvest.hand_over(harvester, wanted[0].harvest)
            elif not wanted and _is_in_place(harvester):
                each.harvest.drop(harvester)
            # Else it is read to its end where it is: rotated away, deleted, or on a mount that has vanished.


def _is_in_place(harvester: Harvester) -> bool:
    if harvester.final or harvester.truncated or harvester.closed:
        return False
    with contextlib.suppress(OSError):
        status = os.stat(harvester.entry.path)  # noqa: PTH116 - device and inode
        return (status.st_dev, status.st_ino) == (harvester.entry.device, harvester.entry.inode)
    return False
