"""The registry as others read it: without a lock, without a trace, of any version."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from shipper.errors import StateError
from shipper.state.reading import Lag, known_files
from shipper.state.registry import Registry


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "state.db"
    with closing(Registry(path, "store x")) as registry:
        one = registry.register(key=b"k", path="/a", device=1, inode=2)
        registry.register(key=b"l", path="/b", device=1, inode=3)
        registry.note({one.file: (1000, 20, 30), 99: (1, 1, 1)})
    return path


def test_files_and_lags_are_read(path):
    one, two = known_files(path)
    assert (one.output, one.entry.path, one.lag) == ("store x", "/a", Lag(1000, 20, 30))
    assert (two.entry.path, two.lag) == ("/b", None)


def test_it_is_read_beside_its_owner(path):
    with closing(Registry(path, "store x")) as registry:
        [*_, last] = registry.entries()
        registry.note({last.file: (5, 6, 7)})
        assert [each.lag for each in known_files(path)] == [None, Lag(5, 6, 7)]


def test_looking_leaves_no_trace(path):
    before = sorted(os.listdir(path.parent))
    known_files(path)
    assert sorted(os.listdir(path.parent)) == before
    assert known_files(path.parent / "none.db") == []
    assert sorted(os.listdir(path.parent)) == before


def test_a_state_without_notes_is_read(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE lags")
        connection.commit()
    assert [each.lag for each in known_files(path)] == [None, None]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"no database" * 100), "cannot be read"),
        (lambda path: sqlite3.connect(path).execute("PRAGMA user_version=99").connection.close(), "newer shipper"),
    ],
)
def test_what_cannot_be_understood_is_an_error(path, damage, message):
    damage(path)
    with pytest.raises(StateError, match=message):
        known_files(path)
