from __future__ import annotations

import pytest

from shipper.files.content import Plain
from shipper.files.identity import PREFIX, Fingerprint, first_line_key, id_seed


@pytest.fixture
def log(tmp_path):
    with (tmp_path / "a.log").open("w+b") as file:
        yield file


def write(log, content):
    log.seek(0)
    log.truncate()
    log.write(content)
    log.flush()
    return Plain(log.fileno())


@pytest.mark.parametrize("size", [1, 500, PREFIX, PREFIX + 1, 2 * PREFIX, 5000])
def test_a_file_is_itself_while_it_grows(log, size):
    content = bytes(range(256)) * 40
    fingerprint = Fingerprint.take(write(log, content[:size]), size)
    assert fingerprint.matches(write(log, content))


@pytest.mark.parametrize("changed", [0, 900, 4999])
def test_another_byte_in_the_prefix_or_before_the_offset_is_another_file(log, changed):
    content = bytearray(b"x" * 6000)
    fingerprint = Fingerprint.take(write(log, bytes(content)), 5000)
    content[changed] = 0
    assert not fingerprint.matches(write(log, bytes(content)))


def test_a_shorter_file_is_another(log):
    fingerprint = Fingerprint.take(write(log, b"x" * 3000), 3000)
    assert not fingerprint.matches(write(log, b"x" * 2999))


def test_the_empty_fingerprint_matches_anything(log):
    assert Fingerprint().matches(write(log, b"whatever"))


def test_the_key_is_the_first_line_alone():
    assert first_line_key(b"one\ntwo\n") == first_line_key(b"one\nthree\n") != first_line_key(b"two\n")
    assert first_line_key(b"x" * 2000 + b"\n") == first_line_key(b"x" * PREFIX)


def test_seeds_differ_by_host_salt_and_key():
    seeds = {id_seed(host, salt, key) for host in ("a", "b") for salt in (0, 1, 10) for key in (b"k", b"l")}
    assert len(seeds) == 12
    assert all(len(seed) == 16 for seed in seeds)
