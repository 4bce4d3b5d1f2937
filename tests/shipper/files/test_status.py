"""What is said of files that are known to nobody, and of what is in the place of those that are."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os

import pytest
from harvesting import open_harvest

from shipper.files.discovery import Discovery
from shipper.files.status import survey
from shipper.state.reading import Known


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (lzma.compress(b"a\n"), "xz"),
        (bz2.compress(b"a\n"), "bzip2"),
        (b"\x28\xb5\x2f\xfd\4\0", "zstd"),
        (b"PK\3\4 a", "zip"),
    ],
)
def test_what_is_not_unpacked_says_so_as_the_agent_does(registry, logs, data, kind):
    (logs / "a.log").write_bytes(data)
    harvest = open_harvest(registry, f"{logs}/*")
    harvest.scan(partial=True)
    [status] = survey([], harvest.found(), lambda _: (), "out")
    assert (status.state, status.why) == ("not begun", harvest.unreadable[f"{logs}/a.log"])
    assert f"packed with {kind}" in status.why


@pytest.mark.parametrize("data", [b"a\n", gzip.compress(b"a\n" * 9000)], ids=["plain", "packed"])
def test_what_will_be_read_is_not_begun_only(logs, data):
    (logs / "a.log").write_bytes(data)
    [status] = survey([], Discovery([f"{logs}/*"]).scan()[0], lambda _: (), "out")
    assert (status.state, status.why) == ("not begun", "nothing of it is shipped")


@pytest.fixture
def known(registry, logs):
    """A file of which ten bytes are acknowledged, as it is known."""
    path = logs / "a.log"
    path.write_text("123456789\n")
    harvest = open_harvest(registry, f"{logs}/*")
    harvest.scan(partial=True)
    [entry] = registry.entries()
    entry.offset = 10
    return Known("out", entry, None)


def test_what_waits_in_a_file_that_cannot_be_read_is_never_less_than_nothing(known, monkeypatch):
    def denied(path, *_):
        raise PermissionError(13, "Permission denied", path)

    os.truncate(known.entry.path, 0)
    monkeypatch.setattr(os, "open", denied)
    [status] = survey([known], [], lambda _: (), "out")
    assert (status.state, status.lag_bytes, status.why) == ("unreadable", 1, "cannot be read: permission denied")


def test_a_link_to_nothing_that_has_the_inode_of_a_deleted_file_is_not_that_file(known, logs):
    (logs / "a.log").unlink()
    (logs / "current.log").symlink_to("a.log")
    known.entry.inode = os.lstat(logs / "current.log").st_ino
    [status] = survey([known], [], lambda _: (), "out")
    assert (status.path, status.state, status.lag_bytes) == (f"{logs}/a.log", "gone", 0)


def test_a_file_that_goes_while_it_is_looked_at_is_gone(known, monkeypatch):
    def missing(path, *_):
        raise FileNotFoundError(2, "No such file or directory", path)

    monkeypatch.setattr(os, "open", missing)
    [status] = survey([known], [], lambda _: (), "out")
    assert (status.state, status.lag_bytes) == ("gone", 0)
