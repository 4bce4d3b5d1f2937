"""What a snapshot becomes: metrics with few labels, and a verdict with its reasons."""

from __future__ import annotations

import time

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shipper.delivery.encoder import TAGS, Encodings
from shipper.delivery.sender import Deliveries
from shipper.observer import Lag, Observer
from shipper.progress import InputProgress, Snapshot, add
from shipper.status.health import STILL, TROUBLE, Health
from shipper.status.metrics import Metrics


def samples(snapshot):
    text = Metrics(lambda: snapshot).page().body.decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def health(snapshot):
    answer = Health(lambda: snapshot).page()
    return answer.status, orjson.loads(answer.body)


@pytest.fixture
def snapshot():
    now = time.monotonic()
    events = Encodings(events=10, skipped=1, dropped=2, unparsed=3, failures={"_grokparsefailure": 3})
    one = InputProgress(
        "app", "p.conf", files=2, read=50, lag_bytes=40, lag_seconds=1.5, unreadable=1, lost_bytes=7, events=events
    )
    return Snapshot(
        now,
        output="elasticsearch",
        inputs=[one],
        documents=Deliveries(delivered=6, duplicates=2, failure_store=1, rejected=1, retries=4),
        queue_bytes=11,
        queue_limit=12,
        spool_bytes=13,
        spool_limit=14,
        spool_damaged=15,
        moved=now,
        success=1.7e9,
        reloads=2,
    )


