#!/usr/bin/env python3
"""Where the agent's CPU time goes: each stage's share, in one process and one thread, with no output.

    .venv/bin/python benchmarks/stages.py [--log FILE] [--events N] [--pipeline NAME]

Prints microseconds of CPU per event, the best of three passes. What ``throughput.py`` shows on top of it is the ledger,
the queue, HTTP, the registry and the start of the process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parser import Pipeline
from parser.multiline import DEFAULT, PRESETS
from shipper.delivery.encoder import CHUNK, Encoder
from shipper.files.content import Plain
from shipper.files.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parser.multiline import Framer
    from shipper.files.reader import Block

FIELDS = {
    "host": {"name": "benchmark"},
    "agent": {"name": "benchmark", "type": "elk-shipper"},
    "ecs": {"version": "8.17.0"},
}


def blocks(log: Path, framer: Framer) -> Iterator[Block]:
    with closing(os.fdopen(os.open(log, os.O_RDONLY), "rb")) as file:
        reader = Reader(Plain(file.fileno()), framer)
        while block := reader.read():
            yield block


def events(block: Block) -> Iterator[list[dict[str, Any]]]:
    """The block's events in chunks, as the encoder makes them."""
    raws = [block.data[begin:end].rstrip(b"\n") for begin, end in pairwise([0, *block.cuts])]
    for at in range(0, len(raws), CHUNK):
        yield [
            {"message": raw.decode("utf-8", "replace"), "log": {"offset": 0}, **FIELDS} for raw in raws[at : at + CHUNK]
        ]


def measured(log: Path, framer: Framer, work: Callable[[Block], object], count: int) -> float:
    """Microseconds of CPU per event of reading, framing and ``work``; the best of three passes."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for block in blocks(log, framer):
            work(block)
        best = min(best, time.process_time() - began)
    return best / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="Microseconds of CPU per event, by stage.")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--pipeline", default="spring-boot")
    options = parser.parse_args()
    pipeline = Pipeline.load(options.pipeline)
    framer = PRESETS.get(options.pipeline, DEFAULT)
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or Path(folder, "orders.log")
        if not options.log:
            generator = Path(__file__).resolve().parents[1] / "scripts" / "spring_logs.py"
            subprocess.run(
                [
                    sys.executable,
                    generator,
                    "--events",
                    str(options.events),
                    "--no-tracing",
                    "--failures",
                    "0.026",
                    log,
                ],
                check=True,
            )
        count = sum(len(block.cuts) for block in blocks(log, framer))
        encoder, plain = Encoder(pipeline, FIELDS), Encoder(None, FIELDS)
        totals = {
            "read and frame": measured(log, framer, lambda _: None, count),
            "decode, make events": measured(log, framer, lambda block: [None for _ in events(block)], count),
            f"pipeline {options.pipeline}": measured(
                log, framer, lambda block: [pipeline.transform(each) for each in events(block)], count
            ),
        }
        whole = measured(log, framer, lambda block: encoder.encode(block, str(log), bytes(16)), count)
        lines = measured(log, framer, lambda block: plain.encode(block, str(log), bytes(16)), count)
    print(f"{count:,} events\n\n{'':28}{'µs/event':>9}{'events/CPU-s':>14}")
    before = 0.0
    for name, total in totals.items():
        print(f"{name:28}{total - before:>9.2f}{1e6 / max(total - before, 1e-9):>14,.0f}")
        before = total
    print(f"{'JSON, ids, bulk body':28}{whole - before:>9.2f}{1e6 / max(whole - before, 1e-9):>14,.0f}")
    print(f"{'all of it':28}{whole:>9.2f}{1e6 / whole:>14,.0f}")
    print(f"{'without a pipeline':28}{lines:>9.2f}{1e6 / lines:>14,.0f}")


if __name__ == "__main__":
    main()
