"""A stand-in for Elasticsearch that misbehaves by script, on a real socket. It keeps what it has indexed, by id.

``server.script`` is a queue of ``Act``s, one for each bulk request; when it is empty, requests are answered as a healthy node
would. An act decides two things separately, as the world does: what of the request is indexed, and what the client gets to see.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import orjson

Item = tuple[str, dict]
"""An id and its document."""


@dataclass(frozen=True)
class Act:
    """How one bulk request is treated."""

    name: str
    index: Callable[[int], bool] = lambda _: True
    """Which documents, by position, are indexed."""
    status: int = 200
    """Of the whole answer."""
    refusal: tuple[int, str] = (429, "es_rejected_execution_exception")
    """Status and type of the items that are not indexed."""
    answer: Callable[[dict], bytes] | None = None
    """Another body than the one that is due."""
    wait: float = 0.0
    """Seconds before the answer."""
    wire: str = "whole"
    """``reset before`` the request is read, ``reset after`` it is indexed, ``reset in`` the answer, ``chunks cut``, ``short``."""
    product: bool = True
    """Whether it says that it is Elasticsearch."""

    def __str__(self) -> str:
        return self.name


def _none(_: int) -> bool:
    return False


def _error(kind: str) -> Callable[[dict], bytes]:
    return lambda _: json.dumps({"error": {"type": kind, "reason": kind}}).encode()


def _odd(position: int) -> bool:
    return position % 2 == 1


ACTS = (
    Act("429", _none, 429, answer=_error("es_rejected_execution_exception")),
    Act("401", _none, 401, answer=_error("security_exception")),
    Act("403", _none, 403, answer=_error("security_exception")),
    Act("404", _none, 404, answer=_error("index_not_found_exception")),
    Act("502 without JSON", _none, 502, answer=lambda _: b"<html>bad gateway</html>"),
    Act("502 after it was indexed", status=502, answer=lambda _: b"<html>bad gateway</html>"),
    Act("503", _none, 503, answer=_error("unavailable_shards_exception")),
    Act("slow", wait=0.3),
    Act("too slow, and indexed", wait=2.5),
    Act("reset before the request", _none, wire="reset before"),
    Act("reset after it was indexed", wire="reset after"),
    Act("reset in the answer", wire="reset in"),
    Act("reset in the answer, half indexed", _odd, wire="reset in"),
    Act("answer shorter than its length", wire="short"),
    Act("chunks cut off", wire="chunks cut"),
    Act("half failed with 429", _odd),
    Act("half failed with 503", _odd, refusal=(503, "unavailable_shards_exception")),
    Act("all failed with 429", _none),
    Act("one of all indexed", lambda position: position == 0),
    Act("the last item missing", answer=lambda due: json.dumps(due | {"items": due["items"][:-1]}).encode()),
    Act("no items", _none, answer=lambda _: b'{"errors":false}'),
    Act(
        "items that are nothing",
        _none,
        answer=lambda due: json.dumps({"errors": True, "items": [None] * len(due["items"])}).encode(),
    ),
    Act(
        "items without a status",
        _odd,
        answer=lambda due: json.dumps(due | {"items": [{"create": {}} for _ in due["items"]]}).encode(),
    ),
    Act("errors denied, items without them", _none, answer=lambda _: b'{"errors":false,"items":[]}'),
    Act("not JSON", _none, answer=lambda _: b"<html>login</html>"),
    Act("half JSON", answer=lambda due: json.dumps(due).encode()[:-20]),
    Act("empty", _none, answer=lambda _: b""),
    Act("another product", _none, answer=lambda _: b'{"ok":true}', product=False),
    Act("read-only index", _none, refusal=(403, "cluster_block_exception")),
    Act("closed index", _none, refusal=(400, "index_closed_exception")),
    Act("no such index", _none, refusal=(404, "index_not_found_exception")),
)
"""The faults that pass by themselves. Not among them: 413 and rejects, which change what is sent."""


@dataclass
class ScriptedElasticsearch:
    """``with ScriptedElasticsearch() as server``: listens on ``server.url`` until the block ends.

    ``largest``: bytes of a request; what is larger gets a 413. ``rejects``: whether a document can never be indexed.
    """

    script: deque[Act] = field(default_factory=deque)
    largest: int = 0
    rejects: Callable[[dict], bool] = lambda _: False
    latency: float = 0.0

    def __post_init__(self) -> None:
        self.indexed: dict[str, dict] = {}
        self.requests = 0
        self.played: list[str] = []
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; on the port of the last time."""
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.played = self  # type: ignore[attr-defined]
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Refuse all connections from now on: an outage. What is indexed stays."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            for connection in list(server.connections):  # type: ignore[attr-defined]
                _reset(connection)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def output(self, **more: Any) -> dict[str, Any]:
        """Settings of an output to it that does not wait long."""
        one = {
            "hosts": [self.url],
            "index": "logs",
            "bulk_max_bytes": "16KiB",
            "timeout": "2s",
            "backoff": {"init": "20ms", "max": "100ms"},
        }
        return {"output.elasticsearch": one | more}

    def documents(self) -> list[dict]:
        """What is indexed."""
        with self._lock:
            return list(self.indexed.values())

    def act(self) -> Act:
        """The next of the script."""
        with self._lock:
            self.requests += 1
            act = self.script.popleft() if self.script else Act("well")
            self.played.append(act.name)
            return act

    def items(self, body: bytes) -> list[Item]:
        """What a request holds."""
        lines = body.splitlines()
        assert body.endswith(b"\n")
        assert len(lines) % 2 == 0
        pairs = zip(lines[::2], lines[1::2], strict=True)
        return [(json.loads(action)["create"]["_id"], json.loads(line)) for action, line in pairs]

    def bulk(self, items: list[Item], act: Act) -> dict:
        """Index what the act permits; the answer that is due."""
        answers = []
        with self._lock:
            for position, (name, document) in enumerate(items):
                if not act.index(position):
                    status, kind = act.refusal
                    answers.append({"create": {"_id": name, "status": status, "error": {"type": kind, "reason": kind}}})
                elif self.rejects(document):
                    error = {"type": "document_parsing_exception", "reason": "failed to parse field [n] of type [long]"}
                    answers.append({"create": {"_id": name, "status": 400, "error": error}})
                elif name in self.indexed:
                    error = {"type": "version_conflict_engine_exception", "reason": "document already exists"}
                    answers.append({"create": {"_id": name, "status": 409, "error": error}})
                else:
                    self.indexed[name] = document
                    answers.append({"create": {"status": 201}})
        return {"errors": any("error" in each["create"] for each in answers), "items": answers}


