"""Each panel of the dashboard, asked of a real Elasticsearch as Lens asks, over shipped logs: its numbers are the truth's."""

from __future__ import annotations

import json
import random
import sys
import uuid
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from lens_aggregations import dsl, request, rows

from shipper.cli import main
from shipper.elastic.objects import ndjson, saved_objects
from shipper.outputs.elasticsearch import ElasticsearchOutput
from shipper.settings import load

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SCRIPTS = Path(__file__).parents[2] / "scripts"
SERVICES = {"orders": ("900", "0.05", "1"), "payments": ("500", "0.2", "2"), "stock": ("300", "0", "3")}
"""Events, share of failures, seed."""
OBJECTS = {each["id"]: each for each in map(json.loads, ndjson(saved_objects()).splitlines())}


@pytest.fixture(scope="module", params=[9, 8], ids=["9.x", "8.x"])
def shipped(request, tmp_path_factory):
    """What was shipped, as the truth has it, and how to ask for it. The template is ours, the agent too."""
    url = request.getfixturevalue("elasticsearch_url" if request.param == 9 else "elasticsearch_8_url")
    folder = tmp_path_factory.mktemp("panels")
    sys.path.insert(0, str(SCRIPTS))
    try:
        import spring_logs  # noqa: PLC0415 - it is a script
    finally:
        sys.path.remove(str(SCRIPTS))
    truth = []
    for name, (events, failures, seed) in SERVICES.items():
        log, said = folder / f"{name}.log", folder / f"{name}.truth"
        spring_logs.main(
            [
                str(log),
                "--service",
                name,
                "--events",
                events,
                "--failures",
                failures,
                "--seed",
                seed,
                "--truth",
                str(said),
            ]
        )
        truth += [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
    settings = {
        "inputs": [{"paths": [str(folder / "*.log")], "pipeline": "spring-boot", "timezone": "UTC"}],
        "output.elasticsearch": {"hosts": [url], "data_stream.dataset": f"panels{uuid.uuid4().hex[:8]}"},
        "path.data": str(folder / "data"),
    }
    path = folder / "shipper.yml"
    path.write_text(json.dumps(settings))
    for command in (["setup"], ["run", "--once", "--patience", "120"]):
        result = CliRunner().invoke(main, [*command, "-c", str(path)])
        assert result.exit_code == 0, result.output
    output = load(path).output
    with closing(ElasticsearchOutput(output)) as cluster:
        cluster.ask("POST", f"/{output.target}/_refresh")
        yield truth, lambda body: search(cluster, output.target, body)


def search(cluster, target, body):
    status, answer = cluster.ask("POST", f"/{target}/_search", body)
    assert status == 200, answer
    return answer


@pytest.fixture
def panel(shipped):
    """The rows of a panel, as Kibana would show them."""
    truth, ask = shipped
    times = [each["@timestamp"] for each in truth]

    def panel(name, **options):
        lens = OBJECTS[name]
        return rows(lens, ask(request(lens, (min(times), max(times)), **options)))

    return panel


def second(time):
    """In milliseconds since 1970, as a bucket's key."""
    return int(datetime.fromisoformat(time).timestamp()) * 1000


def level(event):
    return event["log"]["level"]


def test_volume_by_level(shipped, panel):
    truth, _ = shipped

    found = {(row["time"], row["level"]): row["events"] for row in panel("elk-shipper-volume", interval="1s")}

    assert found == Counter((second(each["@timestamp"]), level(each)) for each in truth)
    assert sum(found.values()) == len(truth) == 1700
    assert len({time for time, _ in found}) > 3


def test_error_rate_by_service(shipped, panel):
    truth, _ = shipped
    events = Counter(each["service"]["name"] for each in truth)
    errors = Counter(each["service"]["name"] for each in truth if level(each) in {"ERROR", "FATAL"})
    assert 0 < errors["orders"] / events["orders"] < errors["payments"] / events["payments"]

    found = {row["service"]: row for row in panel("elk-shipper-error-rate")}

    assert set(found) == set(SERVICES)
    for name, row in found.items():
        assert (row["events"], row["errors"]) == (events[name], errors[name])
        assert row["rate"] == pytest.approx(errors[name] / events[name])


def test_top_exceptions(shipped, panel):
    truth, _ = shipped
    thrown = Counter(each["error"]["type"] for each in truth if "error" in each)
    by_service = Counter((each["error"]["type"], each["service"]["name"]) for each in truth if "error" in each)
    assert len(thrown) > 3

    found = panel("elk-shipper-exceptions")

    assert {(row["exception"], row["service"]): row["events"] for row in found} == {
        key: count for key, count in by_service.items() if key[0] in dict(thrown.most_common(10))
    }


def test_loggers_to_quiet_down(shipped, panel):
    truth, _ = shipped
    written = Counter(each["log"]["logger"] for each in truth)
    below = Counter(each["log"]["logger"] for each in truth if level(each) in {"TRACE", "DEBUG", "INFO"})

    found = panel("elk-shipper-loggers")

    assert [row["events"] for row in found] == [count for _, count in written.most_common(10)]
    for row in found:
        assert row["events"] == written[row["logger"]]
        assert row["below"] == pytest.approx(below[row["logger"]] / written[row["logger"]])


def test_latest_errors(shipped):
    """The saved search beside them: the right documents, the latest first."""
    truth, ask = shipped
    attributes = OBJECTS["elk-shipper-errors"]["attributes"]
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])

    answer = ask(
        {"size": 20, "track_total_hits": True, "query": dsl(source["query"]), "sort": [dict(attributes["sort"])]}
    )

    wrong = [each for each in truth if level(each) in {"ERROR", "FATAL"} or "error" in each]
    assert answer["hits"]["total"]["value"] == len(wrong)
    newest = sorted((each["@timestamp"] for each in wrong), reverse=True)[:20]
    assert [hit["_source"]["@timestamp"] for hit in answer["hits"]["hits"]] == newest


@pytest.mark.parametrize("which", ["service", "trace"])
def test_one_service_and_one_trace(shipped, which):
    truth, ask = shipped
    field = {"service": "service.name", "trace": "trace.id"}[which]
    outer, inner = field.split(".")
    chosen = random.Random(0).choice([each[outer][inner] for each in truth if outer in each])
    source = json.loads(OBJECTS[f"elk-shipper-{which}"]["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    one = {**source["query"], "query": source["query"]["query"].replace("*", f'"{chosen}"')}

    for query, wanted in ((source["query"], None), (one, chosen)):
        matching = [each for each in truth if outer in each and wanted in {None, each[outer][inner]}]
        assert ask({"size": 0, "track_total_hits": True, "query": dsl(query)})["hits"]["total"]["value"] == len(
            matching
        )
