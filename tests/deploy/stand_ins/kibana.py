#!/usr/bin/python3
"""A stand-in for Kibana, for hosts of tests: it is not Kibana, and says so.

It reads ``kibana.yml`` with its variables as Kibana does, serves HTTPS, answers ``/api/status`` (available when
Elasticsearch takes its user and password), and takes an import of saved objects from whom Elasticsearch knows.
"""

import base64
import json
import os
import pathlib
import re
import ssl
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, "/usr/share/kibana/stand-in")

import yaml

KEYS = ("xpack.security.encryptionKey", "xpack.encryptedSavedObjects.encryptionKey", "xpack.reporting.encryptionKey")


def variable(match):
    if match[1] not in os.environ:
        sys.exit(f"FATAL stand-in for Kibana: Unknown environment variable referenced in config : {match[1]}")
    return os.environ[match[1]]


SETTINGS = yaml.safe_load(re.sub(r"\$\{(\w+)\}", variable, pathlib.Path("/etc/kibana/kibana.yml").read_text()))


PAIR = f"{SETTINGS['elasticsearch.username']}:{SETTINGS['elasticsearch.password']}"
OWN = "Basic " + base64.b64encode(PAIR.encode()).decode()


def elasticsearch(authorization):
    """The status that Elasticsearch answers a user with."""
    request = urllib.request.Request(f"{SETTINGS['elasticsearch.hosts'][0]}/_security/_authenticate")
    request.add_header("authorization", authorization)
    context = ssl.create_default_context(cafile=SETTINGS["elasticsearch.ssl.certificateAuthorities"][0])
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        print(f"ERROR stand-in for Kibana: {error}", flush=True)  # noqa: T201 - a service says it to its journal
        return 0


STORE = pathlib.Path(SETTINGS["path.data"], "objects.json")
OBJECTS = json.loads(STORE.read_text()) if STORE.exists() else {}
"""What has been imported, by type and id."""


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/objects":  # for the test
            self.answer(200, json.dumps(sorted(OBJECTS)).encode())
            return
        well = self.path == "/api/status" and elasticsearch(OWN) == 200
        level = "available" if well else "critical"
        self.answer(
            200 if well else 503, json.dumps({"stand-in": True, "status": {"overall": {"level": level}}}).encode()
        )

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.headers.get("kbn-xsrf"):
            self.answer(400, b'{"message": "Request must contain a kbn-xsrf header."}')
        elif elasticsearch(self.headers.get("authorization", "")) != 200:
            self.answer(401, b'{"message": "Unauthorized"}')
        elif self.path == "/api/saved_objects/_export":
            wanted = [f"{each['type']}:{each['id']}" for each in json.loads(body)["objects"]]
            there = [json.dumps(OBJECTS[each]) for each in wanted if each in OBJECTS]
            self.answer(200 if len(there) == len(wanted) else 400, "\n".join(there).encode())
        else:
            found = [json.loads(line) for line in body.splitlines() if line.startswith(b'{"')]
            OBJECTS.update({f"{each['type']}:{each['id']}": each for each in found})
            STORE.write_text(json.dumps(OBJECTS))
            self.answer(200, json.dumps({"success": True, "successCount": len(found)}).encode())

    def log_message(self, *_):
        pass


for each in KEYS:
    if len(SETTINGS.get(each, "")) < 32:
        sys.exit(f"FATAL stand-in for Kibana: [{each}]: must be at least 32 characters long")
server = ThreadingHTTPServer((SETTINGS["server.host"], SETTINGS["server.port"]), Handler)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(SETTINGS["server.ssl.certificate"], SETTINGS["server.ssl.key"])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
