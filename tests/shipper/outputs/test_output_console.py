"""Documents to standard output."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shipper.errors import UnavailableError
from shipper.outputs.batch import Batch
from shipper.outputs.console import ConsoleOutput
from shipper.settings import ConsoleOutputSettings

BATCH = Batch(b'{"create":{"_id":"a"}}\n{"m":"\xc3\xa9"}\n{"create":{"_id":"b"}}\n{"n":1}\n', 2)


def test_one_object_a_line():
    stream = io.BytesIO()
    outcomes = ConsoleOutput(ConsoleOutputSettings(), stream).send(BATCH)
    assert stream.getvalue().decode() == '{"m":"é"}\n{"n":1}\n'
    assert (outcomes.retry, outcomes.rejected) == ([], [])


def test_pretty():
    stream = io.BytesIO()
    ConsoleOutput(ConsoleOutputSettings(pretty=True), stream).send(BATCH)
    assert stream.getvalue().decode() == '{\n  "m": "é"\n}\n{\n  "n": 1\n}\n'


def test_the_reader_has_gone():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stream:
        output = ConsoleOutput(ConsoleOutputSettings(), stream)
        with pytest.raises(BrokenPipeError):
            output.send(BATCH)
        output.send(BATCH)  # goes nowhere, and complains no more


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_is_a_full_disk():
    with (
        Path("/dev/full").open("wb", buffering=0) as stream,
        pytest.raises(UnavailableError, match="No space left on device"),
    ):
        ConsoleOutput(ConsoleOutputSettings(), stream).send(BATCH)


def test_nothing_is_said_at_the_end_of_a_broken_pipe():
    code = f"""if True:
        from shipper.outputs.batch import Batch
        from shipper.outputs.console import ConsoleOutput
        from shipper.settings import ConsoleOutputSettings
        output = ConsoleOutput(ConsoleOutputSettings())
        try:
            while True:
                output.send(Batch({BATCH.body!r}, 2))
        except BrokenPipeError:
            pass"""
    command = f'"{sys.executable}" -c "$CODE" | head -n 1'
    done = subprocess.run(
        ["sh", "-c", command], env=os.environ | {"CODE": code}, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ('{"m":"é"}\n', "")
