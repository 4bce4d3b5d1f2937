"""``shipper setup`` and ``shipper test output`` with a real Elasticsearch, 9 and 8, with security and without.

The nodes that the tests assemble have templates, data streams, logsdb and lifecycles; they lack ILM, the type
match_only_text and the data stream API (and the 8 the ingest processors): what needs those is in tests/shipper/elastic, with a stand-in.
"""

from __future__ import annotations

import base64
import json
import ssl
import uuid
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from shipper.cli import main
from shipper.elastic.mappings import FIELDS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", params=[9, 8], ids=["9.x", "8.x"])
def major(request):
    return request.param


@pytest.fixture(scope="module")
def url(major, request):
    return request.getfixturevalue("elasticsearch_url" if major == 9 else "elasticsearch_8_url")


@pytest.fixture(scope="module")
def secured(major, request):
    return request.getfixturevalue("secured_elasticsearch" if major == 9 else "secured_elasticsearch_8")


@pytest.fixture
def dataset():
    return f"s{uuid.uuid4().hex[:10]}"


@pytest.fixture
def write_settings(tmp_path, dataset):
    """A settings file; JSON is YAML."""

    def write(url, name="shipper.yml", setup=None, **output):
        data = {
            "inputs": [{"paths": [str(tmp_path / "*.log")], "pipeline": "spring-boot", "timezone": "UTC"}],
            "output.elasticsearch": {"hosts": [url], "data_stream.dataset": dataset, **output},
            **({"setup": setup} if setup else {}),
            "path.data": str(tmp_path / "data"),
        }
        path = tmp_path / name
        path.write_text(json.dumps(data))
        return str(path)

    return write


def run(*arguments, **options):
    return CliRunner().invoke(main, list(arguments), **options)


def call(url, method="GET", body=None, *, secured=None, key=None):
    request = Request(url, None if body is None else json.dumps(body).encode(), method=method)
    request.add_header("content-type", "application/json")
    if secured and not key:
        pair = f"{secured.username}:{secured.password}".encode()
        request.add_header("authorization", "Basic " + base64.b64encode(pair).decode())
    if key:
        request.add_header("authorization", "ApiKey " + base64.b64encode(key.encode()).decode())
    context = ssl.create_default_context(cadata=secured.authority) if secured else None
    try:
        with urlopen(request, timeout=60, context=context) as answer:
            return json.loads(answer.read())
    except HTTPError as error:
        error.close()
        raise


def states(output):
    return [line.split()[0] for line in output.splitlines() if line.startswith("  ") and "note:" not in line]


def test_a_second_run_changes_nothing(url, major, write_settings):
    path = write_settings(url, setup={"replicas": 0, **({"pipeline": "spring-boot"} if major == 9 else {})})

    first, second = run("setup", "-c", path), run("setup", "-c", path)

    assert first.exit_code == 0, first.output
    assert states(first.output) == ["created"] * (4 if major == 9 else 3)
    assert states(second.output) == ["unchanged"] * (4 if major == 9 else 3)


def test_what_was_changed_is_put_back(url, write_settings, dataset):
    path = write_settings(url)
    run("setup", "-c", path)
    where = f"{url}/_component_template/logs-{dataset}@settings"
    body = call(where)["component_templates"][0]["component_template"]
    body["template"]["settings"]["index"]["mapping"]["total_fields"]["limit"] = "5000"
    call(where, "PUT", {"template": body["template"], "_meta": body["_meta"]})

    assert states(run("setup", "-c", path).output) == ["updated", "unchanged", "unchanged"]
    assert states(run("setup", "-c", path).output) == ["unchanged"] * 3


def test_settings_change_what_is_there(url, write_settings, dataset):
    run("setup", "-c", write_settings(url))
    path = write_settings(url, setup={"retention": "7d", "fields_limit": 400})

    assert states(run("setup", "-c", path).output) == ["updated", "unchanged", "updated"]
    template = call(f"{url}/_index_template/logs-{dataset}")["index_templates"][0]["index_template"]
    assert template["template"]["lifecycle"]["data_retention"] == "7d"


