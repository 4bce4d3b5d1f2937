from __future__ import annotations

import contextlib
import shutil
import sqlite3

import pytest

from shipper.errors import StateError
from shipper.state import database
from shipper.state.database import Transaction, connect


class Broken:
    """A stand-in for a connection to a disk that fails in everything."""

    in_transaction = True

    def execute(self, _):
        raise sqlite3.OperationalError("disk I/O error")

    def rollback(self):
        raise sqlite3.OperationalError("disk I/O error")

    def failed(self, trouble):
        pass


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


@pytest.fixture
def opened(tmp_path):
    with contextlib.closing(connect(tmp_path / "home" / "state.db")) as connection:
        yield connection


def write(connection, path, *, size=10):
    with Transaction(connection, path):
        try:
            connection.execute("INSERT OR REPLACE INTO salts VALUES ('store', zeroblob(?), 1, NULL)", (size,))
        except sqlite3.Error as error:
            raise StateError(database.explain(error)) from error


def test_a_failed_write_counts_until_none_has_failed_for_a_while_and_one_succeeds(opened, tmp_path, monkeypatch):
    opened.execute("PRAGMA max_page_count=1")  # no page more than there are: a full disk
    with pytest.raises(StateError, match="disk is full"):
        write(opened, tmp_path, size=100_000)
    write(opened, tmp_path)  # what needs no page more still fits
    with Transaction(opened, tmp_path):
        pass
    assert "disk is full" in opened.trouble()
    monkeypatch.setattr(database, "HELD", 0.0)
    opened.execute("PRAGMA query_only=ON")
    assert "read-only" in opened.trouble()
    opened.execute("PRAGMA query_only=OFF")
    assert opened.trouble() == ""


def test_a_write_that_cannot_even_begin_counts(opened, tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "home" / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        opened.execute("PRAGMA busy_timeout=1")
        with pytest.raises(StateError, match="locked"):
            write(opened, tmp_path)
    assert "locked" in opened.trouble()


def test_what_is_wrong_with_the_caller_is_no_trouble_of_the_database(opened, tmp_path):
    with pytest.raises(ValueError, match="other"), Transaction(opened, tmp_path):
        raise ValueError("other")
    assert opened.trouble() == ""


@pytest.mark.parametrize(
    "remove",
    [
        shutil.rmtree,
        lambda home: (home / "state.db").unlink(),
        lambda home: (home / "state.db-wal").unlink(),
        lambda home: shutil.copy(home / "state.db", home / "copy").replace(home / "state.db"),
        lambda home: home.rename(home.with_name("elsewhere")),
    ],
    ids=["folder deleted", "deleted", "log deleted", "replaced", "folder moved"],
)
def test_that_no_name_leads_to_the_database_any_more_is_noticed(opened, tmp_path, remove):
    write(opened, tmp_path)
    assert opened.displaced() == ""
    remove(tmp_path / "home")
    assert str(tmp_path / "home/state.db") in opened.displaced()


def test_a_database_that_is_moved_back_is_no_trouble(opened, tmp_path):
    (tmp_path / "home").rename(tmp_path / "elsewhere")
    assert opened.displaced()
    (tmp_path / "elsewhere").rename(tmp_path / "home")
    assert opened.displaced() == ""
