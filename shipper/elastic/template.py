"""What a data stream needs in a cluster, as the bodies of requests: templates, retention, ingest pipeline.

::

    logs-spring                 index template for logs-spring-*
      logs-spring@settings      component: index mode, limits, retention by ILM, replicas
      logs-spring@mappings      component: fields (``mappings``)
      logs-spring@custom        component: yours, if you make one; it has the last word
    logs-spring@lifecycle       ILM policy, where the cluster has ILM
    logs-spring@pipeline        ingest pipeline, where ``setup.pipeline`` names one
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from shipper.elastic.mappings import SEARCHED, mappings

if TYPE_CHECKING:
    from shipper.settings import ElasticsearchOutputSettings
    from shipper.settings.setup import SetupSettings

OWNER = {"managed_by": "elk-shipper"}
"""Stands in ``_meta`` of what we make: anything else of that name is somebody else's."""

PRIORITY = 500
"""Above the 100 of the stack's own template for ``logs-*-*`` and the 200 of Elastic Agent's integrations."""

_DAY = 86400
_ROLLOVER_DAYS = 30
"""An index takes no more than this, however long documents are kept."""


class Abilities(NamedTuple):
    """What the cluster can do of what we would use."""

    version: tuple[int, int]
    text: str = "match_only_text"
    """The type for words: ``match_only_text``, or ``text`` where that module is missing."""
    logsdb: bool = True
    ilm: bool = True
    serverless: bool = False

    @property
    def lifecycle(self) -> bool:
        """Whether data streams have a lifecycle of their own."""
        return self.serverless or self.version >= (8, 11)

    @property
    def ignores_missing(self) -> bool:
        """Whether an index template may name a component that nobody has made yet."""
        return self.serverless or self.version >= (8, 7)

    @property
    def ignores_beyond_limit(self) -> bool:
        """Whether fields beyond the limit may be left out of the mapping, instead of refusing the document."""
        return self.serverless or self.version >= (8, 14)


class Request(NamedTuple):
    """One thing to make: ``PUT path`` with ``body``; ``GET path`` shows what is there."""

    what: str
    """For messages: ``component template logs-spring@settings``."""
    path: str
    body: dict[str, Any]


class Target(NamedTuple):
    """What the templates are for, and how they are called."""

    name: str
    """``logs-spring``: of the index template, and the start of all other names."""
    pattern: str
    stream: str
    """The data stream or the index that documents go to."""
    is_stream: bool


def target_of(output: ElasticsearchOutputSettings) -> Target:
    """All namespaces of a dataset share their templates; a plain index has its own."""
    if output.index:
        return Target(output.index, output.index, output.index, is_stream=False)
    name = f"logs-{output.data_stream.dataset}"
    return Target(name, f"{name}-*", output.data_stream.name, is_stream=True)


def by_ilm(setup: SetupSettings, abilities: Abilities, target: Target) -> bool:
    """Whether retention is an ILM policy's business. Only indices of a data stream roll over by themselves."""
    return target.is_stream and setup.ilm != "false" and abilities.ilm


def requests(
    target: Target, setup: SetupSettings, abilities: Abilities, pipeline: dict[str, Any] | None = None
) -> list[Request]:
    """What is to be there, in the order in which one thing needs the other. ``pipeline`` is that of ``setup.pipeline``."""
    ilm = by_ilm(setup, abilities, target)
    settings = _settings(target, setup, abilities, ilm=ilm, pipeline=pipeline is not None)
    bodies = {
        "settings": {"settings": {"index": settings}},
        "mappings": {"mappings": mappings(text=abilities.text)},
    }
    made = [
        Request(
            f"component template {target.name}@{part}",
            f"/_component_template/{quote(f'{target.name}@{part}')}",
            {"template": body, "_meta": OWNER},
        )
        for part, body in bodies.items()
    ]
    if ilm:
        made.insert(0, _policy(target, setup.retention))
    if pipeline is not None:
        body = {**pipeline, "_meta": OWNER}
        made.insert(0, Request(f"ingest pipeline {target.name}@pipeline", pipeline_path(target), body))
    return [*made, _template(target, setup, abilities, ilm=ilm)]


def pipeline_path(target: Target) -> str:
    """Where the ingest pipeline stands."""
    return f"/_ingest/pipeline/{quote(f'{target.name}@pipeline')}"


def _settings(
    target: Target, setup: SetupSettings, abilities: Abilities, *, ilm: bool, pipeline: bool
) -> dict[str, Any]:
    """The index's settings, as text and nested, which is how the server shows them."""
    total: dict[str, Any] = {"limit": str(setup.fields_limit)}
    if abilities.ignores_beyond_limit:
        total["ignore_dynamic_beyond_limit"] = "true"
    settings: dict[str, Any] = {
        "mapping": {"total_fields": total, "ignore_malformed": "true"},
        "query": {"default_field": list(SEARCHED)},
    }
    if target.is_stream and abilities.logsdb:
        settings["mode"] = "logsdb"
    else:
        settings["codec"] = "best_compression"
    if setup.replicas is not None:
        settings["number_of_replicas"] = str(setup.replicas)
    if ilm:
        settings["lifecycle"] = {"name": f"{target.name}@lifecycle"}
    if pipeline:
        settings["default_pipeline"] = f"{target.name}@pipeline"
    return settings


def _template(target: Target, setup: SetupSettings, abilities: Abilities, *, ilm: bool) -> Request:
    custom = f"{target.name}@custom"
    body: dict[str, Any] = {
        "index_patterns": [target.pattern],
        "priority": PRIORITY,
        "composed_of": [f"{target.name}@settings", f"{target.name}@mappings"],
        "_meta": OWNER,
    }
    if abilities.ignores_missing:
        body["composed_of"].append(custom)
        body["ignore_missing_component_templates"] = [custom]
    if target.is_stream:
        body["data_stream"] = {}
        if abilities.lifecycle and not ilm:
            body["template"] = {"lifecycle": lifecycle(setup.retention)}
    return Request(f"index template {target.name}", f"/_index_template/{quote(target.name)}", body)


def lifecycle(retention: float) -> dict[str, Any]:
    """A data stream's own lifecycle."""
    return {"enabled": True, **({"data_retention": days(retention)} if retention else {})}


def _policy(target: Target, retention: float) -> Request:
    """Rolls over at a size or an age. Age counts from the rollover on: a tenth of the retention is little too long."""
    age = min(_ROLLOVER_DAYS, max(1, int(retention / _DAY / 10))) if retention else _ROLLOVER_DAYS
    rollover = {"max_age": f"{age}d", "max_primary_shard_size": "50gb"}
    phases: dict[str, Any] = {"hot": {"min_age": "0ms", "actions": {"rollover": rollover}}}
    if retention:
        phases["delete"] = {
            "min_age": days(retention),
            "actions": {"delete": {"delete_searchable_snapshot": True}},
        }
    body = {"policy": {"phases": phases, "_meta": OWNER}}
    return Request(f"ILM policy {target.name}@lifecycle", f"/_ilm/policy/{quote(f'{target.name}@lifecycle')}", body)


def days(seconds: float) -> str:
    """``30d``, or hours where it is no whole number of days."""
    return f"{seconds / _DAY:g}d" if seconds % _DAY == 0 else f"{round(seconds / 3600)}h"
