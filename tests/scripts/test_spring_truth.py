"""The spring-boot pipeline reads what Spring writes, in every layout: field by field as the generator knows it."""

from __future__ import annotations

import io
import json
import os
from itertools import pairwise

import pytest

from parser import Pipeline
from parser.multiline import PRESETS

LAYOUTS = (
    *("boot-1.5-file", "boot-1.5-console", "boot-2.7-file", "boot-2.7-console", "boot-2.7-ansi", "boot-3.0-file"),
    *("boot-3.1-console", "boot-3.2-file", "boot-3.2-console", "boot-3.4-file", "boot-3.4-console", "boot-3.4-ansi"),
    *("boot-3.4-log4j2", "ecs-3.4", "ecs-3.5", "logstash", "gelf"),
)
SERVICES = {
    "traced": {},
    "grouped": {"group": "shop"},
    "no tracing": {"tracing": False},
    "no name": {"named": False},
    "plain": {"named": False, "tracing": False},
}


def flat(fields, path=""):
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{name}.")
        else:
            yield path + name, value


@pytest.fixture(scope="module", params=["UTC", "America/Sao_Paulo"])
def pipeline(request):
    """The pipeline as it is set up where clocks show this zone."""
    return request.param, Pipeline.load("spring-boot", env={**os.environ, "LOG_TIMEZONE": request.param})


@pytest.fixture
def written(spring_logs, tmp_path):
    """Bytes of a log, and the truth about it."""

    def write(layout, zone, **options):
        log, truth = spring_logs.Log(tmp_path / "orders.log"), io.StringIO()
        service = spring_logs.Service("orders", zone=zone, **options)
        spring_logs.write(log, service, layout, events=300, failures=0.2, multiline=0.05, to=truth)
        log.close()
        return log.path.read_bytes(), [json.loads(line) for line in truth.getvalue().splitlines()]

    return write


def test_every_layout_is_here(spring_logs):
    assert sorted(LAYOUTS) == sorted(spring_logs.LAYOUTS)


@pytest.mark.parametrize("options", SERVICES.values(), ids=SERVICES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_pipeline_reads_what_spring_writes(pipeline, written, layout, options):
    zone, loaded = pipeline
    data, truth = written(layout, zone, **options)
    cuts = PRESETS["spring-boot"].cuts(data)
    starts = sorted({0, *cuts, len(data)})
    assert starts[:-1] == [fields["log"]["offset"] for fields in truth], "framing"
    events = [
        {"message": data[begin:end].decode().rstrip("\n"), "log": {"offset": begin}} for begin, end in pairwise(starts)
    ]
    for document, wanted in zip(loaded.transform(events), truth, strict=True):
        document.pop("@metadata", None)
        document.get("ecs", {}).pop("version", None)
        found, expected = dict(flat(document)), dict(flat(wanted))
        del expected["event.sequence"]
        found["@timestamp"] = found["@timestamp"][:23] + "Z"  # to the millisecond
        if "error.stack_trace" in found:
            found["error.stack_trace"] = found["error.stack_trace"].removesuffix("\n")
        assert found == expected
