"""A real HTTP(S) server whose answers to bulk requests are scripted."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from shipper.outputs.batch import Batch

BATCH = Batch(b"".join(b'{"create":{"_id":"%020d"}}\n{"n":%d}\n' % (at, at) for at in range(3)), 3)


class BulkServer:
    """Answers each request with the next of ``script``, (status, body) or (status, body, headers), then with the last again."""

    def __init__(self, context: ssl.SSLContext | None = None):
        self.script: list = [(200, b"{}")]
        self.requests: list[tuple[str, str, dict, bytes]] = []
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                outer.connections += 1

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, answer, *headers = outer.script.pop(0) if len(outer.script) > 1 else outer.script[0]
                if status == "close":
                    self.close_connection = True
                    return
                if status == "hang":
                    outer.release.wait(10)
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"content-type": "application/json", **(headers[0] if headers else {})}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = answer  # noqa: N815 - http.server's names

            def log_message(self, *args):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.release = threading.Event()
        self.server = Quiet(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def answers(self, *script):
        self.script = [
            (each[0], each[1] if isinstance(each[1], bytes) else json.dumps(each[1]).encode(), *each[2:])
            for each in script
        ]

    def stop(self):
        self.release.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def item(status, kind="", reason="", **more):
    error = {"error": {"type": kind, "reason": reason, **more}} if kind else {}
    return {"create": {"status": status, **error}}


def bulk(*items):
    return 200, {"errors": any(each["create"]["status"] > 299 for each in items), "items": list(items)}
