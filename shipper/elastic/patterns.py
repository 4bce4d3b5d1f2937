r"""Grok's named patterns from a cluster, in Logstash's notation.

Elasticsearch's grok processor has the pattern files of Logstash (logstash-patterns-core), with its own spelling of fields:
``%{IP:source.ip}`` where Logstash has ``%{IP:[source][ip]}``, and ``long`` where that has ``int``. On that way some definitions
of the ECS files have lost brackets (``\[%{IP:[source][ip]}\]`` became ``\%{IP:source.ip}\]``, ``[\s,]`` became ``\s,``), and either
do not compile there or do not match (8.19, 9.4). They get them back here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipper.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shipper.outputs.elasticsearch import ElasticsearchOutput

_FIELD = re.compile(r"(%\{\w+:|\(\?<(?![=!]))\[?([\w@.-]+)\]?(:\w+)?(?=[}>])")
_LOST = (
    (re.compile(r"\\(%\{[^}]*\})\\ "), r"\\[\1\\] "),
    (re.compile(r"\\%\{"), r"\\[%{"),
    (re.compile(r"\\\\s\*(%\{\w+:)\["), r"\\[\\s*\1"),
    (re.compile(r"(?<!\[)A-Fa-f0-9\{"), "[A-Fa-f0-9]{"),
    (re.compile(r"\(\?:\\s,%\{"), r"(?:[\\s,]%{"),
)
"""What lost brackets look like, none of which means anything in a pattern otherwise, and what stood there."""
_TYPES = {":long": ":int", ":integer": ":int", ":double": ":float"}


def fetch(cluster: ElasticsearchOutput, ecs_compatibility: str) -> dict[str, str]:
    """The cluster's dictionary of a mode, "v1" or "disabled", as Logstash writes it.

    Raises ``UnavailableError``, and ``RefusedError`` where the cluster does not give it.
    """
    cluster.check()
    patterns = cluster.get(f"/_ingest/processor/grok?s=true&ecs_compatibility={ecs_compatibility}").get("patterns")
    if not isinstance(patterns, dict) or not patterns:
        raise RefusedError(f"{cluster.name}: it gave no patterns of its grok processor")
    return {str(name): in_logstash(str(definition)) for name, definition in patterns.items()}


def in_logstash(definition: str) -> str:
    """A definition with its fields as Logstash names them; its own notation stays as it is."""
    for lost, there in _LOST:
        definition = lost.sub(there, definition)
    return _FIELD.sub(_field, definition)


def _field(found: re.Match[str]) -> str:
    opening, name, kind = found[1], found[2], found[3] or ""
    if "." in name:
        name = "".join(f"[{part}]" for part in name.split("."))
    elif found[0][len(opening)] == "[":
        name = f"[{name}]"
    return f"{opening}{name}{_TYPES.get(kind, kind)}"


def pattern_file(definitions: Mapping[str, str], *, origin: str, ecs_compatibility: str) -> str:
    """The text of a pattern file, by name."""
    head = [
        f"# {len(definitions)} patterns of the grok processor of {origin}, in Logstash's notation.",
        f"# ecs_compatibility: {ecs_compatibility}. Written by `shipper patterns import`.",
        "",
    ]
    return "\n".join([*head, *(f"{name} {definition}" for name, definition in sorted(definitions.items())), ""])
