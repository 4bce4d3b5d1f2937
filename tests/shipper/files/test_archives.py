"""Compressed logs: read when they are complete, named when they are not."""

from __future__ import annotations

import gzip
import os
from contextlib import closing

import pytest
from harvesting import acknowledge, numbered, restarted, unpacked


def test_an_archive_is_read_when_it_is_complete(harvest, logs):
    packed = gzip.compress(numbered(500).encode())
    for size in (3, 100, len(packed) - 1):
        (logs / "a.log.gz").write_bytes(packed[:size])
        harvest.scan()
        assert unpacked(harvest) == {}
        assert "not complete" in (harvest.scan() or harvest.unreadable)[f"{logs}/a.log.gz"]
    (logs / "a.log.gz").write_bytes(packed)
    harvest.scan()
    assert [len(each) for each in unpacked(harvest).values()] == [500]
    harvest.scan()
    assert harvest.unreadable == {}


def test_a_broken_archive_is_named_and_what_can_be_unpacked_is_read(harvest, registry, logs, caplog):
    packed = gzip.compress(numbered(500).encode())
    (logs / "a.log.gz").write_bytes(packed[: len(packed) // 2])
    os.utime(logs / "a.log.gz", (1, 1))
    harvest.scan()
    [found] = unpacked(harvest).values()
    assert found == numbered(500).splitlines()[: len(found)]
    assert len(found) > 100
    for _ in range(3):
        harvest.scan()
        assert "ends too soon" in harvest.unreadable[f"{logs}/a.log.gz"]
    assert caplog.text.count("ends too soon") == 1
    acknowledge(harvest, registry)
    (logs / "a.log.gz").write_bytes(packed)  # mended
    assert harvest.check()
    harvest.scan()
    [rest] = unpacked(harvest).values()
    assert found + rest == numbered(500).splitlines()


@pytest.mark.parametrize("once", [False, True])
def test_an_archive_that_is_being_renamed_is_named_only_where_no_other_look_is_to_come(harvest, logs, once):
    (logs / "a.log.1.gz").write_bytes(gzip.compress(numbered(500).encode()))
    harvest.scan(partial=once)
    (logs / "a.log.1.gz").rename(logs / "a.log.2.gz")
    assert unpacked(harvest) == {}
    assert list(harvest.unreadable) == [f"{logs}/a.log.1.gz"] * once
    harvest.scan()
    assert list(unpacked(harvest).values()) == [numbered(500).splitlines()]
    assert harvest.unreadable == {}


def test_an_archive_of_something_else_is_no_log(harvest, logs):
    (logs / "a.log.gz").write_bytes(gzip.compress(b"\x7fELF" + bytes(5000)))
    harvest.scan()
    assert unpacked(harvest) == {}
    assert "binary" in harvest.unreadable[f"{logs}/a.log.gz"]


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_unpacked_before_its_archive_is_acknowledged_has_the_same_ids(harvest, registry, logs, keep):
    archive = logs / "a.log.1.gz"
    archive.write_bytes(gzip.compress(numbered(500).encode()))
    harvest.scan()
    before = unpacked(harvest)
    harvest.close()
    (logs / "a.log.1").write_text(numbered(500))
    if not keep:
        archive.unlink()
    with closing(restarted(harvest, registry, logs)) as again:
        assert unpacked(again) == before


@pytest.mark.parametrize("members", [1, 2])
def test_what_is_longer_than_the_archive_beside_it_is_read(harvest, registry, logs, members):
    """``members``: an archive of several does not tell by its end what it holds, but how much was read of it does."""
    (logs / "a.log.1.gz").write_bytes(gzip.compress(numbered(500).encode()) * members)
    harvest.scan()
    unpacked(harvest)
    acknowledge(harvest, registry)
    (logs / "a.log.1").write_text(numbered(500) * members + "own\n")
    harvest.scan()
    assert [len(each) for each in unpacked(harvest).values()] == [500 * members + 1]
