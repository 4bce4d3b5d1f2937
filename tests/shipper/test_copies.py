"""Copies and archives that stay beside their originals, over truncations and restarts: nothing missing, nothing twice."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess

import pytest
from following import following
from waiting import wait_for

from shipper.agent import Agent
from shipper.files.content import Archive
from shipper.settings import from_mapping


@pytest.fixture
def settings(tmp_path, logs):
    one = {"type": "filestream", "paths": [f"{logs}/*"], "scan_frequency": "50ms"}
    data = {"inputs": [one], "output.file.path": str(tmp_path / "out")}
    return from_mapping(data, env={"SHIPPER_HOME": str(tmp_path / "home")})


@pytest.fixture
def shipped(shipped):
    """In order of the text: files are read in any."""
    return lambda: sorted(shipped())


def once(settings):
    with Agent(settings) as agent:
        assert agent.run(once=True)
        return agent.unreadable()


def held(agent):
    return agent._reading.inputs[0].harvest._matching.held


def numbered(name, count):
    return [f"{name} line {n:06}" for n in range(count)]


def write(path, lines, mode="w"):
    with path.open(mode) as log:
        log.write("".join(line + "\n" for line in lines))


@pytest.fixture
def window(settings, logs, shipped):
    """A log that was copied, then written to and read, and then truncated: the copy has less than was read."""

    def make(*, restarted):
        early, late = numbered("early", 100), numbered("late", 40)
        write(logs / "app.log", early)
        with following(settings) as agent:
            wait_for(lambda: len(shipped()) == 100)
            shutil.copyfile(logs / "app.log", logs / "app.log.1")
            wait_for(lambda: held(agent))
            write(logs / "app.log", late, "a")
            wait_for(lambda: len(shipped()) == 140)
            if not restarted:
                os.truncate(logs / "app.log", 0)
                write(logs / "app.log", ["new"], "a")
                wait_for(lambda: "new" in shipped())
        if restarted:
            os.truncate(logs / "app.log", 0)
            write(logs / "app.log", ["new"], "a")
        return sorted([*early, *late, "new"])

    return make


@pytest.mark.slow
@pytest.mark.parametrize("restarted", [False, True])
def test_a_copy_that_has_less_than_was_read_is_not_shipped(window, settings, shipped, restarted):
    wanted = window(restarted=restarted)
    for _ in range(2):
        once(settings)
        assert shipped() == wanted


@pytest.mark.slow
def test_such_a_copy_that_was_packed_is_not_shipped_either(window, settings, logs, shipped):
    wanted = window(restarted=False)
    with following(settings):
        packed = logs / "app.log.1.gz"
        packed.write_bytes(gzip.compress((logs / "app.log.1").read_bytes()))
        (logs / "app.log.1").unlink()
        write(logs / "other.log", ["~ end"])
        wait_for(lambda: "~ end" in shipped())
    assert once(settings) == {}
    assert shipped() == [*wanted, "~ end"]


def test_a_copy_of_which_not_all_was_read_is_read_on_after_a_restart(settings, logs, shipped):
    lines, more = numbered("a", 100), numbered("b", 50)
    write(logs / "app.log", lines)
    with following(settings) as agent:
        wait_for(lambda: len(shipped()) == 100)
        shutil.copyfile(logs / "app.log", logs / "app.log.1")
        wait_for(lambda: held(agent))
    write(logs / "app.log", more, "a")
    shutil.copyfile(logs / "app.log", logs / "app.log.1")
    write(logs / "app.log", ["new"])
    once(settings)
    assert shipped() == sorted([*lines, *more, "new"])


def test_an_archive_that_is_kept_is_unpacked_once(settings, logs, shipped, monkeypatch):
    lines = numbered("a", 200)
    write(logs / "app.log", lines)
    with following(settings) as agent:
        wait_for(lambda: len(shipped()) == 200)
        (logs / "app.log.1.gz").write_bytes(gzip.compress((logs / "app.log").read_bytes()))
        wait_for(lambda: held(agent))
    monkeypatch.setattr(Archive, "verify", lambda *_: pytest.fail("unpacked again"))
    once(settings)
    assert shipped() == lines


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("count", [10, 1000])
def test_equal_lines_that_were_moved_while_stopped_are_told_by_their_time(settings, logs, shipped, packed, count):
    write(logs / "app.log", ["same"] * count)
    once(settings)
    status = (logs / "app.log").stat()
    if packed:
        (logs / "app.log.1.gz").write_bytes(gzip.compress((logs / "app.log").read_bytes()))
        os.utime(logs / "app.log.1.gz", ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        shutil.copy2(logs / "app.log", logs / "app.log.1")
    (logs / "app.log").unlink()
    once(settings)
    assert shipped() == ["same"] * count


def test_equal_lines_of_another_time_are_others(settings, logs, shipped):
    write(logs / "app.log", ["same"] * 1000)
    once(settings)
    shutil.copy(logs / "app.log", logs / "app.log.1")
    (logs / "app.log").unlink()
    once(settings)
    assert shipped() == ["same"] * 2000


def test_a_link_that_was_swapped_while_stopped(settings, logs, shipped, tmp_path):
    one, other = tmp_path / "one.log", tmp_path / "other.log"
    write(one, numbered("one", 50))
    write(other, numbered("other", 60))
    (logs / "current.log").symlink_to(one)
    once(settings)
    write(one, ["one's last"], "a")
    (logs / "current.log").unlink()
    (logs / "current.log").symlink_to(other)
    once(settings)
    assert shipped() == sorted(numbered("one", 50) + numbered("other", 60))
    (logs / "current.log").unlink()
    (logs / "current.log").symlink_to(one)
    once(settings)
    assert shipped() == sorted([*numbered("one", 50), *numbered("other", 60), "one's last"])


@pytest.mark.parametrize("broken", ["cut", "flipped", "header"])
def test_a_one_shot_run_names_a_broken_archive_each_time(settings, logs, broken):
    packed = bytearray(gzip.compress("".join(f"{line}\n" for line in numbered("a", 3000)).encode()))
    if broken == "cut":
        del packed[len(packed) // 2 :]
    elif broken == "flipped":
        packed[len(packed) // 2] ^= 0xFF
    else:
        packed[3:10] = b"\xff" * 7
    (logs / "app.log.1.gz").write_bytes(packed)
    for _ in range(2):
        assert list(once(settings)) == [str(logs / "app.log.1.gz")]
    os.utime(logs / "app.log.1.gz", (1, 1))
    for _ in range(2):
        assert list(once(settings)) == [str(logs / "app.log.1.gz")]


# --- archives that are unpacked again, and copies of archives ------------------------------------------------------------


def gunzip(path, *, keep=False, times_kept=True):
    """As gunzip does: the file has the archive's time. Without ``times_kept`` as by a program that unpacks into a new one."""
    target = path.with_suffix("")
    target.write_bytes(gzip.decompress(path.read_bytes()))
    if times_kept:
        shutil.copystat(path, target)
    if not keep:
        path.unlink()
    return target


