"""Stand-ins for the images of Logstash and Kibana, which cannot be had where nothing can be pulled.

Neither is the real thing. The Logstash takes Lumberjack over TLS on 5043 by our own receiver, parses with the filters of
``logstash/pipeline`` and writes to Elasticsearch as ``logstash_writer``; the Kibana answers ``/api/status`` once it may log
in to Elasticsearch as ``kibana_system``, and takes an import of saved objects. Both read the environment and the files that
the compose file gives to the real ones, and nothing else: that is what they are here to test.
"""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

from deploy.elasticsearch_image import VERSION, build
from deploy.image import succeeds

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGSTASH = f"docker.elastic.co/logstash/logstash:{VERSION}"
KIBANA = f"docker.elastic.co/kibana/kibana:{VERSION}"

LOGSTASH_ENTRYPOINT = r"""#!/bin/bash
# A stand-in for Logstash: our own receiver.
set -eu
cd /usr/share/logstash
grep -q '^queue.type: persisted' config/logstash.yml
ls config/pipelines.yml config/pipelines/beats.conf config/pipelines/elasticsearch.conf patterns >/dev/null
cat > /tmp/shipper.yml <<END
receive:
  host: 0.0.0.0:5043
  pipeline: /usr/share/logstash/pipeline/spring-boot.conf
  ssl:
    certificate: /usr/share/logstash/config/certs/logstash.crt
    key: /usr/share/logstash/config/certs/logstash.key
    certificate_authorities: [/usr/share/logstash/config/certs/ca.crt]
output.elasticsearch:
  hosts: ["$ELASTICSEARCH_HOSTS"]
  username: logstash_writer
  password: "$LOGSTASH_WRITER_PASSWORD"
  ssl.certificate_authorities: [/usr/share/logstash/config/certs/ca.crt]
END
# The monitoring API, as far as a health check goes.
mkdir -p /tmp/api/_node/pipelines && echo '{}' > /tmp/api/_node/pipelines/beats
python3 -m http.server --bind 127.0.0.1 --directory /tmp/api 9600 >/dev/null 2>&1 &
echo 'this is a stand-in for Logstash'
export SHIPPER_HOME=/usr/share/logstash/data
exec shipper receive -c /tmp/shipper.yml
"""

KIBANA_SERVER = r'''#!/usr/bin/env python3
"""A stand-in for Kibana: it logs in to Elasticsearch, says how it is, and takes saved objects."""
import base64, http.server, json, os, re, ssl, urllib.request

env = os.environ
assert all(len(env[f"XPACK_{each}_ENCRYPTIONKEY"]) >= 32 for each in ("SECURITY", "ENCRYPTEDSAVEDOBJECTS", "REPORTING"))
trusted = ssl.create_default_context(cafile=env["ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES"])
objects = {}


def asks(path, authorization):
    request = urllib.request.Request(env["ELASTICSEARCH_HOSTS"] + path, headers={"authorization": authorization or ""})
    with urllib.request.urlopen(request, context=trusted, timeout=5) as answer:
        return json.load(answer)


def own():
    pair = f'{env["ELASTICSEARCH_USERNAME"]}:{env["ELASTICSEARCH_PASSWORD"]}'
    return "Basic " + base64.b64encode(pair.encode()).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("kbn-name", "stand-in")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/objects":  # for the test
            return self.answer(200, sorted(objects))
        try:
            asks("/_security/_authenticate", own())
            level = "available"
        except OSError:
            level = "critical"
        version = {"number": env.get("KIBANA_VERSION", "9.4.3")}
        self.answer(200 if level == "available" else 503, {"version": version, "status": {"overall": {"level": level}}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not self.headers.get("kbn-xsrf"):
            return self.answer(400, {"message": "Request must contain a kbn-xsrf header."})
        try:
            asks("/_security/_authenticate", self.headers.get("authorization"))
        except OSError:
            return self.answer(401, {"message": "Unauthorized"})
        if self.path.startswith("/api/saved_objects/_export"):
            wanted = [f'{each["type"]}:{each["id"]}' for each in json.loads(body)["objects"]]
            if set(wanted) - set(objects):
                return self.answer(400, {"message": "Error fetching objects to export"})
            return self.answer(200, b"\n".join(json.dumps(objects[each]).encode() for each in wanted))
        lines = [json.loads(line) for line in body.splitlines() if line.startswith(b'{"')]
        found = [each for each in lines if "type" in each and "id" in each]
        objects.update({f'{each["type"]}:{each["id"]}': each for each in found})
        self.answer(200, {"success": True, "successCount": len(found), "successResults": [
            {"type": each["type"], "id": each["id"], "meta": {}} for each in found]})

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("0.0.0.0", 5601), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(env["SERVER_SSL_CERTIFICATE"], env["SERVER_SSL_KEY"])
server.socket = context.wrap_socket(server.socket, server_side=True)
print("this is a stand-in for Kibana", flush=True)
server.serve_forever()
'''

LOGSTASH_DOCKERFILE = """\
ARG BASE
FROM ${BASE}
USER 0:0
LABEL stand-in="our receiver, not Logstash"
RUN useradd --non-unique --uid 1000 --gid 0 --home-dir /usr/share/logstash --no-create-home logstash
COPY entrypoint /usr/local/bin/docker-entrypoint
RUN chmod 0755 /usr/local/bin/docker-entrypoint && install -d -o 1000 -g 0 /usr/share/logstash/data /usr/share/logstash/config
WORKDIR /usr/share/logstash
USER 1000:0
ENTRYPOINT []
CMD ["/usr/local/bin/docker-entrypoint"]
"""

KIBANA_DOCKERFILE = """\
ARG BASE
FROM ${BASE}
LABEL stand-in="a small server, not Kibana"
RUN useradd --non-unique --uid 1000 --gid 0 --home-dir /usr/share/kibana --no-create-home kibana
COPY server /usr/local/bin/kibana-docker
RUN chmod 0755 /usr/local/bin/kibana-docker && install -d -o 1000 -g 0 /usr/share/kibana/data /usr/share/kibana/config
WORKDIR /usr/share/kibana
USER 1000:0
CMD ["/usr/local/bin/kibana-docker"]
"""


def stand_ins(host: str, shipper: str, env: Mapping[str, str]) -> dict[str, str]:
    """Build both, by their official names: what each is. ``host`` and ``shipper`` are images. Raises ``CannotRunError``."""
    made = {
        LOGSTASH: (LOGSTASH_DOCKERFILE, {"entrypoint": LOGSTASH_ENTRYPOINT}, shipper),
        KIBANA: (KIBANA_DOCKERFILE, {"server": KIBANA_SERVER}, host),
    }
    for name, (dockerfile, files, base) in made.items():
        digest = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", base],
            check=True,
            capture_output=True,
            text=True,
            env=env,
        ).stdout
        key = hashlib.sha256(f"{dockerfile}{files}{digest}".encode()).hexdigest()[:16]
        kept = f"elk-shipper-{name.rsplit('/', 1)[1].partition(':')[0]}:{key}"
        if not succeeds(["docker", "image", "inspect", kept], dict(env)):
            build(kept, dockerfile, folders={}, files=files, arguments={"BASE": base}, env=dict(env))
        subprocess.run(["docker", "tag", kept, name], check=True, env=env)
    return {LOGSTASH: "our own receiver, not Logstash", KIBANA: "a small server, not Kibana"}
