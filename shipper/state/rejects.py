"""Documents that an output will never accept as they are: kept with its reason, to be seen, mended and sent again.

Invariant 6: nothing is thrown away. A document is in here, durably, before its event counts as settled.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shipper.errors import StateError
from shipper.state import database

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Rejects:
    """The rejects of this agent. An instance belongs to one thread."""

    def __init__(self, path: Path) -> None:
        """``path`` is the agent's database. Raises ``StateError``."""
        self.path = path
        self._connection = database.connect(path)

    def add(self, output: str, rows: Iterable[tuple[str, int, str, bytes]]) -> None:
        """Keep documents: (id, status, reason, JSON) each. One that is here already is not kept twice."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with database.Transaction(self._connection, self.path):
            try:
                self._connection.executemany(
                    "INSERT INTO rejects (at, output, status, reason, id, document) VALUES (?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (output, id) DO UPDATE SET at = excluded.at, status = excluded.status, reason = excluded.reason",
                    [(at, output, status, reason, key, document) for key, status, reason, document in rows],
                )
            except sqlite3.Error as error:
                raise StateError(f"{self.path}: {database.explain(error)}") from error

    def count(self) -> int:
        """How many are kept."""
        return int(self._connection.execute("SELECT count(*) FROM rejects").fetchone()[0])

    def close(self) -> None:
        """Close the database."""
        self._connection.close()
