from __future__ import annotations

import bz2
import gzip
import lzma
import os

import pytest
from harvesting import open_harvest, read, settle

from shipper.files.recognition import related, why_not
from shipper.state.registry import Registry


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("app.log", "app.log.1"),
        ("app.log.1", "app.log.2.gz"),
        ("app.log.1", "app.log.1.gz"),
        ("app.log", "app.log-20261123"),
        ("app.log", "app-2026-11-23.0.log"),
        ("app.log", "app.log.2026-11-23.0.gz"),
        ("app.log", "app.2026-11-23T10:00:00Z.log.gz"),
        ("app.log", "app.log.1700000000"),
        ("app.log", "app.log82736455.tmp"),
        ("app.log82736455.tmp", "app.log.2026-11-23.0.gz"),
        ("app-2026-11-23.0.log82736455.tmp", "app-2026-11-23.0.log.gz"),
    ],
)
def test_rotated_names(known, name):
    assert related(f"/logs/{known}", f"/archive/{name}")
    assert related(name, known)


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("app.log", "app.log"),
        ("app.log", "apps.log"),
        ("app.log", "app.err"),
        ("a.log", "b.log.1"),
        ("app.log", "app1.log"),
        ("app.log", "app.log1"),
        ("app.log", "app.tmp"),
    ],
)
def test_other_names(known, name):
    assert not related(known, name)


@pytest.mark.parametrize(
    ("head", "binary"),
    [
        (b"\x7fELF\2\1\1" + bytes(9) + b"\n", True),
        (b"app.log" + bytes(400) + b"0000644" + bytes(98), True),
        (b"line with \0 in it\n" * 20, False),
        (bytes(500) + b"2026-11-23 text behind a hole\n", False),
        (b"\x1b[32m2026\x1b[0m coloured\r\n", False),
        (bytes(1024), False),
    ],
)
def test_a_few_nuls_make_no_binary_file(head, binary):
    assert bool(why_not(head)) == binary


@pytest.mark.parametrize(
    ("pack", "kind"),
    [(bz2.compress, "bzip2"), (lzma.compress, "xz"), (lambda data: b"\x28\xb5\x2f\xfd\4\0" + data, "zstd")],
)
@pytest.mark.parametrize("data", [b"", b"a line\n"])
def test_what_is_packed_otherwise_is_not_read(pack, kind, data):
    assert f"is packed with {kind}" in why_not(pack(data))
    assert why_not(b"BZh is short for something\n") is None


# --- a file that was packed, told by what it holds ---------------------------------------------------------------------

FRAMES = ["\tat a.b.C.run(C.java:1)"] * 3
DEEP = ["\tat a.b.C.run(C.java:1)"] * 60


def traces(count, *, frames=FRAMES, begin=0):
    """Records with the same stack trace each."""
    return [
        line for n in range(begin, begin + count) for line in (f"2026-11-23 record {n:06}", "java.lang.X: no", *frames)
    ]


class Agent:
    """The reading part of an agent, which acknowledges all it reads. ``read``: the lines, in order."""

    def __init__(self, folder):
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.registry = Registry(folder / "state.db", "test")
        self.read = []
        self.start()

    def start(self):
        self.harvest = open_harvest(self.registry, f"{self.logs}/app*")

    def stop(self):
        self.registry.commit(self.harvest.at_rest())
        self.harvest.close()

    def look(self, *, acknowledged=True):
        self.harvest.check()
        self.harvest.scan()
        while self.harvest.work():
            pass
        self.read += read(self.harvest)
        if acknowledged:
            settle(self.harvest, self.registry)

    def close_idle(self):
        for harvester in self.harvest.harvesters:
            harvester.quiet_since -= 1000
        self.harvest.close_idle()


@pytest.fixture
def agent(tmp_path):
    agent = Agent(tmp_path)
    yield agent
    agent.harvest.close()
    agent.registry.close()


def write(path, content, mode="w"):
    with path.open(mode) as log:
        log.writelines(line + "\n" for line in content)
    return content


def pack(path, name, *, times_kept=False):
    """As logback and log4j do, or as gzip, which keeps times."""
    target, modified = path.with_name(name), path.stat().st_mtime_ns
    target.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    if times_kept:
        os.utime(target, ns=(modified, modified))


