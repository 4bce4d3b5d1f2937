"""An agent whose ``state.db`` is damaged begins anew, and nobody has an event twice or misses one."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from shipper.agent import Agent
from shipper.query import Selection, scan
from shipper.settings import from_mapping
from shipper.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "logs").mkdir()
    data = {"inputs": [{"type": "filestream", "paths": [f"{tmp_path}/logs/*.log"]}]}
    return from_mapping(data, env={"SHIPPER_HOME": str(tmp_path / "home")})


def ship(settings):
    with Agent(settings) as agent:
        assert agent.run(once=True)
        return agent.progress().documents


def messages(settings):
    return sorted(hit.document["message"] for hit in scan(Store(settings.store_path), Selection(), None))


def damage_value(path, statement):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: damage_value(path, "UPDATE files SET offset = offset + 4"),
        lambda path: damage_value(path, "UPDATE files SET salt = 64"),
        cut,
        lambda path: path.write_bytes(b"x" * 5000),
    ],
    ids=["an offset", "a salt", "cut", "no database"],
)
def test_all_is_there_once_after_the_state_was_damaged(settings, tmp_path, damage, caplog):
    log = tmp_path / "logs/a.log"
    log.write_text("".join(f"line {n}\n" for n in range(50)))
    assert ship(settings).delivered == 50
    damage(settings.path_data / "state.db")
    with log.open("a") as file:
        file.write("line 50\nline 51\n")
    again = ship(settings)
    assert (again.delivered, again.duplicates) == (52, 50)
    assert messages(settings) == sorted(f"line {n}" for n in range(52))
    assert "was damaged" in caplog.text
    assert len(list(settings.path_data.glob("state.db.corrupt-*"))) >= 1
    assert ship(settings).delivered == 0
