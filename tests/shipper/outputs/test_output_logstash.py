"""The Logstash output against servers that do what a script says, and through a proxy that cuts."""

import contextlib
import itertools
import ssl
import threading

import orjson
import pytest
import trustme
from lumberjack_peers import Cutter, Scripted

from shipper.errors import RefusedError, UnavailableError
from shipper.outputs.batch import Batch
from shipper.outputs.logstash import LogstashOutput
from shipper.settings import from_mapping

IDS = [f"{number:020d}" for number in range(5000)]


def batch(count, document=b'{"message":"%d"}'):
    lines = [b'{"create":{"_id":"%020d"}}\n%b\n' % (at, document.replace(b"%d", b"%d" % at)) for at in range(count)]
    return Batch(b"".join(lines), count)


@contextlib.contextmanager
def output(*hosts, **settings):
    mapping = {"inputs": [{"paths": ["/x"]}], "output.logstash": {"hosts": list(hosts), "timeout": "5s", **settings}}
    opened = LogstashOutput(from_mapping(mapping).output)
    try:
        yield opened
    finally:
        opened.close()


def ids(events):
    return [orjson.loads(event)["@metadata"]["_id"] for event in events]


def closed_port():
    with Scripted() as server:
        return server.address


def test_events_look_like_those_of_beats():
    with Scripted() as server, output(server.address) as out:
        assert out.send(batch(2, b'{"@timestamp":"2017-07-04T11:11:37.921Z","message":"%d"}')).retry == []
        event = orjson.loads(server.events[1])
    assert event["@metadata"].pop("version")
    assert event == {
        "@metadata": {"_id": IDS[1], "beat": "elk-shipper", "type": "_doc"},
        "@timestamp": "2017-07-04T11:11:37.921Z",
        "message": "1",
    }


@pytest.mark.parametrize(
    ("document", "event"),
    [
        (b'{"@metadata":{"beat":"b","parsed":true},"message":"x"}', {"beat": "b", "parsed": True, "_id": IDS[0]}),
        (b"{}", None),
    ],
)
def test_metadata_of_the_document_is_kept(document, event):
    with Scripted() as server, output(server.address) as out:
        out.send(batch(1, document))
        sent = orjson.loads(server.events[0])["@metadata"]
    assert sent["_id"] == IDS[0]
    assert event is None or sent == event


def test_the_bytes_of_a_window():
    def script(seen):
        data = b""
        while len(data) < 6 + 10 + length:
            data += seen.connection.recv(1 << 16)
        came.append(data)
        seen.ack(1)

    came = []
    with output("x", compression_level=0, index="filebeat") as out:
        (event,) = out._events(batch(1))
        length = len(event)
    with Scripted(script) as server, output(server.address, compression_level=0, index="filebeat") as out:
        out.send(batch(1))
    assert came == [b"2W\0\0\0\1" + b"2J\0\0\0\1" + length.to_bytes(4, "big") + event]


@pytest.mark.parametrize("level", [0, 3, 9])
def test_all_levels_of_compression(level):
    with Scripted() as server, output(server.address, compression_level=level) as out:
        assert out.send(batch(100)).retry == []
        assert ids(server.events) == IDS[:100]


def test_windows_grow_with_success():
    with Scripted() as server, output(server.address, bulk_max_size=50, pipelining=1) as out:
        out.send(batch(200))
        assert list(server.connections[0]) == [10, 20, 40, 50, 50, 30]


def test_windows_shrink_after_a_failure():
    def script(seen):
        if len(server.connections) == 1:
            seen.window()
            return
        seen.acknowledge_all()

    with Scripted(script) as server, output(server.address, pipelining=1) as out:
        with pytest.raises(UnavailableError):
            out.send(batch(10))
        assert out.send(batch(10)).retry == []
        assert [list(seen) for seen in server.connections] == [[10], [5, 5]]


def test_without_slow_start_windows_are_full():
    with Scripted() as server, output(server.address, slow_start=False, bulk_max_size=64) as out:
        out.send(batch(200))
        assert list(server.connections[0]) == [64, 64, 64, 8]


@pytest.mark.parametrize("flying", [1, 2, 3])
def test_so_many_windows_are_in_flight(flying):
    def script(seen):
        came = [seen.window() for _ in range(flying)]
        seen.connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            seen.window()
        seen.connection.settimeout(None)
        seen.ack(10)
        for _ in came[1:]:
            seen.ack(10)
        seen.acknowledge_all()

    with Scripted(script) as server, output(server.address, pipelining=flying, bulk_max_size=10) as out:
        assert out.send(batch(100)).retry == []
        assert ids(server.events) == IDS[:100]


