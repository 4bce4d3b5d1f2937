from __future__ import annotations

import os
import shutil
import sqlite3
import sys

import pytest

from shipper.errors import StateError
from shipper.state import database, recovery
from shipper.state.recovery import recover
from shipper.state.registry import Registry
from shipper.state.rejects import Rejects


@pytest.fixture
def path(tmp_path):
    """A database of an agent that has ended: files, salts, a cut, an event of two files, rejects."""
    path = tmp_path / "state.db"
    registry = Registry(path, "store")
    for number in range(3):
        entry = registry.register(key=b"k" * 16, path=f"/log/größe-{number}.log", device=1, inode=number)
        entry.offset, entry.prefix_length, entry.prefix, entry.tail = 1000 + number, 100, b"p" * 16, b"t" * 16
        registry.commit([entry])
    registry.cut(entry, 2000)
    registry.join(registry.entry(1), 1500, entry, 2500)
    rejects = Rejects(path)
    rejects.add("store", [(f"{n:020}", 400, "mapping", b'{"n":%d}' % n) for n in range(3)])
    rejects.close()
    registry.close()
    return path


TABLES = ("files", "salts", "cuts", "joins")
NOTHING = [[] for _ in TABLES]


def rows(path):
    with sqlite3.connect(path) as connection:
        found = [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES]
    connection.close()
    return found


def aside(path):
    return [each for each in path.parent.glob("state.db.corrupt-*") if not each.name.endswith(("-wal", "-shm"))]


def change(path, statement):
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def test_a_sound_one_stays(path):
    before = rows(path)
    assert recover(path) is None
    assert rows(path) == before
    assert aside(path) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE files SET offset = offset + 64 WHERE file = 2",
        "UPDATE files SET salt = 5 WHERE file = 1",
        "UPDATE files SET key = x'00' WHERE file = 1",
        "UPDATE files SET output = 'stone' WHERE file = 1",
        "UPDATE files SET path = '/log/b' WHERE file = 1",
        "UPDATE salts SET next = 1",
        "UPDATE salts SET next = 9",
        "DELETE FROM salts",
        "UPDATE cuts SET offset = -2000 WHERE file = 3 AND offset = 2000",
        "UPDATE cuts SET offset = offset + 64 WHERE file = 3",
        "UPDATE cuts SET file = 2 WHERE file = 1",
        "UPDATE joins SET until = until + 64",
        "UPDATE joins SET next = 2",
        "INSERT INTO cuts VALUES (9, 5, NULL)",
        "DROP TABLE cuts",
    ],
)
def test_values_that_were_not_written_so_are_not_believed(path, statement, caplog):
    change(path, statement)
    assert recover(path) in aside(path)
    registry = Registry(path, "store")
    assert registry.entries() == []
    registry.close()
    rejects = Rejects(path)
    assert len(rejects.numbers()) == 3, "they are nowhere else"
    rejects.close()
    assert "was damaged" in caplog.text
    assert recover(path) is None


def test_entries_from_before_there_were_seals_are_believed(path):
    for table in TABLES:
        change(path, f"UPDATE {table} SET seal = NULL")
    assert recover(path) is None


@pytest.mark.parametrize("version", [database.VERSION + 1, 99])
def test_a_newer_version_is_refused_and_stays(path, version):
    change(path, f"PRAGMA user_version={version}")
    before = path.read_bytes()
    with pytest.raises(StateError, match="newer shipper"):
        recover(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [0, 1, 1 << 20, -1])
def test_a_version_that_cannot_be_is_damage(path, version):
    change(path, f"PRAGMA user_version={version}")
    assert recover(path)


def believed(path):
    """What an agent would go on with: nothing, or exactly what was written."""
    try:
        recover(path)
    except StateError as error:
        if "newer shipper" not in str(error):  # a flipped bit in the version
            raise
        return None
    return rows(path)


@pytest.mark.slow
def test_cut_at_any_byte_nothing_wrong_is_believed(path, tmp_path):
    whole = path.read_bytes()
    before = rows(path)
    for at in [*range(200), *range(200, len(whole), 509)]:
        folder = tmp_path / "cut"
        folder.mkdir()
        (folder / "state.db").write_bytes(whole[:at])
        found = believed(folder / "state.db")
        assert found in (NOTHING, before), at
        shutil.rmtree(folder)


