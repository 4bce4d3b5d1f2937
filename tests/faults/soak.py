"""Load with rotations, kills and outages for as long as you like, judged by the same oracle as the fault tests.

    python tests/faults/soak.py --seconds 600 --rate 50000 --output store

One process writes numbered lines at a steady rate and renames the log every second (it keeps ``--keep`` generations and deletes
older ones, so that an agent that falls behind has to hold deleted files open); the agent is killed with SIGKILL and its output
goes away, both at random. A rotation waits where the oldest generation is not acknowledged yet: what is deleted is lost to an
agent that is killed, or was down, and that is not its fault. Without kills it is enough that the agent has it open. Numbers are counted, not kept: hundreds of millions of lines need no memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

sys.path.insert(0, str(Path(__file__).parent))

from scripted import ScriptedElasticsearch  # beside this file, which may be run by itself

LINE = "2024-11-21T10:%02d:%02d.%03d+01:00  INFO 42 --- [main] a.B : event %d\n"


@dataclass
class Result:
    """What a soak showed. ``rss`` are MiB of the agent, one sample per second."""

    written: int = 0
    arrived: int = 0
    missing: int = 0
    twice: int = 0
    kills: int = 0
    outages: int = 0
    rotations: int = 0
    seconds: float = 0.0
    rss: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    """Descriptors that the agent had open, likewise."""
    behind: float = 0.0
    """Seconds from the last line to the last document."""

    def __str__(self) -> str:
        rss = sorted(self.rss) or [0.0]
        third = len(self.rss) // 3 or 1
        early, late = max(self.rss[:third], default=0), max(self.rss[-third:], default=0)
        return (
            f"{self.written:,} lines in {self.seconds:.0f} s ({self.written / max(self.seconds, 1e-9):,.0f}/s), {self.rotations} rotations, "
            f"{self.kills} kills, {self.outages} outages: {self.missing} missing, {self.twice} twice; RSS median {rss[len(rss) // 2]:.0f}, "
            f"highest {rss[-1]:.0f} MiB (first third {early:.0f}, last third {late:.0f}), at most {max(self.files, default=0)} descriptors; all there {self.behind:.1f} s after the last line"
        )


class Counted(ScriptedElasticsearch):
    """Keeps the ids and the numbers of the events only; what else a document has is not looked at, for there are millions."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ids: dict[bytes, int] = {}

    def items(self, body):
        ids, numbers = ID.findall(body), NUMBER.findall(body)
        assert len(ids) == len(numbers) == body.count(b"\n") // 2
        return list(zip(ids, map(int, numbers), strict=True))

    def bulk(self, items, act):
        assert act.index(0)
        with self._lock:
            known = [name in self.ids for name, _ in items]
            for name, number in items:
                self.ids.setdefault(name, number)
        return {"errors": any(known), "items": [CONFLICT if each else CREATED for each in known]}


ID = re.compile(rb'^\{"create":\{"_id":"([^"]+)"\}\}$', re.MULTILINE)
NUMBER = re.compile(rb'"message":"event (\d+)"')
CREATED = {"create": {"status": 201}}
CONFLICT = {"create": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}}


