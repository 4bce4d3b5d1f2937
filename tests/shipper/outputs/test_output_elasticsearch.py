"""What the output makes of answers and faults: a real HTTP(S) server with scripted answers.

What a healthy Elasticsearch answers is tested with a real one, in tests/integration.
"""

from __future__ import annotations

import gzip
import json
import logging
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from shipper.errors import RefusedError, TooLargeError, UnavailableError, UnfitError
from shipper.outputs import open_output
from shipper.outputs.batch import Batch, Rejection
from shipper.settings import from_mapping

BATCH = Batch(b"".join(b'{"create":{"_id":"%020d"}}\n{"n":%d}\n' % (at, at) for at in range(3)), 3)


class Server:
    """Answers each request with the next of ``script``, (status, body) or (status, body, headers), then with the last again."""

    def __init__(self, context: ssl.SSLContext | None = None):
        self.script: list = [(200, b"{}")]
        self.requests: list[tuple[str, str, dict, bytes]] = []
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                outer.connections += 1

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, answer, *headers = outer.script.pop(0) if len(outer.script) > 1 else outer.script[0]
                if status == "close":
                    self.close_connection = True
                    return
                if status == "hang":
                    outer.release.wait(10)
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"content-type": "application/json", **(headers[0] if headers else {})}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = answer  # noqa: N815 - http.server's names

            def log_message(self, *args):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.release = threading.Event()
        self.server = Quiet(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def answers(self, *script):
        self.script = [
            (each[0], each[1] if isinstance(each[1], bytes) else json.dumps(each[1]).encode(), *each[2:])
            for each in script
        ]

    def stop(self):
        self.release.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def connect():
    """Open an output; all are closed at the end."""
    opened = []

    def connect(*hosts, **settings):
        named = [f"http://127.0.0.1:{host.port}" if isinstance(host, Server) else host for host in hosts]
        data = {"inputs": [{"paths": ["/a"]}], "output.elasticsearch": {"hosts": named, **settings}}
        output = open_output(from_mapping(data, env={"SHIPPER_HOME": "/nonexistent"}))
        opened.append(output)
        return output

    yield connect
    for each in opened:
        each.close()


@pytest.fixture
def server_and_output(server, connect):
    return server, connect(server)


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def item(status, kind="", reason="", **more):
    error = {"error": {"type": kind, "reason": reason, **more}} if kind else {}
    return {"create": {"status": status, **error}}


def bulk(*items):
    return 200, {"errors": any(each["create"]["status"] > 299 for each in items), "items": list(items)}


def test_the_body_goes_out_as_it_is(server, connect):
    server.answers(bulk(*[item(201)] * 3))
    outcomes = connect(server, data_stream={"dataset": "spring"}).send(BATCH)
    (method, path, headers, body) = server.requests[0]
    assert (method, body) == ("POST", BATCH.body)
    assert path == "/logs-spring-default/_bulk?filter_path=errors,items.*.status,items.*.error,items.*.failure_store"
    assert (headers["content-type"], headers["accept"]) == ("application/x-ndjson", "application/json")
    assert "content-encoding" not in headers
    assert "authorization" not in headers
    assert (outcomes.retry, outcomes.rejected, outcomes.duplicates) == ([], [], 0)


def test_gzip(server, connect):
    server.answers(bulk(*[item(201)] * 3))
    connect(server, compression_level=1, index="plain").send(BATCH)
    _, path, headers, body = server.requests[0]
    assert path.startswith("/plain/_bulk?")
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == BATCH.body


def test_a_compressed_answer(server, connect):
    answer = gzip.compress(json.dumps(bulk(item(201), item(409, "x"), item(201))[1]).encode())
    server.answers((200, answer, {"content-encoding": "gzip"}))
    assert connect(server, compression_level=1).send(BATCH).duplicates == 1


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"api_key": "id:key"}, "ApiKey aWQ6a2V5"),
        ({"username": "u", "password": "pä"}, "Basic dTpww6Q="),
    ],
)
def test_credentials(server, connect, settings, header):
    server.answers(bulk(*[item(201)] * 3))
    output = connect(server, **settings)
    output.send(BATCH)
    server.answers((200, {"version": {"number": "9.9.9"}}, {"x-elastic-product": "Elasticsearch"}))
    output.check()
    assert [headers["authorization"] for _, _, headers, _ in server.requests] == [header, header]


