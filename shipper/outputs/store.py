"""The output into the store on this machine: no server, and searchable at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shipper.errors import RefusedError, StateError
from shipper.outputs.base import Output
from shipper.outputs.batch import Outcomes, Rejection
from shipper.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from shipper.outputs.batch import Batch

log = logging.getLogger(__name__)

_BAD_REQUEST = 400


class StoreOutput(Output):
    """Writes batches into the store in the folder ``path``, one transaction each; ``max_bytes`` bounds what is kept.

    ``conflicts`` counts documents that were there already under their id, with other content.
    """

    name = "store"

    def __init__(self, path: Path, max_bytes: int | None = None) -> None:
        self.conflicts = 0
        self._store = Store(path, max_bytes=max_bytes)

    def check(self) -> None:
        """Open the store for writing; it is made if need be. Raises ``UnavailableError`` or ``RefusedError``."""
        try:
            self._store.open()
        except StateError as error:
            raise RefusedError(str(error)) from error

    def send(self, batch: Batch) -> Outcomes:
        """Write one batch; its documents are on disk when this returns. Raises ``UnavailableError`` or ``RefusedError``."""
        try:
            written = self._store.write(batch.ids(), batch.documents())
        except StateError as error:
            raise RefusedError(str(error)) from error
        if written.conflicts and not self.conflicts:
            # After a crash this is how it has to be: a line that no pipeline takes a time from has that of its reading.
            log.info("documents come again, read at another time or parsed otherwise than those stored; the first stay")
        self.conflicts += written.conflicts
        return Outcomes(
            duplicates=written.duplicates,
            rejected=[Rejection(position, _BAD_REQUEST, reason) for position, reason in written.invalid],
        )

    def close(self) -> None:
        """Close the store's files."""
        self._store.close()