@pytest.mark.slow
def test_a_flipped_bit_anywhere_leads_to_nothing_wrong(path, tmp_path):
    whole = path.read_bytes()
    before = rows(path)
    used = [at for at in range(len(whole)) if whole[at] or at % 512 == 0]
    for at in used[:: max(1, len(used) // 400)]:
        folder = tmp_path / "flip"
        folder.mkdir()
        damaged = bytearray(whole)
        damaged[at] ^= 1 << (at % 8)
        (folder / "state.db").write_bytes(damaged)
        found = believed(folder / "state.db")
        assert found in (None, NOTHING, before), at
        shutil.rmtree(folder)


@pytest.mark.parametrize("begin", [0, 4096, 8192])
def test_a_page_of_zeros(path, begin):
    data = bytearray(path.read_bytes())
    before = rows(path)
    data[begin : begin + 4096] = bytes(4096)
    path.write_bytes(data)
    assert believed(path) in (NOTHING, before)


def test_something_else_altogether_is_set_aside(path):
    path.write_bytes(b"#!/bin/sh\n" * 1000)
    assert recover(path)
    assert rows(path) == NOTHING


def test_a_database_in_use_is_not_taken_for_a_damaged_one(path, monkeypatch):
    monkeypatch.setattr(sqlite3, "connect", _impatient(sqlite3.connect))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StateError, match="locked"):
        recover(path)
    other.close()
    assert aside(path) == []


def _impatient(connect):
    return lambda path, **more: connect(path, **{**more, "timeout": 0.01})


def kept(path):
    """(when, id, document) of the rejects."""
    rejects = Rejects(path)
    found = [(each.at, each.id, each.document) for each in map(rejects.get, rejects.numbers())]
    rejects.close()
    return found


def test_rejects_are_taken_over_as_they_were(path, caplog):
    before = kept(path)
    change(path, "UPDATE salts SET next = 9")
    recover(path)
    assert kept(path) == before
    assert "3 rejected documents" in caplog.text


def test_rejects_on_both_sides_of_the_damage_are_taken_over(path):
    """Also without holding them in memory: a row is on its way at a time."""
    rejects = Rejects(path)
    rejects.add("store", [(f"{n:020}", 400, "mapping", b"x" * 1000) for n in range(3, 300)])
    rejects.close()
    before = kept(path)
    pages = path.read_bytes()
    middle = pages.index(f"{150:020}".encode() + b"x") // 4096
    path.write_bytes(pages[: middle * 4096] + bytes(4096) + pages[(middle + 1) * 4096 :])
    assert recover(path)
    assert 280 < len(kept(path)) < 300
    assert set(kept(path)) < set(before)


def cut_off(path, step):
    """Recover in a process of its own that is gone at the given line of ``recovery.py`` that it comes to; whether it was.

    The lines that only look for damage are not counted.
    """

    def count(frame, event, _):
        nonlocal step
        if frame.f_code.co_filename != recovery.__file__ or frame.f_code.co_name.startswith("_problem"):
            return None
        step -= event == "line"
        if not step:
            os._exit(9)
        return count

    child = os.fork()
    if not child:
        try:
            sys.settrace(count)
            recover(path)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_broken_off_anywhere_the_next_start_recovers_it(path, tmp_path):
    before = kept(path)
    change(path, "UPDATE files SET offset = offset + 64 WHERE file = 2")
    rejects = Rejects(path)  # the last of them is in the write-ahead log alone
    rejects.add("store", [("9" * 20, 400, "mapping", b"{}")])
    names = [each.name for each in path.parent.iterdir()]
    assert "state.db-wal" in names
    folder = tmp_path / "killed"
    step = 0
    while True:
        step += 1
        folder.mkdir()
        for name in names:
            shutil.copy(path.parent / name, folder)
        killed = cut_off(folder / "state.db", step)
        recover(folder / "state.db")
        found = kept(folder / "state.db")
        assert found[:-1] == before, step
        assert found[-1][1] == "9" * 20, step
        assert rows(folder / "state.db") == NOTHING, step
        (other,) = aside(folder / "state.db")
        assert {each.name for each in folder.iterdir()} <= {"state.db", other.name}, step
        shutil.rmtree(folder)
        if not killed:
            break
    rejects.close()
    assert step > 50
