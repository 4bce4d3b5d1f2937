"""A real Elasticsearch for the tests that ask for one, started once per session and only then.

In this order: ``ELASTICSEARCH_URL``; a Docker engine with the official image (``ELASTICSEARCH_DOCKER=0`` leaves it out,
``ELASTICSEARCH_IMAGE`` names another image); a node assembled from Maven (``elasticsearch_node/node.py``). Where none of
them can be had, the tests are skipped and say why.
"""

from __future__ import annotations

import compileall
import os
import shutil
import signal
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from elasticsearch_node.container import IMAGE, START_SECONDS, docker
from elasticsearch_node.node import CannotRunError, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


HERE = Path(__file__).parent
SERVERS = ("test_stack_", "test_compose_", "test_testcontainers")
"""In tests/deploy: what takes long with servers of its own. The hosts of the other tests there share their preparation."""
LONGEST = ("deploy", "integration", "faults")


def pytest_configure(config):
    """What concerns the programs that tests start."""
    # Started by `nohup pytest &`, pytest ignores Ctrl-C, and so would they.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Where PYTHONDONTWRITEBYTECODE is set, as in many images, each would compile the agent again: a third of its start.
    if not hasattr(config, "workerinput"):
        for package in ("parser", "shipper"):
            compileall.compile_dir(HERE.parent / package, quiet=2)


def pytest_collection_modifyitems(items):
    """The first integration test waits for a download and a start; what takes longest begins (see ``LONGEST``)."""
    for item in items:
        if item.get_closest_marker("integration") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(START_SECONDS))
    first = [HERE / each for each in LONGEST]
    items.sort(key=lambda item: next((at for at, each in enumerate(first) if each in item.path.parents), len(first)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where processes share the work, servers are started by one of them: what shares them stays together.

    That is the folder of integration tests, and two parts of those of deployment. All other files stay together each.
    (The groups of pytest-xdist 3.8 do not work with pytest 9.2.)
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where it is installed

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            folder, _, name = nodeid.partition("::")[0].rpartition("/")
            if folder == "tests/deploy":
                return f"{folder}/ servers" if name.startswith(SERVERS) else f"{folder}/ hosts"
            return folder if folder == "tests/integration" else f"{folder}/{name}"

    return Scheduling(config, log)


STAND_INS = pytest.StashKey[set]()


@pytest.fixture(scope="session")
def stand_in(pytestconfig) -> Callable[[str], None]:
    """``stand_in("Kibana: ...")``: what had to be stood in for is named in the summary of the run."""
    return pytestconfig.stash.setdefault(STAND_INS, set()).add


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """What a process of several had to stand in for."""
    node.config.stash.setdefault(STAND_INS, set()).update(getattr(node, "workeroutput", {}).get("stand_ins", ()))


def pytest_sessionfinish(session):
    """Tell the process that prints the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["stand_ins"] = sorted(session.config.stash.get(STAND_INS, set()))


def pytest_terminal_summary(terminalreporter, config):
    """Name the stand-ins: what they hide was not tested."""
    if named := config.stash.get(STAND_INS, set()):
        terminalreporter.section("stand-ins")
        for each in sorted(named):
            terminalreporter.line(f"STAND-IN {each}")


class Secured(NamedTuple):
    """An Elasticsearch with HTTPS and users."""

    url: str
    username: str
    password: str
    authority: str
    """PEM text of the authority that its certificate comes from."""


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
def elasticsearch_8_url() -> Iterator[str]:
    """An Elasticsearch 8 without security; always the assembled node."""
    with node(major=8) as running:
        yield running.url


@pytest.fixture(scope="session")
def secured_elasticsearch() -> Iterator[Secured]:
    """A second one, with HTTPS, users and API keys; always the assembled node, whose certificate is made here."""
    with secured() as running:
        yield running


@pytest.fixture(scope="session")
def secured_elasticsearch_8() -> Iterator[Secured]:
    """The same with an Elasticsearch 8."""
    with secured(major=8) as running:
        yield running


@contextmanager
def secured(**options) -> Iterator[Secured]:
    """A node with HTTPS and a user, assembled from Maven."""
    import trustme  # noqa: PLC0415 - only here

    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    pem = authority.cert_pem.bytes().decode()
    with node(
        users={"shipper-test": "a long password"},
        certificate=certificate.cert_chain_pems[0].bytes().decode() + pem,
        key=certificate.private_key_pem.bytes().decode(),
        authority=pem,
        **options,
    ) as running:
        yield Secured(running.url, "shipper-test", "a long password", pem)
