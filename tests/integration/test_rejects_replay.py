"""A mapping conflict, against a real Elasticsearch: rejected with the server's reason, mended, replayed, there once."""

from __future__ import annotations

import json
import uuid

import orjson
import pytest
from click.testing import CliRunner

from shipper.cli import main

pytestmark = pytest.mark.integration


@pytest.fixture
def names(request_es):
    """An alias and the two indices that it shows one after the other; removed at the end."""
    alias = f"test-{uuid.uuid4().hex[:12]}"
    yield alias, f"{alias}-1", f"{alias}-2"
    request_es("DELETE", f"/{alias}-1,{alias}-2?ignore_unavailable=true")


@pytest.fixture
def shipper(tmp_path, elasticsearch_url, names, monkeypatch):
    monkeypatch.setenv("SHIPPER_HOME", str(tmp_path / "home"))
    (tmp_path / "a.log").write_text("first\nsecond\nthird\n")
    settings = {
        "inputs": [
            {
                "type": "filestream",
                "paths": [str(tmp_path / "*.log")],
                "fields": {"answer": "forty-two"},
                "fields_under_root": True,
            }
        ],
        "output.elasticsearch": {"hosts": [elasticsearch_url], "index": names[0]},
    }
    (tmp_path / "shipper.yml").write_text(json.dumps(settings))

    def run(*arguments, code=0):
        result = CliRunner().invoke(main, [*arguments, "-c", str(tmp_path / "shipper.yml")])
        assert result.exit_code == code, result.output
        return result

    return run


def test_a_mapping_conflict_is_kept_with_the_reason_and_replayed_after_the_fix(shipper, request_es, names):
    alias, conflicting, mended = names
    request_es(
        "PUT", f"/{conflicting}", {"mappings": {"properties": {"answer": {"type": "long"}}}, "aliases": {alias: {}}}
    )
    shipper("run", "--once", "--patience", "120", code=1)
    kept = [orjson.loads(line) for line in shipper("rejects", "list", "--json").stdout.splitlines()]
    assert [each["message"] for each in kept] == ["first", "second", "third"]
    assert {each["status"] for each in kept} == {400}
    assert all("failed to parse field [answer] of type [long]" in each["reason"] for each in kept)

    assert "3 rejected again" in shipper("rejects", "replay", "--all", code=1).stdout

    request_es("PUT", f"/{mended}", {"mappings": {"properties": {"answer": {"type": "keyword"}}}})
    switch = [{"remove": {"index": conflicting, "alias": alias}}, {"add": {"index": mended, "alias": alias}}]
    request_es("POST", "/_aliases", {"actions": switch})
    assert "1 delivered" in shipper("rejects", "replay", kept[1]["id"]).stdout
    assert "2 delivered" in shipper("rejects", "replay", "--all").stdout
    assert shipper("rejects", "list").stdout == ""

    shipper("run", "--once", "--patience", "120")  # nothing is shipped a second time
    request_es("POST", f"/{alias}/_refresh")
    hits = request_es("GET", f"/{alias}/_search?size=100")["hits"]["hits"]
    assert {hit["_id"]: hit["_source"]["message"] for hit in hits} == {each["id"]: each["message"] for each in kept}
    assert len(hits) == 3