def test_somebody_elses_template_is_left_alone(url, write_settings, dataset):
    body = {"index_patterns": [f"logs-{dataset}-mine"], "priority": 300}
    call(f"{url}/_index_template/logs-{dataset}", "PUT", body)

    result = run("setup", "-c", write_settings(url))

    assert result.exit_code == 1
    assert f"index template logs-{dataset} already that shipper setup did not make" in result.output
    assert run("setup", "-c", write_settings(url, setup={"overwrite": True})).exit_code == 0


def test_a_dry_run_changes_nothing(url, write_settings, dataset):
    result = run("setup", "-c", write_settings(url), "--dry-run")

    requests = json.loads(result.output)
    assert [each["state"] for each in requests] == ["create"] * 3
    assert requests[-1]["path"] == f"/_index_template/logs-{dataset}"
    with pytest.raises(HTTPError) as caught:
        call(f"{url}/_index_template/logs-{dataset}")
    assert caught.value.code == 404


def test_documents_fit_the_template(url, major, write_settings, dataset, tmp_path):
    """What the pipeline writes is mapped as we say; too many fields and wrong types cost no document."""
    path = write_settings(url)
    run("setup", "-c", path)
    (tmp_path / "a.log").write_text(
        "2024-11-21T10:15:30.123Z ERROR 42 --- [orders] [shop] [exec-1] [0123456789abcdef0123456789abcdef-0123456789abcdef] c.e.Foo : no\n"
        "java.lang.IllegalStateException: broke\n\tat c.e.Foo.bar(Foo.java:1)\n"
        '{"@timestamp":"2024-11-21T10:15:31.000Z","log.level":"INFO","process.pid":42,"message":"hi","tenant":{"id":7},"ecs.version":"8.11"}\n'
    )
    assert run("run", "--once", "--patience", "120", "-c", path).exit_code == 0
    stream = f"{url}/logs-{dataset}-default"
    many = {f"field{number}": number for number in range(2000)}
    call(f"{stream}/_doc", "POST", {"@timestamp": "2024-11-21T10:15:32Z", "process": {"pid": "none"}, **many})
    call(f"{stream}/_refresh", "POST")

    assert call(f"{stream}/_count")["count"] == 3
    found = call(f"{stream}/_search", "POST", {"query": {"term": {"labels.tenant.id": "7"}}})["hits"]["hits"]
    assert [hit["_source"]["message"] for hit in found] == ["hi"]
    (index,) = call(f"{stream}/_settings").values()
    assert index["settings"]["index"].get("mode") == ("logsdb" if major == 9 else None)
    (mapping,) = call(f"{stream}/_mapping").values()
    types = dict(leaves(mapping["mappings"]["properties"]))
    assert {name for name in types if not name.startswith("field")} == set(FIELDS)
    assert len(types) <= 1000
    lifecycle = call(
        f"{url}/_cluster/state/metadata?filter_path=metadata.data_stream.data_stream.logs-{dataset}-default"
    )
    assert '"data_retention": "30d"' in json.dumps(lifecycle)


def test_the_ingest_pipeline_parses_what_arrives_unparsed(url, major, write_settings, dataset):
    if major == 8:
        pytest.skip("the Elasticsearch 8 that can be assembled has no ingest processors")
    run("setup", "-c", write_settings(url, setup={"pipeline": "spring-boot"}))
    stream = f"{url}/logs-{dataset}-default"
    line = "2024-11-21T10:15:30.123Z  WARN 42 --- [main] c.e.Foo : careful"

    call(f"{stream}/_doc?refresh=true", "POST", {"@timestamp": "2026-11-23T00:00:00Z", "message": line})

    ((hit,),) = [call(f"{stream}/_search")["hits"]["hits"]]
    assert hit["_source"]["log"]["level"] == "WARN"
    assert hit["_source"]["message"] == "careful"


def leaves(properties, prefix=""):
    for name, each in properties.items():
        if "properties" in each:
            yield from leaves(each["properties"], f"{prefix}{name}.")
        else:
            yield prefix + name, each["type"]


@pytest.fixture
def administrator(secured, write_settings, tmp_path):
    """The settings of somebody with all rights."""
    (tmp_path / "ca.pem").write_text(secured.authority)
    return write_settings(
        secured.url,
        username=secured.username,
        password=secured.password,
        **{"ssl.certificate_authorities": [str(tmp_path / "ca.pem")]},
    )


