"""A real Elasticsearch for the tests that ask for one, started once per session and only then.

In this order: ``ELASTICSEARCH_URL``; a Docker engine with the official image (``ELASTICSEARCH_DOCKER=0`` leaves it out,
``ELASTICSEARCH_IMAGE`` names another image); a node assembled from Maven (``elasticsearch_node/node.py``). Where none of
them can be had, the tests are skipped and say why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from elasticsearch_node.node import VERSION, CannotRunError, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = os.environ.get("ELASTICSEARCH_IMAGE", f"docker.elastic.co/elasticsearch/elasticsearch:{VERSION}")
START_SECONDS = 600


def pytest_collection_modifyitems(items):
    """The first integration test waits for a download and a start."""
    for item in items:
        if item.get_closest_marker("integration") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(START_SECONDS))


class Secured(NamedTuple):
    """An Elasticsearch with HTTPS and users."""

    url: str
    username: str
    password: str
    authority: str
    """PEM text of the authority that its certificate comes from."""


@contextmanager
def docker(**environment: str) -> Iterator[str | None]:
    """The address of a container, or ``None`` when there is no engine or no image."""
    if os.environ.get("ELASTICSEARCH_DOCKER") == "0" or not shutil.which("docker"):
        yield None
        return
    for command in (["docker", "info"], ["docker", "pull", "-q", IMAGE]):
        if subprocess.run(command, check=False, capture_output=True, timeout=START_SECONDS).returncode:
            yield None
            return
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - only where there is an engine
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415 - as above

    container = DockerContainer(IMAGE).with_exposed_ports(9200)
    settings = {"discovery.type": "single-node", "ES_JAVA_OPTS": "-Xms512m -Xmx512m", **environment}
    for name, value in settings.items():
        container.with_env(name, value)
    container.waiting_for(LogMessageWaitStrategy("current.health"))
    with container as running:
        yield f"http://{running.get_container_host_ip()}:{running.get_exposed_port(9200)}"


@contextmanager
def node(**options) -> Iterator[Node]:
    """A node assembled from Maven; skips the test where it cannot run."""
    folder = Path(tempfile.mkdtemp(prefix="elasticsearch-"))  # pytest's own are closed to the user that it runs as
    folder.chmod(0o711)
    running = Node(folder, **options)
    try:
        yield running.start()
    except CannotRunError as error:
        pytest.skip(f"no Elasticsearch: ELASTICSEARCH_URL is not set, no Docker engine with {IMAGE}, and {error}")
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def elasticsearch_url() -> Iterator[str]:
    """An Elasticsearch without security. Tests share it: take index names of your own."""
    if given := os.environ.get("ELASTICSEARCH_URL"):
        yield given.rstrip("/")
        return
    with docker(**{"xpack.security.enabled": "false"}) as url:
        if url:
            yield url
            return
    with node() as running:
        yield running.url


@pytest.fixture(scope="session")
def secured_elasticsearch() -> Iterator[Secured]:
    """A second one, with HTTPS, users and API keys; always the assembled node, whose certificate is made here."""
    import trustme  # noqa: PLC0415 - only for this fixture

    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    pem = authority.cert_pem.bytes().decode()
    with node(
        users={"shipper-test": "a long password"},
        certificate=certificate.cert_chain_pems[0].bytes().decode() + pem,
        key=certificate.private_key_pem.bytes().decode(),
        authority=pem,
    ) as running:
        yield Secured(running.url, "shipper-test", "a long password", pem)
