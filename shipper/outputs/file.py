"""Documents appended to a file, one JSON object a line (NDJSON).

The file only ever holds whole lines of whole batches: a batch that could not be written to its end, or not be synced,
is cut off again, so that sending it once more does not leave half of it twice.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shipper.errors import RefusedError, UnavailableError
from shipper.outputs.base import Output
from shipper.outputs.batch import Outcomes

if TYPE_CHECKING:
    from pathlib import Path

    from shipper.outputs.batch import Batch
    from shipper.settings import FileOutputSettings


class FileOutput(Output):
    """Appends and fsyncs. The file is opened at the first use, and again when it was moved away (logrotate)."""

    def __init__(self, settings: FileOutputSettings) -> None:
        self._path: Path = settings.path / settings.filename
        self.name = f"file {self._path}"
        self._descriptor: int | None = None

    def check(self) -> None:
        """Make the folder and open the file. Raises ``RefusedError`` when that cannot be done."""
        self._open()

    def send(self, batch: Batch) -> Outcomes:
        """Append, sync, then say so. Raises ``UnavailableError``, for a full disk for instance; nothing was added then."""
        descriptor = self._open()
        data = b"".join(each + b"\n" for each in batch.documents())
        end = os.fstat(descriptor).st_size
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError as error:
            self._cut(descriptor, end)
            raise UnavailableError(f"{self._path} cannot be written: {error.strerror}") from error
        return Outcomes()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        """The descriptor of the file that has the name now."""
        try:
            if self._descriptor is not None and not self._moved(self._descriptor):
                return self._descriptor
            self.close()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not block us
            self._descriptor = os.open(self._path, flags, 0o640)
            if not os.path.isfile(self._path):  # noqa: PTH113 - one call, as below
                self.close()
                raise RefusedError(f"{self._path} is not a regular file: choose another output.file.path or filename")
            self._end_with_a_line(self._descriptor)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)  # the name of a new file must survive a crash too
            finally:
                os.close(folder)
        except OSError as error:
            self.close()
            raise RefusedError(f"{self._path} cannot be opened: {error.strerror}: check output.file.path") from error
        return self._descriptor

    def _moved(self, descriptor: int) -> bool:
        try:
            there = os.stat(self._path)  # noqa: PTH116 - the pair of fstat
        except FileNotFoundError:
            return True
        return not os.path.samestat(there, os.fstat(descriptor))

    def _end_with_a_line(self, descriptor: int) -> None:
        """Cut off what a crash in the middle of a write has left of a line; it was not acknowledged.

        Raises ``RefusedError`` when it does not look like ours: then somebody else's file has been named.
        """
        end = os.fstat(descriptor).st_size
        with self._path.open("rb") as file:
            at = end
            while at > 0:
                start = max(0, at - (1 << 16))
                file.seek(start)
                newline = file.read(at - start).rfind(b"\n")
                if newline >= 0:
                    at = start + newline + 1
                    break
                at = start
            file.seek(at)
            if file.read(1) not in {b"", b"{"}:
                self.close()
                raise RefusedError(
                    f"{self._path} does not end with a whole line of JSON: choose another output.file.filename"
                )
        if at < end:
            os.ftruncate(descriptor, at)

    @staticmethod
    def _cut(descriptor: int, end: int) -> None:
        try:
            os.ftruncate(descriptor, end)
        except OSError:
            return  # the disk is beyond help; the next open cuts a partial line
