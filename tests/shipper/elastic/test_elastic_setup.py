"""``shipper setup`` with stand-ins: what the assembled nodes lack (ILM, serverless, the data stream API), Kibana, refusals.

The real Elasticsearch is in tests/integration/test_setup.py.
"""

from __future__ import annotations

import base64
import json

import pytest
from click.testing import CliRunner

from shipper.cli import main
from shipper.elastic.objects import saved_objects

SECRET = "a secret nobody shall see"
HEADER = base64.b64encode(f"somebody:{SECRET}".encode()).decode()


@pytest.fixture
def run(cluster, tmp_path):
    """The command, with a settings file of these settings."""

    def run(*arguments, setup=None, output=None, command=("setup",)):
        settings = {
            "inputs": [{"paths": ["/a.log"]}],
            "output.elasticsearch": {
                "hosts": [cluster.url],
                "username": "somebody",
                "password": SECRET,
                **({"data_stream.dataset": "spring"} if output is None else output),
            },
            **({"setup": setup} if setup else {}),
            "path.data": str(tmp_path / "data"),
        }
        path = tmp_path / "shipper.yml"
        path.write_text(json.dumps(settings))
        result = CliRunner().invoke(main, [*command, "-c", str(path), *arguments])
        assert SECRET not in result.output
        assert HEADER.rstrip("=") not in result.output
        return result

    return run


def states(result):
    lines = [line for line in result.output.splitlines() if line.startswith("  ") and "note:" not in line]
    return [line.split()[0] for line in lines]


def test_ilm_where_the_cluster_has_it(run, cluster):
    result = run(setup={"retention": "60d"})

    assert result.exit_code == 0, result.output
    phases = cluster.made["/_ilm/policy/logs-spring@lifecycle"]["policy"]["phases"]
    assert phases["hot"]["actions"]["rollover"] == {"max_age": "6d", "max_primary_shard_size": "50gb"}
    assert phases["delete"]["min_age"] == "60d"
    settings = cluster.made["/_component_template/logs-spring@settings"]["template"]["settings"]["index"]
    assert settings["lifecycle"] == {"name": "logs-spring@lifecycle"}
    assert "template" not in cluster.made["/_index_template/logs-spring"]
    assert states(run(setup={"retention": "60d"})) == ["unchanged"] * 4


@pytest.mark.parametrize(("retention", "deleted"), [("0", None), ("36h", "36h"), ("1d", "1d")])
def test_retention(run, cluster, retention, deleted):
    result = run(setup={"retention": retention, "ilm": "false"})

    assert f"documents are kept for {deleted or 'ever'}" in result.output
    lifecycle = cluster.made["/_index_template/logs-spring"]["template"]["lifecycle"]
    assert lifecycle == {"enabled": True, **({"data_retention": deleted} if deleted else {})}
    run(setup={"retention": retention, "overwrite": True})
    assert ("delete" in cluster.made["/_ilm/policy/logs-spring@lifecycle"]["policy"]["phases"]) == bool(deleted)


def test_retention_of_less_than_a_day_is_a_mistake(run):
    result = run(setup={"retention": "3h"})

    assert result.exit_code == 2
    assert "setup.retention: is less than a day" in result.output


def test_serverless_has_no_ilm(run, cluster):
    cluster.version, cluster.flavor, cluster.ilm = "8.11.0", "serverless", False

    assert run().exit_code == 0
    assert "lifecycle" in cluster.made["/_index_template/logs-spring"]["template"]
    settings = cluster.made["/_component_template/logs-spring@settings"]["template"]["settings"]["index"]
    assert settings["mode"] == "logsdb"


@pytest.mark.parametrize(
    ("version", "mode", "beyond", "custom"),
    [
        ("9.0.0", "logsdb", True, True),
        ("8.17.0", "logsdb", True, True),
        ("8.16.6", None, True, True),
        ("8.13.4", None, False, True),
        ("8.0.1", None, False, False),
    ],
)
def test_what_a_version_knows(run, cluster, version, mode, *, beyond, custom):
    cluster.version = version

    assert run().exit_code == 0
    settings = cluster.made["/_component_template/logs-spring@settings"]["template"]["settings"]["index"]
    assert settings.get("mode") == mode
    assert ("ignore_dynamic_beyond_limit" in settings["mapping"]["total_fields"]) == beyond
    assert ("logs-spring@custom" in cluster.made["/_index_template/logs-spring"]["composed_of"]) == custom


