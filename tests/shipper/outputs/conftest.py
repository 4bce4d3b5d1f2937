from __future__ import annotations

import socket

import pytest
from bulk_server import BulkServer

from shipper.outputs import open_output
from shipper.settings import from_mapping


@pytest.fixture
def server():
    server = BulkServer()
    yield server
    server.stop()


@pytest.fixture
def connect():
    """Open an output; all are closed at the end."""
    opened = []

    def connect(*hosts, **settings):
        named = [f"http://127.0.0.1:{host.port}" if isinstance(host, BulkServer) else host for host in hosts]
        data = {"inputs": [{"paths": ["/a"]}], "output.elasticsearch": {"hosts": named, **settings}}
        output = open_output(from_mapping(data, env={"SHIPPER_HOME": "/nonexistent"}))
        opened.append(output)
        return output

    yield connect
    for each in opened:
        each.close()


@pytest.fixture
def server_and_output(server, connect):
    return server, connect(server)


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
