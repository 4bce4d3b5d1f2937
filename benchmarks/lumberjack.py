#!/usr/bin/env python3
"""Events per CPU-second of the output ``logstash`` beside ``elasticsearch``, and of ``shipper receive``.

    .venv/bin/python benchmarks/lumberjack.py [--events N]

The outputs send the same encoded batches: CPU time of the sending thread alone, to loopback stand-ins in processes of
their own (``sink.py``, and ``shipper receive``). The receiver's number is its whole process: protocol, JSON, the pipeline
spring-boot, ids, documents appended to a file and synced.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stages import FIELDS, blocks

from parser import Pipeline
from parser.multiline import PRESETS
from shipper.delivery.encoder import Encoder
from shipper.outputs import open_output
from shipper.outputs.batch import Batch
from shipper.settings import from_mapping

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS


def batches(log: Path, encoder: Encoder) -> list[Batch]:
    encoded = [encoder.encode(block, str(log), bytes(16)) for block in blocks(log, PRESETS["spring-boot"])]
    return [Batch(each.body, each.documents) for each in encoded]


def sent(output: dict[str, object], work: list[Batch]) -> float:
    """CPU seconds of this thread."""
    opened = open_output(from_mapping({"inputs": [{"paths": ["/x"]}], **output}))
    opened.check()
    began = time.thread_time()
    for batch in work:
        outcomes = opened.send(batch)
        assert not outcomes.retry, outcomes.reason
    took = time.thread_time() - began
    opened.close()
    return took


def receiver(folder: Path) -> tuple[subprocess.Popen[str], str]:
    settings = {
        "receive": {"host": "127.0.0.1:0", "pipeline": "spring-boot"},
        "path.data": str(folder / "data"),
        "output.file.path": str(folder / "out"),
    }
    (folder / "shipper.yml").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "shipper", "receive", "-c", str(folder / "shipper.yml")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    line = next(line for line in process.stderr if "listening on " in line)
    return process, line.split("listening on ")[1].split()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description="The outputs logstash and elasticsearch, and the receiver.")
    parser.add_argument("--events", type=int, default=200_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "orders.log"
        generator = HERE.parent / "scripts" / "spring_logs.py"
        subprocess.run([sys.executable, generator, "--events", str(options.events), "--no-tracing", log], check=True)
        parsed = batches(log, Encoder(Pipeline.load("spring-boot"), FIELDS, metadata={"parsed": True}))
        plain = batches(log, Encoder(None, FIELDS))
        count = sum(batch.count for batch in plain)
        sink = subprocess.Popen([sys.executable, HERE / "sink.py", "0"], stdout=subprocess.PIPE, text=True)
        assert sink.stdout
        rows = {}
        process, address = receiver(folder)
        try:
            url = sink.stdout.readline().strip()
            for level in (0, 1):
                output = {"output.elasticsearch": {"hosts": url, "compression_level": level}}
                rows[f"elasticsearch, compression {level}"] = sent(output, plain)
            before = cpu_seconds(process.pid)
            rows["logstash, compression 3"] = sent({"output.logstash.hosts": address}, plain)
            rows["shipper receive, parsing"] = cpu_seconds(process.pid) - before
            for level in (0, 1):
                output = {"output.logstash": {"hosts": address, "compression_level": level}}
                rows[f"logstash, compression {level}"] = sent(output, plain)
            before = cpu_seconds(process.pid)
            sent({"output.logstash.hosts": address}, parsed)
            rows["shipper receive, parsed by an agent"] = cpu_seconds(process.pid) - before
        finally:
            sink.terminate()
            sink.wait()
            process.send_signal(signal.SIGTERM)
            process.communicate()
    print(f"{count:,} events\n\n{'':38}{'µs/event':>9}{'events/CPU-s':>14}")
    for row, seconds in rows.items():
        print(f"{row:38}{seconds / count * 1e6:>9.2f}{count / seconds:>14,.0f}")


if __name__ == "__main__":
    main()
