"""Which types the fields of our documents have: ECS 8, for every field that the bundled pipelines, the agent and Beats write.

A cluster's own ``ecs@mappings`` says much of this, but not in every version and not for ``labels``: here it is said
explicitly, so that documents look the same in all of them.
"""

from __future__ import annotations

from typing import Any

KEYWORD: dict[str, Any] = {"type": "keyword", "ignore_above": 1024}
TEXT: dict[str, Any] = {"type": "match_only_text"}
"""Words, without scores and positions, which logs do not need: a tenth of the size. ``text`` where a server has it not."""
FLATTENED: dict[str, Any] = {"type": "flattened", "ignore_above": 1024}
"""One field in the mapping, whatever keys it holds: MDC and Kubernetes' labels cannot make a mapping explode."""

_KEYWORDS = """
    log.level log.logger log.file.path log.file.inode log.file.device_id log.file.fingerprint log.flags log.origin.function log.origin.file.name log.syslog.facility.name
    log.syslog.severity.name log.syslog.hostname log.syslog.appname log.syslog.procid
    process.name process.thread.name process.executable
    service.id service.name service.version service.environment service.type service.state service.ephemeral_id
    service.address service.node.name service.node.role
    error.type error.code error.id trace.id transaction.id span.id
    host.name host.hostname host.id host.mac host.domain host.type host.architecture
    host.os.family host.os.full host.os.kernel host.os.name host.os.platform host.os.type host.os.version host.os.codename
    agent.id agent.ephemeral_id agent.name agent.type agent.version agent.build.original
    container.id container.name container.runtime container.image.name container.image.tag
    kubernetes.namespace kubernetes.node.name kubernetes.pod.name kubernetes.pod.uid kubernetes.container.name
    orchestrator.namespace orchestrator.resource.name orchestrator.cluster.name
    event.dataset event.module event.kind event.category event.type event.action event.outcome event.code event.id
    event.provider event.reason event.hash event.timezone
    data_stream.type data_stream.dataset data_stream.namespace
    input.type ecs.version tags user.name user.id client.address source.address url.domain url.path http.request.method
    http.version user_agent.original servico
"""
_LONGS = """
    log.offset log.origin.file.line log.syslog.priority log.syslog.facility.code log.syslog.severity.code
    process.pid process.thread.id event.sequence event.severity event.duration
    http.response.status_code http.response.body.bytes source.port client.port
"""
_TEXTS = "message error.message error.stack_trace java_message"
_IPS = "host.ip client.ip source.ip"
_DATES = "@timestamp event.created event.start event.end event.ingested process.start"

FIELDS: dict[str, dict[str, Any]] = {
    **{name: {"type": "date"} for name in _DATES.split()},
    **dict.fromkeys(_TEXTS.split(), TEXT),
    **dict.fromkeys(_KEYWORDS.split(), KEYWORD),
    **{name: {"type": "long"} for name in _LONGS.split()},
    **{name: {"type": "ip"} for name in _IPS.split()},
    "event.original": {"type": "keyword", "index": False, "doc_values": False},
    "host.containerized": {"type": "boolean"},
    "labels": FLATTENED,
    "container.labels": FLATTENED,
    "kubernetes.labels": FLATTENED,
    "kubernetes.annotations": FLATTENED,
}
"""Dotted names, and the mapping of each."""

SEARCHED = ("message", "error.message", "error.stack_trace", "error.type", "log.logger", "service.name", "trace.id")
"""Where words without a field's name are looked for."""

_STRINGS = {
    "strings": {"match_mapping_type": "string", "mapping": KEYWORD},
}


def mappings(*, text: str = "match_only_text") -> dict[str, Any]:
    """The body of ``mappings``; ``text`` is the type for words that the server has.

    What is not named becomes a keyword, a number or a truth value; text that looks like a date stays text, so that the
    first document of a day does not decide what the others may hold.
    """
    properties: dict[str, Any] = {}
    for name, mapping in FIELDS.items():
        *parents, leaf = name.split(".")
        level = properties
        for parent in parents:
            level = level.setdefault(parent, {"properties": {}})["properties"]
        level[leaf] = {**mapping, "type": text} if mapping is TEXT else dict(mapping)
    return {
        "date_detection": False,
        "dynamic_templates": [{name: dict(rule)} for name, rule in _STRINGS.items()],
        "properties": properties,
    }
