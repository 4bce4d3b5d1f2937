"""The real Elasticsearch misbehaves: a node of three is killed under load, an index is read-only, a mapping does not fit."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import tempfile
import uuid
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import orjson
import pytest
from elasticsearch_node.node import CannotRunError, Node, free_port
from oracle import holds, indexed, rejected
from shipping import Shipper
from waiting import wait_for
from writer import Log

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.integration]


def ask(url: str, method: str = "GET", body: object = None) -> dict:
    data = None if body is None else orjson.dumps(body)
    with urlopen(Request(url, data, {"content-type": "application/json"}, method=method), timeout=60) as answer:
        return orjson.loads(answer.read() or b"{}")


@pytest.fixture
def index(elasticsearch_url):
    """The address of an index of one's own."""
    url = f"{elasticsearch_url}/test-{uuid.uuid4().hex[:12]}"
    ask(url, "PUT", {"mappings": {"properties": {"number": {"type": "long"}}}})
    yield url
    ask(url, "DELETE")


def output(url: str, hosts: list[str] | None = None) -> dict:
    host, _, name = url.rpartition("/")
    one = {
        "hosts": hosts or [host],
        "index": name,
        "bulk_max_bytes": "16KiB",
        "timeout": "5s",
        "backoff": {"init": "50ms", "max": "500ms"},
    }
    return {"output.elasticsearch": one}


def test_a_read_only_index_is_waited_for(index, tmp_path):
    shipper = Shipper(tmp_path, output(index), read=lambda: indexed(index))
    log = Log(shipper.logs / "app.log")
    log.write(300)
    with shipper.following() as process:
        shipper.wait_for(log.events)
        ask(f"{index}/_settings", "PUT", {"index.blocks.write": True})
        log.write(300)
        log.rename()
        log.write(300)
        assert process.poll() is None
        ask(f"{index}/_settings", "PUT", {"index.blocks.write": None})
        shipper.wait_for(log.events)
    holds(log.events, indexed(index))
    assert rejected(shipper.home) == []


def test_a_closed_index_is_waited_for(index, tmp_path):
    shipper = Shipper(tmp_path, output(index), read=lambda: indexed(index))
    log = Log(shipper.logs / "app.log")
    log.write(100)
    ask(f"{index}/_close", "POST")
    assert shipper.once(patience=2) == 1
    ask(f"{index}/_open?wait_for_active_shards=1", "POST")
    shipper.ends_well()
    holds(log.events, indexed(index))
    assert rejected(shipper.home) == []


def test_a_mapping_conflict_is_kept_with_the_reason_of_the_server(index, tmp_path):
    pipeline = tmp_path / "number.conf"
    pipeline.write_text(
        'filter { grok { match => { "message" => "number=%{NOTSPACE:number}" } tag_on_failure => [] } }\n'
    )
    shipper = Shipper(tmp_path, output(index), read=lambda: indexed(index), pipeline=str(pipeline))
    log = Log(shipper.logs / "app.log", trace_every=0)
    log.write(50)
    bad = ["00000097 number=seven", "00000098 number=eight"]
    log._append("".join(f"{line}\n" for line in [*bad, "00000099 number=9"]))
    log.write(50)
    shipper.once()
    kept = rejected(shipper.home)
    assert [(status, document["message"]) for status, _, document in kept] == [(400, line) for line in bad]
    assert all("number" in reason and "long" in reason for _, reason, _ in kept)
    holds([*log.events, "00000099 number=9"], indexed(index))


@pytest.fixture(scope="module")
def cluster():
    """Three nodes, each a process of its own, that hold copies of each other's shards."""
    folder = Path(tempfile.mkdtemp(prefix="elasticsearch-cluster-"))
    folder.chmod(0o711)
    transports = [free_port() for _ in range(3)]
    names = [f"node-{number}" for number in range(3)]
    nodes = [
        Node(
            folder / name,
            heap="320m",
            settings={
                "cluster.name": f"faults-{transports[0]}",
                "node.name": name,
                "transport.port": transport,
                "discovery.type": "multi-node",
                "discovery.seed_hosts": [f"127.0.0.1:{each}" for each in transports],
                "cluster.initial_master_nodes": names,
            },
        )
        for name, transport in zip(names, transports, strict=True)
    ]
    for node in nodes:
        node.folder.mkdir()
        node.folder.chmod(0o711)
    try:
        start(nodes)
        yield nodes
    except CannotRunError as error:
        pytest.skip(f"no cluster: {error}")
    finally:
        for node in nodes:
            node.stop()
        shutil.rmtree(folder, ignore_errors=True)


def start(nodes: list[Node]) -> None:
    """All at once: none is ready before there are two of them. In this thread, for with their parent's thread they end."""
    for node in nodes:
        node.launch()
    for node in nodes:
        node.wait()


def indexed_by_now(url: str) -> list[dict]:
    """None while the cluster elects and promotes: it answers 503 then."""
    try:
        return indexed(url)
    except HTTPError:
        return []


@pytest.mark.timeout(600)
def test_a_node_of_three_is_killed_under_load(cluster, tmp_path):
    name = f"test-{uuid.uuid4().hex[:12]}"
    settings = {"number_of_shards": 1, "number_of_replicas": 2, "unassigned.node_left.delayed_timeout": "0"}
    ask(f"{cluster[0].url}/{name}", "PUT", {"settings": {"index": settings}})
    ask(f"{cluster[0].url}/_cluster/health/{name}?wait_for_status=green&timeout=120s")
    url = f"{cluster[1].url}/{name}"
    shipper = Shipper(tmp_path, output(url, [node.url for node in cluster]), read=lambda: indexed(url))
    log = Log(shipper.logs / "app.log")
    primary = ask(f"{url}/_search_shards")["shards"][0][0]["node"]
    names = {key: value["name"] for key, value in ask(f"{cluster[1].url}/_nodes/_all/http")["nodes"].items()}
    victim = cluster[int(names[primary][-1])]
    with shipper.following() as process:
        for round_ in range(12):
            log.write(500)
            if round_ == 4:
                wait_for(lambda: ask(f"{cluster[0].url}/{name}/_count")["count"] > 0, "the first documents")
                os.killpg(victim._process.pid, signal.SIGKILL)
                url = f"{next(node for node in cluster if node is not victim).url}/{name}"
            log.rename()
        assert process.poll() is None
        shipper.documents = functools.partial(indexed_by_now, url)
        shipper.wait_for(log.events, 180)
    holds(log.events, indexed(url))
