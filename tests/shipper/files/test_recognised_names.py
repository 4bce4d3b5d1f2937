"""What a name and the first bytes tell of a file."""

from __future__ import annotations

import bz2
import lzma

import pytest

from shipper.files.recognition import related, why_not


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("app.log", "app.log.1"),
        ("app.log.1", "app.log.2.gz"),
        ("app.log.1", "app.log.1.gz"),
        ("app.log", "app.log-20261123"),
        ("app.log", "app-2026-11-23.0.log"),
        ("app.log", "app.log.2026-11-23.0.gz"),
        ("app.log", "app.2026-11-23T10:00:00Z.log.gz"),
        ("app.log", "app.log.1700000000"),
        ("app.log", "app.log82736455.tmp"),
        ("app.log82736455.tmp", "app.log.2026-11-23.0.gz"),
        ("app-2026-11-23.0.log82736455.tmp", "app-2026-11-23.0.log.gz"),
        ("0.log", "0.log.20261123-101500.tmp"),
        ("0.log.20261123-101500", "0.log.20261123-101500.tmp"),
        ("0.log.20261123-101500.tmp", "0.log.20261123-101500.gz"),
        ("app.log.1", "app.log.1.gz.tmp"),
        ("app.log.1", "app.log.1.tmp.gz"),
        ("app-1.log.gz.tmp", "app-1.log.gz"),
    ],
)
def test_rotated_names(known, name):
    assert related(f"/logs/{known}", f"/archive/{name}")
    assert related(name, known)


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("app.log", "app.log"),
        ("app.log", "apps.log"),
        ("app.log", "app.err"),
        ("a.log", "b.log.1"),
        ("app.log", "app1.log"),
        ("app.log", "app.log1"),
        ("app.log", "app.tmp"),
        ("app.log", "app.err.1.tmp"),
        ("app.log", "app.err82736455.tmp"),
    ],
)
def test_other_names(known, name):
    assert not related(known, name)


@pytest.mark.parametrize(
    ("head", "binary"),
    [
        (b"\x7fELF\2\1\1" + bytes(9) + b"\n", True),
        (b"app.log" + bytes(400) + b"0000644" + bytes(98), True),
        (b"line with \0 in it\n" * 20, False),
        (bytes(500) + b"2026-11-23 text behind a hole\n", False),
        (b"\x1b[32m2026\x1b[0m coloured\r\n", False),
        (bytes(1024), False),
    ],
)
def test_a_few_nuls_make_no_binary_file(head, binary):
    assert bool(why_not(head)) == binary


@pytest.mark.parametrize(
    ("pack", "kind"),
    [(bz2.compress, "bzip2"), (lzma.compress, "xz"), (lambda data: b"\x28\xb5\x2f\xfd\4\0" + data, "zstd")],
)
@pytest.mark.parametrize("data", [b"", b"a line\n"])
def test_what_is_packed_otherwise_is_not_read(pack, kind, data):
    assert f"is packed with {kind}" in why_not(pack(data))
    assert why_not(b"BZh is short for something\n") is None