def _reset(connection: socket.socket) -> None:
    """Close with RST, so that the client sees an error and not an end."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """A client that went away is what is tested here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._send(200, b'{"version":{"number":"9.4.3"},"tagline":"You Know, for Search"}')

    def do_POST(self) -> None:
        server: ScriptedElasticsearch = self.server.played  # type: ignore[attr-defined]
        act = server.act()
        if act.wire == "reset before":
            _reset(self.connection)
            self.close_connection = True
            return
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if server.largest and length > server.largest:
            self._send(413, b"")
            return
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        due = server.bulk(server.items(body), act)
        answer = act.answer(due) if act.answer else orjson.dumps(due)
        time.sleep(act.wait or server.latency)
        if act.wire == "reset after":
            _reset(self.connection)
            self.close_connection = True
        else:
            self._send(act.status, answer, act)

    def _send(self, status: int, body: bytes, act: Act | None = None) -> None:
        wire = act.wire if act else "whole"
        self.send_response(status)
        self.send_header("content-type", "application/json")
        if act is None or act.product:
            self.send_header("x-elastic-product", "Elasticsearch")
        if wire == "chunks cut":
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            half = body[: len(body) // 2]
            self.wfile.write(b"%x\r\n%b\r\n%x\r\n" % (len(half), half, len(body)))
        else:
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if wire == "whole" else body[: len(body) // 2])
        if wire != "whole":
            self.wfile.flush()
            if wire == "reset in":
                time.sleep(0.02)  # a reset at once would throw away what was sent
                _reset(self.connection)
            self.close_connection = True