def test_what_was_not_acknowledged_goes_to_the_next_host():
    def half(seen):
        seen.window()
        seen.ack(4)

    with Scripted(half) as bad, Scripted() as good, output(bad.address, good.address) as out:
        out._at = 0
        assert out.send(batch(10)).retry == []
        assert ids(good.events) == IDS[4:10]


def test_what_was_acknowledged_before_the_end_is_not_sent_again():
    def half(seen):
        seen.window()
        seen.ack(4)

    with Scripted(half) as bad, output(bad.address) as out:
        outcomes = out.send(batch(10))
    assert outcomes.retry == [4, 5, 6, 7, 8, 9]
    assert "closed the connection" in outcomes.reason


def test_a_host_that_is_down_is_passed_over():
    with Scripted() as good, output(closed_port(), good.address) as out:
        for at in (0, 1):
            out._at = at
            assert out.send(batch(3)).retry == []
        assert out.name.startswith("logstash at 127.0.0.1:")


def test_when_all_are_down_each_is_named():
    first, second = closed_port(), closed_port()
    with output(first, second) as out, pytest.raises(UnavailableError) as caught:
        out.send(batch(1))
    for host in (first, second):
        assert f"Logstash at {host}: connection refused: nothing listens there" in str(caught.value)
    with output(first) as out, pytest.raises(UnavailableError, match="connection refused"):
        out.check()


def test_a_name_that_does_not_exist():
    with output("no-such-host.invalid") as out, pytest.raises(UnavailableError, match="cannot be resolved"):
        out.check()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"2A\0\0\0\x0b", "event 11 of a window of 10 was acknowledged"),
        (b"HTTP/1.1 400 Bad Request\r\n", "not an acknowledgement.*check that a beats input listens"),
    ],
)
def test_a_wrong_answer_acknowledges_nothing(answer, why):
    def script(seen):
        seen.window()
        seen.connection.sendall(answer)
        seen.window()

    with Scripted(script) as server, output(server.address) as out, pytest.raises(UnavailableError, match=why):
        out.send(batch(10))


def test_a_keep_alive_begins_the_wait_anew_and_acknowledges_nothing():
    def script(seen):
        seen.window()
        for _ in range(6):
            wait.wait(0.1)
            seen.ack(0)
        seen.ack(3)
        seen.ack(0)
        seen.ack(10)

    wait = threading.Event()
    with Scripted(script) as server, output(server.address, timeout="300ms") as out:
        assert out.send(batch(10)).retry == []


def test_silence_is_waited_for_so_long():
    def script(seen):
        seen.window()
        wait.wait(5)

    wait = threading.Event()
    with Scripted(script) as server, output(server.address, timeout="100ms") as out:
        with pytest.raises(UnavailableError, match=r"no acknowledgement within 0\.1 s"):
            out.send(batch(10))
        wait.set()


def test_keep_alives_alone_are_not_waited_for_for_ever(monkeypatch):
    def script(seen):
        seen.window()
        with contextlib.suppress(OSError):
            while not wait.wait(0.02):
                seen.ack(0)

    wait = threading.Event()
    monkeypatch.setattr("shipper.outputs.logstash._PATIENCE", 0.3)
    with Scripted(script) as server, output(server.address, timeout="250ms") as out:
        with pytest.raises(UnavailableError, match="took over no event for"):
            out.send(batch(10))
        wait.set()


def test_a_server_that_does_not_read_for_a_while_is_no_deadlock():
    """It acknowledges nothing but being alive, while the client's next window does not fit into the connection."""

    def script(seen):
        came = seen.window()
        for _ in range(4):
            wait.wait(0.1)
            seen.ack(0)
        seen.ack(len(came))
        seen.acknowledge_all()

    wait = threading.Event()
    big = batch(20, b'{"message":"%b"}' % (b"x" * (1 << 20)))
    with Scripted(script) as server, output(server.address, timeout="300ms", compression_level=0) as out:
        assert out.send(big).retry == []
        assert ids(server.events) == IDS[:20]


def test_load_is_balanced_over_the_hosts():
    with Scripted() as one, Scripted() as two:
        settings = {"loadbalance": True}
        with (
            output(one.address, two.address, **settings) as first,
            output(one.address, two.address, **settings) as second,
        ):
            for _ in range(2):
                assert first.send(batch(5)).retry == []
                assert second.send(batch(5)).retry == []
        assert [len(server.events) for server in (one, two)] == [10, 10]