class Agent:
    """``shipper run`` as a process that can be killed and started again."""

    def __init__(self, folder: Path, output: dict) -> None:
        self._folder = folder
        settings = {
            "inputs": [{"type": "filestream", "paths": [f"{folder}/logs/app.log*"], "pipeline": "spring-boot"}],
            "host.id": "soak",
            **output,
        }
        (folder / "shipper.yml").write_text(json.dumps(settings))
        self.process: subprocess.Popen | None = None

    def start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "shipper", "run", "-c", str(self._folder / "shipper.yml"), *arguments]
        with (self._folder / "agent.log").open("ab") as said:
            self.process = subprocess.Popen(
                command, env={**os.environ, "SHIPPER_HOME": str(self._folder / "home")}, stderr=said
            )

    def kill(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(120)

    def finish(self) -> None:
        """A one-shot run, which says by its exit code that all is delivered."""
        self.start("--once", "--patience", "60")
        assert self.process is not None
        assert self.process.wait(1_800) == 0, (self._folder / "agent.log").read_text()[-2_000:]

    def rss(self) -> float:
        """MiB."""
        try:
            fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        except OSError:
            return 0.0
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def files(self) -> int:
        """How many descriptors it has open."""
        try:
            return len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except OSError:
            return 0

    def holds(self, inode: int) -> bool:
        """Whether it has the file with this inode open."""
        for each in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                if each.stat().st_ino == inode:
                    return True
            except OSError:
                continue
        return False


class Service(threading.Thread):
    """Writes ``rate`` lines a second and rotates each ``every`` seconds, until it is told to end."""

    def __init__(self, folder: Path, rate: int, keep: int, every: float, agent: Agent, *, killed: bool) -> None:
        super().__init__(daemon=True)
        self.written = self.rotations = 0
        self.failure: BaseException | None = None
        self.ended = threading.Event()
        self._folder, self._rate, self._keep, self._every = folder, rate, keep, every
        self._agent, self._killed = agent, killed

    def run(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - seen by the one who waits
            self.failure = error

    def _run(self) -> None:
        path = self._folder / "app.log"
        step = 0.02
        file = path.open("ab", buffering=0)
        begun = rotated = time.monotonic()
        while not self.ended.is_set():
            due = int((time.monotonic() - begun) * self._rate) - self.written
            if due > 0:
                first = self.written
                file.write(
                    "".join(
                        LINE % (n // 60_000 % 60, n // 1_000 % 60, n % 1_000, n) for n in range(first, first + due)
                    ).encode()
                )
                self.written += due
            if time.monotonic() - rotated >= self._every and self._room():
                rotated = time.monotonic()
                for number in range(self._keep, 0, -1):
                    old = self._folder / f"app.log.{number}"
                    if old.exists():
                        old.unlink() if number == self._keep else old.rename(self._folder / f"app.log.{number + 1}")
                path.rename(self._folder / "app.log.1")
                file.close()
                file = path.open("ab", buffering=0)
                self.rotations += 1
            time.sleep(step)
        file.close()

    def _room(self) -> bool:
        """Whether the oldest generation may go."""
        oldest = self._folder / f"app.log.{self._keep}"
        if not oldest.exists() or done(self._folder.parent / "home", oldest):
            return True
        return not self._killed and self._agent.holds(oldest.stat().st_ino)


def done(home: Path, path: Path) -> bool:
    """Whether the registry has the whole file."""
    status = path.stat()
    try:
        with closing(sqlite3.connect(home / "state.db", timeout=30)) as connection:
            rows = connection.execute("SELECT offset FROM files WHERE inode = ?", (status.st_ino,)).fetchall()
    except sqlite3.Error:
        return False
    return any(offset >= status.st_size for (offset,) in rows)


def counted(home: Path) -> tuple[int, bytearray]:
    """How many documents a store has, and how often each number is in it (255 is often enough)."""
    times, total = bytearray(), 0
    for partition in sorted((home / "store").glob("*.db")):
        with closing(sqlite3.connect(partition, timeout=30)) as connection:
            for (message,) in connection.execute("SELECT source ->> '$.message' FROM documents"):
                total += 1
                count(times, int(message.removeprefix("event ")))
    return total, times


def count(times: bytearray, number: int) -> None:
    """One more of ``number``."""
    if number >= len(times):
        times.extend(bytes(number + 1_000_000 - len(times)))
    times[number] = min(255, times[number] + 1)


def of_index(url: str) -> tuple[int, bytearray]:
    """As ``counted``, of an index of a real Elasticsearch."""
    times, total, after = bytearray(), 0, None
    urlopen(Request(f"{url}/_refresh", method="POST"), timeout=120).close()
    while True:
        query = {"size": 10_000, "sort": ["_doc"], "_source": ["message"]}
        if after is None:
            target = f"{url}/_search?scroll=5m"
        else:
            target, query = f"{url.rpartition('/')[0]}/_search/scroll", {"scroll": "5m", "scroll_id": after}
        with urlopen(
            Request(target, json.dumps(query).encode(), {"content-type": "application/json"}), timeout=120
        ) as answer:
            page = json.loads(answer.read())
        after = page["_scroll_id"]
        for hit in page["hits"]["hits"]:
            total += 1
            count(times, int(hit["_source"]["message"].removeprefix("event ")))
        if not page["hits"]["hits"]:
            return total, times


def soak(
    folder: Path,
    *,
    seconds: float,
    rate: int,
    output: str = "store",
    keep: int = 5,
    every: float = 1.0,
    kill_each: float = 10.0,
    outage_each: float = 15.0,
    seed: int = 1,
    say=lambda text: None,
) -> Result:
    """``output``: ``store``, ``scripted`` (a stand-in for Elasticsearch), or the address of an index of a real one."""
    chance = random.Random(seed)
    (folder / "logs").mkdir(parents=True)
    result = Result()
    server = Counted() if output == "scripted" else None
    settings: dict = {}
    if server:
        server.start()
        settings = server.output(bulk_max_bytes="2MiB", timeout="10s")
    elif output != "store":
        host, _, index = output.rpartition("/")
        settings = {"output.elasticsearch": {"hosts": [host], "index": index}}
    agent = Agent(folder, settings)
    agent.start()
    service = Service(folder / "logs", rate, keep, every, agent, killed=bool(kill_each))
    began = time.monotonic()
    service.start()
    next_kill, next_outage, next_say = began + chance.uniform(0.5, 1.5) * kill_each, began + outage_each, began + 10
    back = 0.0
    while (now := time.monotonic()) - began < seconds:
        time.sleep(0.1)
        if len(result.rss) < now - began:
            result.rss.append(agent.rss())
            result.files.append(agent.files())
        if service.failure:
            raise service.failure
        assert agent.process.poll() is None, (folder / "agent.log").read_text()[-2_000:]
        if kill_each and now > next_kill:
            agent.kill()
            agent.start()
            result.kills += 1
            next_kill = now + chance.uniform(0.5, 1.5) * kill_each
        if server and outage_each and now > next_outage:
            server.stop()
            result.outages += 1
            back, next_outage = now + chance.uniform(0.5, 3), now + chance.uniform(0.5, 1.5) * outage_each
        if server and back and now > back:
            server.start()
            back = 0.0
        if now > next_say:
            next_say += 10
            say(
                f"{now - began:.0f} s: {service.written:,} lines, {agent.rss():.0f} MiB, {agent.files()} descriptors, {result.kills} kills, {result.outages} outages"
            )
    service.ended.set()
    service.join(30)
    result.seconds, result.written, result.rotations = time.monotonic() - began, service.written, service.rotations
    if server and back:
        server.start()
    ended = time.monotonic()

    def arrived() -> int:
        if server:
            return len(server.ids)
        if output == "store":
            total = 0
            for partition in (folder / "home/store").glob("*.db"):
                # One that is just being made has no table yet.
                with closing(sqlite3.connect(partition, timeout=30)) as connection, suppress(sqlite3.OperationalError):
                    total = max(total, connection.execute("SELECT max(seq) FROM documents").fetchone()[0] or 0)
            return total  # or more: numbers of duplicates are skipped
        urlopen(Request(f"{output}/_refresh", method="POST"), timeout=120).close()
        with urlopen(f"{output}/_count", timeout=120) as answer:
            return json.loads(answer.read())["count"]

    still, last = time.monotonic(), -1
    while (now_there := arrived()) < result.written and time.monotonic() - still < 20:
        if now_there != last:
            still, last = time.monotonic(), now_there
        time.sleep(0.5)
    agent.kill(signal.SIGTERM)
    agent.finish()
    result.behind = time.monotonic() - ended
    if server:
        times = bytearray()
        for number in server.ids.values():
            count(times, number)
        result.arrived = len(server.ids)
        server.stop()
    else:
        result.arrived, times = counted(folder / "home") if output == "store" else of_index(output)
    result.missing = times[: result.written].count(0) + max(0, result.written - len(times))
    result.twice = sum(each - 1 for each in times if each > 1)
    return result


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=int, default=50_000, help="lines a second")
    parser.add_argument("--output", default="store", help="store, scripted, or http://host:9200/index")
    parser.add_argument("--keep", type=int, default=5)
    parser.add_argument("--rotate-each", type=float, default=1.0)
    parser.add_argument("--kill-each", type=float, default=10.0, help="seconds on average; 0: never")
    parser.add_argument("--outage-each", type=float, default=15.0, help="seconds on average; 0: never")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        result = soak(
            Path(folder),
            seconds=chosen.seconds,
            rate=chosen.rate,
            output=chosen.output,
            keep=chosen.keep,
            every=chosen.rotate_each,
            kill_each=chosen.kill_each,
            outage_each=chosen.outage_each,
            seed=chosen.seed,
            say=lambda text: print(text, flush=True),  # noqa: T201 - a script
        )
    print(result)  # noqa: T201 - as above
    sys.exit(bool(result.missing or result.twice))


if __name__ == "__main__":
    main()