def test_one_connection_is_kept(server, connect):
    server.answers(bulk(*[item(201)] * 3))
    output = connect(server)
    for _ in range(5):
        output.send(BATCH)
    assert (len(server.requests), server.connections) == (5, 1)


def test_an_empty_batch_is_not_sent(server, connect):
    connect(server).send(Batch(b"", 0))
    assert server.requests == []


def test_a_path_before_the_index(server, connect):
    server.answers(bulk(*[item(201)] * 3))
    connect(f"http://127.0.0.1:{server.port}/es/").send(BATCH)
    assert server.requests[0][1].startswith("/es/logs-generic-default/_bulk?")


def test_what_may_be_logged_holds_nothing_of_a_document(server_and_output):
    """A shard that is missing, or a queue that is full, is reported with the request, and that with the source."""
    server, output = server_and_output
    quoting = "not active, request: [BulkShardRequest [[a][0]] containing [index {[a][1], source[{SECRET}]}]]"
    server.answers(
        bulk(
            item(503, "unavailable_shards_exception", quoting),
            item(429, "es_rejected_execution_exception", quoting),
            item(201),
        )
    )
    outcomes = output.send(BATCH)
    assert outcomes.retry == [0, 1]
    assert outcomes.reason == "unavailable_shards_exception"
    for answer in (
        (200, b'{"what": "SECRET"}'),
        (503, b'{"error": {"type": "x", "reason": "SECRET"}}'),
        (502, b"SECRET"),
    ):
        server.answers(answer)
        with pytest.raises(UnavailableError) as caught:
            output.send(BATCH)
        assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("items", "retry", "rejected", "duplicates", "reason"),
    [
        ([item(201), item(200), item(201)], [], [], 0, ""),
        ([item(201), item(409, "version_conflict_engine_exception", "there"), item(201)], [], [], 1, ""),
        ([item(201), item(429, "es_rejected_execution_exception", "full"), item(503, "x", "y")], [1, 2], [], 0, "es_rejected_execution_exception"),
        ([item(500), item(201), item(201)], [0], [], 0, "status 500"),
        (
            [item(400, "document_parsing_exception", "failed", caused_by={"type": "illegal", "reason": "not a date"}), item(201), item(409, "v")],
            [],
            [Rejection(0, 400, "document_parsing_exception: failed, caused by illegal: not a date")],
            1,
            "",
        ),
        ([item(201), item(404), item(413, "too", "big")], [], [Rejection(1, 404, "status 404"), Rejection(2, 413, "too: big")], 0, ""),
        ([item(403, "cluster_block_exception", "read-only"), item(201), item(201)], [0], [], 0, "cluster_block_exception: read-only"),
        ([item(404, "index_not_found_exception", "no such index"), item(429, "r"), item(201)], [0, 1], [], 0, "index_not_found_exception: no such index"),
    ],
)  # fmt: skip
def test_an_outcome_for_each_document(server_and_output, items, retry, rejected, duplicates, reason):  # noqa: PLR0917 - a row each
    server, output = server_and_output
    server.answers(bulk(*items))
    outcomes = output.send(BATCH)
    assert (outcomes.retry, outcomes.rejected, outcomes.duplicates, outcomes.reason) == (
        retry,
        rejected,
        duplicates,
        reason,
    )


@pytest.mark.parametrize("errors", [True, False])
def test_the_failure_store_is_counted(server, connect, errors):
    used = {"create": {"status": 201, "failure_store": "used"}}
    server.answers((200, {"errors": errors, "items": [used, item(201), used]}))
    outcomes = connect(server).send(BATCH)
    assert (outcomes.failure_store, outcomes.retry, outcomes.rejected) == (2, [], [])


def test_a_target_that_takes_nothing_is_refused(server, connect):
    server.answers(bulk(*[item(403, "security_exception", "not yours")] * 3))
    with pytest.raises(RefusedError, match="security_exception: not yours"):
        connect(server).send(BATCH)


@pytest.mark.parametrize("items", [[], [item(201)] * 2, [item(201)] * 4])
@pytest.mark.parametrize("errors", [True, False])
def test_too_few_or_too_many_outcomes(server, connect, items, errors):
    server.answers((200, {"errors": errors, "items": items}))
    outcomes = connect(server).send(BATCH)
    assert outcomes.retry == [0, 1, 2]
    assert outcomes.reason == f"the answer has {len(items)} outcomes for 3 documents"


