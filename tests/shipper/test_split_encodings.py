"""Rotations of files that are not UTF-8, run by run: events are split, joined and gone on with at raw bytes."""

from __future__ import annotations

import shutil

import orjson
import pytest
import splitting

from parser.multiline import Starts
from shipper.files.discovery import Discovery
from shipper.files.options import Options

ORDERS = ("utf-16-le", "utf-16-be")


class Run(splitting.Run):
    """``events`` are the messages, in their order; all it reads is acknowledged when it stops."""

    def __init__(self, folder, encoding):
        super().__init__(folder, encoding=encoding)
        self.events = []

    def stop(self):
        self.acknowledge()
        return super().stop()

    def _keep(self, _block, lines):
        self.events += [orjson.loads(line)["message"] for line in lines[1::2]]


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize(
    ("encoding", "mark"), [("utf-16", "\ufeff"), ("utf-16-le", ""), ("utf-8", "\ufeff"), ("cp1252", "")]
)
@pytest.mark.parametrize("rest", ["\tat b\r\n\tat ü\r\n", ""])
def test_a_rotation_with_byte_order_marks_splits_and_joins_no_event(tmp_path, encoding, mark, rest, stopped):
    codec = "utf-16-le" if encoding == "utf-16" else encoding
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "app.log").write_bytes(f"{mark}1 first\r\n2 begins\r\n\tat a\r\n".encode(codec))
    run = Run(tmp_path, encoding).read()
    events = []
    if stopped:
        events = run.stop()
    (logs / "app.log").rename(logs / "app.log.1")
    (logs / "app.log").write_bytes(f"{mark}{rest}3 next\r\n4 last\r\n".encode(codec))
    run = Run(tmp_path, encoding) if stopped else run
    events = events + run.read().read(waited=True, once=True).stop()
    joined = "2 begins\n\tat a" + rest.rstrip().replace("\r\n", "\n").replace("\t", "\n\t", 1)
    assert events == ["1 first", joined, "3 next", "4 last"]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_utf_16_goes_on_behind_a_copytruncate_that_took_its_mark(tmp_path, order, restarted):
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs/app.log"
    log.write_bytes("\ufeff1 grün\n2 rot\n".encode(order))
    events = []
    run = Run(tmp_path, "utf-16").read()
    shutil.copyfile(log, tmp_path / "logs/app.log.1")
    log.write_bytes(b"")
    for text in ("3 bläu\n", "4 漢\n5 x\n"):
        if restarted:
            events += run.stop()
            run = Run(tmp_path, "utf-16")
        with log.open("ab") as file:
            file.write(text.encode(order))
        run.read().read()
    events += run.read(waited=True, once=True).stop()
    assert events == ["1 grün", "2 rot", "3 bläu", "4 漢", "5 x"]


def test_another_encoding_on_a_reload_goes_for_what_comes(tmp_path):
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs/app.log"
    log.write_bytes("1 grün\n2 rot\n".encode())
    run = Run(tmp_path, "utf-8").read()
    for encoding, text in (("cp1252", "3 grün\n4 x\n"), ("utf-8", "5 blä\n6 y\n")):
        options = Options(framer=Starts(rb"\d"), host_id="h", encoding=encoding)
        run.harvest.configure(Discovery([f"{tmp_path}/logs/*"]), options)
        with log.open("ab") as file:
            file.write(text.encode(encoding))
        run.read()
    assert run.read(waited=True, once=True).stop() == ["1 grün", "2 rot", "3 grün", "4 x", "5 blä", "6 y"]


def test_a_file_with_only_the_end_of_an_event_is_joined_up_to_a_whole_line(tmp_path):
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs/app.log"
    log.write_bytes("1 a\n\tat a\n".encode("utf-16-le"))
    run = Run(tmp_path, "utf-16-le").read()
    log.rename(tmp_path / "logs/app.log.1")
    log.write_bytes("\tat b\n".encode("utf-16-le"))
    run.read().read(waited=True, once=True)
    with log.open("ab") as file:
        file.write("2 c\n".encode("utf-16-le"))
    assert run.read().read(waited=True, once=True).stop() == ["1 a\n\tat a\n\tat b", "2 c"]


@pytest.mark.parametrize(("first", "found"), [("", []), ("\ufeff", []), ("\ufeffa", ["a"])])
def test_a_file_that_has_a_byte_order_mark_only_is_empty(tmp_path, first, found):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/app.log").write_bytes(first.encode("utf-16-be"))
    run = Run(tmp_path, "utf-16").read(waited=True, once=True)
    assert len(run.harvest.harvesters) == len(found)
    assert run.stop() == found
    with (tmp_path / "logs/app.log").open("ab") as file:
        file.write(f"{'' if first else chr(0xFEFF)}b\n".encode("utf-16-be"))
    assert Run(tmp_path, "utf-16").read(waited=True, once=True).stop() == ["b"]
