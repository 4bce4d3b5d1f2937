"""What the settings of an input become: a harvest of its files, and an encoder for their events."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from parser import Pipeline
from parser.multiline import DEFAULT, PRESETS, framer
from shipper import __version__, host
from shipper.delivery.encoder import Encoder
from shipper.files.discovery import Discovery
from shipper.files.harvest import Harvest
from shipper.settings import ElasticsearchOutputSettings

if TYPE_CHECKING:
    from parser.multiline import Framer
    from shipper.settings import InputSettings, Settings
    from shipper.state.registry import Registry

ECS_VERSION = "8.17.0"


class Input:
    """An input of the settings, at work."""

    def __init__(self, settings: Settings, own: InputSettings, pipeline: Pipeline | None, registry: Registry) -> None:
        """``pipeline`` is what ``pipeline_of(own)`` gave; ``registry`` is shared by all inputs."""
        self.settings = own
        self.harvest = Harvest(
            Discovery(own.paths, own.exclude_files),
            registry,
            _framer(own),
            host_id=settings.host_id or host.machine_id(),
            limit=own.message_max_bytes,
            close_inactive=own.close_inactive,
        )
        self.encoder = Encoder(pipeline, _fields(settings, own), (*settings.tags, *own.tags))
        self.flush_after = own.multiline.timeout if own.multiline else 5.0
        self.next_scan = 0.0


def pipeline_of(settings: InputSettings) -> Pipeline | None:
    """The input's pipeline, compiled. Raises ``ParserError``, which names the file and the line."""
    if settings.pipeline is None:
        return None
    env = {**os.environ, "LOG_TIMEZONE": settings.timezone or host.time_zone()}
    return Pipeline.load(settings.pipeline, ecs_compatibility=settings.ecs_compatibility, env=env)


def _framer(settings: InputSettings) -> Framer:
    multiline = settings.multiline
    if multiline is None:
        return PRESETS.get(settings.pipeline or "", DEFAULT)
    return framer(
        multiline.pattern,
        negate=multiline.negate,
        match=multiline.match,
        flush_pattern=multiline.flush_pattern,
        max_lines=multiline.max_lines,
    )


def _fields(settings: Settings, each: InputSettings) -> dict[str, Any]:
    """What every document of an input gets: what Beats give theirs, and the user's own fields."""
    name = settings.name or host.host_name()
    fields: dict[str, Any] = {
        "host": {"name": name},
        "agent": {"name": name, "type": "elk-shipper", "version": __version__},
        "ecs": {"version": ECS_VERSION},
        "input": {"type": each.type},
    }
    if isinstance(settings.output, ElasticsearchOutputSettings) and settings.output.index is None:
        stream = settings.output.data_stream
        fields["data_stream"] = {"type": "logs", "dataset": stream.dataset, "namespace": stream.namespace}
        fields["event"] = {"dataset": stream.dataset}
    for source in (settings, each):
        if source.fields:
            _merge(fields if source.fields_under_root else fields.setdefault("fields", {}), source.fields)
    return fields


def _merge(into: dict[str, Any], fields: dict[str, Any]) -> None:
    """Add fields; a dotted name means a nested one."""
    for name, value in fields.items():
        place = into
        *parents, leaf = name.split(".")
        for parent in parents:
            inner = place.get(parent)
            if not isinstance(inner, dict):
                inner = place[parent] = {}
            place = inner
        if isinstance(value, dict):
            inner = place.get(leaf)
            if not isinstance(inner, dict):
                inner = place[leaf] = {}
            _merge(inner, value)
        else:
            place[leaf] = value