@pytest.mark.parametrize("hole", [{}, {"create": {}}, {"create": None}, None, {"create": {"status": "201"}}, 5])
def test_an_outcome_that_is_missing(server, connect, hole):
    server.answers((200, {"errors": True, "items": [item(201), hole, item(409, "x")]}))
    outcomes = connect(server).send(BATCH)
    assert (outcomes.retry, outcomes.duplicates, outcomes.reason) == ([1], 1, "an outcome is missing in the answer")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"{}", {}),
        (b"[]", {}),
        (b'{"errors":false}', {}),
        (b'{"errors":false,"items":[{"create":{"status":201}},', {}),
        (b"<html>a proxy's greeting</html>", {"content-type": "text/html"}),
        (b"\xff\xfe", {"content-type": "strange/type"}),
    ],
)
def test_what_is_not_the_answer_of_a_bulk_request(server, connect, body, headers):
    server.answers((200, body, headers))
    with pytest.raises(UnavailableError):
        connect(server).send(BATCH)


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (413, TooLargeError, "larger than the server takes"),
        (401, RefusedError, "security_exception: missing .status 401.: check username and password, or api_key"),
        (403, RefusedError, "needs create_doc and auto_configure on logs-generic-default"),
        (404, RefusedError, "not the address of an Elasticsearch"),
        (405, RefusedError, "not the address of an Elasticsearch"),
        (400, UnfitError, "security_exception: missing .status 400.: look at what is in front"),
        (302, RefusedError, "302.*a redirection, which is not followed"),
        (408, UnavailableError, "408"),
        (429, UnavailableError, "429"),
        (500, UnavailableError, "500"),
        (502, UnavailableError, "502"),
        (503, UnavailableError, "503"),
    ],
)
def test_a_whole_request_that_failed(server, connect, status, error, message):
    server.answers((status, {"error": {"type": "security_exception", "reason": "missing"}, "status": status}))
    with pytest.raises(error, match=message) as caught:
        connect(server).send(BATCH)
    assert type(caught.value) is error
    assert len(server.requests) == 1, "the client's own retries are off"


def test_a_proxy_without_a_server_behind_it_is_told_from_a_busy_server(server, connect):
    server.answers((503, b"<html>no upstream</html>", {"content-type": "text/html"}))
    with pytest.raises(UnavailableError, match="answered 503, and not as Elasticsearch does: look at what is in front"):
        connect(server).send(BATCH)


def test_something_that_speaks_no_http(connect):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-canary\r\n")
                connection.recv(65536)

        thread = threading.Thread(target=greet)
        thread.start()
        host = f"http://127.0.0.1:{listener.getsockname()[1]}"
        output = open_output(from_mapping({"inputs": [{"paths": ["/x"]}], "output.elasticsearch.hosts": [host]}))
        try:
            with pytest.raises(UnavailableError, match="does not speak HTTP: check the address and the port") as caught:
                output.send(BATCH)
        finally:
            output.close()
            thread.join()
    assert "canary" not in str(caught.value)


def test_the_next_host_is_tried_when_one_is_dead(server, connect, closed_port):
    server.answers(bulk(*[item(201)] * 3))
    output = connect(f"http://127.0.0.1:{closed_port}", server)
    for _ in range(3):
        assert output.send(BATCH).retry == []
    assert len(server.requests) == 3


def test_an_overloaded_host_is_left_for_the_other(connect):
    busy, free = Server(), Server()
    try:
        busy.answers((503, {}))
        free.answers(bulk(*[item(201)] * 3))
        output = connect(busy, free)
        sent = 0
        for _ in range(6):
            try:
                output.send(BATCH)
                sent += 1
            except UnavailableError:
                pass
        assert sent == 5
        assert (len(busy.requests), len(free.requests)) == (1, 5)
    finally:
        busy.stop()
        free.stop()


def test_nobody_listens(connect, closed_port):
    with pytest.raises(UnavailableError) as caught:
        connect(f"http://127.0.0.1:{closed_port}").send(BATCH)
    assert (
        str(caught.value)
        == f"Elasticsearch at http://127.0.0.1:{closed_port}: connection refused: nothing listens there"
    )


def test_a_name_that_nobody_knows(connect):
    with pytest.raises(UnavailableError, match=r"at http://nowhere\.invalid:9200: the name cannot be resolved"):
        connect("nowhere.invalid").send(BATCH)


