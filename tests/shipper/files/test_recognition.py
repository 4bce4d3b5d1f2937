from __future__ import annotations

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
    ],
)
def test_rotated_names(known, name):
    assert related(f"/logs/{known}", f"/archive/{name}")
    assert related(name, known)


@pytest.mark.parametrize(
    ("known", "name"), [("app.log", "app.log"), ("app.log", "apps.log"), ("app.log", "app.err"), ("a.log", "b.log.1")]
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
