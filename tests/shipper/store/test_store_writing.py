from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.errors import StateError, UnavailableError
from shipper.store import Store, ids, reader


def name(number):
    return f"id-{number:017d}"


def write(store, numbers, **fields):
    names = [name(number) for number in numbers]
    documents = [json.dumps({"message": f"number {number}", **fields}).encode() for number in numbers]
    return store.write(names, documents)


def contents(store):
    """Every document by id; fails on an id that is there twice."""
    found = {}
    with store.read() as reader:
        for partition in reader.partitions:
            for key, source in partition.run("SELECT id, CAST(source AS BLOB) FROM documents"):
                assert key not in found
                found[key] = source
    return found


def test_documents_are_kept_byte_for_byte(store):
    document = b'{ "b" : 1.50, "a": "\\u00e9", "message":"x"}'
    assert store.write([name(1)], [document]).stored == 1
    assert contents(store) == {name(1): document}


def test_an_id_is_stored_once_in_a_batch_in_a_partition_and_over_partitions(store):
    assert write(store, [1, 2, 2]) == (2, 1, 0, [])
    assert write(store, [2, 3, 4]) == (2, 1, 0, [])
    assert write(store, [5, 6, 1]) == (2, 1, 0, [])
    assert len(list(store.path.glob("*.db"))) == 2
    assert write(store, [1, 6, 3, 7]) == (1, 3, 0, [])
    assert len(contents(store)) == 7


def test_a_known_id_with_other_content_is_a_duplicate_and_a_conflict(store):
    write(store, [1, 2, 3, 4])
    write(store, [5])
    written = write(store, [1, 5], other=True)
    assert (written.stored, written.duplicates, written.conflicts) == (0, 2, 2)
    assert contents(store)[name(1)] == b'{"message": "number 1"}'


def test_duplicates_are_recognised_by_the_next_process(tmp_path):
    for _ in range(3):
        store = Store(tmp_path / "store", partition_documents=4)
        write(store, range(3))
        write(store, range(3, 9))
        store.close()
    assert len(contents(store)) == 9


def test_what_is_no_json_object_is_told_and_the_rest_is_stored(store):
    documents = [b'{"message":"a"}', b"[1]", b'{"message":', b'{"message":"\xff"}', b'{"message":"b"}']
    written = store.write([name(number) for number in range(5)], documents)
    assert written.stored == 2
    assert [position for position, _ in written.invalid] == [1, 2, 3]


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b'{"message":null,"log":"text","error":[1],"service":{"name":7},"@timestamp":{}}',
        b'{"message":"a \\ud800 b","error":{"message":"\\udfff"}}',
        b'{"message":"a \\u0000 b"}',
        b'{"message":["a",{"b":1}],"log":{"level":["x"],"logger":null}}',
        b'{"message":"' + b"word " * 1_000_000 + b'"}',
    ],
    ids=["empty", "types", "surrogates", "nul", "lists", "5 MB"],
)
def test_odd_documents_are_stored(store, document):
    assert store.write([name(1)], [document]).stored == 1
    assert contents(store) == {name(1): document}


def test_an_empty_batch_is_nothing(store):
    assert store.write([], []) == (0, 0, 0, [])


def test_sealed_partitions_have_no_journal_and_the_order_of_arrival_goes_on(store):
    for number in range(10):
        write(store, [number])
    assert sorted(path.name for path in store.path.iterdir() if "00003" not in path.name) == [
        "000001.db",
        "000002.db",
        "lock",
    ]
    with store.read() as reader:
        assert [partition.run("SELECT min(seq), max(seq) FROM documents")[0] for partition in reader.partitions] == [
            (1, 4),
            (5, 8),
            (9, 10),
        ]


def test_a_partition_is_full_by_size_too(tmp_path):
    store = Store(tmp_path, partition_bytes=200_000)
    for number in range(4):
        write(store, [number], filler="x" * 150_000)
    store.close()
    assert len(list(tmp_path.glob("*.db"))) == 2


def bounded(folder, max_bytes=16_000_000):
    return Store(folder, max_bytes=max_bytes)


