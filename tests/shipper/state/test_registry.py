from __future__ import annotations

import os
import sqlite3

import pytest

from shipper.errors import StateError
from shipper.state.reading import known_files
from shipper.state.recovery import recover
from shipper.state.registry import Copy, Registry


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


def test_a_path_that_is_no_utf8_is_kept_as_it_is(path):
    name, other = os.fsdecode(b"/a\xe9\xff.log"), os.fsdecode(b"/\xc3.log")
    registry = Registry(path, "store")
    entry = register(registry, path=name)
    assert Registry(path, "store").entries()[0].path == name
    entry.path = other
    registry.commit([entry])
    assert Registry(path, "store").entries() == [entry]
    assert known_files(path)[0].entry.path == other
    registry.close()
    assert recover(path) is None


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


VERSION_1 = """
CREATE TABLE files (
    file INTEGER PRIMARY KEY AUTOINCREMENT, output TEXT NOT NULL, key BLOB NOT NULL, salt INTEGER NOT NULL,
    path TEXT NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL, prefix_length INTEGER NOT NULL,
    prefix BLOB NOT NULL, offset INTEGER NOT NULL, tail BLOB NOT NULL) STRICT;
CREATE TABLE cuts (file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE, offset INTEGER NOT NULL,
    PRIMARY KEY (file, offset)) STRICT, WITHOUT ROWID;
CREATE TABLE salts (output TEXT NOT NULL, key BLOB NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (output, key)) STRICT, WITHOUT ROWID;
CREATE TABLE rejects (sequence INTEGER PRIMARY KEY, at TEXT NOT NULL, output TEXT NOT NULL, status INTEGER NOT NULL,
    reason TEXT NOT NULL, id TEXT NOT NULL, document BLOB NOT NULL, UNIQUE (output, id)) STRICT;
INSERT INTO files VALUES (7, 'store', x'6b', 3, '/a.log', 1, 2, 4, x'70', 42, x'74');
INSERT INTO cuts VALUES (7, 50);
INSERT INTO salts VALUES ('store', x'6b', 4);
PRAGMA user_version=1;
"""


def test_a_database_of_version_1_keeps_what_it_knows(path):
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    for _ in range(2):
        registry = Registry(path, "store")
        [entry] = registry.entries()
        assert (entry.file, entry.offset, entry.salt, entry.born, entry.size) == (7, 42, 3, 0, -1)
        assert registry.cuts(entry) == [50]
        assert registry.joined(entry) is None
        registry.close()


def test_entries_are_found_by_place_and_key_wherever_they_move(path):
    registry = Registry(path, "store")
    one, two = register(registry), register(registry, key=b"l" * 16, inode=2)
    assert registry.at(1, 1) == registry.like(b"k" * 16) == [one]
    registry.move(one, "/b.log", 1, 2, 5)
    assert registry.at(1, 1) == []
    assert [entry.file for entry in registry.at(1, 2)] == [two.file, one.file]
    assert (one.path, one.born) == ("/b.log", 5)
    registry.forget(one)
    assert registry.like(b"k" * 16) == []
    assert registry.entry(one.file) is None


def half(registry):
    with registry.together():
        register(registry)
        raise StateError("full")


def test_what_is_registered_together_is_there_as_a_whole_or_not_at_all(path):
    registry = Registry(path, "store")
    with pytest.raises(StateError, match="full"):
        half(registry)
    assert registry.entries() == registry.at(1, 1) == []
    with registry.together():
        register(registry)
        register(registry, inode=2)
    assert [entry.salt for entry in Registry(path, "store").entries()] == [0, 1]


def test_a_join_is_kept_until_its_first_span_is_acknowledged(path):
    registry = Registry(path, "store")
    before, after = register(registry), register(registry, inode=2)
    registry.join(before, 100, after, 30)
    again = Registry(path, "store")
    assert again.joined(before) == (100, after.file, 30)
    assert (again.cuts(before), again.cuts(after)) == ([100], [30])
    before.offset = 100
    again.commit([before])
    assert again.joined(before) is None


def test_copies_go_with_the_file_that_they_are_of(path):
    registry = Registry(path, "store")
    one, two = register(registry), register(registry, inode=2)
    of_one, of_two = (Copy(9, 8, 7, entry.file, 6, b"p" * 16, 5, b"t" * 16) for entry in (one, two))
    for inode in (11, 12):
        registry.keep_copy(1, inode, of_one)
    registry.keep_copy(1, 12, of_two)  # the inode is another file's by now
    assert (registry.copies(one), registry.copies(two)) == ([of_one], [of_two])
    registry.forget(one)
    assert (registry.copy(1, 11), registry.copy(1, 12)) == (None, of_two)
    assert (registry.copies(one), len(registry._copies)) == ([], 1)
    registry.close()
    registry = Registry(path, "store")
    assert (registry.copy(1, 11), registry.copy(1, 12), registry.copies(two)) == (None, of_two, [of_two])
    registry.close()


def test_a_copy_that_is_a_file_of_its_own_is_acknowledged_to_its_end(path):
    """It has less than its original, of which what is known stays as it is."""
    registry = Registry(path, "store")
    entry = register(registry)
    entry.offset, entry.tail = 600, b"t" * 16
    registry.commit([entry])
    copy = Copy(300, 8, 7, entry.file, 200, b"c" * 16, 250, b"u" * 16)
    registry.settle_copy(entry.key, "/a.log.1", 1, 2, copy)
    registry.close()
    registry = Registry(path, "store")
    [own] = registry.at(1, 2)
    assert (own.salt, own.path, own.born, own.size, own.modified) == (1, "/a.log.1", 7, 300, 8)
    assert (own.prefix_length, own.prefix, own.offset, own.tail) == copy[4:]
    assert registry.at(1, 1) == [entry]
    registry.close()
