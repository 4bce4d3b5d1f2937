"""The small HTTP server: what it serves, and what no client can do to it."""

from __future__ import annotations

import http.client
import socket
from contextlib import suppress

import pytest

from shipper.errors import SettingsError, ShipperError
from shipper.status import server as module
from shipper.status.server import CONNECTIONS, REQUEST, Answer, StatusServer


def fail():
    raise RuntimeError("a fault")


@pytest.fixture
def server():
    pages = {"/health": lambda: Answer(503, "application/json", b'{"x":1}'), "/fault": fail}
    with StatusServer("127.0.0.1", 0, pages) as running:
        yield running


def ask(server, path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def test_a_page_is_served(server):
    status, headers, body = ask(server, "/health?verbose")
    assert (status, headers["Content-Type"], headers["Content-Length"], body) == (
        503,
        "application/json",
        "7",
        b'{"x":1}',
    )
    assert ask(server, "/health", "HEAD")[2] == b""


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/x", "GET", 404), ("/health", "POST", 405), ("/fault", "GET", 500)]
)
def test_what_cannot_be_served_has_its_status(server, path, method, status):
    assert ask(server, path, method)[0] == status
    assert ask(server, "/health")[0] == 503


@pytest.mark.parametrize("request_", [b"nonsense\r\n\r\n", b"GET /\r\n\r\n", b"\x16\x03\x01\r\n\r\n"])
def test_what_is_no_http_is_refused(server, request_):
    with connect(server) as client:
        client.sendall(request_)
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_request_without_an_end_is_cut_off_by_its_size(server):
    with connect(server) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nX: " + b"x" * (3 * REQUEST))
        with suppress(ConnectionError):  # the rest of the request was thrown away
            assert client.recv(100).startswith(b"HTTP/1.1 400 ")
    assert ask(server, "/health")[0] == 503


def test_slow_clients_keep_nobody_from_being_served(server):
    slow = [connect(server) for _ in range(CONNECTIONS - 1)]
    for client in slow:
        client.sendall(b"GET /hea")
    assert ask(server, "/health")[0] == 503
    for client in slow:
        client.close()


def test_more_connections_than_there_may_be_are_closed_at_once(server):
    held = [connect(server) for _ in range(CONNECTIONS)]
    for client in held:
        client.sendall(b"G")
    with connect(server) as one_more:
        one_more.sendall(b"GET /health HTTP/1.1\r\n\r\n")
        with suppress(ConnectionError):
            assert one_more.recv(100) == b""
    for client in held:
        client.close()


def test_a_slow_client_is_cut_off(monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.05)
    with StatusServer("127.0.0.1", 0, {}) as running, connect(running) as client:
        client.sendall(b"GET /he")
        assert client.recv(100) == b""


def test_an_address_for_others_must_be_asked_for():
    with pytest.raises(SettingsError, match=r"can be reached from other machines.*http.allow_remote"):
        StatusServer("0.0.0.0", 0, {})
    StatusServer("0.0.0.0", 0, {}, allow_remote=True).close()


def test_a_port_that_is_taken_is_named(server):
    with pytest.raises(
        ShipperError, match=rf"http.port: 127.0.0.1:{server.port} cannot be used \(address already in use\)"
    ):
        StatusServer("127.0.0.1", server.port, {})


def test_nothing_is_left_when_it_is_closed():
    running = StatusServer("127.0.0.1", 0, {})
    running.start()
    with connect(running):
        running.close()
    assert not running._thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        connect(running)
