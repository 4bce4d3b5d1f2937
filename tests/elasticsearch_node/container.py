"""Elasticsearch in a container, by testcontainers: the official image, or one that goes by its name."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from elasticsearch_node.node import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = os.environ.get("ELASTICSEARCH_IMAGE", f"docker.elastic.co/elasticsearch/elasticsearch:{VERSION}")
START_SECONDS = 600


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True, timeout=START_SECONDS).returncode == 0


def _has(image: str) -> bool:
    """Whether there is an image; one that is here already is not asked for: it may be one that nobody can pull."""
    return _succeeds("docker", "image", "inspect", image) or _succeeds("docker", "pull", "-q", image)


@contextmanager
def docker(**environment: str) -> Iterator[str | None]:
    """The address of a container, or ``None`` when there is no engine or no image."""
    if os.environ.get("ELASTICSEARCH_DOCKER") == "0" or not shutil.which("docker"):
        yield None
        return
    if not _has(IMAGE):
        yield None
        return
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415 - only where there is an engine
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - as above
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415 - as above

    if not testcontainers_config.ryuk_disabled and not _has(testcontainers_config.ryuk_image):
        testcontainers_config.ryuk_disabled = True  # its container that cleans up after a crash: not without a registry
    container = DockerContainer(IMAGE).with_exposed_ports(9200)
    settings = {"discovery.type": "single-node", "ES_JAVA_OPTS": "-Xms512m -Xmx512m", **environment}
    for name, value in settings.items():
        container.with_env(name, value)
    container.waiting_for(LogMessageWaitStrategy("current.health"))
    with container as running:
        yield f"http://{running.get_container_host_ip()}:{running.get_exposed_port(9200)}"
