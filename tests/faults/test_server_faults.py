"""A stand-in for Elasticsearch answers wrongly, and its connections break (real sockets): nothing is lost, nothing is twice."""

from __future__ import annotations

import itertools
import random
from collections import deque

import pytest
from oracle import holds, rejected
from scripted import ACTS, Act, ScriptedElasticsearch
from shipping import Shipper
from writer import Log

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture
def server():
    with ScriptedElasticsearch() as running:
        yield running


@pytest.fixture
def shipper(tmp_path, server):
    return Shipper(tmp_path, server.output(), read=server.documents)


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_each_answer(act, server, shipper):
    log = Log(shipper.logs / "app.log")
    log.write(600)
    server.script.extend([Act("well"), act, Act("well"), act])
    assert shipper.inside_once()
    assert server.played.count(act.name) == 2
    holds(log.events, server.documents())
    requests = server.requests
    assert shipper.inside_once()
    assert server.requests == requests, "what was acknowledged was sent again"
    assert rejected(shipper.home) == []


@pytest.mark.parametrize("worker", [1, 4])
def test_answers_at_random(worker, tmp_path, server):
    chance = random.Random(worker)
    quick = [act for act in ACTS if act.wait < 1]
    server.script.extend(chance.choice(quick) for _ in range(60))
    shipper = Shipper(tmp_path, server.output(worker=worker), read=server.documents)
    log = Log(shipper.logs / "app.log")
    log.write(6_000)
    assert shipper.inside_once(patience=60)
    holds(log.events, server.documents())


def test_killed_at_random_while_answers_are_wrong(server, shipper):
    chance = random.Random(6)
    quick = [act for act in ACTS if act.wait < 1]
    log = Log(shipper.logs / "app.log")
    for _ in range(3):
        log.write(500)
        server.script = deque(chance.choice(quick) for _ in range(12))
        with shipper.following() as process:
            shipper.wait_for(log.events[: chance.randrange(len(log.events))])
            process.kill()
    server.script.clear()
    shipper.ends_well()
    holds(log.events, server.documents())


def test_requests_that_are_too_large_are_split(server, shipper):
    server.largest = 1_500  # packed
    log = Log(shipper.logs / "app.log", width=50)
    log.write(1_000)
    assert shipper.inside_once()
    holds(log.events, server.documents())
    assert rejected(shipper.home) == []


def test_a_document_that_is_too_large_by_itself_is_kept_among_the_rejects(server, tmp_path):
    shipper = Shipper(tmp_path, server.output(compression_level=0), read=server.documents)
    server.largest = 4_000
    log = Log(shipper.logs / "app.log")
    log.write(5)
    with log.path.open("a") as other:
        other.write(f"{99:08} {'y' * 5_000}\n")
    log.write(5)
    assert shipper.inside_once()
    [(status, _, document)] = rejected(shipper.home)
    assert status == 413
    assert document["message"].startswith(f"{99:08} y")
    holds(log.events, server.documents())


def test_documents_with_a_mapping_conflict_are_kept_with_the_reason(server, shipper):
    server.rejects = lambda document: "event 00000007" in document["message"]
    log = Log(shipper.logs / "app.log")
    log.write(200)
    server.script.extend([Act("half failed with 429", lambda position: position % 2 == 1)] * 3)
    assert shipper.inside_once()
    [(status, reason, document)] = rejected(shipper.home)
    assert (status, document["message"]) == (400, log.events[7])
    assert "failed to parse field" in reason
    holds(log.events, [*server.documents(), document])


def test_an_outage_and_a_restart_of_the_server_under_load(server, shipper):
    log = Log(shipper.logs / "app.log")
    with shipper.inside():
        for _ in range(4):
            log.write(500)
            shipper.wait_for(log.events[: len(log.events) // 2])
            server.stop()
            log.write(500)
            log.rename()
            log.write(500)
            log.rename()
            server.start()
        shipper.wait_for(log.events)
    holds(log.events, server.documents())


def test_another_node_takes_over(tmp_path, server):
    with ScriptedElasticsearch() as other:
        other.indexed = server.indexed  # one cluster
        output = server.output(hosts=[server.url, other.url])
        shipper = Shipper(tmp_path, output, read=server.documents)
        log = Log(shipper.logs / "app.log")
        with shipper.inside():
            for node in itertools.islice(itertools.cycle((server, other)), 4):
                log.write(300)
                node.stop()
                shipper.wait_for(log.events)
                node.start()
        holds(log.events, server.documents())
        assert other.requests


def test_a_one_shot_run_that_cannot_deliver_says_so_and_goes_on_later(server, shipper):
    log = Log(shipper.logs / "app.log")
    log.write(2_000)
    server.script.extend([Act("well")] * 3 + [Act("503", lambda _: False, 503)] * 10_000)
    assert not shipper.inside_once(patience=0.5)
    assert 0 < len(server.documents()) < len(log.events)
    server.script.clear()
    assert shipper.inside_once()
    holds(log.events, server.documents())
