"""A harvest without an agent: opened on patterns, read to the end of all that is there, and acknowledged."""

from __future__ import annotations

import os
from contextlib import contextmanager

from parser.multiline import Lines
from shipper.files.closing import GONE_AFTER
from shipper.files.discovery import Discovery
from shipper.files.harvest import Harvest
from shipper.files.options import Options


def open_harvest(registry, *patterns, **options):
    return Harvest(Discovery(list(patterns)), registry, Options(framer=Lines(), host_id="h", **options))


def restarted(harvest, registry, logs):
    harvest.close()
    again = open_harvest(registry, f"{logs}/*.log*")
    again.scan()
    return again


def lines(harvest):
    """Everything that can be read now, by the harvester's seed: ids come from it."""
    found = {}
    for harvester in harvest.harvesters:
        while (block := harvester.read()) is not None:
            found.setdefault(harvester.seed, []).extend(block.data.decode().splitlines())
    return found


def read(harvest):
    """The same in one list."""
    return [line for some in lines(harvest).values() for line in some]


def unpacked(harvest):
    """``lines``, once archives are looked through."""
    while harvest.work():
        pass
    return lines(harvest)


def settle(harvest, registry):
    """Acknowledge all that was read, if anything was."""
    for harvester in harvest.held():
        harvester.acknowledged = harvester.reader.position
        harvester.checkpoint()
    registry.commit([harvester.entry for harvester in harvest.held()])


def acknowledge(harvest, registry):
    """Acknowledge what was read of each file that is open; something was."""
    for harvester in harvest.harvesters:
        harvester.acknowledged = harvester.reader.position
        assert harvester.checkpoint()
    registry.commit([harvester.entry for harvester in harvest.harvesters])


def quiet(harvest):
    """As if nothing had been written for so long that a file which is gone may be closed."""
    for harvester in harvest.harvesters:
        harvester.quiet_since -= GONE_AFTER + 1


def numbered(count):
    return "".join(f"line {n}\n" for n in range(count))


@contextmanager
def unprivileged():
    """As a user who may not read everything: nobody, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
