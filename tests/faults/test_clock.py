"""The wall clock jumps, and zones change their offset: what is waited for and what is shipped does not depend on it."""

from __future__ import annotations

import pytest
from oracle import holds
from scripted import Act, ScriptedElasticsearch
from shipping import Shipper
from writer import Log

pytestmark = [pytest.mark.faults, pytest.mark.slow]

DAY = 86_400


@pytest.mark.parametrize("jumps", [(-400 * DAY,), (400 * DAY,), (3_600, -3_600, 0), (-20_000 * DAY, 0)], ids=str)
def test_the_clock_jumps_while_the_agent_runs(jumps, shim, tmp_path):
    with ScriptedElasticsearch() as server:
        shipper = Shipper(tmp_path, server.output(), read=server.documents)
        log = Log(shipper.logs / "app.log")
        with shipper.following(environment=shim.environment) as process:
            for jump in (0, *jumps):
                shim.plan(f"clock {jump}")
                server.script.extend(
                    [Act("503", lambda _: False, 503), Act("half", lambda position: position % 2 == 0)]
                )
                log.write(200)
                rest = log.write_half()
                log.write_rest(rest)
                shipper.wait_for(log.events[:-1], 30)
                log.rename()
            shipper.wait_for(log.events, 30)
            assert process.poll() is None
        holds(log.events, server.documents())


def test_the_clock_is_another_after_a_restart(shim, tmp_path):
    shipper = Shipper(tmp_path)
    log = Log(shipper.logs / "app.log")
    for clock in (0, -400 * DAY, 800 * DAY, 0):
        shim.plan(f"clock {clock}")
        log.write(100)
        assert shipper.once(environment=shim.environment) == 0, shipper.errors
        log.rename()
    holds(log.events, shipper.documents())


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        ("Europe/Berlin", "2024-03-31 01:59:59.999", "2024-03-31T00:59:59.999Z"),
        ("Europe/Berlin", "2024-03-31 03:00:00.000", "2024-03-31T01:00:00.000Z"),
        ("Europe/Berlin", "2024-10-27 01:59:59.999", "2024-10-26T23:59:59.999Z"),
        ("Europe/Berlin", "2024-10-27 03:00:00.000", "2024-10-27T02:00:00.000Z"),
        ("America/Sao_Paulo", "2017-07-04 11:11:37.921", "2017-07-04T14:11:37.921Z"),
        ("Asia/Kolkata", "2024-01-01 00:00:00.000", "2023-12-31T18:30:00.000Z"),
        ("Australia/Lord_Howe", "2024-04-07 03:00:00.000", "2024-04-06T16:30:00.000Z"),
    ],
)
def test_timestamps_around_a_change_of_the_offset(zone, local, expected, tmp_path):
    shipper = Shipper(tmp_path, pipeline="spring-boot", timezone=zone)
    del shipper.settings["inputs"][0]["multiline"]
    (shipper.logs / "app.log").write_text(f"{local}  INFO 1 --- [main] a.B : one\n")
    assert shipper.inside_once()
    [document] = shipper.documents()
    assert (document["@timestamp"], document["message"]) == (expected, "one")


@pytest.mark.parametrize(("local", "is_there"), [("2024-10-27 02:30:00.000", True), ("2024-03-31 02:30:00.000", False)])
def test_times_that_are_twice_or_never_are_shipped_all_the_same(local, is_there, tmp_path):
    """A local time that no clock ever showed is a parse failure, as in Logstash; the event is shipped whole."""
    shipper = Shipper(tmp_path, pipeline="spring-boot", timezone="Europe/Berlin")
    del shipper.settings["inputs"][0]["multiline"]
    (shipper.logs / "app.log").write_text(f"{local}  INFO 1 --- [main] a.B : one\n")
    assert shipper.inside_once()
    [document] = shipper.documents()
    assert document["message"] == "one"
    assert document["@timestamp"].startswith(local[:10]) == is_there
    assert ("_dateparsefailure" in document.get("tags", [])) != is_there