def test_no_answer_in_time(server, connect):
    server.answers(("hang", b""))
    with pytest.raises(UnavailableError, match=r"no answer within 0\.1 s"):
        connect(server, timeout="100ms").send(BATCH)


def test_a_connection_that_is_closed(server, connect):
    server.answers(("close", b""), bulk(*[item(201)] * 3))
    output = connect(server)
    with pytest.raises(
        UnavailableError, match="closed the connection before an answer came; if it wants TLS, write https://"
    ):
        output.send(BATCH)
    assert output.send(BATCH).retry == []


def test_nothing_is_logged_behind_our_back(server, connect, closed_port, caplog):
    caplog.set_level(logging.DEBUG)
    server.answers((503, {}), bulk(*[item(201)] * 3))
    output = connect(server, f"http://127.0.0.1:{closed_port}")
    for _ in range(4):
        try:
            output.send(BATCH)
        except UnavailableError:
            continue
    assert [record for record in caplog.records if record.name.startswith("elastic_transport")] == []


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((200, b"<html>", {"content-type": "text/html"}), RefusedError, "this is not Elasticsearch: check"),
        (
            (200, {"version": {"number": "2.1", "distribution": "opensearch"}}),
            RefusedError,
            "not Elasticsearch but opensearch",
        ),
        ((200, {"version": {"number": "9.0.0"}}), RefusedError, "this is not Elasticsearch: check"),
        ((401, {"error": {"type": "security_exception", "reason": "no"}}), RefusedError, "check username and password"),
        ((403, {}), RefusedError, "needs create_doc"),
        ((404, b"nothing here"), RefusedError, "not the address of an Elasticsearch"),
        ((503, b"starting"), UnavailableError, "503"),
    ],
)
def test_a_check_that_fails(server, connect, answer, error, message):
    server.answers(answer)
    with pytest.raises(error, match=message):
        connect(server).check()


def test_a_check_tells_the_version(server, connect):
    server.answers((200, {"version": {"number": "8.19.2"}}, {"x-elastic-product": "Elasticsearch"}))
    output = connect(server)
    output.check()
    assert output.version == "8.19.2"


def test_a_key_that_may_only_write_passes_the_check(server, connect):
    reason = "action [cluster:monitor/main] is unauthorized for API key id [x]"
    server.answers((403, {"error": {"type": "security_exception", "reason": reason}}))
    output = connect(server)
    output.check()
    assert output.version == ""


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client = authority.issue_cert("agent@example.com")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    (folder / "broken.pem").write_text("no certificate")
    return folder


@pytest.fixture
def serve(authority):
    """A TLS server with a certificate for ``name``."""
    started = []

    def serve(name="127.0.0.1", *, client=False, chain=(), **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = authority.issue_cert(name, **options)
        certificate.configure_cert(context)
        if chain:
            with certificate.private_key_and_cert_chain_pem.tempfile() as own, trustme.Blob(b"").tempfile() as joined:
                with open(own, "rb") as source, open(joined, "wb") as target:
                    target.write(source.read() + b"".join(each.bytes() for each in chain))
                context.load_cert_chain(joined)
        if client:
            authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        server = Server(context)
        server.answers(bulk(*[item(201)] * 3))
        server.url = f"https://127.0.0.1:{server.port}"
        started.append(server)
        return server

    yield serve
    for server in started:
        server.stop()


def fingerprint(authority):
    return x509.load_pem_x509_certificate(authority.cert_pem.bytes()).fingerprint(SHA256()).hex()


def test_tls_with_an_authority(serve, connect, folder):
    output = connect(serve().url, **{"ssl.certificate_authorities": str(folder / "ca.pem")})
    assert output.send(BATCH).retry == []
    assert output.send(BATCH).retry == []


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "127.0.0.1",
            {},
            r"its certificate cannot be verified \(.*\): name its authority in ssl.certificate_authorities",
        ),
        (
            "127.0.0.1",
            {"ssl.certificate_authorities": "other.pem"},
            "name its authority in ssl.certificate_authorities",
        ),
        (
            "es.example.com",
            {"ssl.certificate_authorities": "ca.pem"},
            r"not valid for '127\.0\.0\.1'.*ssl.verification_mode: certificate",
        ),
        (
            "127.0.0.1",
            {"ssl.certificate_authorities": "other.pem", "ssl.verification_mode": "certificate"},
            "name its authority",
        ),
        (
            "127.0.0.1",
            {"ssl.ca_trusted_fingerprint": "ab" * 32},
            r"no certificate with ssl\.ca_trusted_fingerprint.*check the setting",
        ),
    ],
)
def test_tls_that_cannot_be_trusted(serve, connect, folder, name, settings, message):  # noqa: PLR0917 - a row each
    settings = {key: str(folder / value) if value.endswith(".pem") else value for key, value in settings.items()}
    server = serve(name)
    with pytest.raises(UnavailableError, match=message) as caught:
        connect(server.url, **settings).send(BATCH)
    assert server.url in str(caught.value)
    assert server.requests == [], "nothing was sent"