def test_an_older_server_is_told(run, cluster):
    cluster.version = "7.17.28"

    result = run()

    assert result.exit_code == 1
    assert "is version 7.17.28: shipper setup needs 8.0 or later" in result.output
    assert not cluster.puts()


def test_neither_ilm_nor_lifecycles(run, cluster):
    cluster.version, cluster.ilm = "8.5.0", False

    assert "nothing deletes old documents" in run().output
    assert "this cluster has no ILM" in run(setup={"ilm": "true"}).output


@pytest.mark.parametrize(
    ("start", "right"),
    [
        ("/_ilm", "manage_ilm"),
        ("/_index_template", "manage_index_templates"),
        ("/_component_template", "manage_index_templates"),
        ("/_data_stream", "manage_data_stream_lifecycle"),
    ],
)
def test_the_missing_right_is_named(run, cluster, start, right):
    cluster.forbidden = (start,)

    result = run()

    assert result.exit_code == 1
    assert right in result.output
    assert not cluster.puts()


def test_a_busy_cluster_is_waited_for(run, cluster):
    cluster.busy = 2
    assert run().exit_code == 0

    cluster.busy = 100
    result = run()
    assert result.exit_code == 1
    assert "shard is unavailable" in result.output


def test_an_existing_stream_gets_its_retention_too(run, cluster):
    """A template's lifecycle is for new data streams only."""
    cluster.ilm = False
    cluster.streams["logs-spring-default"] = {"lifecycle": {"enabled": True, "data_retention": "90d"}}

    first, second = run(), run()

    assert states(first) == ["created"] * 3 + ["updated"]
    assert "new mappings hold from its next index on" in first.output
    assert cluster.streams["logs-spring-default"]["lifecycle"] == {"enabled": True, "data_retention": "30d"}
    assert states(second) == ["unchanged"] * 4


def test_a_plain_index(run, cluster):
    result = run(output={"index": "my-logs"})

    assert result.exit_code == 0, result.output
    template = cluster.made["/_index_template/my-logs"]
    assert template["index_patterns"] == ["my-logs"]
    assert "data_stream" not in template
    assert "mode" not in cluster.made["/_component_template/my-logs@settings"]["template"]["settings"]["index"]
    assert "nothing deletes its documents" in result.output


def test_the_pipeline_is_exported(run, cluster):
    assert run(setup={"pipeline": "spring-boot"}).exit_code == 0

    assert cluster.made["/_ingest/pipeline/logs-spring@pipeline"]["processors"]
    settings = cluster.made["/_component_template/logs-spring@settings"]["template"]["settings"]["index"]
    assert settings["default_pipeline"] == "logs-spring@pipeline"
    # what needs it comes after it
    assert cluster.puts()[0] == "/_ingest/pipeline/logs-spring@pipeline"
    assert run(setup={"pipeline": "nowhere"}).exit_code == 2


def test_another_output_has_nothing_to_set_up(tmp_path):
    path = tmp_path / "shipper.yml"
    path.write_text("inputs: [{paths: [/a]}]\n")

    result = CliRunner().invoke(main, ["setup", "-c", str(path)])

    assert result.exit_code == 2
    assert "its output is store: shipper setup needs output.elasticsearch" in result.output


def test_kibanas_objects_are_imported_once(run, cluster, kibana):
    first, second = run("--kibana", kibana.url), run("--kibana", kibana.url)

    assert first.exit_code == second.exit_code == 0, first.output
    assert set(kibana.objects) == {(each["type"], each["id"]) for each in saved_objects()}
    assert states(first)[-1] == "updated"
    assert states(second)[-1] == "unchanged"
    assert sum("_import" in path for _, path, _, _ in kibana.requests) == 1
    assert all(headers["authorization"].startswith("Basic ") for _, _, headers, _ in kibana.requests)


def test_an_object_that_was_deleted_comes_back(run, kibana):
    run("--kibana", kibana.url)
    del kibana.objects["search", "elk-shipper-errors"]

    assert states(run("--kibana", kibana.url))[-1] == "updated"
    assert ("search", "elk-shipper-errors") in kibana.objects


