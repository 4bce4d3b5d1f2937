"""The store as the rest of the program sees it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from shipper.store.faults import explain, explain_system
from shipper.store.lock import WriterLock
from shipper.store.reader import Reader, partition_paths
from shipper.store.schema import open_for_reading
from shipper.store.writer import Writer, Written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Store:
    """Documents in a folder; see ``store/schema.py`` for the files.

    Nothing is made or opened before it is needed: reading a store that is not there gives no partitions. One process may write
    (from one thread at a time), any number may read meanwhile.

    ``partition_documents`` (400,000) and ``partition_bytes`` (512 MiB): a partition that has reached either is sealed and
    the next begun. More documents than that make ``store/seen.py``'s filter less sharp, not wrong. ``max_bytes`` (no bound):
    about as much is kept; the oldest partitions are deleted for the new.
    """

    def __init__(
        self,
        path: Path,
        *,
        partition_documents: int = 400_000,
        partition_bytes: int = 512 << 20,
        max_bytes: int | None = None,
    ) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._partition_documents = partition_documents
        self._partition_bytes = partition_bytes
        self._lock: WriterLock | None = None
        self._writer: Writer | None = None

    @property
    def exists(self) -> bool:
        """Whether anything was ever written, or tried to be, here."""
        return bool(partition_paths(self.path))

    def open(self) -> None:
        """Make the folder and the first partition if need be, and become the one who writes; ``write`` does so by itself.

        Raises ``StateError`` when the store cannot be used until a person mends it, ``UnavailableError`` when it cannot be now.
        """
        self._open()

    def write(self, ids: Sequence[str], documents: Sequence[bytes]) -> Written:
        """Store the documents whose ids are not in the store yet; they are on disk when this returns.

        ``ids`` are 20 ASCII characters each, ``documents`` JSON objects in UTF-8. All of them are stored or, if this raises
        (``StateError``, ``UnavailableError``, as ``open``), none.
        """
        writer = self._open()
        try:
            return writer.write(ids, documents)
        except sqlite3.Error as error:
            self._abandon()
            raise explain(error, writer.path) from error
        except OSError as error:
            self._abandon()
            raise explain_system(error, writer.path) from error
        except BaseException:
            # Whatever it was, what is on disk is known, and what is in memory is not.
            self._abandon()
            raise

    def read(self) -> Reader:
        """The partitions as they are now, open for reading; use it in a ``with``. Raises as ``open`` does."""
        return Reader(self.path)

    def close(self) -> None:
        """Close the files and let others write. The store may be used again."""
        self._abandon()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _open(self) -> Writer:
        if self._lock is None:
            self._lock = WriterLock(self.path)
        if self._writer is None:
            try:
                self._writer = Writer(
                    self.path,
                    partition_documents=self._partition_documents,
                    partition_bytes=self._partition_bytes,
                    max_bytes=self._max_bytes,
                )
            except sqlite3.Error as error:
                raise explain(error, self._blame()) from error
            except OSError as error:
                raise explain_system(error, self.path) from error
        return self._writer

    def _abandon(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _blame(self) -> Path:
        """The file at fault after opening failed: the first that cannot be read, else the last."""
        paths = partition_paths(self.path)
        for path in paths:
            try:
                connection = open_for_reading(path)
                connection.execute("SELECT max(seq) FROM documents")
                connection.close()
            except sqlite3.Error:
                return path
        return paths[-1] if paths else self.path