def used(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def test_a_bounded_store_drops_its_oldest_documents(tmp_path):
    store = bounded(tmp_path)
    most = 0
    for number in range(60):
        assert write(store, [2 * number, 2 * number + 1], filler="x" * 400_000).stored == 2
        most = max(most, used(tmp_path))
    assert most < 16_000_000 + 1_700_000, "one batch over, and its write-ahead log"
    kept = sorted(contents(store))
    assert kept == [name(number) for number in range(120 - len(kept), 120)], "the newest, without a gap"
    assert 20 < len(kept) < 40
    # What is kept is known, over all partitions; what was dropped is not.
    assert write(store, [105, 119]).duplicates == 2
    assert write(store, [0]).stored == 1
    store.close()


def test_a_bound_holds_for_a_store_that_had_none(tmp_path):
    store = Store(tmp_path, partition_bytes=300_000)
    for number in range(60):
        write(store, [number], filler="x" * 100_000)
    store.close()
    store = bounded(tmp_path, 3_000_000)
    store.open()
    assert used(tmp_path) <= 3_000_000
    assert write(store, [59, 60]) == (1, 1, 1, [])
    assert min(contents(store)) > name(20)
    store.close()


def test_a_reader_skips_a_partition_that_was_dropped_meanwhile(store, monkeypatch):
    write(store, range(4))
    write(store, range(4, 6))
    gone = store.path / "000000.db"
    paths = reader.partition_paths(store.path)
    monkeypatch.setattr(reader, "partition_paths", lambda _: [gone, *paths])
    assert len(contents(store)) == 6
    gone.write_bytes(b"damaged" * 1000)
    with pytest.raises(StateError, match=gone.name):
        store.read()


def test_a_reader_of_a_partition_does_not_stop_it_from_being_sealed(store):
    write(store, range(4))
    with store.read() as reader:
        write(store, range(2, 8))
        assert len(reader.partitions[0].run("SELECT * FROM documents")) == 4
    write(store, [0, 5])
    assert len(contents(store)) == 8


def test_only_one_process_writes(store):
    write(store, [1])
    with pytest.raises(StateError, match=r"in use by another shipper.*store of its own"):
        write(Store(store.path), [2])
    store.close()
    other = Store(store.path)
    assert write(other, [2]).stored == 1
    other.close()


def test_a_full_disk_stores_nothing_of_the_batch_and_passes(store):
    write(store, [1])
    database = store._writer._active
    database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(UnavailableError, match=r"000001\.db: the disk is full"):
        write(store, [2, 3], filler="x" * 1_000_000)
    assert set(contents(store)) == {name(1)}
    assert write(store, [2, 3], filler="x" * 1_000_000).stored == 2


@pytest.mark.parametrize("damage", [b"not a database" * 1000, b"\0" * 8192])
def test_a_damaged_partition_is_named(store, damage):
    write(store, range(4))
    write(store, [5])
    store.close()
    (store.path / "000001.db").write_bytes(damage)
    with pytest.raises(StateError, match=r"000001\.db: is damaged"):
        write(store, [6])
    with pytest.raises(StateError, match=r"000001\.db: is damaged"):
        store.read()


def test_a_store_without_its_damaged_partition_works_on(store):
    for number in range(6):
        write(store, [number])
    store.close()
    (store.path / "000001.db").unlink()
    assert write(store, [6, 5, 0]).stored == 2
    assert set(contents(store)) == {name(number) for number in (0, 4, 5, 6)}


def test_another_programs_database_is_left_alone(tmp_path):
    other = sqlite3.connect(tmp_path / "000001.db")
    other.execute("CREATE TABLE bookmarks (url)")
    other.close()
    with pytest.raises(StateError, match="not of shipper's store"):
        Store(tmp_path).open()


def test_a_newer_store_is_left_alone(store):
    write(store, [1])
    store.close()
    database = sqlite3.connect(store.path / "000001.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StateError, match="upgrade shipper"):
        store.open()


FIRST_VERSION = """
DROP TABLE ids; DROP TABLE new_ids; CREATE UNIQUE INDEX by_id ON documents (id); PRAGMA user_version = 1;
"""


def test_a_store_of_the_first_version_is_read_and_goes_on(tmp_path):
    store = Store(tmp_path / "store", partition_documents=4)
    write(store, range(4))
    write(store, range(4, 6))
    store.close()
    paths = sorted(store.path.glob("*.db"))
    for path in paths:
        with sqlite3.connect(path) as database:
            database.executescript(FIRST_VERSION)
        database.close()
    before = [path.read_bytes() for path in paths[:1]]
    assert write(store, [0, 5, 6], other=True) == (1, 2, 2, [])
    assert write(store, range(7)) == (0, 7, 1, [])
    assert len(contents(store)) == 7
    assert len(list(store.path.glob("*.db"))) == 3
    assert [path.read_bytes() for path in paths[:1]] == before
    store.close()


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(StateError, match="choose another folder"):
        Store(tmp_path / "store").open()


def test_a_partition_without_schema_is_made_anew(store):
    store.path.mkdir()
    (store.path / "000001.db").touch()
    assert contents(store) == {}
    assert write(store, [1]).stored == 1


def test_a_reader_needs_no_permission_to_write():
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is closed to others
        Path(folder).chmod(0o755)
        store = Store(Path(folder) / "store", partition_documents=4)
        write(store, range(4))
        write(store, [5])
        store.close()
        for path in store.path.glob("*.db"):
            path.chmod(0o444)
        store.path.chmod(0o555)
        if root := os.geteuid() == 0:
            os.seteuid(65534)  # root may write anywhere
        try:
            assert not os.access(store.path, os.W_OK, effective_ids=True)
            assert len(contents(store)) == 5
            with pytest.raises(StateError, match=r"lock: cannot be written"):
                store.open()
        finally:
            if root:
                os.seteuid(0)
            store.path.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_store_that_may_not_be_read_is_not_taken_for_an_empty_one(store):
    write(store, [1])
    os.seteuid(65534)
    try:
        with pytest.raises(StateError, match="the store cannot be read"):
            assert store.exists
    finally:
        os.seteuid(0)


def test_a_fault_in_the_middle_leaves_a_store_that_goes_on(store, monkeypatch):
    write(store, range(4))
    monkeypatch.setattr(os, "fsync", fail_to_sync)
    with pytest.raises(UnavailableError, match="Input/output error"):
        write(store, [4, 5])
    monkeypatch.undo()
    assert write(store, [3, 4, 5]) == (2, 1, 0, [])
    assert len(contents(store)) == 6


def fail_to_sync(_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture(scope="module")
def few_new_ids():
    """New ids are poured into the large table after two, not after thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "_LIMIT", 2)
        yield


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.lists(st.integers(0, 25), max_size=9), st.just("reopen")), max_size=12))
def test_the_store_is_a_dictionary_that_keeps_the_first(tmp_path_factory, few_new_ids, steps):
    store = Store(tmp_path_factory.mktemp("model"), partition_documents=5)
    model = {}
    for turn, step in enumerate(steps):
        if step == "reopen":
            store.close()
            continue
        written = write(store, step, turn=turn)
        fresh = {number for number in step if name(number) not in model}
        assert (written.stored, written.duplicates) == (len(fresh), len(step) - len(fresh))
        for number in step:
            model.setdefault(name(number), json.dumps({"message": f"number {number}", "turn": turn}).encode())
    assert contents(store) == model
    store.close()


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(tmp_path):
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from shipper.store import Store, ids, reader
        store = Store(Path(sys.argv[1]), partition_documents=70)
        for batch in range(10_000):
            numbers = range(batch * 20, batch * 20 + 20)
            store.write([f"id-{n:017d}" for n in numbers], [b'{"message":"number %d"}' % n for n in numbers])
            print(numbers[-1], flush=True)
    """)
    for kill_after in (1, 4, 11):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "s")], stdout=subprocess.PIPE, cwd=Path.cwd()
        )
        acknowledged = -1
        for _ in range(kill_after):
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        process.stdout.close()
        process.wait()
        stored = {int(key[3:]) for key in contents(Store(tmp_path / "s"))}
        assert stored >= set(range(acknowledged + 1))
        assert len(stored) % 20 == 0  # no part of a batch