def test_the_space_and_the_settings_are_used(run, kibana):
    result = run(setup={"kibana": {"host": kibana.url + "/base", "space": "ops"}})

    assert result.exit_code == 0, result.output
    assert kibana.requests[0][1] == "/base/s/ops/api/saved_objects/_export"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "check the user and the password"),
        (403, "needs Kibana's privilege Saved Objects Management"),
        (404, "check the address"),
        (503, "it may not be ready yet"),
    ],
)
def test_kibana_refuses(run, cluster, kibana, status, words):
    kibana.status = status

    result = run("--kibana", kibana.url)

    assert result.exit_code == 1
    assert words in result.output
    assert not cluster.puts()


def test_kibanas_certificate_is_verified(run, kibana_with_tls, authority, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trusted = {"ssl.certificate_authorities": [str(tmp_path / "ca.pem")]}

    unknown = run("--kibana", kibana_with_tls.url)
    known = run("--kibana", kibana_with_tls.url, output=trusted)

    assert unknown.exit_code == 1
    assert "its certificate cannot be verified" in unknown.output
    assert known.exit_code == 0, known.output
    assert len(kibana_with_tls.objects) == len(saved_objects())


def test_the_address_of_something_else(run, cluster, kibana):
    kibana.garbage = True

    assert "its answer is not Kibana's" in run("--kibana", kibana.url).output
    assert not cluster.puts()


def test_objects_that_kibana_does_not_take_are_named(run, kibana, monkeypatch):
    monkeypatch.setattr("shipper.elastic.objects.saved_objects", lambda **_: saved_objects()[1:])

    result = run("--kibana", kibana.url)

    assert result.exit_code == 1
    assert "it did not take everything: search elk-shipper-errors: missing_references" in result.output


@pytest.mark.parametrize("url", ["ftp://kibana", "http://", "http://[::1", "http://a:b@kibana:5601"])
def test_what_is_no_address(run, url):
    result = run("--kibana", url)

    assert result.exit_code == 2
    assert "is not the address of a Kibana" in result.output
    assert "a:b" not in result.output


def test_a_dry_run_prints_everything_and_does_nothing(run, cluster, kibana):
    result = run("--dry-run", "--kibana", kibana.url)

    printed = json.loads(result.output)
    assert [each["state"] for each in printed] == ["create"] * 4 + ["update"]
    assert printed[-1]["objects"] == saved_objects()
    assert not cluster.puts()
    assert not any("_import" in path for _, path, _, _ in kibana.requests)


def test_the_export_by_hand(tmp_path):
    to = tmp_path / "spring.ndjson"

    result = CliRunner().invoke(main, ["setup", "--export-kibana", str(to)])

    assert result.exit_code == 0
    assert [json.loads(line) for line in to.read_text().splitlines()] == saved_objects()


def test_the_output_of_a_stand_in_without_security(run, cluster):
    cluster.streams["logs-spring-default"] = {"lifecycle": {"data_retention": "7d"}}
    result = run(command=("test", "output"))

    assert result.exit_code == 0, result.output
    assert "data stream logs-spring-default: 1 indices, retention 7d (setup.retention: 30d)" in result.output


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"store": {"path": "store"}}, "it can be used"),
        ({"console": {}}, "it can be used"),
        ({"file": {"path": "out"}}, "it can be used"),
    ],
)
def test_the_other_outputs(tmp_path, output, words):
    path = tmp_path / "shipper.yml"
    path.write_text(json.dumps({"inputs": [{"paths": ["/a"]}], "output": output, "path.data": str(tmp_path / "data")}))

    result = CliRunner().invoke(main, ["test", "output", "-c", str(path)])

    assert result.exit_code == 0, result.output
    assert words in result.output


def test_an_output_that_cannot_be_used(tmp_path):
    (tmp_path / "out").write_text("a file")
    path = tmp_path / "shipper.yml"
    path.write_text(json.dumps({"inputs": [{"paths": ["/a"]}], "output.file.path": str(tmp_path / "out")}))

    assert CliRunner().invoke(main, ["test", "output", "-c", str(path)]).exit_code == 1