def archive(path, lines, modified=1_700_000_000):
    path.write_bytes(gzip.compress("".join(line + "\n" for line in lines).encode()))
    os.utime(path, (modified, modified))


CONTENTS = {"few": numbered("a", 3), "many": numbered("a", 500), "same": ["same"] * 500}
UNPACKED = [
    ("app.log.1.gz", "few", False),
    *((name, content, True) for name in ("app.log.1.gz", "app.log.gz") for content in CONTENTS),
]
"""An archive's name, what it holds, and whether it is unpacked with its time: else a new log may begin as the one before."""


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("name", "content", "times_kept"), UNPACKED)
def test_what_is_unpacked_while_stopped_is_not_shipped_again(settings, logs, shipped, keep, name, content, times_kept):  # noqa: PLR0917 - fixtures
    archive(logs / name, CONTENTS[content])
    once(settings)
    unpacked = gunzip(logs / name, keep=keep, times_kept=times_kept)
    for _ in range(2):
        assert once(settings) == {}
        assert shipped() == CONTENTS[content]
    (logs / name).unlink(missing_ok=True)
    once(settings)
    write(unpacked, ["own"], "a")
    once(settings)
    assert shipped() == sorted([*CONTENTS[content], "own"])


@pytest.mark.slow
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("content", CONTENTS)
def test_what_is_unpacked_while_running_is_not_shipped_again(settings, logs, shipped, keep, content):
    archive(logs / "app.log.1.gz", CONTENTS[content])
    with following(settings) as agent:
        wait_for(lambda: len(shipped()) == len(CONTENTS[content]))
        unpacked = gunzip(logs / "app.log.1.gz", keep=keep)
        inode = unpacked.stat().st_ino
        wait_for(lambda: inode in {node[1] for node in held(agent)} or not keep)
        write(logs / "other.log", ["~ end"])
        wait_for(lambda: "~ end" in shipped())
    assert once(settings) == {}
    assert shipped() == [*CONTENTS[content], "~ end"]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", ["app.log.1.gz", "app.log.gz"])
