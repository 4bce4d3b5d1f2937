"""A bulk sink: answers Elasticsearch's ``_bulk`` on loopback with success for each document, and keeps nothing.

A stand-in for a server, named as one: what it shows is the cost of the agent, with no server's work on the same machine beside it.
Its answers are as long as Elasticsearch's are (whole items, or what ``filter_path`` asks for), since agents pay for reading them.

    python benchmarks/sink.py PORT      then GET /_count tells how many documents have been acknowledged
"""

from __future__ import annotations

import json
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WHOLE = (
    b'{"%b":{"_index":".ds-logs-generic-default-2024.11.21-000001","_id":"4rQ0YJMBq8eCkzGq0PZc","_version":1,"result":"created",'
    b'"_shards":{"total":2,"successful":1,"failed":0},"_seq_no":1000000,"_primary_term":1,"status":201}}'
)
SHORT = b'{"%b":{"status":201}}'
ROOT = {
    "name": "sink",
    "cluster_name": "sink",
    "cluster_uuid": "AAAAAAAAAAAAAAAAAAAAAA",
    "version": {
        "number": "9.4.3",
        "build_flavor": "default",
        "lucene_version": "10.3.2",
        "minimum_wire_compatibility_version": "8.19.0",
    },
    "tagline": "You Know, for Search",
}


class Sink(ThreadingHTTPServer):
    """The server, and what it has counted."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.lock = threading.Lock()
        self.documents = self.requests = self.received = 0


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Sink
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        wire = len(body)
        if self.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, 31)
        if "_bulk" not in self.path:
            return self.answer(200, b"{}")
        count = (body.count(b"\n") + (not body.endswith(b"\n"))) // 2
        action = b"create" if body.startswith(b'{"create"') else b"index"
        item = (SHORT if "filter_path" in self.path else WHOLE) % action
        took = b"" if "filter_path" in self.path else b'"took":30,'
        self.answer(200, b'{%b"errors":false,"items":[%b]}' % (took, b",".join([item] * count)))
        with self.server.lock:
            self.server.documents += count
            self.server.requests += 1
            self.server.received += wire
        return None

    do_PUT = do_POST  # noqa: N815 - http.server's names

    def do_GET(self) -> None:
        if self.path.startswith("/_count"):
            server = self.server
            return self.answer(
                200,
                json.dumps({"count": server.documents, "requests": server.requests, "bytes": server.received}).encode(),
            )
        return self.answer(200, json.dumps(ROOT if self.path.partition("?")[0] == "/" else {}).encode())

    def do_HEAD(self) -> None:
        self.answer(200, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        accepted = self.headers.get("Accept", "")
        self.send_header("Content-Type", accepted if "compatible-with" in accepted else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


if __name__ == "__main__":
    sink = Sink(int(sys.argv[1]))
    print(f"http://127.0.0.1:{sink.server_port}", flush=True)
    sink.serve_forever()
