"""What the output makes of servers that are away, slow, broken, or one of several."""

from __future__ import annotations

import logging
import socket
import threading

import pytest
from bulk_server import BATCH, BulkServer, bulk, item

from shipper.errors import UnavailableError
from shipper.outputs import open_output
from shipper.settings import from_mapping


def test_something_that_speaks_no_http(connect):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-canary\r\n")
                connection.recv(65536)

        thread = threading.Thread(target=greet)
        thread.start()
        host = f"http://127.0.0.1:{listener.getsockname()[1]}"
        output = open_output(from_mapping({"inputs": [{"paths": ["/x"]}], "output.elasticsearch.hosts": [host]}))
        try:
            with pytest.raises(UnavailableError, match="does not speak HTTP: check the address and the port") as caught:
                output.send(BATCH)
        finally:
            output.close()
            thread.join()
    assert "canary" not in str(caught.value)


def test_the_next_host_is_tried_when_one_is_dead(server, connect, closed_port):
    server.answers(bulk(*[item(201)] * 3))
    output = connect(f"http://127.0.0.1:{closed_port}", server)
    for _ in range(3):
        assert output.send(BATCH).retry == []
    assert len(server.requests) == 3


def test_an_overloaded_host_is_left_for_the_other(connect):
    busy, free = BulkServer(), BulkServer()
    try:
        busy.answers((503, {}))
        free.answers(bulk(*[item(201)] * 3))
        output = connect(busy, free)
        sent = 0
        for _ in range(6):
            try:
                output.send(BATCH)
                sent += 1
            except UnavailableError:
                pass
        assert sent == 5
        assert (len(busy.requests), len(free.requests)) == (1, 5)
    finally:
        busy.stop()
        free.stop()


def test_nobody_listens(connect, closed_port):
    with pytest.raises(UnavailableError) as caught:
        connect(f"http://127.0.0.1:{closed_port}").send(BATCH)
    assert (
        str(caught.value)
        == f"Elasticsearch at http://127.0.0.1:{closed_port}: connection refused: nothing listens there"
    )


def test_a_name_that_nobody_knows(connect):
    with pytest.raises(UnavailableError, match=r"at http://nowhere\.invalid:9200: the name cannot be resolved"):
        connect("nowhere.invalid").send(BATCH)


def test_no_answer_in_time(server, connect):
    server.answers(("hang", b""))
    with pytest.raises(UnavailableError, match=r"no answer within 0\.1 s"):
        connect(server, timeout="100ms").send(BATCH)


def test_a_connection_that_is_closed(server, connect):
    server.answers(("close", b""), bulk(*[item(201)] * 3))
    output = connect(server)
    with pytest.raises(
        UnavailableError, match="closed the connection before an answer came; if it wants TLS, write https://"
    ):
        output.send(BATCH)
    assert output.send(BATCH).retry == []


def test_nothing_is_logged_behind_our_back(server, connect, closed_port, caplog):
    caplog.set_level(logging.DEBUG)
    server.answers((503, {}), bulk(*[item(201)] * 3))
    output = connect(server, f"http://127.0.0.1:{closed_port}")
    for _ in range(4):
        try:
            output.send(BATCH)
        except UnavailableError:
            continue
    assert [record for record in caplog.records if record.name.startswith("elastic_transport")] == []
