from __future__ import annotations

import contextlib
import sqlite3

import pytest

from shipper.errors import StateError
from shipper.state.database import Transaction, connect


class Broken:
    """A stand-in for a connection to a disk that fails in everything."""

    in_transaction = True

    def execute(self, _):
        raise sqlite3.OperationalError("disk I/O error")

    def rollback(self):
        raise sqlite3.OperationalError("disk I/O error")


def test_a_disk_that_fails_in_the_rollback_too_is_an_error_of_the_state(tmp_path):
    with pytest.raises(StateError, match="disk I/O error"), Transaction(Broken(), tmp_path / "state.db"):
        pass


def test_what_a_failed_transaction_has_left_open_does_not_stop_the_next(tmp_path):
    connection = connect(tmp_path / "state.db")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO salts VALUES ('store', x'00', 1, NULL)")
    with Transaction(connection, tmp_path / "state.db"):
        connection.execute("INSERT INTO salts VALUES ('store', x'01', 1, NULL)")
    assert connection.execute("SELECT count(*) FROM salts").fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize(
    ("damage", "message"), [("PRAGMA user_version=99", "newer shipper"), ("PRAGMA user_version=-1", "malformed")]
)
def test_a_database_that_is_refused_is_closed(tmp_path, monkeypatch, damage, message):
    path = tmp_path / "state.db"
    with contextlib.closing(connect(path)) as connection:
        connection.execute(damage)
    opened = []
    monkeypatch.setattr(
        sqlite3, "connect", lambda *a, _open=sqlite3.connect, **k: opened.append(_open(*a, **k)) or opened[-1]
    )
    with pytest.raises(StateError, match=message):
        connect(path)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")
