"""A file that was packed, copied or replaced, told by what it holds."""

from __future__ import annotations

import gzip
import os

import pytest
from harvesting import open_harvest, read, settle, unprivileged

from shipper.state.registry import Registry

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


# --- copies, and what takes a file's place ---------------------------------------------------------------------------------

BANNERS = [[r"  .   ____          _", r" /\\ / ___'_ __ _ _(_)_ __", " :: Spring Boot ::  (v3.2.0)"], traces(1)]


@pytest.mark.parametrize("banner", BANNERS, ids=["another start", "copied early"])
@pytest.mark.parametrize("end", ["killed", "stopped", "closed"])
def test_a_shorter_copy_does_not_keep_the_longer_one_from_being_read_on(agent, banner, end):
    """A log is packed while its last lines are not acknowledged, and one that has only its beginning is there as well."""
    log, old = agent.logs / "app.log", agent.logs / "app.8.log"
    early = write(log, [*banner, *traces(100, begin=1)])
    agent.look()
    late = write(log, traces(10, begin=500), "a")
    agent.look(acknowledged=False)
    log.rename(old)
    late += write(log, traces(5, begin=900))
    agent.look(acknowledged=False)
    (agent.logs / "app.12.log.gz").write_bytes(gzip.compress("".join(line + "\n" for line in banner).encode()))
    pack(old, "app.8.log.gz")
    agent.look(acknowledged=False)
    if end == "closed":
        agent.look()
        agent.close_idle()
    elif end == "stopped":
        agent.stop()
    else:
        agent.harvest.close()
    if end != "closed":
        assert agent.read == early + late
        agent.read = list(early)
        agent.start()
    for _ in range(2):
        agent.look()
        agent.close_idle()
    assert sorted(agent.read) == sorted(early + late)
    known = {os.path.basename(entry.path): entry.offset for entry in agent.registry.entries()}
    assert known["app.8.log.gz"] == len("".join(line + "\n" for line in early + late[:-25]).encode())


def test_a_copy_of_what_is_gone_waits_for_a_disk_that_is_full(agent):
    path, copy = agent.logs / "app.log", agent.logs / "app.log.1"
    lines = write(path, traces(100))
    write(copy, lines[:400])
    agent.look()
    path.unlink()
    agent.harvest.scan()
    agent.close_idle()
    agent.registry._connection.execute("PRAGMA query_only=ON")
    agent.harvest.scan()
    assert "cannot be begun" in agent.harvest.unreadable[str(copy)]
    agent.registry._connection.execute("PRAGMA query_only=OFF")
    agent.look()
    assert agent.harvest.unreadable == {}
    lines += write(copy, ["more"], "a")
    agent.look()
    assert agent.read == lines


def test_of_several_copies_of_what_is_gone_the_longest_is_read_on(agent):
    """Nothing but the first lines is acknowledged."""
    path = agent.logs / "app.log"
    early = write(path, traces(10))
    agent.look()
    late = write(path, traces(100, begin=10), "a")
    agent.look(acknowledged=False)
    lines = early + late
    for name, count in (("app.log.1", 100), ("app.log.2", 300), ("app.log.3", 200)):
        write(agent.logs / name, lines[:count])
    agent.look(acknowledged=False)
    path.unlink()
    agent.harvest.close()
    agent.read = list(early)
    agent.start()
    for _ in range(2):
        agent.look()
        agent.close_idle()
    assert agent.read == lines[:300]


@pytest.mark.parametrize("late", [0, 3])
def test_what_kubelet_packs_is_read_once(agent, late):
    """It packs under a temporary name, renames that, and removes the original then."""
    path = agent.logs / "app.log"
    lines = write(path, traces(300))
    agent.look()
    rotated = path.rename(f"{path}.20261123-101500")
    lines += write(path, traces(300, begin=1000))
    agent.look()
    temporary = agent.logs / "app.log.20261123-101500.tmp"
    temporary.write_bytes(gzip.compress(rotated.read_bytes()))
    agent.look()
    temporary.rename(temporary.with_suffix(".gz"))
    rotated.unlink()
    lines += write(path, traces(late, begin=2000), "a")
    for _ in range(2):
        agent.look()
        agent.close_idle()
    assert agent.read == lines


@pytest.mark.parametrize("rotated", ["packed", "copied", "renamed"])
def test_a_name_that_is_no_utf8_is_found_again(agent, rotated):
    path = agent.logs / os.fsdecode(b"app-\xe9.log")
    lines = write(path, traces(100))
    agent.look()
    assert [entry.path for entry in agent.registry.entries()] == [str(path)]
    assert agent.harvest.harvesters[0].path == f"{agent.logs}/app-\N{REPLACEMENT CHARACTER}.log"
    agent.stop()
    lines += write(path, traces(10, begin=100), "a")
    if rotated == "packed":
        pack(path, f"{path.name}.1.gz")
    elif rotated == "copied":
        (agent.logs / f"{path.name}.1").write_bytes(path.read_bytes())
        os.truncate(path, 0)
    else:
        path.rename(f"{path}.1")
    lines += write(path, traces(10, begin=1000))
    agent.start()
    agent.look()
    assert agent.harvest.unreadable == {}
    assert sorted(agent.read) == sorted(lines)


@pytest.mark.parametrize("is_open", [False, True])
def test_an_original_that_cannot_be_read_any_more_is_not_its_copys_fault(open_logs, is_open):
    agent = Agent(open_logs)
    path, copy = agent.logs / "app.log", agent.logs / "app.log.1"
    lines = write(path, traces(100))
    agent.look()
    if not is_open:
        agent.stop()
        agent.start()
    lines += write(path, traces(10, begin=100), "a")
    copy.write_text(path.read_text())
    path.chmod(0)
    with unprivileged():
        agent.harvest.scan(partial=True)  # as in a one-shot run
        assert list(agent.harvest.unreadable) == ([] if is_open else [str(path)])
        agent.read += read(agent.harvest)
    if is_open:
        assert agent.read == lines
    else:  # it cannot be told: rather twice than lost
        assert agent.read[500:] == lines
    agent.harvest.close()
    agent.registry.close()


@pytest.mark.parametrize("acknowledged", [False, True])
def test_what_is_replaced_again_and_again_by_more_of_itself_is_read_once(agent, acknowledged):
    """As rsync does, and ``cp`` and ``mv``; whether the outputs have it yet or not."""
    path, new = agent.logs / "app.log", agent.logs / "new"
    lines = write(path, traces(100))
    for begin in (100, 200, 300):
        agent.look(acknowledged=acknowledged)
        lines += traces(100, begin=begin)
        write(new, lines)
        new.rename(path)
    agent.look()
    assert agent.read == lines


def test_what_is_replaced_by_another_that_begins_as_it_did_is_another(agent):
    """Two starts of a service: as little as that may stand in any file."""
    path, new = agent.logs / "app.log", agent.logs / "new"
    first = write(path, ["2026-11-23 starting", "ready"])
    agent.look(acknowledged=False)
    second = write(new, [*first, *traces(3)])
    new.rename(path)
    agent.look()
    assert agent.read == [*first, *second]
