"""Logs that are not UTF-8, written in pieces, rotated, packed and killed: nothing missing, nothing twice, at raw offsets."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from oracle import holds
from shipping import Shipper
from writer import Log

pytestmark = [pytest.mark.faults, pytest.mark.slow]

ENCODINGS = {
    "utf-16": ("utf-16-le", "\ufeff", "Grüße漢字😀\u0a0a"),
    "utf-16be": ("utf-16-be", "", "Grüße漢字😀\u0a0a\u0a00"),
    "cp1252": ("cp1252", "", "10€„Grüße“"),
    "gb18030": ("gb18030", "", "漢字ü😀"),
}
"""Names of settings: the codec that writes, how each file begins, and what is in each event."""
ROTATIONS = {
    "rename": lambda log: log.rename(),
    "rename and pack": lambda log: log.rename(pack=True),
    "copytruncate": lambda log: log.copytruncate(),
}


class Written(Log):
    """A service that writes in another encoding; ``mark`` begins each file that it creates."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.codec, self.mark, name = ENCODINGS[encoding]
        super().__init__(path, name)

    def _open(self) -> None:
        super()._open()
        if not self.path.stat().st_size:
            self._append(self.mark)

    def _append(self, text: str) -> None:
        data = text.encode(self.codec)
        assert os.write(self._descriptor, data) == len(data)

    def copytruncate(self) -> Path:
        rotated = super().copytruncate()
        self._append(self.mark)
        return rotated

    def write_in_pieces(self, count: int, sizes: tuple[int, ...] = (1, 3, 5, 7)) -> None:
        """Events that come a few bytes at a time: every place within a unit, a character and a line end is a file's end once."""
        events = [self.event() for _ in range(count)]
        data = "".join(f"{event}\n" for event in events).encode(self.codec)
        at = turn = 0
        while at < len(data):
            at += os.write(self._descriptor, data[at : at + sizes[turn % len(sizes)]])
            turn += 1
            time.sleep(0.002)
        self.events += events


def offsets_hold(log: Written, documents: list[dict]) -> None:
    """Each event stands in one of the files where its document says."""
    raws = [
        gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in log.path.parent.iterdir()
    ]
    for document in documents:
        raw, at = document["message"].encode(log.codec), document["log"]["offset"]
        starts = {at, at + len(log.mark.encode(log.codec))} if not at else {at}
        assert any(each.startswith(raw, start) for each in raws for start in starts), document


@pytest.fixture(params=ENCODINGS)
def encoding(request):
    return request.param


@pytest.fixture
def shipper(encoding, tmp_path):
    return Shipper(tmp_path, encoding=encoding)


@pytest.fixture
def log(shipper, encoding):
    return Written(shipper.logs / "app.log", encoding)


@pytest.mark.parametrize("point", ["response", "checkpoint"])
def test_killed_and_begun_again(point, shipper, log):
    log.write(3_000)
    killed = 0
    for nth in (1, 4):
        code = shipper.once(kill=[point, nth])
        assert code in {0, -signal.SIGKILL}, shipper.errors
        killed += code == -signal.SIGKILL
    assert killed
    log.write_without_end()
    shipper.ends_well()
    holds(log.events, shipper.documents())
    offsets_hold(log, shipper.documents())


def test_stopped_and_begun_again_within_characters(shipper, log):
    """Each stop finds half a line, and half of what is in it: only whole events are shipped."""
    log.write(20)
    events = [log.event() for _ in range(6)]
    log.events += events
    data = "".join(f"{event}\n" for event in events).encode(log.codec)
    step = len(data) // 5 | 1
    for at in range(0, len(data), step):
        os.write(log._descriptor, data[at : at + step])
        with shipper.following():
            time.sleep(0.4)
    log.write(1)
    shipper.ends_well()
    holds(log.events, shipper.documents())
    offsets_hold(log, shipper.documents())


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("killed", [False, True], ids=["following", "killed"])
def test_rotated_while_it_is_written_in_pieces(rotation, killed, shipper, log):
    for _ in range(2):
        with shipper.following() as process:
            for _ in range(3):
                log.write(200)
                log.write_in_pieces(5)
                time.sleep(0.15)
                ROTATIONS[rotation](log)
            if killed:
                process.kill()
        log.write(50)
        ROTATIONS[rotation](log)
    shipper.ends_well()
    holds(log.events, shipper.documents())
    offsets_hold(log, shipper.documents())


def test_an_archive_is_read_on_where_its_file_was_left(shipper, log):
    log.write(500)
    shipper.ends_well()
    log.write(500)
    with log.path.open("rb") as source, gzip.open(f"{log.path}.1.gz", "wb") as target:
        shutil.copyfileobj(source, target)
    log.path.unlink()
    shipper.ends_well()
    holds(log.events, shipper.documents())
    offsets_hold(log, shipper.documents())


def test_a_line_over_the_limit(shipper, log):
    shipper.settings["inputs"][0]["message_max_bytes"] = "1KiB"
    log.write(5)
    line = f"{99:08} " + "".join(f"{number:05}{log._name}" for number in range(300))
    log._append(line + "\n")
    log.write(5)
    for nth in (1, 2):
        shipper.once(kill=["response", nth])
    shipper.ends_well()
    documents = sorted(shipper.documents(), key=lambda document: document["log"]["offset"])
    pieces = [each["message"] for each in documents if "partial" in each["log"].get("flags", ())]
    assert "".join(pieces) == line
    assert max(len(piece.encode(log.codec)) for piece in pieces) <= 1024
    holds(log.events, [each for each in documents if "flags" not in each["log"]])


def test_utf_16_that_is_truncated_goes_on(tmp_path):
    """A writer that appends sets no second byte order mark behind a copytruncate: the first line feed tells the order."""
    shipper = Shipper(tmp_path, encoding="utf-16")
    log = Written(shipper.logs / "app.log", "utf-16")
    log.write(100)
    shipper.ends_well()
    log.mark = ""
    log.copytruncate()
    log.write(100)
    shipper.ends_well()
    holds(log.events, shipper.documents())
