"""The saved objects in the shape that Kibana exports them, and true to our template and our query language.

The shape was learned from what Kibana publishes: its sample data (``home/server/services/sample_data``, the dashboards for
eCommerce and logs), the registered types (``dashboard_saved_object.ts``, ``search.ts``) and the dashboards of Elastic's
integrations. What is required there is written down here, not copied.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from lens_aggregations import fields, layer, named

from parser import Pipeline
from shipper.elastic.mappings import FIELDS, mappings
from shipper.elastic.objects import definitions, ndjson, saved_objects
from shipper.testing.cases import read

ROOT = Path(__file__).parents[3]
OBJECTS = saved_objects()
BY_ID = {each["id"]: each for each in OBJECTS}

ATTRIBUTES = {
    "index-pattern": {
        "title",
        "timeFieldName",
        "name",
        "fields",
        "fieldAttrs",
        "fieldFormatMap",
        "runtimeFieldMap",
        "sourceFilters",
        "typeMeta",
    },
    "search": {
        "title",
        "description",
        "columns",
        "sort",
        "grid",
        "hideChart",
        "isTextBasedQuery",
        "kibanaSavedObjectMeta",
        "timeRestore",
    },
    "lens": {"title", "description", "visualizationType", "state"},
    "dashboard": {
        "title",
        "description",
        "panelsJSON",
        "optionsJSON",
        "controlGroupInput",
        "kibanaSavedObjectMeta",
        "timeRestore",
        "timeFrom",
        "timeTo",
        "refreshInterval",
    },
}
"""What Kibana 9 writes for each type, less what is optional."""
OPTIONAL = {"index-pattern": {"allowHidden"}, "search": set(), "lens": set(), "dashboard": set()}

NEWEST = {"index-pattern": (8, 0, 0), "search": (10, 5, 0), "lens": (8, 9, 0), "dashboard": (10, 2, 0)}
"""The versions of these types in Kibana 9.0: a later one would be refused by it as from a newer Kibana."""

STATE = {"adHocDataViews", "datasourceStates", "filters", "internalReferences", "query", "visualization"}
COLUMN = {"customLabel", "dataType", "isBucketed", "label", "operationType", "scale"}
PARAMS = {
    "date_histogram": {"interval", "includeEmptyRows", "dropPartials"},
    "terms": {
        "size",
        "orderBy",
        "orderDirection",
        "otherBucket",
        "missingBucket",
        "parentFormat",
        "include",
        "exclude",
        "includeIsRegex",
        "excludeIsRegex",
    },
    "count": {"emptyAsNull"},
    "math": {"tinymathAst"},
    "formula": {"formula", "isFormulaBroken", "format"},
}
GRID = 48


def of_type(kind):
    return [pytest.param(each, id=each["id"]) for each in OBJECTS if each["type"] == kind]


def test_what_there_is():
    assert [each["type"] for each in OBJECTS] == ["index-pattern", *["search"] * 3, *["lens"] * 4, "dashboard"]
    assert len(BY_ID) == len(OBJECTS)


@pytest.mark.parametrize("saved", OBJECTS, ids=lambda each: each["id"])
def test_an_object_is_complete(saved):
    kind = saved["type"]

    assert set(saved) == {
        "type",
        "id",
        "attributes",
        "references",
        "coreMigrationVersion",
        "typeMigrationVersion",
        "managed",
    }
    assert ATTRIBUTES[kind] <= set(saved["attributes"]) <= ATTRIBUTES[kind] | OPTIONAL[kind]
    assert tuple(map(int, saved["typeMigrationVersion"].split("."))) <= NEWEST[kind]
    assert saved["coreMigrationVersion"] == "8.8.0"


@pytest.mark.parametrize("saved", OBJECTS, ids=lambda each: each["id"])
def test_references_lead_to_what_came_before(saved):
    before = {each["id"]: each["type"] for each in OBJECTS[: OBJECTS.index(saved)]}

    names = [reference["name"] for reference in saved["references"]]

    assert len(set(names)) == len(names)
    assert all(before.get(reference["id"]) == reference["type"] for reference in saved["references"])


@pytest.mark.parametrize("search", of_type("search"))
def test_a_search_refers_to_the_data_view(search):
    source = json.loads(search["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])

    assert source["indexRefName"] in {reference["name"] for reference in search["references"]}
    assert set(source["query"]) == {"language", "query"}
    assert source["filter"] == []


@pytest.mark.parametrize("lens", of_type("lens"))
def test_a_lens_is_drawn_from_its_columns(lens):
    state = lens["attributes"]["state"]
    ((name, _),) = state["datasourceStates"]["formBased"]["layers"].items()
    columns, order = layer(lens)
    drawn = state["visualization"]

    assert set(state) == STATE
    assert [reference["name"] for reference in lens["references"]] == [f"indexpattern-datasource-layer-{name}"]
    # Buckets come first, and what a formula is made of is there.
    assert [columns[each]["isBucketed"] for each in order] == sorted(
        (columns[each]["isBucketed"] for each in order), reverse=True
    )
    if lens["attributes"]["visualizationType"] == "lnsXY":
        (series,) = drawn["layers"]
        shown = {series["xAccessor"], series["splitAccessor"], *series["accessors"]}
        assert (series["layerId"], series["layerType"]) == (name, "data")
    else:
        assert lens["attributes"]["visualizationType"] == "lnsDatatable"
        shown = {each["columnId"] for each in drawn["columns"]}
        assert (drawn["layerId"], drawn["layerType"]) == (name, "data")
        assert drawn["sorting"]["columnId"] in shown
    used = {each for column in columns.values() for each in column.get("references", [])}
    assert shown | used == set(columns)
    assert shown & used == set()


@pytest.mark.parametrize("lens", of_type("lens"))
def test_a_column_has_what_its_operation_needs(lens):
    columns, _ = layer(lens)

    for column in columns.values():
        operation = column["operationType"]
        extra = {"references"} if operation in {"math", "formula"} else {"sourceField"}
        assert COLUMN | extra | {"params"} <= set(column) <= COLUMN | extra | {"params", "filter"}
        assert set(column["params"]) == PARAMS[operation]
        assert all(each in columns for each in column.get("references", []))
        if operation == "terms":
            assert column["params"]["orderBy"]["columnId"] in columns
        if operation == "math":
            tree = column["params"]["tinymathAst"]
            assert set(tree) == {"type", "name", "args", "location", "text"}
            assert tree["args"] == column["references"]
        if operation == "formula":
            (of,) = column["references"]
            assert columns[of]["params"]["tinymathAst"]["text"] == column["params"]["formula"]


def test_the_dashboard_shows_each_panel_once_and_nothing_overlaps():
    dashboard = BY_ID["elk-shipper-spring"]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    names = {reference["name"]: reference for reference in dashboard["references"]}

    shown = {names[f"{panel['panelIndex']}:{panel['panelRefName']}"]["id"] for panel in panels}
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridData"]["x"], panel["gridData"]["x"] + panel["gridData"]["w"])
        for y in range(panel["gridData"]["y"], panel["gridData"]["y"] + panel["gridData"]["h"])
    ]

    assert shown == {each["id"] for each in OBJECTS if each["type"] == "lens"} | {"elk-shipper-errors"}
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < GRID
    for panel in panels:
        assert set(panel) == {"type", "gridData", "panelIndex", "embeddableConfig", "panelRefName"}
        assert panel["gridData"]["i"] == panel["panelIndex"]
        assert panel["type"] == names[f"{panel['panelIndex']}:{panel['panelRefName']}"]["type"]


def test_the_controls_refer_to_the_data_view():
    dashboard = BY_ID["elk-shipper-spring"]
    names = {reference["name"] for reference in dashboard["references"]}

    controls = json.loads(dashboard["attributes"]["controlGroupInput"]["panelsJSON"])

    for name, control in controls.items():
        assert control["explicitInput"]["id"] == name
        assert f"controlGroup_{name}:optionsListDataView" in names


def test_every_field_is_in_the_template():
    """Queries are parsed on the way: one that does not parse is an error here."""
    named_fields = list(fields(OBJECTS))

    assert len(named_fields) > 30
    assert [(where, field) for where, field in named_fields if field not in FIELDS] == []
    # What is grouped by has to be a keyword: text cannot be.
    for each in OBJECTS:
        if each["type"] == "lens":
            grouped = [column for column in layer(each)[0].values() if column["operationType"] == "terms"]
            assert all(FIELDS[column["sourceField"]]["type"] == "keyword" for column in grouped)


def test_a_wrong_query_would_be_seen():
    with pytest.raises(Exception, match="closing"):
        list(named({"language": "kuery", "query": "log.level : (ERROR"}))


def test_the_dashboard_tells_its_content():
    other = saved_objects(also="my-index")

    assert other[0]["attributes"]["title"] == "logs-*-*,my-index"
    assert other[-1]["attributes"]["description"] != OBJECTS[-1]["attributes"]["description"]
    assert saved_objects() == OBJECTS


def test_the_script_writes_the_same():
    script = definitions() / "build.py"
    written = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, cwd="/").stdout

    assert written == ndjson(OBJECTS)


def flat(document, prefix=""):
    for key, value in document.items():
        if isinstance(value, dict) and FIELDS.get(prefix + key, {}).get("type") != "flattened":
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key


@pytest.fixture
def spring_logs(monkeypatch):
    """The generator as a module."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("spring_logs")


