"""Documents appended to a file."""

from __future__ import annotations

import errno
import os

import pytest

from shipper.errors import RefusedError, UnavailableError
from shipper.outputs.batch import Batch
from shipper.outputs.file import FileOutput
from shipper.settings import FileOutputSettings


def batch(*documents):
    return Batch(b"".join(b'{"create":{"_id":"x"}}\n%b\n' % each for each in documents), len(documents))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "docs.ndjson"


@pytest.fixture
def output(path):
    output = FileOutput(FileOutputSettings(path=path.parent, filename=path.name))
    yield output
    output.close()


def test_documents_are_appended(output, path):
    path.parent.mkdir()
    path.write_bytes(b'{"a":0}\n')
    outcomes = output.send(batch(b'{"a":1}', b'{"a":2}'))
    output.send(batch(b'{"a":3}'))
    assert path.read_bytes() == b'{"a":0}\n{"a":1}\n{"a":2}\n{"a":3}\n'
    assert (outcomes.retry, outcomes.rejected) == ([], [])


def test_synced_before_it_returns(output, path, monkeypatch):
    synced = []
    output.check()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    output.send(batch(b'{"a":1}'))
    assert synced == [8]


@pytest.mark.parametrize("sizes", [[], [5], [8, 3]])
def test_a_full_disk_leaves_nothing_of_the_batch(output, path, monkeypatch, sizes):
    output.send(batch(b'{"a":0}'))
    write = os.write
    left = list(sizes)

    def full(descriptor, data):
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[: left.pop(0)])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UnavailableError, match="No space left on device"):
        output.send(batch(b'{"a":1}', b'{"a":2}'))
    assert path.read_bytes() == b'{"a":0}\n'
    monkeypatch.setattr(os, "write", write)
    output.send(batch(b'{"a":1}', b'{"a":2}'))
    assert path.read_bytes() == b'{"a":0}\n{"a":1}\n{"a":2}\n'


def test_a_failed_sync_leaves_nothing_of_the_batch(output, path, monkeypatch):
    output.check()

    def broken(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(UnavailableError, match="Input/output error"):
        output.send(batch(b'{"a":1}'))
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"a":1}\n{"a":', b'{"a":1}\n'),
        (b'{"a":', b""),
        (b'{"a":1}\n', b'{"a":1}\n'),
        (b"", b""),
        (b'{"a":1}\n{"b":"' + b"x" * 200_000, b'{"a":1}\n'),
    ],
)
def test_half_a_line_of_a_crash_is_cut_off(output, path, before, after):
    path.parent.mkdir()
    path.write_bytes(before)
    output.check()
    assert path.read_bytes() == after


def test_somebody_elses_file_is_not_cut(output, path):
    path.parent.mkdir()
    path.write_bytes(b"dear diary")
    with pytest.raises(RefusedError, match="does not end with a whole line of JSON"):
        output.check()
    assert path.read_bytes() == b"dear diary"


def test_a_file_that_was_moved_away_is_made_again(output, path):
    output.send(batch(b'{"a":1}'))
    path.rename(path.with_suffix(".1"))
    output.send(batch(b'{"a":2}'))
    assert (path.with_suffix(".1").read_bytes(), path.read_bytes()) == (b'{"a":1}\n', b'{"a":2}\n')


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_not_a_file_is_refused(output, path, make):
    path.parent.mkdir()
    make(path)
    with pytest.raises(RefusedError, match=r"docs\.ndjson"):
        output.check()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    output = FileOutput(FileOutputSettings(path=tmp_path / "file" / "sub"))
    with pytest.raises(RefusedError, match="cannot be opened: Not a directory"):
        output.check()