@pytest.mark.parametrize(
    ("settings", "workers"), [({}, 1), ({"loadbalance": True, "worker": 2}, 6), ({"worker": 3}, 3)]
)
def test_workers(settings, workers):
    mapping = {"inputs": [{"paths": ["/x"]}], "output.logstash": {"hosts": "a,b:1,c", **settings}}
    parsed = from_mapping(mapping).output
    assert parsed.worker == workers
    assert parsed.hosts == ("a:5043", "b:1", "c:5043")


def test_a_host_that_came_back_is_used_again(monkeypatch):
    monkeypatch.setattr("shipper.outputs.logstash._HOME_AGAIN", 0.0)
    with Scripted() as home, Scripted() as other, output(home.address, other.address) as out:
        out._home, out._at = 0, 1
        out.send(batch(1))
        out.send(batch(2))
        assert (len(other.events), len(home.events)) == (1, 2)


def test_a_connection_has_its_time():
    with Scripted() as server, output(server.address, ttl="1ms") as out:
        out.send(batch(1))
        threading.Event().wait(0.005)
        out.send(batch(1))
        assert len(server.connections) == 2


@pytest.fixture(scope="module")
def certificates(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    trustme.CA().cert_pem.write_to_path(folder / "other.crt")
    client = authority.issue_cert("client@example.org")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    return folder


def context(authority, name="127.0.0.1", *, client=False):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(made)
    if client:
        authority.configure_trust(made)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def test_tls_with_a_client_certificate(authority, certificates):
    secure = {"ssl.certificate_authorities": [str(certificates / "ca.crt")]}
    with Scripted(context=context(authority, client=True)) as server:
        with output(server.address, **secure, **{"ssl.certificate": str(certificates / "client.pem")}) as out:
            assert out.send(batch(500)).retry == []
            assert ids(server.events) == IDS[:500]
        with output(server.address, **secure) as out, pytest.raises(UnavailableError, match=r"ssl\.certificate"):
            out.send(batch(1))


@pytest.mark.parametrize(
    ("name", "settings", "why"),
    [
        ("127.0.0.1", {"ssl.certificate_authorities": "other.crt"}, "cannot be verified"),
        ("127.0.0.1", {"ssl.enabled": True}, "cannot be verified"),
        ("elsewhere.example.org", {"ssl.certificate_authorities": "ca.crt"}, "use a name of the certificate"),
        ("127.0.0.1", {}, "output.logstash.ssl.enabled"),
    ],
)
def test_tls_that_fails_is_explained(authority, certificates, name, settings, why):
    settings = {key: str(certificates / value) if isinstance(value, str) else value for key, value in settings.items()}
    with Scripted(context=context(authority, name)) as server, output(server.address, **settings) as out:
        with pytest.raises(UnavailableError, match=why):
            out.send(batch(1))
        assert server.events == []


def test_tls_to_a_server_that_speaks_none(certificates):
    def script(seen):
        seen.connection.recv(100)
        seen.connection.sendall(b"2A\0\0\0\1 and more than a header of TLS")

    with (
        Scripted(script) as server,
        output(server.address, **{"ssl.enabled": True}) as out,
        pytest.raises(
            UnavailableError, match=r"does not seem to speak TLS there, set output\.logstash\.ssl\.enabled: false"
        ),
    ):
        out.send(batch(1))


def test_a_certificate_that_cannot_be_read(tmp_path):
    with (
        pytest.raises(RefusedError, match="certificate_authorities"),
        output("x", **{"ssl.certificate_authorities": str(tmp_path / "no")}),
    ):
        pass


@pytest.mark.slow
def test_a_connection_cut_anywhere_loses_nothing():
    """Through a proxy that ends each connection after so many bytes, of either direction."""
    limits = [*((at, None) for at in range(0, 700, 7)), *((None, at) for at in range(13))]
    with (
        Scripted() as server,
        Cutter(server.port, itertools.chain(limits, itertools.repeat((None, None)))) as cutter,
        output(cutter.address, compression_level=0, bulk_max_size=3) as out,
    ):
        everything = batch(6 * len(limits))
        for begin in range(0, everything.count, 6):
            left = everything.select(range(begin, begin + 6))
            while left.count:
                try:
                    left = left.select(out.send(left).retry)
                except UnavailableError:
                    continue
        assert set(ids(server.events)) == set(everything.ids())
        assert len(server.connections) > len(limits) // 2
