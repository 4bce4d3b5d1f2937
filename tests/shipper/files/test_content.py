from __future__ import annotations

import gzip
import os
import tracemalloc

import pytest

from shipper.files.content import KEPT, Archive, Plain, content_of

RAW = b"".join(b"line %d\n" % n for n in range(100_000))
PACKED = gzip.compress(RAW, 1)


@pytest.fixture
def archive(tmp_path):
    made = []

    def make(data, *, verify=True):
        path = tmp_path / f"{len(made)}.gz"
        path.write_bytes(data)
        content = content_of(os.open(path, os.O_RDONLY), data[:2])
        made.append(content)
        if verify and isinstance(content, Archive):
            while not content.verify(1 << 16):
                pass
        return content

    yield make
    for content in made:
        content.close()


def flipped(data, at):
    damaged = bytearray(data)
    damaged[at] ^= 0xFF
    return bytes(damaged)


@pytest.mark.parametrize(
    ("data", "state", "size"),
    [
        (PACKED, "complete", len(RAW)),
        (gzip.compress(RAW[:1000]) + gzip.compress(RAW[1000:]), "complete", len(RAW)),
        (PACKED + b"garbage", "complete", len(RAW)),
        (PACKED + bytes(512), "complete", len(RAW)),
        (gzip.compress(b""), "complete", 0),
        (PACKED[:-1], "cut off", len(RAW)),
        (PACKED[:-8], "cut off", len(RAW)),
        (PACKED[:5], "cut off", 0),
        (PACKED + PACKED[:3], "cut off", len(RAW)),
        (flipped(PACKED, -6), "damaged", len(RAW)),
        (flipped(PACKED, -1), "damaged", len(RAW)),
    ],
    ids=[
        "one member",
        "two members",
        "garbage behind",
        "padding behind",
        "empty",
        "a byte short",
        "no trailer",
        "half a header",
        "half a second header",
        "wrong checksum",
        "wrong size",
    ],
)
def test_an_archive_is_complete_only_with_the_right_trailer_of_its_last_member(archive, data, state, size):
    content = archive(data)
    assert (content.state, content.size()) == (state, size)
    assert content.read(100, 0) == RAW[: min(100, size)]


@pytest.mark.parametrize("offset", [0, 1000, 300_000, len(RAW) - 10, len(RAW), len(RAW) + 5, 5])
def test_any_part_can_be_read_in_any_order(archive, offset):
    content = archive(gzip.compress(RAW[:1000]) + gzip.compress(RAW[1000:]))
    content.read(100, 700_000)
    assert content.read(5000, offset) == RAW[offset : offset + 5000]


def test_what_stands_before_the_damage_can_be_read(archive):
    content = archive(flipped(PACKED, len(PACKED) // 2))
    assert content.state == "damaged"
    assert content.read(len(RAW) // 3, 0) == RAW[: len(RAW) // 3]


@pytest.mark.slow
def test_an_archive_that_unpacks_to_very_much_needs_no_memory(archive):
    content = archive(gzip.compress(bytes(200 << 20)), verify=False)
    tracemalloc.start()
    while not content.verify(1 << 20):
        pass
    content.read(1000, 150 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert content.size() == 200 << 20
    assert peak < 8 * KEPT


def test_a_plain_file_tells_where_its_data_begin(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"x")
    content = Plain(os.open(tmp_path / "a", os.O_RDONLY))
    assert content.data_from(0) in {0, 1 << 20}  # 0 on a file system that knows no holes
    assert content.data_from(2 << 20) == 2 << 20
    content.close()
