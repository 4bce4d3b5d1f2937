from __future__ import annotations

import sqlite3

import pytest

from shipper.errors import StateError
from shipper.state.rejects import Rejects


@pytest.fixture
def rejects(tmp_path):
    kept = Rejects(tmp_path / "state.db")
    kept.add("elasticsearch at a", [("a" * 20, 400, "mapping", b'{"n":1}'), ("b" * 20, 400, "mapping", b'{"n":2}')])
    kept.add("store", [("a" * 20, 413, "too large", b'{"n":3}')])
    yield kept
    kept.close()


def test_a_document_is_kept_once_with_the_latest_reason(rejects, tmp_path):
    rejects.add("store", [("a" * 20, 400, "no object", b'{"n":3}')])
    rejects.close()
    again = Rejects(tmp_path / "state.db")
    assert [again.get(number)[2:] for number in again.numbers()] == [
        ("elasticsearch at a", 400, "mapping", "a" * 20, b'{"n":1}'),
        ("elasticsearch at a", 400, "mapping", "b" * 20, b'{"n":2}'),
        ("store", 400, "no object", "a" * 20, b'{"n":3}'),
    ]
    assert again.size() == (3, 7 * 3 + 7 + 7 + 9)
    again.close()


def test_they_are_found_by_number_id_output_status_and_time(rejects):
    first, second, third = rejects.numbers()
    assert rejects.numbers(["a" * 20]) == [first, third]
    assert rejects.numbers([str(second), "b" * 20, "9999", "x"]) == [second]
    assert rejects.numbers(output="elastic") == [first, second]
    assert rejects.numbers(status=413) == [third]
    assert rejects.numbers(["a" * 20], output="store") == [third]
    assert rejects.numbers(since="2020") == [first, second, third]
    assert rejects.numbers(since="2999") == []


def test_they_go_when_removed_and_get_a_new_reason_when_renewed(rejects):
    first, second, third = rejects.numbers()
    rejects.remove([first, third])
    rejects.renew([(second, 403, "still not")])
    assert rejects.numbers() == [second]
    assert rejects.get(first) is None
    assert rejects.get(second)[3:5] == (403, "still not")


def test_the_agent_adds_while_a_command_reads(rejects, tmp_path):
    agent = Rejects(tmp_path / "state.db")
    agent.add("store", [("c" * 20, 400, "mapping", b"{}")])
    assert len(rejects.numbers()) == 4
    agent.close()


def test_another_process_that_holds_the_database_is_an_error_that_says_so(rejects, tmp_path):
    rejects._connection.execute("PRAGMA busy_timeout=1")
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateError, match=r"state\.db: .*locked"):
        rejects.remove([1])
    other.execute("ROLLBACK")
    other.close()
    assert len(rejects.numbers()) == 3