@pytest.mark.parametrize(("name", "mode"), [("es.example.com", "certificate"), ("es.example.com", "none")])
def test_tls_with_less_verification(serve, connect, folder, name, mode):
    trusted = {"ssl.certificate_authorities": str(folder / "ca.pem")} if mode == "certificate" else {}
    assert connect(serve(name).url, **{"ssl.verification_mode": mode, **trusted}).send(BATCH).retry == []


def test_tls_with_an_expired_certificate(serve, connect, folder):
    from datetime import UTC, datetime  # noqa: PLC0415 - here only

    server = serve(not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(UnavailableError, match=r"expired.*renew it"):
        connect(server.url, **{"ssl.certificate_authorities": str(folder / "ca.pem")}).send(BATCH)


def test_tls_with_the_fingerprint_of_the_authority(serve, connect, authority):
    server = serve(chain=[authority.cert_pem])
    output = connect(server.url, **{"ssl.ca_trusted_fingerprint": fingerprint(authority).upper()})
    assert output.send(BATCH).retry == []


def test_a_fingerprint_does_not_replace_the_check_of_the_name(serve, connect, authority):
    server = serve("es.example.com", chain=[authority.cert_pem])
    with pytest.raises(UnavailableError, match="not valid for"):
        connect(server.url, **{"ssl.ca_trusted_fingerprint": fingerprint(authority)}).send(BATCH)


def test_a_fingerprint_does_not_replace_the_check_of_the_chain(connect, authority):
    """Somebody else's certificate, with the real authority's beside it: issuer and name are right, the signature is not."""
    fake = trustme.CA(organization_name="fake")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = fake.issue_cert("127.0.0.1")
    with trustme.Blob(
        certificate.private_key_and_cert_chain_pem.bytes() + authority.cert_pem.bytes()
    ).tempfile() as pem:
        context.load_cert_chain(pem)
    server = Server(context)
    try:
        with pytest.raises(UnavailableError, match="cannot be verified"):
            connect(f"https://127.0.0.1:{server.port}", **{"ssl.ca_trusted_fingerprint": fingerprint(authority)}).send(
                BATCH
            )
        assert server.requests == []
    finally:
        server.stop()


def test_tls_with_a_client_certificate(serve, connect, folder):
    settings = {"ssl.certificate_authorities": str(folder / "ca.pem"), "ssl.certificate": str(folder / "client.pem")}
    assert connect(serve(client=True).url, **settings).send(BATCH).retry == []


def test_tls_without_the_client_certificate_that_is_wanted(serve, connect, folder):
    with pytest.raises(UnavailableError, match="it may want a client certificate"):
        connect(serve(client=True).url, **{"ssl.certificate_authorities": str(folder / "ca.pem")}).send(BATCH)


def test_https_to_a_server_that_speaks_http(server, connect):
    with pytest.raises(UnavailableError, match="does not seem to speak TLS there, write http://"):
        connect(f"https://127.0.0.1:{server.port}").send(BATCH)


@pytest.mark.parametrize(
    ("setting", "name", "message"),
    [
        ("ssl.certificate_authorities", "none.pem", r"ssl\.certificate_authorities: .*none\.pem: No such file"),
        ("ssl.certificate_authorities", "broken.pem", r"broken\.pem: is not a PEM file with certificates"),
        ("ssl.certificate", "none.pem", r"ssl\.certificate: .*none\.pem: No such file"),
        ("ssl.certificate", "ca.pem", "are not a PEM certificate with its key"),
    ],
)
def test_files_of_certificates_that_cannot_be_used(connect, folder, setting, name, message):
    with pytest.raises(RefusedError, match=message):
        connect("https://127.0.0.1", **{setting: str(folder / name)})
