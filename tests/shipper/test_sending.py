"""Senders whose number and hosts change while they are at work."""

from __future__ import annotations

import threading

import pytest

from shipper.delivery.ledger import Ledger
from shipper.delivery.queue import BatchQueue
from shipper.errors import UnavailableError
from shipper.outputs.base import Output
from shipper.outputs.batch import Batch, Outcomes
from shipper.sending import Senders
from shipper.settings import from_mapping


class Target(Output):
    """A stand-in for an output."""

    name = "target"

    def __init__(self, settings):
        [self.host] = settings.output.hosts
        self.sent = threading.Event()
        self.closed = False

    def send(self, _):
        self.sent.set()
        if "down" in self.host:
            raise UnavailableError(f"{self.host} is down")
        return Outcomes()

    def close(self):
        self.closed = True


@pytest.fixture
def opened(monkeypatch):
    made = []
    monkeypatch.setattr("shipper.sending.open_output", lambda settings: made.append(Target(settings)) or made[-1])
    return made


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def settings(tmp_path):
    def make(host, workers):
        output = {"hosts": [f"http://{host}:9200"], "worker": workers, "backoff": {"init": "10ms", "max": "20ms"}}
        data = {"inputs": [{"type": "filestream", "paths": ["/x"]}], "output": {"elasticsearch": output}}
        return from_mapping(data, env={"SHIPPER_HOME": str(tmp_path)})

    return make


@pytest.fixture
def senders(settings, opened, ledger):
    queue = BatchQueue(1 << 20, ledger)
    senders = Senders(settings("down", 2), queue)
    senders.queue = queue
    senders.start()
    yield senders
    queue.close()
    senders.close()
    assert all(output.closed for output in opened)


def put(senders, ledger, file):
    assert senders.queue.put(Batch(b"{}\n{}\n", 1, (ledger.add(file, 1),)), timeout=1)


def test_what_a_retired_sender_has_goes_to_the_new_host(senders, opened, ledger, settings):
    for file in range(2):
        put(senders, ledger, file)
    assert all(output.sent.wait(60) for output in list(opened))  # each has one, and cannot deliver it
    senders.renew(settings("up", 1))
    assert ledger.wait(60)
    assert senders.counts().delivered == 2


def test_there_are_as_many_senders_as_the_settings_say_after_each_reload(senders, ledger, settings):
    for workers in (1, 3, 2):
        senders.renew(settings("up", workers))
        assert len(senders._working) == workers
    for file in range(4):
        put(senders, ledger, file)
    assert ledger.wait(60)
    senders.supervise()
    assert senders.counts().delivered == 4
