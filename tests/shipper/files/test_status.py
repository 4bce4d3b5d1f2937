"""What is said of files that are known to nobody."""

from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
from harvesting import open_harvest

from shipper.files.discovery import Discovery
from shipper.files.status import survey


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


@pytest.mark.parametrize("data", [b"a\n", gzip.compress(b"a\n" * 9000)])
def test_what_will_be_read_is_not_begun_only(logs, data):
    (logs / "a.log").write_bytes(data)
    [status] = survey([], Discovery([f"{logs}/*"]).scan()[0], lambda _: (), "out")
    assert (status.state, status.why) == ("not begun", "nothing of it is shipped")
