"""What Kibana's Lens would ask Elasticsearch for, from a saved object, and the rows it would show.

A translation of its own, from the exported NDJSON and not from our definitions: counts, filtered counts, terms by a count,
date histograms, formulas as the tree of ``tinymath`` that is kept with them. KQL is read by the product's parser.
"""

from __future__ import annotations

from shipper.query.kql import parse
from shipper.query.tree import And, Everything, Exists, Match, Not, Or


def layer(lens):
    """The columns of the only layer, and their order."""
    (found,) = lens["attributes"]["state"]["datasourceStates"]["formBased"]["layers"].values()
    assert sorted(found["columnOrder"]) == sorted(found["columns"])
    return found["columns"], found["columnOrder"]


def request(lens, between, interval="1m"):
    """The body of ``_search``; ``between`` is the time picker's range."""
    columns, order = layer(lens)
    buckets = [name for name in order if columns[name]["isBucketed"]]
    aggs = {
        name: {"filter": dsl(columns[name]["filter"])}
        for name in order
        if columns[name]["operationType"] == "count" and "filter" in columns[name]
    }
    for name in reversed(buckets):
        aggs = {name: {**bucket(columns, name, interval), **({"aggs": aggs} if aggs else {})}}
    time = {"range": {"@timestamp": {"gte": between[0], "lte": between[1]}}}
    query = {"bool": {"filter": [time, dsl(lens["attributes"]["state"]["query"])]}}
    return {"size": 0, "track_total_hits": True, "query": query, "aggs": aggs}


def bucket(columns, name, interval):
    column = columns[name]
    field, params = column["sourceField"], column["params"]
    if column["operationType"] == "date_histogram":
        return {"date_histogram": {"field": field, "fixed_interval": interval, "min_doc_count": 1}}
    assert column["operationType"] == "terms"
    by = columns[params["orderBy"]["columnId"]]
    assert by["operationType"] == "count"
    assert "filter" not in by
    return {"terms": {"field": field, "size": params["size"], "order": {"_count": params["orderDirection"]}}}


def rows(lens, answer):
    """One dict of values by column a row, as the table shows them, before it is sorted."""
    columns, order = layer(lens)
    buckets = [name for name in order if columns[name]["isBucketed"]]
    found = []

    def walk(level, aggregations, keys):
        if level == len(buckets):
            return
        for each in aggregations[buckets[level]]["buckets"]:
            here = {**keys, buckets[level]: each["key"]}
            if level == len(buckets) - 1:
                found.append({**here, **metrics(columns, order, each)})
            walk(level + 1, each, here)

    walk(0, answer["aggregations"], {})
    return found


def metrics(columns, order, each):
    values = {}

    def value(name):
        if isinstance(name, int | float):
            return name
        if name not in values:
            column = columns[name]
            match column["operationType"]:
                case "count":
                    values[name] = each[name]["doc_count"] if "filter" in column else each["doc_count"]
                case "math":
                    tree = column["params"]["tinymathAst"]
                    assert tree["name"] == "divide"
                    assert tree["args"] == column["references"]
                    values[name] = value(tree["args"][0]) / value(tree["args"][1])
                case "formula":
                    (of,) = column["references"]
                    values[name] = value(of)
        return values[name]

    return {name: value(name) for name in order if not columns[name]["isBucketed"]}


def dsl(query):
    """Elasticsearch's form of a query in KQL."""
    assert query["language"] == "kuery"
    return node(parse(query["query"]))


def node(tree):
    match tree:
        case Everything():
            return {"match_all": {}}
        case Match(field=field, value=value) if field is not None:
            return {"match": {field: value}}
        case Exists(field=field):
            return {"exists": {"field": field}}
        case And(children=children):
            return {"bool": {"filter": [node(each) for each in children]}}
        case Or(children=children):
            return {"bool": {"should": [node(each) for each in children], "minimum_should_match": 1}}
        case Not(child=child):
            return {"bool": {"must_not": [node(child)]}}
    raise AssertionError(tree)


def fields(objects):
    """Every field that the saved objects name, and where: of columns, filters, searches, controls, queries."""
    import json  # noqa: PLC0415 - only here

    for each in objects:
        attributes, name = each["attributes"], f"{each['type']} {each['id']}"
        if each["type"] == "lens":
            columns, _ = layer(each)
            for column in columns.values():
                if column.get("sourceField", "___records___") != "___records___":
                    yield name, column["sourceField"]
                yield from ((name, field) for field in named(column.get("filter")))
            yield from ((name, field) for field in named(attributes["state"]["query"]))
        if each["type"] == "search":
            source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
            yield from ((name, field) for field in attributes["columns"])
            yield from ((name, field) for field, _ in attributes["sort"])
            yield from ((name, field) for field in named(source["query"]))
        if each["type"] == "dashboard":
            controls = json.loads(attributes["controlGroupInput"]["panelsJSON"])
            yield from ((name, control["explicitInput"]["fieldName"]) for control in controls.values())
        if each["type"] == "index-pattern":
            yield name, attributes["timeFieldName"]


def named(query):
    """The fields of a query; it has to be one that parses."""
    waiting = [parse(query["query"])] if query else []
    for tree in waiting:
        waiting += [*getattr(tree, "children", ()), *([tree.child] if isinstance(tree, Not) else [])]
        if getattr(tree, "field", None):
            yield tree.field
