"""Questions to a cluster about itself, and refusals in words: which right is missing for what."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from shipper.elastic.template import Abilities
from shipper.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from shipper.outputs.elasticsearch import ElasticsearchOutput

OLDEST = (8, 0)
PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts while the cluster is busy, or has only just made the index that it looks into (its security's)."""

_RIGHTS = (
    ("/_component_template", "manage_index_templates"),
    ("/_index_template", "manage_index_templates"),
    ("/_ingest", "manage_ingest_pipelines"),
    ("/_ilm", "manage_ilm"),
    ("/_security/api_key", "manage_own_api_key"),
    ("/_security/user/_has_privileges", "none at all"),
    ("/_data_stream", "manage (or manage_data_stream_lifecycle) on the data stream"),
    ("/_nodes", "monitor"),
    ("/", "monitor"),
)
"""The privilege that a request needs, by the start of its path."""


def ask(cluster: ElasticsearchOutput, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The answer to a request; ``None`` for what is not there.

    Raises ``UnavailableError``, and ``RefusedError`` that says which right is missing.
    """
    status, answer = patiently(cluster, method, path, body)
    if status < 300:
        return answer
    if status == 404 and not _no_such_api(status, answer):
        return None
    raise refusal(cluster, method, path, status, answer)


def patiently(
    cluster: ElasticsearchOutput, method: str, path: str, body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    """Status and answer, asked again while the cluster is busy."""
    status, answer = cluster.ask(method, path, body)
    for wait in PATIENCE:
        if status not in {429, 503}:
            break
        time.sleep(wait)
        status, answer = cluster.ask(method, path, body)
    return status, answer


def refusal(
    cluster: ElasticsearchOutput, method: str, path: str, status: int, answer: dict[str, Any]
) -> RefusedError | UnavailableError:
    """The error for an answer that is none."""
    name = path.partition("?")[0]
    why = cluster.without_secrets(reason(answer)) or f"status {status}"
    if status == 401:
        return RefusedError(f"{cluster.name}: {why}: check the user and the password, or the API key")
    if status == 403:
        return RefusedError(f"{cluster.name}: {method} {name} is forbidden: it needs the privilege {right_for(name)}")
    if status in {408, 429} or status >= 500:
        return UnavailableError(f"{cluster.name}: {method} {name}: {why}")
    return RefusedError(f"{cluster.name}: {method} {name}: {why}")


def right_for(path: str) -> str:
    """The privilege that a request needs."""
    return next(right for start, right in _RIGHTS if path.startswith(start))


def reason(answer: dict[str, Any]) -> str:
    """What the server says is wrong, the innermost cause last."""
    error: Any = answer.get("error")
    parts: list[str] = []
    while isinstance(error, dict) and len(parts) < 5:
        text = str(error.get("reason") or error.get("type") or "")
        parts += [text] if text and text not in parts else []
        error = error.get("caused_by")
    return ": ".join(parts) or (str(error) if error else "")


def has_api(cluster: ElasticsearchOutput, path: str) -> bool:
    """Whether the cluster knows what ``GET path`` asks for. Raises as ``ask`` does."""
    status, answer = patiently(cluster, "GET", path)
    if _no_such_api(status, answer):
        return False
    if status >= 300 and status != 404:
        raise refusal(cluster, "GET", path, status, answer)
    return True


def _no_such_api(status: int, answer: dict[str, Any]) -> bool:
    """A module that is not installed, or an API that this kind of server does not have (Elastic Cloud Serverless: 410)."""
    error = answer.get("error")
    return (
        status == 410 or (status in {400, 404, 405} and isinstance(error, str) and "handler" in error) or status == 405
    )


def abilities(cluster: ElasticsearchOutput) -> Abilities:
    """What the cluster can do. Nothing is written.

    Raises ``UnavailableError``, and ``RefusedError`` for a server that is too old, no Elasticsearch, or a user without rights.
    """
    cluster.check()
    version = ask(cluster, "GET", "/").get("version", {})
    number = str(version.get("number", ""))
    try:
        major, minor = (int(part) for part in number.split(".")[:2])
    except ValueError:
        raise RefusedError(f"{cluster.name}: it says its version is {number!r}: that is no Elasticsearch") from None
    if (major, minor) < OLDEST:
        raise RefusedError(f"{cluster.name}: is version {number}: shipper setup needs 8.0 or later")
    serverless = version.get("build_flavor") == "serverless"
    probe = {"mappings": {"properties": {"message": {"type": "match_only_text"}}}}
    return Abilities(
        (major, minor),
        text="match_only_text" if _accepts(cluster, probe) else "text",
        logsdb=serverless or (major, minor) >= (8, 17),
        ilm=not serverless and has_api(cluster, "/_ilm/policy/elk-shipper-probe"),
        serverless=serverless,
    )


def _accepts(cluster: ElasticsearchOutput, template: dict[str, Any]) -> bool:
    """Whether the cluster would take a template. It is simulated, not made."""
    body = {"index_patterns": ["elk-shipper-probe"], "priority": 1_000_000, "template": template}
    path = "/_index_template/_simulate"
    status, answer = patiently(cluster, "POST", path, body)
    if status == 400:
        return False
    if status >= 300:
        raise refusal(cluster, "POST", path, status, answer)
    return True
