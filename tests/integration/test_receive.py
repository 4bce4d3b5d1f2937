"""Hosts that keep their Filebeat: its events through ``shipper receive``, which dies again and again, into a real Elasticsearch.

The Beat is a stand-in (a real one cannot be had here): it sends what Filebeat's ``filestream`` sends, forgets after each
broken connection what was acknowledged since its last checkpoint, as a Filebeat does that was killed, and begins there again.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import uuid

import orjson
import pytest
from receiver_process import ReceiverProcess

from shipper.lumberjack import frames
from shipper.lumberjack.client import Connection

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SPRING = "2017-07-04 11:11:37.921  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET DATA"
LINES = 20_000
WINDOW = 250
CHECKPOINT = 8
"""Windows after which the Beat remembers where it was."""


@pytest.fixture
def index(request_es):
    name = f"test-{uuid.uuid4().hex[:12]}"
    request_es("PUT", f"/{name}?wait_for_active_shards=1")
    yield name
    request_es("DELETE", f"/{name}?ignore_unavailable=true")


@pytest.fixture
def receiver(tmp_path, elasticsearch_url, index):
    output = {"output.elasticsearch": {"hosts": [elasticsearch_url], "index": index}}
    running = ReceiverProcess(tmp_path, output, pipeline="spring-boot").start()
    yield running
    if running.process.poll() is None:
        running.stop()


def beats_event(at: int) -> bytes:
    line = f"{SPRING} {at}"
    return orjson.dumps(
        {
            "@timestamp": f"2026-11-23T10:00:{at * 60 // LINES:02d}.{at % 1000:03d}Z",
            "@metadata": {"beat": "filebeat", "type": "_doc", "version": "9.4.3"},
            "agent": {"type": "filebeat", "version": "9.4.3", "id": "5f0d", "ephemeral_id": "77aa", "name": "web-1"},
            "log": {
                "offset": at * (len(SPRING) + 8),
                "file": {"path": "/var/log/orders.log", "inode": "42", "device_id": "7"},
            },
            "message": line,
        }
    )


def beat(port: int) -> int:
    """Send all lines, in windows, two on their way; how often it had to begin again."""
    remembered = broken = 0
    while remembered < LINES:
        sent = acknowledged = remembered
        try:
            connection = Connection(("127.0.0.1", port), timeout=30, connect_timeout=10)
        except OSError:
            threading.Event().wait(0.05)  # what a Beat's backoff does
            continue
        try:
            while acknowledged < LINES:
                while sent < LINES and connection.windows < 2:
                    until = min(sent + WINDOW, LINES)
                    connection.send(frames.window([beats_event(at) for at in range(sent, until)], 3), until - sent)
                    sent = until
                acknowledged += connection.acknowledged()
                if acknowledged == LINES or acknowledged - remembered >= CHECKPOINT * WINDOW:
                    remembered = acknowledged
        except (OSError, frames.ProtocolError):
            broken += 1
        finally:
            connection.close()
    return broken


def agent(folder, port: int) -> subprocess.Popen:
    (folder / "a.log").write_text("".join(f"{SPRING} {at}\n" for at in range(LINES)))
    mapping = {
        "inputs": [{"paths": [str(folder / "a.log")]}],  # raw lines: the receiver parses
        "path.data": str(folder / "agent"),
        "output.logstash": {"hosts": [f"127.0.0.1:{port}"], "bulk_max_size": WINDOW, "backoff.init": "50ms"},
    }
    (folder / "agent.yml").write_text(json.dumps(mapping))
    command = [sys.executable, "-m", "shipper", "run", "--once", "--patience", "120", "-c", str(folder / "agent.yml")]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_beat_and_an_agent_through_a_receiver_that_is_killed(receiver, request_es, index, tmp_path):
    port = receiver.port
    broken = []
    beats = threading.Thread(target=lambda: broken.append(beat(port)), daemon=True)
    beats.start()
    ours = agent(tmp_path, port)

    def stored() -> int:
        request_es("POST", f"/{index}/_refresh")
        return request_es("GET", f"/{index}/_count")["count"]

    for wanted in (2_000, 12_000, 24_000):
        while beats.is_alive() and stored() < wanted:
            threading.Event().wait(0.02)
        receiver.stop(signal.SIGKILL)
        receiver.start()
    _, complaints = ours.communicate(timeout=200)
    assert ours.returncode == 0, complaints
    beats.join(200)
    assert broken[0] >= 2, "the Beat's connection was never cut: nothing was tested"
    assert receiver.stop() == 0
    assert stored() == 2 * LINES
    kinds = {"terms": {"field": "agent.type.keyword"}, "aggs": {"lines": {"cardinality": {
        "field": "message.keyword", "precision_threshold": 40_000}}}}  # fmt: skip
    found = request_es("POST", f"/{index}/_search", {"size": 1, "aggs": {"kinds": kinds}})
    buckets = found["aggregations"]["kinds"]["buckets"]
    assert {each["key"]: each["doc_count"] for each in buckets} == {"filebeat": LINES, "elk-shipper": LINES}
    # The cardinality is an estimate above 3,000 and near enough to see a line that stands for another.
    assert all(abs(each["lines"]["value"] - LINES) < LINES / 100 for each in buckets)
    assert found["hits"]["hits"][0]["_source"]["process"]["pid"] == 60820, "the receiver parsed it"