@pytest.fixture
def as_key(secured, write_settings, tmp_path):
    """The settings of whoever has an API key."""

    def write(key):
        return write_settings(
            secured.url, "key.yml", api_key=key, **{"ssl.certificate_authorities": [str(tmp_path / "ca.pem")]}
        )

    return write


def created_key(output):
    return output.partition("output.elasticsearch.api_key: ")[2].strip()


def test_the_key_adds_documents_and_can_do_no_more(secured, administrator, as_key, dataset, tmp_path):
    result = run("setup", "-c", administrator, "--create-api-key")
    key = created_key(result.output)
    assert result.exit_code == 0, result.output
    assert key
    (tmp_path / "a.log").write_text("2024-11-21T10:15:30.123Z  INFO 42 --- [main] c.e.Foo : one\n")

    shipped = run("run", "--once", "--patience", "120", "-c", as_key(key))

    assert shipped.exit_code == 0, shipped.output
    stream = f"{secured.url}/logs-{dataset}-default"
    call(f"{stream}/_refresh", "POST", secured=secured)
    assert call(f"{stream}/_count", secured=secured)["count"] == 1
    for method, path, body in (
        ("GET", f"logs-{dataset}-default/_search", None),
        ("POST", f"logs-{dataset}-default/_delete_by_query", {"query": {"match_all": {}}}),
        ("POST", f"logs-{dataset}-other/_doc", {"@timestamp": "2024-11-21T10:15:30Z"}),
        ("GET", "_cluster/health", None),
    ):
        with pytest.raises(HTTPError) as caught:
            call(f"{secured.url}/{path}", method, body, secured=secured, key=key)
        assert caught.value.code == 403, path


def test_a_key_is_made_once_and_shown_once(administrator):
    key = created_key(run("setup", "-c", administrator, "--create-api-key", "mine").output)
    again = run("setup", "-c", administrator, "--create-api-key", "mine")

    assert "unchanged  API key mine" in again.output
    assert key not in again.output
    assert (
        key.partition(":")[2] not in run("setup", "-c", administrator, "--create-api-key", "mine", "--dry-run").output
    )


def test_test_output_says_which_rights_there_are(administrator, as_key, dataset):
    key = created_key(run("setup", "-c", administrator, "--create-api-key").output)

    admin, writer = run("test", "output", "-c", administrator), run("test", "output", "-c", as_key(key))

    assert admin.exit_code == writer.exit_code == 0, admin.output + writer.output
    assert "TLSv1.3" in writer.output
    assert "certificate of" in writer.output
    for line in (
        f"right create_doc on logs-{dataset}-default: yes",
        f"right auto_configure on logs-{dataset}-default: yes",
        "right manage_index_templates (for shipper setup only): no",
        "templates: cannot be seen",
    ):
        assert line in writer.output
    assert f"index template logs-{dataset}: there" in admin.output
    assert "right manage_index_templates (for shipper setup only): yes" in admin.output


def test_test_output_fails_for_wrong_credentials_and_missing_rights(secured, administrator, as_key, dataset):
    body = {"name": f"{dataset}-none", "role_descriptors": {"none": {"cluster": ["monitor"]}}}
    none = call(f"{secured.url}/_security/api_key", "POST", body, secured=secured)

    wrong, poor = (
        run("test", "output", "-c", as_key(key)) for key in ("nobody:nothing", f"{none['id']}:{none['api_key']}")
    )

    assert wrong.exit_code == poor.exit_code == 1
    assert "check username and password, or api_key" in wrong.output
    assert f"FAILED   right create_doc on logs-{dataset}-default: no" in poor.output


def test_setup_says_which_right_is_missing(administrator, as_key):
    key = created_key(run("setup", "-c", administrator, "--create-api-key").output)

    result = run("setup", "-c", as_key(key))

    assert result.exit_code == 1
    assert "it needs the privilege manage_index_templates" in result.output


def test_an_administrator_may_do_it_for_the_key(secured, administrator, as_key, tmp_path):
    key = created_key(run("setup", "-c", administrator, "--create-api-key").output)
    (tmp_path / "password").write_text(secured.password + "\n")

    result = run(
        "setup", "-c", as_key(key), "--username", secured.username, "--password-file", str(tmp_path / "password")
    )

    assert result.exit_code == 0, result.output
    assert states(result.output) == ["unchanged"] * 3
