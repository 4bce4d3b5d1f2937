"""Documents that an output will never accept as they are: kept with its reason, to be seen, mended and sent again.

Invariant 6: nothing is thrown away. A document is in here, durably, before its event counts as settled, and leaves only by
a command: sent again and delivered, or dropped. The agent adds while commands read and remove; SQLite keeps them apart, and
the agent's lock is not needed. There is no bound on how many are kept: `shipper rejects list` says how much they take.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from shipper.errors import StateError
from shipper.state import database

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class Reject(NamedTuple):
    """A document that was rejected."""

    number: int
    at: str
    """When it was rejected last: UTC, ISO 8601 with milliseconds."""
    output: str
    status: int
    """The output's own code, HTTP-like; 0 where it has none."""
    reason: str
    id: str
    document: bytes
    """JSON, as it was sent."""


class Rejects:
    """The rejects of this agent. An instance belongs to one thread."""

    def __init__(self, path: Path) -> None:
        """``path`` is the agent's database. Raises ``StateError``."""
        self.path = path
        self._connection = database.connect(path)

    def add(self, output: str, rows: Iterable[tuple[str, int, str, bytes]]) -> None:
        """Keep documents: (id, status, reason, JSON) each. One that is here already is not kept twice."""
        with database.Transaction(self._connection, self.path):
            self._many(
                "INSERT INTO rejects (at, output, status, reason, id, document) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (output, id) DO UPDATE SET at = excluded.at, status = excluded.status, reason = excluded.reason",
                [(_now(), output, status, reason, key, document) for key, status, reason, document in rows],
            )

    def numbers(
        self,
        names: Sequence[str] = (),
        *,
        output: str | None = None,
        status: int | None = None,
        since: str | None = None,
    ) -> list[int]:
        """The numbers of those that fit, oldest first.

        ``names`` are numbers and ids; ``output`` is part of the output's name; ``since`` is a time as in ``Reject.at``.
        """
        where, values = ["1"], list[object]()
        if names:
            marks = ", ".join("?" * len(names))
            where.append(f"(id IN ({marks}) OR CAST(sequence AS TEXT) IN ({marks}))")
            values += [*names, *names]
        if output is not None:
            where.append("instr(output, ?)")
            values.append(output)
        if status is not None:
            where.append("status = ?")
            values.append(status)
        if since is not None:
            where.append("at >= ?")
            values.append(since)
        statement = f"SELECT sequence FROM rejects WHERE {' AND '.join(where)} ORDER BY 1"  # noqa: S608 - texts from here
        return [row[0] for row in self._run(statement, *values)]

    def get(self, number: int) -> Reject | None:
        """One of them; ``None`` when it has gone meanwhile."""
        rows = self._run(
            "SELECT sequence, at, output, status, reason, id, document FROM rejects WHERE sequence = ?", number
        )
        return Reject(*rows[0]) if rows else None

    def size(self) -> tuple[int, int]:
        """How many there are, and how many bytes they take."""
        count, length = self._run("SELECT count(*), sum(length(document) + length(reason)) FROM rejects")[0]
        return count, length or 0

    def remove(self, numbers: Iterable[int]) -> None:
        """Forget these, durably."""
        with database.Transaction(self._connection, self.path):
            self._many("DELETE FROM rejects WHERE sequence = ?", [(number,) for number in numbers])

    def renew(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """(number, status, reason) each of documents that were sent again and rejected again."""
        with database.Transaction(self._connection, self.path):
            self._many(
                "UPDATE rejects SET at = ?, status = ?, reason = ? WHERE sequence = ?",
                [(_now(), status, reason, number) for number, status, reason in rows],
            )

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: {database.explain(error)}") from error

    def _many(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: {database.explain(error)}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
