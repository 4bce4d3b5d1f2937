"""Kibana's saved objects from the definitions in ``kibana/``: a data view, searches, visualizations, a dashboard.

The versions are those that Kibana 8.17 and 9.0 write. A newer Kibana migrates objects when they are imported; an older one
refuses what says that it comes from a newer one, so they are not those of the newest.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from shipper.elastic.lens import kuery, visualization

CORE = "8.8.0"
VERSIONS = {"index-pattern": "8.0.0", "search": "10.5.0", "lens": "8.9.0", "dashboard": "10.2.0"}
"""``typeMigrationVersion`` of each type of object."""

_SOURCE = "kibanaSavedObjectMeta.searchSourceJSON.index"


def definitions() -> Path:
    """The folder of the definitions: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_bundled" / "kibana"
    return inside if inside.is_dir() else package.parent / "kibana"


def load(path: Path | None = None) -> dict[str, Any]:
    """The definitions of a file, by default the bundled one."""
    loaded: dict[str, Any] = yaml.safe_load((path or definitions() / "spring.yml").read_text(encoding="utf-8"))
    return loaded


def saved_objects(defined: dict[str, Any] | None = None, *, also: str = "") -> list[dict[str, Any]]:
    """All saved objects, what is referred to before what refers to it.

    ``also`` is one more index for the data view: a plain one that it would not see.
    """
    defined = load() if defined is None else defined
    view = defined["data_view"]
    objects = [_data_view(view, also)]
    objects += [_search(each, view) for each in defined["searches"]]
    objects += [visualization(each, view["id"]) for each in defined["panels"]]
    kinds = {each["id"]: each["type"] for each in objects}
    objects.append(_dashboard(defined["dashboard"], kinds, view))
    versioned = [
        {
            **each,
            "coreMigrationVersion": CORE,
            "typeMigrationVersion": VERSIONS[each["type"]],
            "managed": False,
        }
        for each in objects
    ]
    # Whoever reads a dashboard from Kibana can tell from it whether these very objects were imported.
    versioned[-1]["attributes"]["description"] += f" [{digest(versioned)}]"
    return versioned


def digest(objects: list[dict[str, Any]]) -> str:
    """Eight hexadecimal digits that change with any of the objects."""
    return hashlib.sha256(_json(objects).encode()).hexdigest()[:8]


def ndjson(objects: list[dict[str, Any]]) -> str:
    """As Kibana imports it: an object a line."""
    return "".join(f"{_json(each)}\n" for each in objects)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def _data_view(view: dict[str, Any], also: str) -> dict[str, Any]:
    attributes = {
        "allowHidden": False,
        "fieldAttrs": "{}",
        "fieldFormatMap": "{}",
        "fields": "[]",
        "name": view["name"],
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
        "timeFieldName": view["time"],
        "title": f"{view['index']},{also}" if also else view["index"],
        "typeMeta": "{}",
    }
    return {"type": "index-pattern", "id": view["id"], "attributes": attributes, "references": []}


def _search(search: dict[str, Any], view: dict[str, Any]) -> dict[str, Any]:
    source = {
        "filter": [],
        "highlightAll": True,
        "indexRefName": _SOURCE,
        "query": kuery(search["query"]),
        "version": True,
    }
    attributes = {
        "columns": search["columns"],
        "description": search["description"],
        "grid": {},
        "hideChart": False,
        "isTextBasedQuery": False,
        "kibanaSavedObjectMeta": {"searchSourceJSON": _json(source)},
        "sort": [[view["time"], search.get("sort", "desc")]],
        "timeRestore": False,
        "title": search["title"],
    }
    references = [{"id": view["id"], "name": _SOURCE, "type": "index-pattern"}]
    return {"type": "search", "id": search["id"], "attributes": attributes, "references": references}


def _dashboard(dashboard: dict[str, Any], kinds: dict[str, str], view: dict[str, Any]) -> dict[str, Any]:
    panels, references = [], []
    for number, placed in enumerate(dashboard["layout"], 1):
        at, kind = str(number), kinds[placed["object"]]
        left, top, width, height = placed["at"]
        panels.append(
            {
                "embeddableConfig": {"enhancements": {}},
                "gridData": {"h": height, "i": at, "w": width, "x": left, "y": top},
                "panelIndex": at,
                "panelRefName": f"panel_{at}",
                "type": kind,
            }
        )
        references.append({"id": placed["object"], "name": f"{at}:panel_{at}", "type": kind})
    controls = {}
    for order, each in enumerate(dashboard["filters"]):
        explicit = {"enhancements": {}, "fieldName": each["field"], "id": each["id"], "title": each["title"]}
        controls[each["id"]] = {
            "explicitInput": explicit,
            "grow": True,
            "order": order,
            "type": "optionsListControl",
            "width": "medium",
        }
        name = f"controlGroup_{each['id']}:optionsListDataView"
        references.append({"id": view["id"], "name": name, "type": "index-pattern"})
    heeded = dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
    options = {
        "hidePanelTitles": False,
        "syncColors": False,
        "syncCursor": True,
        "syncTooltips": False,
        "useMargins": True,
    }
    attributes = {
        "controlGroupInput": {
            "chainingSystem": "HIERARCHICAL",
            "controlStyle": "oneLine",
            "ignoreParentSettingsJSON": _json(heeded),
            "panelsJSON": _json(controls),
            "showApplySelections": False,
        },
        "description": dashboard["description"],
        "kibanaSavedObjectMeta": {"searchSourceJSON": _json({"filter": [], "query": kuery("")})},
        "optionsJSON": _json(options),
        "panelsJSON": _json(panels),
        "refreshInterval": {"pause": True, "value": 60000},
        "timeFrom": dashboard["from"],
        "timeRestore": True,
        "timeTo": "now",
        "title": dashboard["title"],
    }
    return {"type": "dashboard", "id": dashboard["id"], "attributes": attributes, "references": references}