def test_what_the_bundled_pipelines_write_is_in_the_template(spring_logs, tmp_path):
    """All but ``service`` as a text, which my-example writes as the article does: ECS has it as an object."""
    folder = ROOT / "logstash" / "pipeline" / "tests"
    lines = [case.text for path in sorted(folder.glob("*.yml")) for case in read(path).cases if case.text]
    for layout in ("ecs-3.4", "ecs-3.5", "gelf", "logstash", "boot-3.4-file"):
        log = tmp_path / layout
        spring_logs.main([str(log), "--layout", layout, "--events", "200", "--group", "shop"])
        lines += log.read_text(encoding="utf-8").splitlines()
    written = set()
    for name in ("spring-boot", "my-example"):
        pipeline = Pipeline.load(name)
        for document in pipeline.transform([{"message": line} for line in lines]):
            written |= set(flat({key: value for key, value in (document or {}).items() if key != "@metadata"}))

    assert {"error.stack_trace", "java_message", "labels"} <= written
    assert written - set(FIELDS) == {"service"}


def test_the_mapping_is_nested():
    properties = mappings(text="text")["properties"]

    assert properties["message"] == {"type": "text"}
    assert properties["process"]["properties"]["thread"]["properties"]["name"]["type"] == "keyword"
    assert properties["labels"]["type"] == "flattened"
    assert mappings()["properties"]["message"] == {"type": "match_only_text"}
