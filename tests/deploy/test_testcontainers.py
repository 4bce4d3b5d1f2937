"""The way of those who have Docker: testcontainers, the official image's name, a log shipped and found.

No image can be pulled where these tests usually run: the one that is used is built here around the real server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request

import pytest
from deploy.elasticsearch_image import elasticsearch_image
from elasticsearch_node.container import docker
from elasticsearch_node.node import CannotRunError

LINE = "2024-11-21T10:15:30.{:03d}+01:00  INFO 4242 --- [orders] [main] c.a.o.Orders : order {}\n"


@pytest.fixture(scope="module")
def engine_of_testcontainers(docker_env, stand_in):
    """Testcontainers told of the engine."""
    try:
        name = elasticsearch_image(docker_env)
    except CannotRunError as error:
        pytest.skip(f"no image of Elasticsearch: {error}")
    settings = {
        "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
        **{each: docker_env[each] for each in ("DOCKER_HOST",) if each in docker_env},
    }
    before = {each: os.environ.get(each) for each in settings}
    os.environ.update(settings)
    stand_in(f"{name}: an image that is built here, around the real server")
    yield name
    for each, value in before.items():
        if value is None:
            del os.environ[each]
        else:
            os.environ[each] = value


def test_a_log_is_shipped_into_a_container(engine_of_testcontainers, tmp_path):
    log = tmp_path / "orders.log"
    log.write_text("".join(LINE.format(at, at) for at in range(500)))
    with docker(**{"xpack.security.enabled": "false"}) as url:
        assert url, "testcontainers did not start the container"
        command = [
            sys.executable,
            "-m",
            "shipper",
            "ship",
            str(log),
            "--once",
            "--patience",
            "120",
            "-E",
            f"output.elasticsearch.hosts={url}",
        ]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "SHIPPER_HOME": str(tmp_path / "home")},
        )
        assert done.returncode == 0, done.stderr
        urllib.request.urlopen(f"{url}/logs-generic-default/_refresh", data=b"").close()
        with urllib.request.urlopen(f"{url}/logs-generic-default/_count") as answer:
            assert json.load(answer)["count"] == 500
