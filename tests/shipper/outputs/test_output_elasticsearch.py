"""What the output asks, and what it makes of the answers: a real HTTP server with scripted ones.

What a healthy Elasticsearch answers is tested with a real one, in tests/integration.
"""

from __future__ import annotations

import gzip
import json

import pytest
from bulk_server import BATCH, bulk, item

from shipper.errors import OutputError, RefusedError, TooLargeError, UnavailableError, UnfitError
from shipper.outputs.batch import Batch, Rejection


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
    "credentials", [{"api_key": "id:s3cret-canary"}, {"username": "u", "password": "s3cret-canary"}]
)
@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refusal_that_repeats_the_credentials_does_not_show_them(server, connect, credentials, status):
    output = connect(server, **credentials)
    header = output._headers["authorization"]
    server.answers((status, {"error": {"type": "security_exception", "reason": f"not [{header}], s3cret-canary"}}))
    for ask in (output.check, lambda: output.send(BATCH), lambda: output.get("/_stats")):
        with pytest.raises(OutputError, match=r"security_exception: not \[\w+ \*+\], \*+") as raised:
            ask()
        assert header.split()[1] not in str(raised.value)
        assert "canary" not in str(raised.value)


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
