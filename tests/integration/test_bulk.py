"""The Elasticsearch output against a real Elasticsearch, 9 and 8."""

from __future__ import annotations

import json
import uuid
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import orjson
import pytest

from shipper.errors import RefusedError, TooLargeError, UnavailableError
from shipper.outputs import open_output
from shipper.outputs.batch import Batch
from shipper.settings import from_mapping

pytestmark = pytest.mark.integration


def batch(*documents, begin=0):
    lines = [
        b'{"create":{"_id":"%020d"}}\n%b\n' % (at, orjson.dumps({"@timestamp": "2026-11-23T10:00:00.000Z", **document}))
        for at, document in enumerate(documents, begin)
    ]
    return Batch(b"".join(lines), len(lines))


def output(url, **settings):
    data = {"inputs": [{"paths": ["/a"]}], "output.elasticsearch": {"hosts": [url], **settings}}
    return open_output(from_mapping(data, env={"SHIPPER_HOME": "/nonexistent"}))


@pytest.fixture(scope="module", params=[9, 8], ids=["9.x", "8.x"])
def elasticsearch_url(request):
    """Takes the place of the one for all: each test runs with both."""
    return request.getfixturevalue("elasticsearch_url" if request.param == 9 else "elasticsearch_8_url")


@pytest.fixture
def index(request_es):
    """The name of an index that no other test uses; removed at the end."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    try:
        request_es("DELETE", f"/{name}")
    except HTTPError as error:
        assert error.code == 404  # noqa: PT017 - it was never made


@pytest.fixture
def stored(request_es):
    """The documents of an index, in the order of their ids."""

    def stored(name):
        request_es("POST", f"/{name}/_refresh")
        hits = request_es("POST", f"/{name}/_search", {"size": 100})["hits"]["hits"]
        return [hit["_source"] for hit in sorted(hits, key=lambda hit: hit["_id"])]

    return stored


@pytest.fixture
def send(elasticsearch_url):
    """Send a batch with an output of these settings."""
    opened = []

    def send(documents, **settings):
        opened.append(output(elasticsearch_url, **settings))
        return opened[-1].send(documents)

    yield send
    for each in opened:
        each.close()


@pytest.mark.parametrize("compression_level", [0, 1, 9])
def test_documents_into_an_index(send, index, stored, compression_level):
    documents = [{"message": f"größe {n}", "log": {"level": "INFO"}} for n in range(5)]
    outcomes = send(batch(*documents), index=index, compression_level=compression_level)
    assert (outcomes.retry, outcomes.rejected, outcomes.duplicates) == ([], [], 0)
    assert stored(index) == [{"@timestamp": "2026-11-23T10:00:00.000Z", **each} for each in documents]


def test_documents_into_a_data_stream(send, request_es, stored):
    dataset = f"d{uuid.uuid4().hex[:12]}"
    name = f"logs-{dataset}-default"
    template = {"index_patterns": [f"logs-{dataset}-*"], "data_stream": {}, "priority": 1000}
    request_es("PUT", f"/_index_template/{dataset}", template)
    outcomes = send(batch({"message": "a"}, {"message": "b"}), data_stream={"dataset": dataset})
    again = send(batch({"message": "a"}, {"message": "b"}, {"message": "c"}), data_stream={"dataset": dataset})
    assert (outcomes.retry, outcomes.rejected, outcomes.duplicates) == ([], [], 0)
    assert (again.retry, again.rejected, again.duplicates) == ([], [], 2)
    assert [each["message"] for each in stored(name)] == ["a", "b", "c"]
    (backing,) = request_es("GET", f"/{name}/_settings")
    assert backing.startswith(f".ds-{name}-"), "it is a data stream, not an index of that name"


def test_what_is_there_already_is_a_duplicate_and_stays(send, index, stored):
    send(batch({"message": "first"}), index=index)
    outcomes = send(batch({"message": "second"}, {"message": "new"}), index=index)
    assert (outcomes.retry, outcomes.rejected, outcomes.duplicates) == ([], [], 1)
    assert [each["message"] for each in stored(index)] == ["first", "new"]


def test_a_document_that_does_not_fit_the_mapping_is_rejected_alone(send, index, stored, request_es):
    request_es("PUT", f"/{index}", {"mappings": {"properties": {"n": {"type": "long"}}}})
    outcomes = send(batch({"n": 1}, {"n": "one"}, {"n": {"x": 1}}, {"n": 4}), index=index)
    assert outcomes.retry == []
    assert [(each.position, each.status) for each in outcomes.rejected] == [(1, 400), (2, 400)]
    assert outcomes.rejected[0].reason.startswith("document_parsing_exception: ")
    assert "failed to parse field [n] of type [long]" in outcomes.rejected[0].reason
    assert 'caused by illegal_argument_exception: For input string: "one"' in outcomes.rejected[0].reason
    assert [each["n"] for each in stored(index)] == [1, 4]


def test_a_document_that_is_not_json_is_rejected_alone(send, index, stored):
    body = batch({"n": 1}).body + b'{"create":{"_id":"broken"}}\n{"n": oops}\n' + batch({"n": 3}, begin=2).body
    outcomes = send(Batch(body, 3), index=index)
    assert [(each.position, each.status) for each in outcomes.rejected] == [(1, 400)]
    assert [each["n"] for each in stored(index)] == [1, 3]


def test_a_read_only_index_loses_nothing(send, index, stored, request_es):
    request_es("PUT", f"/{index}", {"settings": {"index.blocks.write": True}})
    with pytest.raises(RefusedError, match=r"cluster_block_exception: index .* blocked by: .*index write"):
        send(batch({"n": 1}, {"n": 2}), index=index)
    request_es("PUT", f"/{index}/_settings", {"index.blocks.write": False})
    assert send(batch({"n": 1}, {"n": 2}), index=index).retry == []
    assert [each["n"] for each in stored(index)] == [1, 2]


def test_a_full_disk_is_waited_for(send, index, request_es):
    request_es("PUT", f"/{index}", {"settings": {"index.blocks.read_only_allow_delete": True}})
    outcomes = send(batch({"n": 1}, {"n": 2}), index=index)
    assert (outcomes.retry, outcomes.rejected) == ([0, 1], [])
    assert "cluster_block_exception" in outcomes.reason
    request_es("PUT", f"/{index}/_settings", {"index.blocks.read_only_allow_delete": None})


def test_a_request_that_is_too_large_says_so(elasticsearch_url, index):
    body = b'{"create":{"_id":"x"}}\n{"m":"' + b"x" * (101 << 20) + b'"}\n'  # http.max_content_length is 100 MB
    opened = output(elasticsearch_url, index=index)
    try:
        with pytest.raises(TooLargeError):
            opened.send(Batch(body, 1))
    finally:
        opened.close()


def test_the_check_sees_the_version(elasticsearch_url, request_es):
    opened = output(elasticsearch_url)
    opened.check()
    assert opened.version == request_es("GET", "/")["version"]["number"]
    opened.close()


@pytest.fixture
def secured(secured_elasticsearch, tmp_path):
    """Requests to the secured one, and outputs for it."""
    import base64  # noqa: PLC0415 - here only
    import ssl  # noqa: PLC0415 - here only

    es = secured_elasticsearch
    authority = tmp_path / "ca.pem"
    authority.write_text(es.authority)
    pair = base64.b64encode(f"{es.username}:{es.password}".encode()).decode()
    opened = []

    def request(method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "authorization": f"Basic {pair}"}
        request = Request(es.url + path, data, headers, method=method)
        with urlopen(request, timeout=60, context=ssl.create_default_context(cafile=authority)) as answer:
            return json.loads(answer.read())

    def connect(**settings):
        opened.append(output(es.url, **{"ssl.certificate_authorities": str(authority), **settings}))
        return opened[-1]

    yield SimpleNamespace(es=es, request=request, connect=connect, index=f"test-{uuid.uuid4().hex[:12]}")
    for each in opened:
        each.close()


def test_user_and_password_over_tls(secured):
    opened = secured.connect(username=secured.es.username, password=secured.es.password, index=secured.index)
    opened.check()
    assert opened.send(batch({"n": 1})).retry == []
    secured.request("POST", f"/{secured.index}/_refresh")
    assert secured.request("GET", f"/{secured.index}/_count")["count"] == 1


def test_the_fingerprint_of_the_authority(secured):
    from cryptography import x509  # noqa: PLC0415 - here only
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - here only

    digest = x509.load_pem_x509_certificate(secured.es.authority.encode()).fingerprint(SHA256()).hex()
    settings = {"ssl.certificate_authorities": [], "ssl.ca_trusted_fingerprint": digest}
    opened = secured.connect(
        username=secured.es.username, password=secured.es.password, index=secured.index, **settings
    )
    opened.check()
    assert opened.send(batch({"n": 1})).retry == []


@pytest.mark.parametrize("encoded", [True, False])
def test_an_api_key_that_may_only_write(secured, encoded):
    role = {"indices": [{"names": [secured.index], "privileges": ["create_doc", "auto_configure"]}]}
    key = secured.request("POST", "/_security/api_key", {"name": "agent", "role_descriptors": {"agent": role}})
    opened = secured.connect(
        api_key=key["encoded"] if encoded else f"{key['id']}:{key['api_key']}", index=secured.index
    )
    opened.check()
    assert opened.send(batch({"n": 1}, {"n": 2})).retry == []
    assert opened.send(batch({"n": 1}, {"n": 2}, {"n": 3})).duplicates == 2


def test_an_api_key_for_another_index(secured):
    role = {"indices": [{"names": ["elsewhere"], "privileges": ["create_doc", "auto_configure"]}]}
    key = secured.request("POST", "/_security/api_key", {"name": "agent", "role_descriptors": {"agent": role}})
    opened = secured.connect(api_key=key["encoded"], index=secured.index)
    with pytest.raises(RefusedError, match=r"security_exception: .*unauthorized"):
        opened.send(batch({"n": 1}))


@pytest.mark.parametrize("settings", [{"username": "shipper-test", "password": "wrong"}, {"api_key": "no:such"}, {}])
def test_wrong_credentials(secured, settings):
    opened = secured.connect(index=secured.index, **settings)
    for use in (opened.check, lambda: opened.send(batch({"n": 1}))):
        with pytest.raises(RefusedError, match=r"security_exception: .*check username and password, or api_key"):
            use()


def test_a_certificate_that_is_not_trusted(secured):
    opened = secured.connect(username="shipper-test", password="x", **{"ssl.certificate_authorities": []})
    with pytest.raises(UnavailableError, match=r"name its authority in ssl.certificate_authorities"):
        opened.check()
