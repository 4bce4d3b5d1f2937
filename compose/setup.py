"""What the stack of ../docker-compose.yml needs once: users with few rights, templates, retention, dashboards.

It runs in the shipper's own image, and may run again at any time: passwords are set to what they are, the rest is compared.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

OWN = Path("/own")
ELASTICSEARCH = os.environ["ELASTICSEARCH_URL"]
KIBANA = os.environ["KIBANA_URL"]
WAIT = 300.0
"""Seconds that Kibana gets for its start, and Elasticsearch for each answer: on a busy disk the first user takes minutes."""
PATIENCE = 60.0
"""Seconds that Elasticsearch gets to know its users, before a refused password is called wrong."""

TRUSTED = ssl.create_default_context(cafile=str(OWN / "ca.crt"))

WRITER = {
    "cluster": ["monitor"],
    "indices": [{"names": ["logs-*-*"], "privileges": ["create_doc", "auto_configure"]}],
}
"""What Logstash may do: add documents, no more. ``monitor`` is for its question about the version."""


def secret(name: str) -> str:
    """A password that the certificates' one-shot has made."""
    return (OWN / f"{name}.password").read_text(encoding="ascii").strip()


def call(method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask as the user ``elastic``. Raises ``SystemExit`` with the server's words when it refuses.

    A node that has just started is healthy before its users are known: for a while it answers 401, 503 or not at all.
    """
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), method=method)
    request.add_header("content-type", "application/json")
    request.add_header("authorization", "Basic " + b64encode(f"elastic:{secret('elasticsearch')}".encode()).decode())
    begun = time.monotonic()
    while True:
        try:
            with urllib.request.urlopen(request, context=TRUSTED, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            why = f"{error.code}: {error.read(2000).decode(errors='replace')}"
            patience = WAIT
            if error.code == 401:
                patience = PATIENCE
                why = "the password of elastic is another one: was the volume own-elasticsearch made anew, and elasticsearch kept?"
            if error.code not in {401, 429, 503} or time.monotonic() > begun + patience:
                sys.exit(f"{url}: {why}")
        except OSError as error:
            if time.monotonic() > begun + WAIT:
                sys.exit(f"{url}: {error}, for {WAIT:g} s: see docker compose logs elasticsearch")
        time.sleep(2)


def wait_for_kibana() -> None:
    """Until it says that it is available. Raises ``SystemExit`` when it takes too long."""
    deadline = time.monotonic() + WAIT
    why = ""
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{KIBANA}/api/status", context=TRUSTED, timeout=10) as answer:
                why = json.load(answer)["status"]["overall"]["level"]
            if why == "available":
                return
        except (OSError, ValueError, KeyError) as error:
            why = str(error)
        time.sleep(2)
    sys.exit(f"{KIBANA} is not available after {WAIT:g} s ({why}): see docker compose logs kibana")


def main() -> None:
    """All of it, in the order in which one thing needs the other."""
    call("POST", f"{ELASTICSEARCH}/_security/user/kibana_system/_password", {"password": secret("kibana")})
    call("PUT", f"{ELASTICSEARCH}/_security/role/logstash_writer", WRITER)
    user = {"password": secret("logstash"), "roles": ["logstash_writer"]}
    call("PUT", f"{ELASTICSEARCH}/_security/user/logstash_writer", user)
    print("users: kibana_system, logstash_writer")
    wait_for_kibana()
    environment = {**os.environ, "ELASTIC_PASSWORD": secret("elasticsearch"), "SHIPPER_HOME": "/tmp/setup"}
    command = ["shipper", "setup", "-c", "/compose/setup.yml", "--kibana", KIBANA]
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
