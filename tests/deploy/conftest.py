"""Docker, systemd hosts and Ansible for the tests in this folder; README.md beside this file tells how to use them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deploy.engine import engine
from deploy.hosts import Host, make_key, network, start
from deploy.image import image
from deploy.playbook import ROOT, collections
from deploy.s3 import S3, serve
from deploy.wheel import build_wheel, download
from elasticsearch_node.node import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 900


def pytest_configure(config):
    config.addinivalue_line("markers", "undeployed: in tests/deploy, but needs no host")


def pytest_collection_modifyitems(items):
    """Everything here is of the kind ``deploy`` unless it says otherwise; the first of them builds an image."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            if not item.get_closest_marker("undeployed"):
                item.add_marker(pytest.mark.deploy)
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def docker_env() -> Iterator[dict[str, str]]:
    """The environment for ``docker``: an engine answers there. Skips the test where none can be had, with the reason."""
    try:
        with engine() as env:
            yield env
    except CannotRunError as error:
        pytest.skip(f"no Docker engine: {error}")


@pytest.fixture(scope="session")
def ansible_collections() -> Path:
    """The collections that the playbooks need. Skips where they cannot be downloaded."""
    try:
        return collections()
    except CannotRunError as error:
        pytest.skip(f"no Ansible collections: {error}")


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    """A folder for the session with a short path: Ansible's SSH sockets go there."""
    with tempfile.TemporaryDirectory(prefix="deploy-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def boot(docker_env, ansible_collections, work) -> Iterator[Callable[..., Host]]:
    """``boot(name, release="bookworm", options=())`` gives a running ``Host``; all are removed at the session's end."""
    key = make_key(work)
    started: list[Host] = []

    def boot_host(name: str, release: str = "bookworm", options: tuple[str, ...] = ()) -> Host:
        try:
            made = image(docker_env, release)
        except CannotRunError as error:
            pytest.skip(f"no image of a host: {error}")
        host = start(f"elk{os.getpid()}_{name}", made, key, docker_env, ("--network", bridge, *options))
        started.append(host)
        return host

    with network(f"elk{os.getpid()}", docker_env) as bridge:
        yield boot_host
        for each in started:
            each.remove()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The agent's wheel, built from this checkout; ``DEPLOY_WHEEL`` names another one."""
    if given := os.environ.get("DEPLOY_WHEEL"):
        return Path(given)
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def wheelhouse(wheel, tmp_path_factory) -> Path:
    """A folder with the agent's wheel and those of all that it needs."""
    return download(wheel, tmp_path_factory.mktemp("wheelhouse"))


@pytest.fixture(scope="session")
def s3(work) -> Iterator[S3]:
    """Moto's S3, a server on loopback, with a bucket ``settings``."""
    with serve(work) as served:
        yield served
