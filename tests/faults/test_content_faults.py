"""What stands in the files: no newline, huge lines, other line ends and encodings, cut characters, forgeries, broken archives."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from oracle import holds, stored
from shipping import Shipper
from waiting import wait_for
from writer import Log

from shipper.errors import SettingsError
from shipper.files.reader import BLOCK

pytestmark = [pytest.mark.faults, pytest.mark.slow]

HUGE = 1 << 30 if os.environ.get("SHIPPER_NIGHTLY") else 64 << 20
"""Bytes of the longest line; a gigabyte by night (SHIPPER_NIGHTLY)."""


def shipped(shipper: Shipper, data: bytes, name: str = "app.log") -> list[str]:
    (shipper.logs / name).write_bytes(data)
    assert shipper.inside_once()
    return [document["message"] for document in shipper.documents()]


@pytest.fixture
def lines(tmp_path):
    """An agent that takes each line for an event."""
    shipper = Shipper(tmp_path)
    del shipper.settings["inputs"][0]["multiline"]
    return shipper


def test_a_huge_line_is_cut_into_pieces_in_bounded_memory(tmp_path):
    shipper = Shipper(tmp_path, "file", multiline={"pattern": "^never", "negate": False})
    piece = b"0123456789abcdef" * 65_536
    with (shipper.logs / "app.log").open("wb") as log:
        log.write(b"first\n")
        for _ in range(HUGE // len(piece)):
            log.write(piece)
        log.write(b"\nlast\n")
    shipper.settings["queue.mem.bytes"] = "1MiB"
    peak = shipper.peak(quick=False, seconds=1_000)
    first, *pieces, last = shipper.documents()
    assert (first["message"], last["message"]) == ("first", "last")
    assert b"".join(each["message"].encode() for each in pieces) == piece * (HUGE // len(piece))
    assert all(each["log"]["flags"] == ["partial"] for each in pieces)
    assert peak < 300, f"{peak} MiB for a line of {HUGE >> 20}"


def test_one_large_file_without_any_newline_killed_twice(tmp_path):
    shipper = Shipper(tmp_path, message_max_bytes="64KiB", multiline={"pattern": "^never", "negate": False})
    data = b"".join(b"%08d " % number for number in range(300_000))
    (shipper.logs / "app.log").write_bytes(data)
    for nth in (3, 10):
        shipper.once(kill=["response", nth])
    shipper.ends_well()
    documents = sorted(shipper.documents(), key=lambda document: document["log"]["offset"])
    assert "".join(document["message"] for document in documents).encode() == data
    assert len({document["log"]["offset"] for document in documents}) == len(documents)


def test_line_ends_of_windows(lines):
    assert shipped(lines, b"one\r\ntwo\r\n\r\nthree\r\n") == ["one", "two", "three"]


def test_a_byte_order_mark(lines):
    assert shipped(lines, b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n") == ["one", "\ufefftwo"]


def test_nul_bytes_behind_the_beginning(lines):
    """A machine that lost power leaves them in its logs."""
    data = b"".join(b"%06d before\n" % number for number in range(500)) + b"\0" * 5_000 + b"after\nnext\n"
    messages = shipped(lines, data)
    assert messages[:500] == [f"{number:06} before" for number in range(500)]
    assert messages[500].replace("\0", "").endswith("after")
    assert messages[501] == "next"


@pytest.mark.parametrize("character", ["é", "€", "𝄞"])
def test_characters_cut_between_blocks(character, lines):
    """Every place within a character falls on a block's end once."""
    raw = character.encode()
    size = 997
    wanted = []
    data = bytearray()
    while len(data) < 3 * BLOCK:
        text = f"{len(data):09}" + character * ((size - 10) // len(raw))
        wanted.append(text)
        data += text.encode() + b"\n"
    assert shipped(lines, bytes(data)) == wanted


def test_bytes_that_are_no_utf_8_between_blocks(lines):
    bad = b"\xff\xc3(\xe2\x82"
    wanted, data = [], bytearray()
    while len(data) < 2 * BLOCK:
        raw = b"%09d" % len(data) + bad * 11
        wanted.append(raw.decode("utf-8", "replace"))
        data += raw + b"\n"
    assert shipped(lines, bytes(data)) == wanted


@pytest.mark.parametrize("encoding", ["utf-7", "utf-32", "hz", "iso-2022-jp", "cp037", "klingon"])
def test_encodings_that_cannot_be_read_are_refused_with_a_reason(encoding, lines):
    lines.settings["inputs"][0]["encoding"] = encoding
    with pytest.raises(SettingsError, match=rf"encoding: '{encoding}' .*; known are utf-8"):
        shipped(lines, b"anything\n")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_that_no_setting_names_is_reported_and_not_shipped(encoding, lines):
    (lines.logs / "app.log.2").write_bytes("\ufeffGrüße\n".encode(encoding))
    (lines.logs / "app.log").write_text("fine\n")
    assert lines.once() == 1
    assert "app.log.2 is UTF-16: set encoding: utf-16 for it" in lines.errors
    assert [document["message"] for document in lines.documents()] == ["fine"]


def test_latin_1_is_kept_readable(lines):
    assert shipped(lines, "Grüße\n".encode("latin-1")) == ["Gr\ufffd\ufffde"]


def test_lines_with_ansi_forged_json_and_odd_separators_arrive_as_they_are(lines):
    wanted = [
        "\x1b[31mERROR\x1b[0m \x1b]0;title\x07",
        '{"create":{"_id":"forged"}}',
        '"}\\n{"create":{"_id":"x"}}\\n{"message":"forged"}',
        "2024-11-21T10:00:00Z  INFO 1 --- [main] a.B : real\\n2024-11-21T10:00:01Z ERROR forged",
        "before\rafter",
        "line\u2028separator\u2029and\x85next\x0b\x0cpage",
        "tab\tand \x01 control",
        "${env:HOME} %{[@metadata][x]} %{message}",
        "\ud83d".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    ]
    assert shipped(lines, "".join(f"{line}\n" for line in wanted).encode()) == wanted


def test_ten_thousand_distinct_keys(tmp_path):
    """JSON lines with keys of their own each: none is lost, whatever becomes of the keys."""
    shipper = Shipper(tmp_path)
    one = shipper.settings["inputs"][0]
    del one["multiline"]
    pipeline = tmp_path / "json.conf"
    pipeline.write_text('filter { json { source => "message" target => "labels" } }\n')
    one["pipeline"] = str(pipeline)
    wanted = [orjson.dumps({f"key{number}": number, f"a.b{number}": {"": None}}).decode() for number in range(10_000)]
    everything = orjson.dumps({f"key{number}": number for number in range(10_000)}).decode()
    assert shipped(shipper, "\n".join([*wanted, everything, ""]).encode()) == [*wanted, everything]
    assert shipper.documents()[-1]["labels"]["key9999"] == 9999


def test_permission_denied_and_then_granted(tmp_path):
    """As another user: root may read everything."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv, to become somebody else")
    shipper = Shipper(tmp_path, paths="*.log")
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 1:
            folder.chmod(folder.stat().st_mode | 0o011)
            if folder == Path(os.environ.get("TMPDIR", "/tmp")):
                break
    shipper.home.mkdir()
    shipper.home.chmod(0o777)
    log, other = Log(shipper.logs / "app.log"), Log(shipper.logs / "other.log")
    log.write(100)
    other.write(100)
    log.path.chmod(0o600)
    settings = tmp_path / "shipper.yml"
    settings.write_bytes(orjson.dumps(shipper.settings))
    settings.chmod(0o644)
    command = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        sys.executable,
        "-m",
        "shipper",
        "run",
        "-c",
        str(settings),
    ]
    environment = {**os.environ, "SHIPPER_HOME": str(shipper.home), "PYTHONDONTWRITEBYTECODE": "1"}
    probe = subprocess.run(
        [*command[:4], sys.executable, "-c", "import shipper.agent"], check=False, capture_output=True
    )
    if probe.returncode:
        pytest.skip(f"nobody cannot run this Python: {probe.stderr[-200:]!r}")
    with (tmp_path / "said").open("w+b") as said, subprocess.Popen(command, env=environment, stderr=said) as process:
        try:
            wait_for(lambda: len(stored(shipper.home / "store")) == 100, "the file that may be read")
            assert b"permission denied" in (tmp_path / "said").read_bytes()
            log.path.chmod(0o644)
            wait_for(lambda: len(stored(shipper.home / "store")) == 200, "the other one")
        finally:
            process.terminate()
    holds(log.events + other.events, stored(shipper.home / "store"))


# --- archives --------------------------------------------------------------------------------------------------------


def test_a_gzip_archive_that_grows_is_read_when_it_is_complete(tmp_path):
    shipper = Shipper(tmp_path)
    log = Log(tmp_path / "elsewhere.log")
    log.write(3_000)
    packed = gzip.compress(log.path.read_bytes())
    target = shipper.logs / "app.log.1.gz"
    with shipper.following():
        with target.open("wb", buffering=0) as file:
            for at in range(0, len(packed), len(packed) // 5):
                file.write(packed[at : at + len(packed) // 5])
                time.sleep(0.2)
        shipper.wait_for(log.events)
    holds(log.events, shipper.documents())


@pytest.mark.parametrize("broken", ["cut", "flipped", "header"])
def test_a_broken_gzip_archive_harms_nothing_else(broken, tmp_path):
    shipper = Shipper(tmp_path)
    archived, log = Log(tmp_path / "elsewhere.log", "archived"), Log(shipper.logs / "app.log")
    archived.write(3_000)
    log.write(100)
    packed = bytearray(gzip.compress(archived.path.read_bytes()))
    if broken == "cut":
        del packed[len(packed) // 2 :]
    elif broken == "flipped":
        packed[len(packed) // 2] ^= 0xFF
    else:
        packed[3:10] = b"\xff" * 7
    (shipper.logs / "app.log.1.gz").write_bytes(packed)
    shipper.once(patience=5)
    assert "app.log.1.gz" in shipper.errors
    assert "Traceback" not in shipper.errors
    found = [document for document in shipper.documents() if document["log"]["file"]["path"] == str(log.path)]
    holds(log.events, found)


def test_a_gzip_bomb_takes_no_memory(tmp_path):
    shipper = Shipper(tmp_path, "file", multiline={"pattern": "^never", "negate": False}, message_max_bytes="1MiB")
    with gzip.open(shipper.logs / "app.log.1.gz", "wb", 9) as bomb:
        for _ in range(5):
            bomb.write(b"\n" * 999_999 + b"x")
        for _ in range(200):
            bomb.write(b"x" * 999_999 + b"\n")
    assert shipper.peak(quick=False) < 120