@pytest.mark.parametrize(
    ("content", "times_kept"),
    [
        *((content, kept) for content in (traces(3), traces(300), traces(30, frames=DEEP)) for kept in (False, True)),
        (["same"] * 300, True),  # else nothing tells it from another file that says the same
    ],
    ids=lambda value: str(value if isinstance(value, bool) else len(value)),
)
@pytest.mark.parametrize("then", ["closed", "restarted"])
def test_what_is_packed_while_it_is_open_is_not_read_again(agent, content, times_kept, then):
    path = agent.logs / "app.log"
    written = write(path, content)
    agent.look()
    path.rename(f"{path}.1")
    new = write(path, traces(2, begin=1000))
    agent.look()
    pack(agent.logs / "app.log.1", "app.log.1.gz", times_kept=times_kept)
    agent.look()
    if then == "closed":
        agent.close_idle()
    else:  # killed
        agent.harvest.close()
        agent.start()
    agent.look()
    (agent.logs / "app.log.1.gz").rename(agent.logs / "app.log.2.gz")
    agent.look()
    assert agent.read == [*written, *new]
    assert {os.path.basename(entry.path) for entry in agent.registry.entries()} == {"app.log", "app.log.2.gz"}


@pytest.mark.parametrize("late", [0, 4])
@pytest.mark.parametrize("between", ["", "app.log82736455.tmp", "app-2026-11-23.1.log82736455.tmp"])
def test_what_is_packed_and_written_on_while_nothing_of_it_is_acknowledged(agent, late, between):
    """As a service does whose log is packed under its hands: both have the same ids, and nothing is lost."""
    path = agent.logs / "app.log"
    with path.open("w") as log:
        log.writelines(line + "\n" for line in traces(300))
        log.flush()
        agent.look(acknowledged=False)
        if between:
            path = path.rename(agent.logs / between)
            agent.look(acknowledged=False)
        pack(path, "app-2026-11-23.1.log.gz")
        agent.look(acknowledged=False)
        log.writelines(line + "\n" for line in traces(late, begin=300))
    agent.look()
    agent.close_idle()
    for _ in range(2):
        agent.look()
    assert agent.read == traces(300 + late)


@pytest.mark.parametrize("late", [0, 4])
@pytest.mark.parametrize("count", [3, 300])
def test_what_ends_with_lines_that_come_again_and_was_packed_while_stopped_is_read_on(agent, count, late):
    path = agent.logs / "app.log"
    written = write(path, traces(count))
    agent.look()
    agent.stop()
    written += write(path, traces(late, begin=count), "a")
    pack(path, "app.log.1.gz")
    new = write(path, traces(1, begin=1000))
    agent.start()
    agent.look()
    assert sorted(agent.read) == sorted([*written, *new])


@pytest.mark.parametrize("stopped", [False, True])
def test_what_ends_deep_in_a_trace_and_was_packed_at_rest_is_not_read_again(agent, stopped):
    """Not a line of its last kilobyte tells it from another; that it ends there does."""
    path = agent.logs / "app.log"
    written = write(path, traces(30, frames=DEEP))
    agent.look()
    if stopped:
        agent.stop()
    else:
        agent.close_idle()
        assert not agent.harvest.harvesters
    pack(path, "app.log.1.gz")
    if stopped:
        agent.start()
    agent.look()
    assert agent.read == written


@pytest.mark.parametrize(
    "content", [["same"], ["ping", "pong"], ["x" * 700], [f"line {n} of ten" for n in range(60)]], ids=len
)
def test_what_comes_again_and_again_is_no_proof(agent, content):
    """Rather twice than lost: these may be the lines of the day before and of this one."""
    path = agent.logs / "app.log"
    written = write(path, content * 200)
    agent.look()
    agent.stop()
    path.unlink()
    other = write(agent.logs / "app.log.1", content * 200)
    agent.start()
    agent.look()
    assert agent.read == [*written, *other]


@pytest.mark.parametrize("end", [DEEP, [f"\tat a.b.C.run(C.java:{n})" for n in range(60)]], ids=len)
def test_what_differs_in_the_middle_only_is_no_copy_of_what_is_open(agent, end):
    """Two generations of a service that fails at its start, with the same beginning and the same end."""
    banner = ["banner"] * 200
    first, second = ([*banner, *(f"{day} {n}" for n in range(20_000)), *end] for day in ("Monday ", "Tuesday"))
    path = agent.logs / "app.log"
    write(path, first)
    agent.look()
    path.unlink()
    write(agent.logs / "app.log.1", second)
    agent.look()
    agent.close_idle()
    agent.look()
    assert agent.read == [*first, *second]
