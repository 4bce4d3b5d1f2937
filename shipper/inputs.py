"""What the settings of an input become: a harvest of its files, and an encoder for their events."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from parser import Pipeline
from parser.multiline import DEFAULT, PRESETS, framer
from shipper import __version__, host
from shipper.delivery.encoder import Encoder
from shipper.files.discovery import Discovery
from shipper.files.harvest import Harvest
from shipper.files.limits import open_files
from shipper.files.options import Options
from shipper.settings import ElasticsearchOutputSettings, LogstashOutputSettings

if TYPE_CHECKING:
    from parser.multiline import Framer
    from shipper.settings import InputSettings, ReceiveSettings, Settings
    from shipper.state.registry import Registry

ECS_VERSION = "8.17.0"

_AGENTS = UUID("6f1b1c5e-8f0e-5c53-9a3f-2f3b0a6d4a11")
"""Namespace of the agents' ids: a machine's id itself shall not leave it (machine-id(5))."""


class Input:
    """An input of the settings, at work."""

    def __init__(self, settings: Settings, own: InputSettings, pipeline: Pipeline | None, registry: Registry) -> None:
        """``pipeline`` is what ``pipeline_of(own)`` gave; ``registry`` is shared by all inputs."""
        self.settings = own
        self.pipeline = pipeline
        self.removed = False
        """Not in the settings any more; what it has open, or on its way, is brought to its end."""
        self.deleted = 0
        """Files that were complete, and ``on_complete`` wants that."""
        self.undeletable: dict[str, int] = {}
        """Those that could not be deleted, with the system's error number."""
        self.harvest = Harvest(Discovery(own.paths, own.exclude_files), registry, _options(settings, own))
        self.encoder = _encoder(settings, own, pipeline)
        self.flush_after = _flush_after(own)
        self.next_scan = 0.0

    def configure(self, settings: Settings, own: InputSettings, pipeline: Pipeline | None) -> None:
        """Go on with other settings: what is open stays open, and the next event is read and parsed by them."""
        counts = self.encoder.counts
        self.settings, self.pipeline = own, pipeline
        self.removed = False
        self.harvest.configure(Discovery(own.paths, own.exclude_files), _options(settings, own))
        self.encoder = _encoder(settings, own, pipeline)
        self.encoder.counts = counts
        self.flush_after = _flush_after(own)
        self.next_scan = 0.0

    def remove(self, settings: Settings) -> None:
        """Look for no more files."""
        self.removed = True
        self.harvest.configure(Discovery(()), _options(settings, self.settings))


def _encoder(settings: Settings, own: InputSettings, pipeline: Pipeline | None) -> Encoder:
    metadata = parsed_metadata(settings) if pipeline else None
    return Encoder(pipeline, _fields(settings, own), (*settings.tags, *own.tags), metadata)


def _flush_after(own: InputSettings) -> float:
    return own.multiline.timeout if own.multiline else 5.0


def _options(settings: Settings, own: InputSettings) -> Options:
    return Options(
        framer=_framer(own),
        host_id=settings.host_id or host.machine_id(),
        limit=own.message_max_bytes,
        encoding=own.encoding,
        close_inactive=own.close_inactive,
        close_removed=own.close_removed,
        clean_inactive=own.clean_inactive,
        open_files=own.harvester_limit or open_files(len(settings.inputs)),
    )


def pipeline_of(settings: InputSettings | ReceiveSettings) -> Pipeline | None:
    """The input's pipeline, compiled. Raises ``ParserError``, which names the file and the line."""
    if settings.pipeline is None:
        return None
    env = {**os.environ, "LOG_TIMEZONE": settings.timezone or host.time_zone()}
    return Pipeline.load(settings.pipeline, ecs_compatibility=settings.ecs_compatibility, env=env)


def _framer(settings: InputSettings) -> Framer:
    multiline = settings.multiline
    if multiline is None:
        return PRESETS.get(settings.pipeline or "", DEFAULT)
    if multiline.pattern is None:
        return PRESETS[multiline.preset or ""]
    return framer(
        multiline.pattern,
        negate=multiline.negate,
        match=multiline.match,
        flush_pattern=multiline.flush_pattern,
        max_lines=multiline.max_lines,
    )


def parsed_metadata(settings: Settings) -> dict[str, Any] | None:
    """``@metadata`` of events that went through a pipeline here, where the output is Logstash: nothing is left to parse."""
    if not isinstance(settings.output, LogstashOutputSettings):
        return None
    return {"beat": settings.output.index, "type": "_doc", "version": __version__, "parsed": True}


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
    if isinstance(settings.output, LogstashOutputSettings):
        fields["agent"]["id"] = str(uuid5(_AGENTS, settings.host_id or host.machine_id()))
    for source in (settings, each):
        if source.fields:
            _merge(fields if source.fields_under_root else fields.setdefault("fields", {}), source.fields)
    return fields


def _merge(into: dict[str, Any], fields: dict[str, Any]) -> None:
    """Add fields; to mappings that are there, theirs."""
    for name, value in fields.items():
        if isinstance(value, dict):
            inner = into.get(name)
            if not isinstance(inner, dict):
                inner = into[name] = {}
            _merge(inner, value)
        else:
            into[name] = value
