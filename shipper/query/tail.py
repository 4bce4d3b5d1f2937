"""Following the store: what arrives, in the order it arrives."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Self

from shipper.query.plan import Plan
from shipper.query.searching import Hit, Selection
from shipper.store.reader import Partition, existing, number, partition_paths

if TYPE_CHECKING:
    from pathlib import Path

    from shipper.store import Store


class Tail:
    """A place in the store that moves forward; a context manager. ``last`` looks back, then ``new`` gives what was added since.

    ``new`` costs a few microseconds while nothing is written: SQLite's ``data_version`` tells. It holds one partition open,
    the newest it knows, and goes on to the next when that one is read to its end.
    """

    def __init__(self, store: Store, selection: Selection) -> None:
        """Raises ``QueryError``, ``StateError``, ``UnavailableError``, as does every method. The next document is the first new one."""
        self._folder = store.path
        self._plan = Plan(selection.tree, selection.since, selection.until)
        self._version = -1
        self._partition = _last_ready(partition_paths(self._folder))
        self._seq = 0
        if self._partition is not None:
            self._seq = self._end(self._partition)

    def last(self, limit: int) -> list[Hit]:
        """The last ``limit`` documents before this place, in order of arrival."""
        hits: list[Hit] = []
        for partition in existing(reversed(partition_paths(self._folder))):
            with closing(partition):
                if partition.ready:
                    hits = self._hits(partition, 0, last=limit - len(hits)) + hits
            if len(hits) >= limit:
                break
        return hits

    def new(self) -> list[Hit]:
        """Documents since the last call, in order of arrival."""
        hits: list[Hit] = []
        while True:
            # Looked for before reading: a partition that has a successor gets nothing more, so what is read after is all of it.
            more = self._successor()
            if self._partition is not None:
                version = self._partition.run("PRAGMA data_version")[0][0]
                if version != self._version:
                    self._version = version
                    start, self._seq = self._seq, max(self._seq, self._end(self._partition))
                    hits += self._hits(self._partition, start)
            if not more or not self._advance():
                return hits

    def close(self) -> None:
        """Close the files."""
        if self._partition is not None:
            self._partition.close()
            self._partition = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _successor(self) -> bool:
        if self._partition is None:
            return bool(partition_paths(self._folder))
        path = self._partition.path
        return path.with_name(f"{self._partition.number + 1:06d}.db").exists() or not path.exists()

    def _advance(self) -> bool:
        """Open the next partition; ``False`` if there is none that is ready."""
        paths = partition_paths(self._folder)
        if self._partition is not None:
            current = self._partition.number
            paths = [path for path in paths if number(path) > current]
        partition = _last_ready(paths[:1])
        if partition is None:
            return False
        self.close()
        self._partition, self._version = partition, -1
        return True

    def _hits(self, partition: Partition, after: int, *, last: int | None = None) -> list[Hit]:
        return [Hit(*row) for row in self._plan.arrived(partition, after, self._seq, last=last)]

    def _end(self, partition: Partition) -> int:
        return int(partition.run("SELECT ifnull(max(seq), :seq) FROM documents", {"seq": self._seq})[0][0])


def _last_ready(paths: list[Path]) -> Partition | None:
    for partition in existing(reversed(paths)):
        if partition.ready:
            return partition
        partition.close()
    return None
