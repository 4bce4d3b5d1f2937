#!/usr/bin/python3
"""A stand-in for Kibana, for hosts of tests: it is not Kibana, and says so.

It reads ``kibana.yml`` with its variables as Kibana does, serves HTTPS, and answers ``/api/status``: available when
Elasticsearch takes its user and password.
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


def elasticsearch():
    """The status that Elasticsearch answers this server's user with."""
    pair = f"{SETTINGS['elasticsearch.username']}:{SETTINGS['elasticsearch.password']}"
    request = urllib.request.Request(f"{SETTINGS['elasticsearch.hosts'][0]}/_security/_authenticate")
    request.add_header("authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    context = ssl.create_default_context(cafile=SETTINGS["elasticsearch.ssl.certificateAuthorities"][0])
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        print(f"ERROR stand-in for Kibana: {error}", flush=True)  # noqa: T201 - a service says it to its journal
        return 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path == "/api/status" and elasticsearch() == 200
        self.send_response(200 if well else 503)
        self.end_headers()
        self.wfile.write(
            json.dumps(
                {"stand-in": True, "status": {"overall": {"level": "available" if well else "critical"}}}
            ).encode()
        )

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
