"""Stand-ins for what the assembled nodes lack: an Elasticsearch with ILM and the data stream API, and a Kibana.

They keep what is put into them and refuse what the real ones are documented to refuse; they are not the real ones.
"""

from __future__ import annotations

import json
import ssl
import threading
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

NO_HANDLER = 400, {"error": "no handler found for uri", "status": 400}


def refused(status, reason, kind="security_exception"):
    return status, {"error": {"type": kind, "reason": reason}, "status": status}


class StandIn:
    """Answers ``answer(method, path, headers, body)`` over HTTP, and keeps the requests."""

    def __init__(self, header=("x-elastic-product", "Elasticsearch"), certificate=None):
        self.requests = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one piece: two would wait for each other's acknowledgement

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                path = unquote(self.path)
                stand_in.requests.append((self.command, path, dict(self.headers.items()), body))
                status, answer = stand_in.answer(self.command, path, self.headers, body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header(*header)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                self.handle_any()

            def do_PUT(self):
                self.handle_any()

            def do_POST(self):
                self.handle_any()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def puts(self):
        return [path for method, path, _, _ in self.requests if method == "PUT"]

    answer = None
    """Takes method, path, headers and body; gives the status and the body of the answer."""


class Cluster(StandIn):
    """An Elasticsearch, as far as ``shipper setup`` asks."""

    def __init__(self):
        super().__init__()
        self.version, self.flavor, self.ilm, self.forbidden = "9.4.3", "default", True, ()
        self.busy = 0
        self.made = {}
        self.streams = {}

    def answer(self, method, path, headers, body):
        start = "/" + path.split("/")[1]
        if self.busy and path != "/":
            self.busy -= 1
            return refused(503, f"shard is unavailable to {headers['authorization']}", "unavailable_shards_exception")
        if start in self.forbidden:
            return refused(403, f"action is unauthorized for {start}")
        if path == "/":
            return 200, {"cluster_name": "c", "version": {"number": self.version, "build_flavor": self.flavor}}
        if path == "/_index_template/_simulate":
            return 200, {}
        if start == "/_ilm" and not self.ilm:
            return (
                (410, {"error": {"reason": "not available in serverless"}})
                if self.flavor == "serverless"
                else NO_HANDLER
            )
        if start == "/_data_stream":
            return self.stream(method, path, body)
        if method == "PUT":
            self.made[path] = json.loads(body)
            return 200, {"acknowledged": True}
        if path not in self.made:
            return refused(404, "not found", "resource_not_found_exception")
        return 200, self.shown(path)

    def shown(self, path):
        """As each API wraps it, with what a server adds."""
        name, body = path.rpartition("/")[2], self.made[path]
        if path.startswith("/_component_template"):
            return {"component_templates": [{"name": name, "component_template": {**body, "created_date_millis": 1}}]}
        if path.startswith("/_index_template"):
            return {"index_templates": [{"name": name, "index_template": body}]}
        if path.startswith("/_ilm"):
            return {name: {"version": 1, "modified_date": "2026-11-23T00:00:00Z", "in_use_by": {}, **body}}
        return {name: body}

    def stream(self, method, path, body):
        name = path.split("/")[2]
        if name not in self.streams:
            return refused(404, "no such index", "index_not_found_exception")
        if method == "PUT":
            self.streams[name]["lifecycle"] = json.loads(body)
            return 200, {"acknowledged": True}
        return 200, {"data_streams": [{"name": name, "indices": [{}], **self.streams[name]}]}


class Kibana(StandIn):
    """Kibana's two calls for saved objects: xsrf, multipart and references are checked as there."""

    def __init__(self, certificate=None):
        super().__init__(("kbn-name", "kibana"), certificate)
        self.objects = {}
        self.status = 200
        self.garbage = False

    def answer(self, method, path, headers, body):
        if not headers.get("kbn-xsrf"):
            return 400, {
                "statusCode": 400,
                "error": "Bad Request",
                "message": "Request must contain a kbn-xsrf header.",
            }
        if self.status != 200:
            return self.status, {
                "statusCode": self.status,
                "message": f"said {self.status} to {headers['authorization']}",
            }
        if self.garbage:
            return 200, b"<html>a proxy's page</html>"
        if path.endswith("/api/saved_objects/_export"):
            wanted = [(each["type"], each["id"]) for each in json.loads(body)["objects"]]
            missing = [each for each in wanted if each not in self.objects]
            if missing:
                return 400, {"statusCode": 400, "message": "Error fetching objects to export", "attributes": {}}
            return 200, b"\n".join(json.dumps(self.objects[each]).encode() for each in wanted)
        if path.endswith("/api/saved_objects/_import?overwrite=true") and method == "POST":
            return self.take(headers, body)
        return 404, {"statusCode": 404, "message": "Not Found"}

    def take(self, headers, body):
        head = f"content-type: {headers['content-type']}\r\n\r\n".encode()
        (part,) = message_from_bytes(head + body).get_payload()
        assert part.get_param("name", header="content-disposition") == "file"
        if not part.get_filename().endswith(".ndjson"):
            return 400, {"statusCode": 400, "message": f"Invalid file extension {part.get_filename()}"}
        given = [json.loads(line) for line in part.get_payload(decode=True).splitlines()]
        known = {*self.objects, *((each["type"], each["id"]) for each in given)}
        errors = [
            {"type": each["type"], "id": each["id"], "error": {"type": "missing_references", "references": [each]}}
            for each in given
            if any((reference["type"], reference["id"]) not in known for reference in each["references"])
        ]
        if errors:
            return 200, {"success": False, "successCount": 0, "errors": errors}
        self.objects |= {(each["type"], each["id"]): each for each in given}
        return 200, {"success": True, "successCount": len(given)}


@pytest.fixture
def cluster(monkeypatch, stand_in):
    stand_in(
        "Elasticsearch with ILM, serverless and older ones: shipper setup's requests were checked, not what a cluster makes of them"
    )
    monkeypatch.setattr("shipper.elastic.cluster.PATIENCE", (0.0, 0.0))
    server = Cluster()
    yield server
    server.close()


@pytest.fixture
def kibana(stand_in):
    stand_in("Kibana: the import's request and the objects' shape were checked, no panel was drawn")
    server = Kibana()
    yield server
    server.close()


@pytest.fixture
def kibana_with_tls(stand_in, authority):
    stand_in("Kibana: the import's request and the objects' shape were checked, no panel was drawn")
    server = Kibana(authority.issue_cert("127.0.0.1"))
    yield server
    server.close()
