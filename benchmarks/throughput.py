#!/usr/bin/env python3
"""Events per CPU-second of the whole agent, from a file to acknowledged bulk requests, beside rsyslog doing the same.

    .venv/bin/python benchmarks/throughput.py                        every subject, 1,000,000 events (250 MB), one round
    .venv/bin/python benchmarks/throughput.py --events 200000 --rounds 3 --only agent,rsyslog
    .venv/bin/python benchmarks/throughput.py --elasticsearch http://127.0.0.1:9200

A subject is started, watched until every event of the file is acknowledged, and stopped. Its CPU time is user + system of
the whole process, start and imports included, as the kernel accounts it (``/proc/PID/stat``); memory is ``VmHWM``, the
peak of the resident set. Rounds are interleaved, so that what else the machine does hits every subject alike; the median counts.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SHIPPER = Path(sys.executable).with_name("shipper")
TICKS = os.sysconf("SC_CLK_TCK")
INDEX = "shipper-benchmark"


@dataclass(frozen=True)
class Measured:
    """One run of one subject."""

    events: int
    cpu: float
    wall: float
    peak_mb: float

    @property
    def rate(self) -> float:
        return self.events / self.cpu


# --- what is watched ------------------------------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    """User and system time of a live process, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def peak_mb(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    return int(found[1]) / 1024 if found else 0.0


def fetch(url: str, *, post: bool = False) -> dict[str, int]:
    request = urllib.request.Request(url, method="POST" if post else "GET")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


class Loopback:
    """``sink.py`` in its own process."""

    label = "loopback sink"

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, HERE / "sink.py", "0"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.before = 0

    def begin(self) -> None:
        self.before = fetch(self.url + "/_count")["count"]

    def count(self) -> int:
        return fetch(self.url + "/_count")["count"] - self.before

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


class Elasticsearch:
    """A real node, started by someone else. Its index of this benchmark is deleted before each run."""

    label = "Elasticsearch"

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def begin(self) -> None:
        delete = urllib.request.Request(f"{self.url}/{INDEX}?ignore_unavailable=true", method="DELETE")
        urllib.request.urlopen(delete, timeout=60).close()

    def count(self) -> int:
        try:
            fetch(f"{self.url}/{INDEX}/_refresh", post=True)
            return fetch(f"{self.url}/{INDEX}/_count")["count"]
        except urllib.error.HTTPError:  # not there yet
            return 0

    def close(self) -> None:
        self.begin()


def watch(process: subprocess.Popen[bytes], place: Loopback | Elasticsearch, events: int, limit: float) -> Measured:
    """Wait until ``events`` are acknowledged, read the accounts, and stop the process."""
    began = time.monotonic()
    try:
        while (done := place.count()) < events:
            if process.poll() is not None:
                raise SystemExit(
                    f"{process.args!r} ended with {process.returncode} after {done:,} of {events:,} events"
                )
            if time.monotonic() - began > limit:
                raise SystemExit(f"{process.args!r} had {done:,} of {events:,} events after {limit:.0f} s")
            time.sleep(0.1 if done < events * 0.9 else 0.02)
        wall = time.monotonic() - began
        time.sleep(0.3)  # what follows the last acknowledgement (the registry's commit) belongs to the work
        return Measured(done, cpu_seconds(process.pid), wall, peak_mb(process.pid))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# --- who is watched -------------------------------------------------------------------------------------------------


def agent(log: Path, events: int, work: Path, place: Loopback | Elasticsearch, limit: float) -> Measured:
    """``shipper run`` with the spring-boot pipeline to Elasticsearch's bulk API."""
    settings = work / "shipper.yml"
    settings.write_text(
        f"inputs:\n  - type: filestream\n    paths: [{json.dumps(str(log))}]\n    pipeline: spring-boot\n"
        f'output.elasticsearch:\n  hosts: ["{place.url}"]\n  index: {INDEX}\npath.data: {work / "data"}\n',
        encoding="utf-8",
    )
    place.begin()
    with (work / "agent.out").open("wb") as out:
        process = subprocess.Popen(
            [SHIPPER, "run", "-c", settings],
            stdout=out,
            stderr=out,
            env={**os.environ, "SHIPPER_HOME": str(work / "home")},
        )
    return watch(process, place, events, limit)


def store(log: Path, events: int, work: Path, _: Loopback | Elasticsearch, limit: float) -> Measured:
    """``shipper ship --once`` with the spring-boot pipeline into the embedded store."""
    environment = {**os.environ, "SHIPPER_HOME": str(work / "home")}
    began, peak = time.monotonic(), 0.0
    with (work / "store.out").open("wb") as out:
        process = subprocess.Popen([SHIPPER, "ship", log, "--once"], stdout=out, stderr=out, env=environment)
    while True:  # the process must be seen before it is reaped: its peak is gone afterwards
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - began > limit:
            process.kill()
        try:
            peak = max(peak, peak_mb(process.pid))
        except OSError:
            continue
        time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    if process.returncode:
        raise SystemExit(
            f"shipper ship ended with {process.returncode}: {(work / 'store.out').read_text(encoding='utf-8')[-2000:]}"
        )
    done = int(
        subprocess.run(
            [SHIPPER, "search", "--count"], capture_output=True, text=True, check=True, env=environment
        ).stdout
    )
    if done != events:
        raise SystemExit(f"the store has {done:,} events, the file {events:,}")
    return Measured(done, usage.ru_utime + usage.ru_stime, wall, peak)


def rsyslog(log: Path, events: int, work: Path, place: Loopback | Elasticsearch, limit: float) -> Measured:
    """rsyslogd: imfile, mmnormalize, omelasticsearch; its own configuration, pid file and work directory."""
    filled = (HERE / "rsyslog" / "rsyslog.conf").read_text(encoding="utf-8")
    port = place.url.rpartition(":")[2]
    rules = HERE / "rsyslog" / "spring.rulebase"
    for name, value in {"WORK": work, "LOG": log, "RULES": rules, "PORT": port, "INDEX": INDEX}.items():
        filled = filled.replace(f"@{name}@", str(value))
    (work / "rsyslog.conf").write_text(filled, encoding="utf-8")
    place.begin()
    with (work / "rsyslog.out").open("wb") as out:
        process = subprocess.Popen(
            ["rsyslogd", "-n", "-f", work / "rsyslog.conf", "-i", work / "rsyslog.pid"], stdout=out, stderr=out
        )
    return watch(process, place, events, limit)


SUBJECTS = {"agent": agent, "store": store, "rsyslog": rsyslog}


def rsyslog_missing() -> str:
    """Why rsyslog cannot be a subject here, or nothing."""
    if not shutil.which("rsyslogd"):
        return "no rsyslogd (Debian: apt-get install rsyslog rsyslog-elasticsearch)"
    modules = [m for m in ("mmnormalize.so", "omelasticsearch.so") if not any(Path("/usr/lib").glob(f"**/rsyslog/{m}"))]
    return f"rsyslog lacks {', '.join(modules)} (Debian: rsyslog-elasticsearch)" if modules else ""


# --- the report -----------------------------------------------------------------------------------------------------


def events_in(log: Path) -> int:
    """How many records the file holds: lines that begin with a time."""
    with log.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return sum(1 for _ in re.finditer(rb"(?m)^\d{4}-\d\d-\d\d[T ]", data))


def report(runs: dict[str, list[Measured]], log: Path, events: int, label: str) -> None:
    middle = {name: statistics.median(run.rate for run in measured) for name, measured in runs.items()}
    print(
        f"\n{events:,} events, {log.stat().st_size / 1e6:.0f} MB, to the {label}; median of {len(next(iter(runs.values())))}\n"
    )
    print(f"{'':10}{'events/CPU-s':>14}{'MB/CPU-s':>10}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}{'ratio':>7}")
    for name, measured in runs.items():
        run = sorted(measured, key=lambda one: one.rate)[len(measured) // 2]
        size = log.stat().st_size / 1e6 / events * middle[name]
        ratio = f"{middle[name] / middle['rsyslog']:.2f}" if "rsyslog" in middle else ""
        print(
            f"{name:10}{middle[name]:>14,.0f}{size:>10.1f}{run.cpu:>8.2f}{run.wall:>8.1f}{run.peak_mb:>9.1f}{ratio:>7}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Events per CPU-second of the whole agent, beside rsyslog.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--log", type=Path, help="a log to use instead of a generated one (file layout of Boot 3.x)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default=",".join(SUBJECTS), help="comma-separated subjects of: %(default)s")
    parser.add_argument(
        "--elasticsearch", metavar="URL", help="a real node (http, no authentication) instead of the loopback sink"
    )
    parser.add_argument("--limit", type=float, default=180, help="seconds that one run may take")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(SUBJECTS):
        parser.error(f"no such subject: {', '.join(sorted(unknown))}")
    if "rsyslog" in names and (why := rsyslog_missing()):
        print(f"SKIPPED rsyslog: {why}")
        names.remove("rsyslog")
    with tempfile.TemporaryDirectory(prefix="shipper-benchmark-") as folder:
        log = options.log.resolve() if options.log else Path(folder, "orders.log")
        if not options.log:
            generate = [
                sys.executable,
                ROOT / "scripts" / "spring_logs.py",
                "--events",
                str(options.events),
                "--no-tracing",
                "--failures",
                "0.026",
                log,
            ]
            subprocess.run(generate, check=True)
        events = events_in(log)
        place = Elasticsearch(options.elasticsearch) if options.elasticsearch else Loopback()
        runs: dict[str, list[Measured]] = {name: [] for name in names}
        try:
            for turn in range(options.rounds):
                for name in names:
                    work = Path(folder, f"{name}-{turn}")
                    work.mkdir()
                    run = SUBJECTS[name](log, events, work, place, options.limit)
                    runs[name].append(run)
                    print(
                        f"{name}: {run.rate:,.0f} events per CPU-second ({run.cpu:.2f} s CPU, {run.wall:.1f} s, {run.peak_mb:.1f} MB)",
                        flush=True,
                    )
                    shutil.rmtree(work)
        finally:
            place.close()
        report(runs, log, events, place.label)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
