from __future__ import annotations

import sqlite3

import pytest

from shipper.errors import StateError
from shipper.state.registry import Registry


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


def register(registry, key=b"k" * 16, path="/a.log", inode=1):
    return registry.register(key=key, path=path, device=1, inode=inode)


def test_what_was_committed_is_there_after_a_restart(path):
    registry = Registry(path, "store")
    entry = register(registry)
    entry.offset, entry.tail, entry.path = 42, b"t" * 16, "/b.log"
    registry.commit([entry])
    assert Registry(path, "store").entries() == [entry]


def test_what_was_not_committed_is_not(path):
    registry = Registry(path, "store")
    register(registry).offset = 42
    assert Registry(path, "store").entries()[0].offset == 0


def test_files_with_the_same_key_never_share_a_salt(path):
    registry = Registry(path, "store")
    first, second = register(registry), register(registry, inode=2)
    registry.forget(first)
    registry.forget(second)
    registry.close()
    registry = Registry(path, "store")
    assert [first.salt, second.salt, register(registry).salt] == [0, 1, 2]
    assert register(registry, key=b"l" * 16).salt == 0


def test_another_output_has_offsets_of_its_own_and_the_same_salts(path):
    registry = Registry(path, "store")
    entry = register(registry)
    entry.offset = 42
    registry.commit([entry])
    other = Registry(path, "elasticsearch logs-generic-default")
    assert other.entries() == []
    assert register(other).salt == entry.salt


def test_cuts_are_kept_until_they_are_passed(path):
    registry = Registry(path, "store")
    entry = register(registry)
    for offset in (30, 10, 20, 10):
        registry.cut(entry, offset)
    assert Registry(path, "store").cuts(entry) == [10, 20, 30]
    entry.offset = 20
    registry.commit([entry])
    assert Registry(path, "store").cuts(entry) == [30]
    registry.forget(entry)
    assert registry.cuts(entry) == []


def test_a_database_of_a_newer_version_is_refused(path):
    Registry(path, "store").close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StateError, match="newer shipper"):
        Registry(path, "store")


def test_a_file_that_is_no_database_is_named(path):
    path.write_bytes(b"not a database, certainly not one" * 100)
    with pytest.raises(StateError, match=rf"{path}: is damaged"):
        Registry(path, "store")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"file/state\.db"):
        Registry(tmp_path / "file/state.db", "store")
