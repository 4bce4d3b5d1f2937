"""Answers that no Elasticsearch gives: larger than any of its own, or damaged."""

from __future__ import annotations

import gzip
import socket
import threading

import pytest
from bulk_server import BATCH

from shipper.errors import UnavailableError
from shipper.outputs import transport

WELL = b'{"errors":false,"items":[%b]}' % b",".join([b'{"create":{"status":201}}'] * BATCH.count)


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b" " * 100_000, {}), (gzip.compress(b" " * 100_000), {"content-encoding": "gzip"})],
    ids=["large", "bomb"],
)
def test_it_is_not_read_to_its_end_and_the_batch_is_sent_again(server, connect, monkeypatch, body, headers):
    monkeypatch.setattr(transport, "ANSWER_LIMIT", 50_000)
    server.answers((200, body, headers), (200, WELL))
    output = connect(server)
    with pytest.raises(
        UnavailableError, match=r"the answer is larger than \d+ MiB: what is in front of Elasticsearch\?"
    ):
        output.send(BATCH)
    assert not output.send(BATCH).retry


def test_one_as_large_as_the_bound_is_read(server, connect, monkeypatch):
    server.answers((200, WELL))
    output = connect(server)
    monkeypatch.setattr(transport, "ANSWER_LIMIT", len(WELL))
    assert not output.send(BATCH).retry
    monkeypatch.setattr(transport, "ANSWER_LIMIT", len(WELL) - 1)
    with pytest.raises(UnavailableError):
        output.send(BATCH)


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(WELL)[:-12] + b"12 other bytes"], ids=["other", "damaged"])
def test_one_that_cannot_be_unpacked_is_said_in_words(server, connect, body):
    server.answers((200, body, {"content-encoding": "gzip"}), (200, WELL))
    output = connect(server)
    with pytest.raises(UnavailableError) as raised:
        output.send(BATCH)
    url = f"http://127.0.0.1:{server.port}"
    assert str(raised.value) == f"Elasticsearch at {url}: its answer is no valid gzip: what is in front of it?"
    assert not output.send(BATCH).retry


def test_a_length_that_no_memory_has(connect):
    def answer():
        connection, _ = listening.accept()
        with connection:
            request = b""
            while not request.endswith(BATCH.body):  # a socket that is closed with something unread is reset
                request += connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n\r\n{")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UnavailableError, match="the server closed the connection in the middle of its answer"):
            connect(f"http://127.0.0.1:{listening.getsockname()[1]}").send(BATCH)
        thread.join()
