"""Lens visualizations from small definitions (``kibana/spring.yml``), in the shape that Kibana 8.9 to 9.x exports them.

A share, ``count(kql='…') / count()``, is a formula. Kibana keeps one with its parts: two counts and the division of them.
"""

from __future__ import annotations

from typing import Any

LAYER = "layer"
RECORDS = "___records___"
"""What Kibana calls "the documents" where a field's name stands."""


def visualization(panel: dict[str, Any], data_view: str) -> dict[str, Any]:
    """A saved object of type ``lens``."""
    columns: dict[str, dict[str, Any]] = {}
    metric = next(each["id"] for each in panel["columns"] if each.get("count"))
    for each in panel["columns"]:
        columns |= _column(each, metric)
    # Kibana keeps buckets before metrics.
    order = sorted(columns, key=lambda name: not columns[name]["isBucketed"])
    layers = {LAYER: {"columns": columns, "columnOrder": order, "incompleteColumns": {}, "sampling": 1}}
    shape = {"bars": ("lnsXY", _bars), "table": ("lnsDatatable", _table)}
    kind, drawn = shape[panel["kind"]]
    return {
        "type": "lens",
        "id": panel["id"],
        "attributes": {
            "title": panel["title"],
            "description": panel.get("description", ""),
            "visualizationType": kind,
            "state": {
                "adHocDataViews": {},
                "datasourceStates": {"formBased": {"layers": layers}},
                "filters": [],
                "internalReferences": [],
                "query": kuery(panel.get("query", "")),
                "visualization": drawn(panel),
            },
        },
        "references": [{"id": data_view, "name": f"indexpattern-datasource-layer-{LAYER}", "type": "index-pattern"}],
    }


def kuery(text: str) -> dict[str, str]:
    """A query in KQL, which Kibana calls so."""
    return {"language": "kuery", "query": text}


def _column(column: dict[str, Any], metric: str) -> dict[str, dict[str, Any]]:
    name, label = column["id"], column["label"]
    if "time" in column:
        params: dict[str, Any] = {"dropPartials": False, "includeEmptyRows": True, "interval": "auto"}
        return {name: _base(label, "date", "date_histogram", column["time"], params, scale="interval", bucketed=True)}
    if "terms" in column:
        params = {
            "exclude": [],
            "excludeIsRegex": False,
            "include": [],
            "includeIsRegex": False,
            "missingBucket": False,
            "orderBy": {"columnId": metric, "type": "column"},
            "orderDirection": "desc",
            "otherBucket": False,
            "parentFormat": {"id": "terms"},
            "size": column["size"],
        }
        return {name: _base(label, "string", "terms", column["terms"], params, scale="ordinal", bucketed=True)}
    if "share" in column:
        return _share(name, label, column["share"])
    counted = _base(label, "number", "count", RECORDS, {"emptyAsNull": False}, scale="ratio", bucketed=False)
    return {name: counted | ({"filter": kuery(column["query"])} if "query" in column else {})}


def _share(name: str, label: str, query: str) -> dict[str, dict[str, Any]]:
    formula = f"count(kql='{query}') / count()"
    part, whole, ratio = f"{name}X0", f"{name}X1", f"{name}X2"
    counted = _base(
        f"Part of {label}", "number", "count", RECORDS, {"emptyAsNull": False}, scale="ratio", bucketed=False
    )
    tree = {
        "type": "function",
        "name": "divide",
        "args": [part, whole],
        "location": {"min": 0, "max": len(formula)},
        "text": formula,
    }
    divided = _base(f"Part of {label}", "number", "math", None, {"tinymathAst": tree}, scale="ratio", bucketed=False)
    shown = {"format": {"id": "percent", "params": {"decimals": 1}}, "formula": formula, "isFormulaBroken": False}
    result = _base(label, "number", "formula", None, shown, scale="ratio", bucketed=False)
    return {
        name: result | {"references": [ratio]},
        part: counted | {"filter": kuery(query)},
        whole: counted,
        ratio: divided | {"references": [part, whole]},
    }


def _base(
    label: str, data: str, operation: str, field: str | None, params: dict[str, Any], *, scale: str, bucketed: bool
) -> dict[str, Any]:
    column = {
        "customLabel": True,
        "dataType": data,
        "isBucketed": bucketed,
        "label": label,
        "operationType": operation,
        "params": params,
        "scale": scale,
    }
    return column | ({"sourceField": field} if field else {})


def _bars(panel: dict[str, Any]) -> dict[str, Any]:
    by = {key: each["id"] for each in panel["columns"] for key in ("time", "terms", "count") if key in each}
    axes = {"x": True, "yLeft": True, "yRight": True}
    return {
        "axisTitlesVisibilitySettings": {**axes, "x": False},
        "fittingFunction": "None",
        "gridlinesVisibilitySettings": axes,
        "labelsOrientation": {"x": 0, "yLeft": 0, "yRight": 0},
        "layers": [
            {
                "accessors": [by["count"]],
                "layerId": LAYER,
                "layerType": "data",
                "position": "top",
                "seriesType": "bar_stacked",
                "showGridlines": False,
                "splitAccessor": by["terms"],
                "xAccessor": by["time"],
            }
        ],
        "legend": {"isVisible": True, "position": "right"},
        "preferredSeriesType": "bar_stacked",
        "tickLabelsVisibilitySettings": axes,
        "valueLabels": "hide",
    }


def _table(panel: dict[str, Any]) -> dict[str, Any]:
    return {
        "columns": [{"columnId": each["id"], "isTransposed": False} for each in panel["columns"]],
        "layerId": LAYER,
        "layerType": "data",
        "rowHeight": "single",
        "rowHeightLines": 1,
        "sorting": {"columnId": panel["sort"], "direction": "desc"},
    }