def test_every_number_has_its_metric(snapshot):
    found = samples(snapshot)
    expected = {
        ("shipper_files_open", "app"): 2,
        ("shipper_files_unreadable", "app"): 1,
        ("shipper_lag_bytes", "app"): 40,
        ("shipper_lag_seconds", "app"): 1.5,
        ("shipper_lost_bytes_total", "app"): 7,
        ("shipper_events_total", "app"): 10,
        ("shipper_events_not_sent_total", "app", "dropped"): 2,
        ("shipper_events_not_sent_total", "app", "skipped"): 1,
        ("shipper_parse_failures_total", "_grokparsefailure", "app", "p.conf"): 3,
        ("shipper_documents_total", "created", "elasticsearch"): 3,
        ("shipper_documents_total", "duplicate", "elasticsearch"): 2,
        ("shipper_documents_total", "elasticsearch", "failure_store"): 1,
        ("shipper_documents_total", "elasticsearch", "rejected"): 1,
        ("shipper_retries_total", "elasticsearch"): 4,
        ("shipper_output_up", "elasticsearch"): 1,
        ("shipper_output_trouble_seconds",): 0,
        ("shipper_last_success_timestamp_seconds",): 1.7e9,
        ("shipper_queue_bytes",): 11,
        ("shipper_queue_limit_bytes",): 12,
        ("shipper_spool_bytes",): 13,
        ("shipper_spool_limit_bytes",): 14,
        ("shipper_spool_damaged_documents_total",): 15,
        ("shipper_state_up",): 1,
        ("shipper_settings_in_use",): 1,
        ("shipper_reloads_total",): 2,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found["process_cpu_seconds_total",] > 0
    assert [key for key in found if key[0] == "shipper_build_info"]


def test_trouble_takes_the_output_down(snapshot):
    snapshot.trouble, snapshot.trouble_since = "connection refused", time.monotonic() - 5
    found = samples(snapshot)
    assert found["shipper_output_up", "elasticsearch"] == 0
    assert found["shipper_output_trouble_seconds",] >= 5


def test_labels_are_escaped(snapshot):
    snapshot.inputs[0].name = 'a"b\\c\nd'
    assert samples(snapshot)["shipper_events_total", 'a"b\\c\nd'] == 10


@pytest.mark.parametrize(
    ("change", "status", "verdict", "reason"),
    [
        ({}, 200, "ok", None),
        ({"trouble": "connection refused", "ago": 1}, 200, "degraded", "connection refused"),
        ({"trouble": "connection refused", "ago": TROUBLE + 1}, 503, "failing", "connection refused"),
        ({"state": "the disk is full"}, 503, "failing", "state: the disk is full"),
        ({"still": STILL + 1}, 503, "failing", "nothing has been done for 61 s"),
        ({"moved": TROUBLE + 1}, 503, "failing", "has taken nothing for 31 s"),
        ({"unreadable": ["/a.log cannot be read"]}, 200, "degraded", "/a.log cannot be read"),
        ({"unreadable": ["/a\udce9.log cannot be read"]}, 200, "degraded", "/a\N{REPLACEMENT CHARACTER}.log cannot be"),
        ({"settings": "a.yml:1: x"}, 200, "degraded", "settings: a.yml:1: x"),
    ],
)
def test_health_has_its_reasons(snapshot, change, status, verdict, reason):
    now = time.monotonic()
    for name, value in change.items():
        match name:
            case "ago":
                snapshot.trouble_since = now - value
            case "still":
                snapshot.at = now - value
            case "moved":
                snapshot.moved = now - value
            case _:
                setattr(snapshot, name, value)
    code, document = health(snapshot)
    assert (code, document["status"]) == (status, verdict)
    assert reason in document["reasons"][0] if reason else document["reasons"] == []
    assert (document["lag_bytes"], document["output"]) == (40, "elasticsearch")


def test_lag_is_the_age_of_the_oldest_byte_that_is_not_acknowledged():
    lag = Lag()
    assert lag.look(1, 100, 0, now=50.0, changed=20.0) == 30.0, "at least as old as the last change"
    assert lag.look(1, 200, 100, now=60.0, changed=60.0) == 0.0, "it came just now"
    assert lag.look(1, 300, 150, now=61.0, changed=61.0) == 1.0
    assert lag.look(1, 300, 250, now=65.0, changed=61.0) == 4.0
    assert lag.look(1, 300, 300, now=70.0, changed=61.0) == 0.0
    assert lag.look(1, 301, 300, now=80.0, changed=80.0) == 0.0
    assert lag.look(1, 301, 300, now=90.0, changed=80.0) == 10.0


def test_lag_of_a_file_that_grows_all_the_time_is_bounded_in_memory_and_never_too_small():
    lag = Lag()
    for second in range(1, 1001):
        lag.look(1, second, 0, now=float(second), changed=float(second))
    assert len(lag._marks[1]) <= 17
    assert lag.look(1, 1000, 0, now=1000.0, changed=1000.0) == 999.0
    assert lag.look(1, 1000, 900, now=1000.0, changed=1000.0) >= 99.0


def test_trouble_lasts_from_when_it_began_and_success_is_when_something_was_taken():
    observer = Observer()
    observer.publish(Snapshot(10.0, trouble="down"))
    observer.publish(Snapshot(15.0, trouble="still down", queue_bytes=5))
    assert observer.latest.trouble_since == 10.0
    assert observer.latest.success == 0.0
    observer.publish(Snapshot(20.0, documents=Deliveries(delivered=1), queue_bytes=5))
    assert observer.latest.success > 1.6e9
    assert observer.latest.moved == 20.0
    observer.publish(Snapshot(30.0, documents=Deliveries(delivered=1), queue_bytes=5))
    assert observer.latest.moved == 20.0


def test_failures_are_counted_by_a_bounded_number_of_tags():
    from shipper.delivery.encoder import Encoder  # noqa: PLC0415 - only here

    encoder = Encoder(None, {})
    for n in range(100):
        encoder.counts.count([f"_failure{n}", "fine"])
    encoder.counts.count(["fine"])
    assert encoder.counts.unparsed == 100
    assert len(encoder.counts.failures) == TAGS + 1
    assert encoder.counts.failures["other"] == 100 - TAGS
    total = Encodings(failures={"_failure0": 1})
    add(total, encoder.counts)
    assert total.failures["_failure0"] == 2


def test_the_rejects_that_are_kept_are_counted(tmp_path, monkeypatch):
    from shipper.state.rejects import Rejects  # noqa: PLC0415 - only here

    path = tmp_path / "state.db"
    metrics = Metrics(lambda: Snapshot(time.monotonic()), path)
    assert b"shipper_rejects" not in metrics.page().body, "there is no database yet"
    kept = Rejects(path)
    kept.add("es", [("a" * 20, 400, "why", b"{}"), ("b" * 20, 400, "why", b"{}")])
    kept.close()
    assert b"shipper_rejects" not in metrics.page().body, "not counted again for each request"
    monkeypatch.setattr("shipper.status.metrics.COUNTED", 0.0)
    text = metrics.page().body.decode()
    assert "\nshipper_rejects 2.0\n" in text
    assert "\nshipper_rejects_bytes 10.0\n" in text
