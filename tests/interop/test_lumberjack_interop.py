"""Lumberjack with peers that nobody here wrote: go-lumber (Elastic's own, as its client and as its server) and pylogbeat.

The Go programs in ``go_lumber/`` are a few lines around the library. They are built once per session where ``go`` is
present and its modules can be fetched; else these tests are skipped and say so.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trustme
from lumberjack_peers import Cutter
from receiver_process import ReceiverProcess

from shipper.errors import UnavailableError
from shipper.outputs.batch import Batch
from shipper.outputs.logstash import LogstashOutput
from shipper.settings import from_mapping
from shipper.store.reader import Partition, partition_paths

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SOURCE = Path(__file__).parent / "go_lumber"
SPRING = "2017-07-04 11:11:37.921  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET DATA"


@pytest.fixture(scope="session")
def go_lumber(tmp_path_factory):
    """The folder of the two programs."""
    if not shutil.which("go"):
        pytest.skip("go is not installed: go-lumber cannot be built")
    folder = tmp_path_factory.mktemp("go-lumber")
    build = ["go", "build", "-buildvcs=false", "-o", f"{folder}/", "./client", "./server"]
    done = subprocess.run(build, cwd=SOURCE, capture_output=True, text=True, timeout=500, check=False)
    if done.returncode:
        pytest.skip(f"go-lumber cannot be built: {done.stderr.strip()[-300:]}")
    return folder


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.crt")
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    return folder


@pytest.fixture
def receiver(tmp_path):
    running = ReceiverProcess(tmp_path).start()
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.mark.parametrize("compress", [0, 3, 9])
@pytest.mark.parametrize("pipeline", [0, 2])
def test_go_lumbers_client_into_the_receiver(go_lumber, receiver, compress, pipeline):
    arguments = ["-count", "5000", "-batch", "300", f"-compress={compress}", f"-pipeline={pipeline}"]
    done = subprocess.run(
        [go_lumber / "client", "-address", f"127.0.0.1:{receiver.port}", *arguments],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "5000\n"
    documents = receiver.documents()
    assert [each["message"] for each in documents] == [f"event {at}" for at in range(5000)]
    assert documents[7]["agent"] == {"id": "0d7a2f3e", "type": "go-lumber"}


def test_go_lumbers_client_over_tls(go_lumber, tmp_path, certificates):
    running = ReceiverProcess(tmp_path, **{"ssl.certificate": str(certificates / "server.pem")}).start()
    done = subprocess.run(
        [go_lumber / "client", "-address", f"localhost:{running.port}", "-count", "1000", "-ca", certificates / "ca.crt"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "1000\n"
    assert running.stop() == 0
    assert len(running.documents()) == 1000


def test_go_lumbers_client_while_the_receiver_is_killed(go_lumber, tmp_path):
    """The client gives up at a broken connection, as a Beat's does, and begins again. Nothing that it was told of is missing."""
    running = ReceiverProcess(tmp_path).start()
    for at in range(3):
        client = subprocess.Popen(
            [go_lumber / "client", "-address", f"127.0.0.1:{running.port}", "-count", "200000", "-batch", "200"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        path = running.folder / "out" / "shipper.ndjson"
        while client.poll() is None and not (path.exists() and path.stat().st_size > (at + 1) * 100_000):
            threading.Event().wait(0.005)
        running.stop(signal.SIGKILL)
        assert client.wait(30) == 1
        client.communicate()
        running.start()
    done = subprocess.run(
        [go_lumber / "client", "-address", f"127.0.0.1:{running.port}", "-count", "20000", "-batch", "200"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "20000\n"
    assert running.stop() == 0
    assert {f"event {at}" for at in range(20000)} <= {each["message"] for each in running.documents()}


@contextlib.contextmanager
def go_server(go_lumber, *arguments):
    process = subprocess.Popen(
        [go_lumber / "server", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    events = []
    try:
        address = process.stdout.readline().strip()
        reader = threading.Thread(target=lambda: events.extend(map(json.loads, process.stdout)), daemon=True)
        reader.start()
        yield address, events
    finally:
        process.terminate()
        process.wait(60)
        reader.join(60)
        process.stdout.close()


def batch(count):
    lines = [b'{"create":{"_id":"%020d"}}\n{"message":"event %d \xc3\xa9"}\n' % (at, at) for at in range(count)]
    return Batch(b"".join(lines), count)


def logstash(*hosts, **settings):
    mapping = {"inputs": [{"paths": ["/x"]}], "output.logstash": {"hosts": list(hosts), "timeout": "5s", **settings}}
    return LogstashOutput(from_mapping(mapping).output)


@pytest.mark.parametrize("level", [0, 3])
def test_the_output_into_go_lumbers_server(go_lumber, level):
    with go_server(go_lumber) as (address, events):
        out = logstash(address, compression_level=level)
        assert out.send(batch(10_000)).retry == []
        out.close()
    assert [each["message"] for each in events] == [f"event {at} é" for at in range(10_000)]
    assert [each["@metadata"]["_id"] for each in events] == batch(10_000).ids()


def test_the_output_over_tls_into_go_lumbers_server(go_lumber, certificates):
    with go_server(go_lumber, "-certificate", certificates / "server.pem") as (address, events):
        out = logstash(address, **{"ssl.certificate_authorities": str(certificates / "ca.crt")})
        assert out.send(batch(3000)).retry == []
        out.close()
    assert len(events) == 3000


def test_go_lumbers_keep_alives_are_waited_for(go_lumber):
    with go_server(go_lumber, "-delay", "1s", "-keepalive", "100ms") as (address, events):
        out = logstash(address, timeout="500ms")
        assert out.send(batch(10)).retry == []
        out.close()
    assert len(events) == 10


def test_the_output_into_go_lumbers_server_with_connections_cut(go_lumber):
    everything = batch(600)
    limits = [*((at, None) for at in range(0, 1500, 40)), *((None, at) for at in range(13))]
    with go_server(go_lumber) as (address, events):
        endless = itertools.chain(limits, itertools.repeat((None, None)))
        with Cutter(int(address.rpartition(":")[2]), endless) as cutter:
            out = logstash(cutter.address, bulk_max_size=4)
            for begin in range(0, 600, 10):
                left = everything.select(range(begin, begin + 10))
                while left.count:
                    with contextlib.suppress(UnavailableError):
                        left = left.select(out.send(left).retry)
            out.close()
    assert {each["@metadata"]["_id"] for each in events} == set(everything.ids())


def test_pylogbeat_into_the_receiver(tmp_path, certificates):
    pylogbeat = pytest.importorskip("pylogbeat", reason="pylogbeat is not installed")
    running = ReceiverProcess(
        tmp_path, pipeline="spring-boot", **{"ssl.certificate": str(certificates / "server.pem")}
    ).start()
    options = {"ssl_enable": True, "ssl_verify": True, "ca_certs": str(certificates / "ca.crt")}
    with pylogbeat.PyLogBeatClient("127.0.0.1", running.port, timeout=10, **options) as client:
        for part in range(3):  # its numbers go on from window to window
            client.send([{"message": f"{SPRING} {part * 100 + at}"} for at in range(100)])
    assert running.stop() == 0
    documents = running.documents()
    assert [each["message"] for each in documents] == [f"GET DATA {at}" for at in range(300)]
    assert {each["process"]["pid"] for each in documents} == {60820}


def test_our_agent_into_our_receiver_that_is_killed(tmp_path):
    """With the store as its output, each line is there once, however often the receiver dies."""
    lines = 30_000
    running = ReceiverProcess(tmp_path, output={"output.store": {}}).start()
    (tmp_path / "a.log").write_text("".join(f"{SPRING} {at}\n" for at in range(lines)))
    mapping = {
        "inputs": [{"paths": [str(tmp_path / "a.log")], "pipeline": "spring-boot"}],
        "path.data": str(tmp_path / "agent"),
        "output.logstash": {"hosts": [f"127.0.0.1:{running.port}"], "bulk_max_size": 100, "backoff.init": "50ms"},
    }
    (tmp_path / "agent.yml").write_text(json.dumps(mapping))
    command = [sys.executable, "-m", "shipper", "run", "--once", "--patience", "120", "-c", str(tmp_path / "agent.yml")]
    agent = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for wanted in (1000, 8000, 16000):
        while agent.poll() is None and in_the_store(running) < wanted:
            threading.Event().wait(0.01)
        running.stop(signal.SIGKILL)
        running.start()
    _, complaints = agent.communicate(timeout=200)
    assert agent.returncode == 0, complaints
    assert running.stop() == 0
    assert in_the_store(running) == lines


def in_the_store(running):
    count = 0
    for path in partition_paths(running.folder / "data" / "store"):
        with contextlib.closing(Partition(path)) as partition:
            count += partition.run("SELECT count(*) FROM documents")[0][0] if partition.ready else 0
    return count


def test_our_agent_into_our_receiver(tmp_path):
    """``shipper run --once`` with the output logstash; what it has parsed stays as it is, and its ids arrive."""
    running = ReceiverProcess(tmp_path, pipeline="spring-boot").start()
    (tmp_path / "a.log").write_text("".join(f"{SPRING} {at}\n" for at in range(2000)))
    mapping = {
        "inputs": [{"paths": [str(tmp_path / "a.log")], "pipeline": "spring-boot"}],
        "path.data": str(tmp_path / "agent"),
        "output.logstash.hosts": [f"127.0.0.1:{running.port}"],
    }
    (tmp_path / "agent.yml").write_text(json.dumps(mapping))
    command = [sys.executable, "-m", "shipper", "run", "--once", "-c", str(tmp_path / "agent.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert running.stop() == 0
    documents = running.documents()
    assert [each["message"] for each in documents] == [f"GET DATA {at}" for at in range(2000)]
    assert documents[0]["agent"]["type"] == "elk-shipper"
    assert documents[0]["log"]["file"]["path"] == str(tmp_path / "a.log")
    assert not any("tags" in each for each in documents)
