"""Reading the store, also while an agent writes to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self

from shipper.errors import ShipperError, StateError
from shipper.store.faults import explain
from shipper.store.schema import open_for_reading, version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path


def partition_paths(folder: Path) -> list[Path]:
    """The partitions' files, oldest first; none if there is no such folder. Raises ``StateError`` if it cannot be looked into."""
    try:
        paths = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StateError(
            f"{folder}: the store cannot be read ({error.strerror}); try as the user the agent runs as"
        ) from error
    return sorted((path for path in paths if path.suffix == ".db" and path.stem.isdecimal()), key=number)


def number(path: Path) -> int:
    """The number of a partition's file."""
    return int(path.stem)


class Partition:
    """One file of the store, open for reading. ``run`` turns SQLite's errors into ours.

    ``ready``: its schema is there (a file is made before its schema). ``empty``: it holds no document. ``earliest`` and ``latest``
    bound its documents' timestamps (milliseconds since 1970 UTC). All as of opening.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = number(path)
        try:
            self._connection = open_for_reading(path)
        except sqlite3.Error as error:
            raise explain(error, path) from error
        try:
            self.ready = version(self._connection, path) > 0
            earliest = latest = None
            if self.ready:
                # Two statements: SQLite looks up each end of the index, but scans it when asked for both at once.
                earliest = self.run("SELECT min(timestamp) FROM documents")[0][0]
                latest = self.run("SELECT max(timestamp) FROM documents")[0][0]
        except BaseException:
            self._connection.close()
            raise
        self.empty = latest is None
        self.earliest: int = 0 if earliest is None else earliest
        self.latest: int = -1 if latest is None else latest

    def define(self, name: str, arguments: int, function: Callable[..., float | None]) -> None:
        """Make a Python function callable from SQL; equal arguments must give equal results."""
        self._connection.create_function(name, arguments, function, deterministic=True)

    def run(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises ``StateError`` or ``UnavailableError``."""
        try:
            with closing(self._connection.execute(sql, parameters or {})) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def existing(paths: Iterable[Path]) -> Iterator[Partition]:
    """Those partitions that are still there: the writer drops the oldest where the store's size is bounded."""
    for path in paths:
        try:
            partition = Partition(path)
        except ShipperError:
            if path.exists():
                raise
            continue
        yield partition


class Reader:
    """The store as it is when this is made; a context manager. ``partitions``: oldest first, without empty ones."""

    def __init__(self, folder: Path) -> None:
        self.partitions: list[Partition] = []
        try:
            for partition in existing(partition_paths(folder)):
                if partition.empty:
                    partition.close()
                else:
                    self.partitions.append(partition)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        for partition in self.partitions:
            partition.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
