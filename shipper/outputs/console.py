"""Documents to standard output, one JSON object a line; for looking at them, and for pipes."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

import orjson

from shipper.errors import UnavailableError
from shipper.outputs.base import Output
from shipper.outputs.batch import Outcomes

if TYPE_CHECKING:
    from shipper.outputs.batch import Batch
    from shipper.settings import ConsoleOutputSettings


class ConsoleOutput(Output):
    """Writes to ``stream``, standard output by default. What it shows may be shown again after a crash."""

    name = "console"

    def __init__(self, settings: ConsoleOutputSettings, stream: IO[bytes] | None = None) -> None:
        self._stream = sys.stdout.buffer if stream is None else stream
        self._pretty = settings.pretty

    def send(self, batch: Batch) -> Outcomes:
        """Write and flush. Raises ``BrokenPipeError`` when the reader has gone (``| head``): there is nothing left to do then."""
        documents = batch.documents()
        if self._pretty:
            documents = [orjson.dumps(orjson.loads(each), option=orjson.OPT_INDENT_2) for each in documents]
        try:
            self._stream.write(b"".join(each + b"\n" for each in documents))
            self._stream.flush()
        except BrokenPipeError:
            self._discard()
            raise
        except OSError as error:  # standard output may be a file on a full disk
            raise UnavailableError(f"standard output cannot be written: {error.strerror}") from error
        return Outcomes()

    def _discard(self) -> None:
        """Point the stream to /dev/null, so that the interpreter's last flush does not complain too."""
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError):
            return
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)
