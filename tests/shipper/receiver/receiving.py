"""A receiver in this process, an output whose answer can be held back, and clients for both."""

import contextlib
import json
import threading

from shipper.errors import UnavailableError
from shipper.lumberjack import frames
from shipper.lumberjack.client import Connection
from shipper.outputs.base import Output
from shipper.outputs.batch import Outcomes
from shipper.receiver.service import Receiver
from shipper.settings import from_mapping


class Gate(Output):
    """A stand-in for an output: it waits for ``open``, and then stores each id once."""

    name = "gate"

    def __init__(self):
        self.open = threading.Event()
        self.sent = []
        self.stored = {}
        self.answers = []

    def send(self, batch):
        while not self.open.wait(0.01):
            raise UnavailableError("the gate is closed")
        answer = self.answers.pop(0) if self.answers else Outcomes()
        self.sent += batch.ids()
        self.stored |= dict(zip(batch.ids(), batch.documents(), strict=True))
        return answer


@contextlib.contextmanager
def receiving(tmp_path, patience=5.0, output=None, settings=None, **own):
    mapping = {
        "receive": {"host": "127.0.0.1:0", **own},
        "path.data": str(tmp_path / "data"),
        **(output or {"output.console": {}}),
        **(settings or {}),
    }
    results = []
    with Receiver(from_mapping(mapping)) as receiver:
        thread = threading.Thread(target=lambda: results.append(receiver.run(patience=patience)))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.stop()
            thread.join(60)
    assert results, "it failed"


def sent(receiver, events, *, level=3, context=None, timeout=5.0):
    """Send a window and wait for its end; the number of its acknowledged events."""
    payloads = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in events]
    connection = Connection(receiver.address, timeout=timeout, context=context)
    done = 0
    with contextlib.closing(connection):
        connection.send(frames.window(payloads, level), len(payloads))
        while done < len(payloads):
            done += connection.acknowledged()
    return done


def stored(gate):
    return [json.loads(document) for document in gate.stored.values()]


def event(number, **more):
    return {
        "@timestamp": "2026-01-02T03:04:05.678Z",
        "message": f"event {number}",
        "agent": {"id": "f00d", "type": "filebeat", "name": "web-1"},
        "log": {"offset": 10 * number, "file": {"path": "/var/log/a.log"}},
        **more,
    }