def test_what_is_unpacked_beside_its_archive_before_the_first_start_is_shipped_once(
    settings, logs, shipped, content, name
):
    archive(logs / name, CONTENTS[content])
    gunzip(logs / name, keep=True)
    for _ in range(2):
        assert once(settings) == {}
        assert shipped() == CONTENTS[content]


@pytest.mark.parametrize("content", CONTENTS)
def test_what_was_shipped_packed_and_unpacked_while_stopped_is_not_shipped_again(settings, logs, shipped, content):
    write(logs / "app.log.1", CONTENTS[content])
    once(settings)
    subprocess.run(["gzip", logs / "app.log.1"], check=True)
    subprocess.run(["gunzip", "-k", logs / "app.log.1.gz"], check=True)
    once(settings)
    assert shipped() == CONTENTS[content]


def test_what_is_still_being_unpacked_is_no_file_of_its_own(settings, logs, shipped):
    lines = numbered("a", 5000)
    archive(logs / "app.log.1.gz", lines)
    text = gzip.decompress((logs / "app.log.1.gz").read_bytes())
    with following(settings) as agent:
        wait_for(lambda: len(shipped()) == 5000)
        with (logs / "app.log.1").open("wb") as unpacked:
            node = (os.fstat(unpacked.fileno()).st_dev, os.fstat(unpacked.fileno()).st_ino)
            for begin in range(0, len(text), 30_000):
                unpacked.write(text[begin : begin + 30_000])
                unpacked.flush()
                size = unpacked.tell()
                wait_for(lambda: node in held(agent) and held(agent)[node].looked[0] == size)  # noqa: B023 - called at once
        (logs / "app.log.1.gz").unlink()
        write(logs / "other.log", ["~ end"])
        wait_for(lambda: "~ end" in shipped())
    once(settings)
    assert shipped() == [*lines, "~ end"]


def test_what_is_unpacked_and_goes_its_own_way_is_a_file_of_its_own(settings, logs, shipped):
    archive(logs / "app.log.1.gz", numbered("a", 500))
    once(settings)
    write(gunzip(logs / "app.log.1.gz", keep=True), ["own"], "a")
    once(settings)
    assert shipped() == sorted([*numbered("a", 500) * 2, "own"])


def test_other_lines_under_the_name_of_an_archive_are_read(settings, logs, shipped):
    archive(logs / "app.log.1.gz", numbered("a", 500))
    once(settings)
    other = [*numbered("a", 499), "a line 000xxx"]
    write(logs / "app.log.1", other)
    once(settings)
    assert shipped() == sorted([*numbered("a", 500), *other])


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_copies_of_an_archive_that_have_its_time_are_shipped_once(settings, logs, shipped, content, gone, known):  # noqa: PLR0917 - fixtures
    archive(logs / "a.gz", CONTENTS[content])
    if known:
        once(settings)
    for name in ("b.gz", "c.gz"):
        shutil.copy2(logs / "a.gz", logs / name)
    if gone:
        (logs / "a.gz").unlink()
    for _ in range(2):
        assert once(settings) == {}
        assert shipped() == CONTENTS[content]
    with (logs / "c.gz").open("ab") as packed:
        packed.write(gzip.compress(b"own\n"))
    once(settings)
    assert shipped() == sorted([*CONTENTS[content] * 2, "own"])


@pytest.mark.parametrize("names", [("a.gz", "b.gz"), ("a.log.gz", "a.log.1.gz"), ("a.log.1.gz", "a.log.1")])
def test_the_same_lines_at_another_time_are_others(settings, logs, shipped, names):
    archive(logs / names[0], ["same"] * 500)
    once(settings)
    if names[1].endswith(".gz"):
        archive(logs / names[1], ["same"] * 500, modified=1_700_086_400)
    else:
        write(logs / names[1], ["same"] * 500)
    once(settings)
    assert shipped() == ["same"] * 1000


def test_an_archive_of_several_is_known_by_its_time(settings, logs, shipped):
    lines = [numbered(name, 100) for name in "ab"]
    (logs / "app.log.1.gz").write_bytes(b"".join(gzip.compress("\n".join([*each, ""]).encode()) for each in lines))
    once(settings)
    gunzip(logs / "app.log.1.gz", keep=True)
    once(settings)
    assert shipped() == [*lines[0], *lines[1]]
