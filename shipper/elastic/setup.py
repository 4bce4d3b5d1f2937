"""``shipper setup``: looks at what a cluster has, and makes what is missing or different. A second run changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote

from shipper.elastic.cluster import abilities, ask, has_api
from shipper.elastic.template import OWNER, Abilities, Request, Target, by_ilm, lifecycle, requests
from shipper.errors import RefusedError

if TYPE_CHECKING:
    from shipper.outputs.elasticsearch import ElasticsearchOutput
    from shipper.settings.setup import SetupSettings

State = Literal["create", "update", "unchanged"]


class Step(NamedTuple):
    """One thing that the cluster needs, and how it is there."""

    request: Request
    state: State


class Plan(NamedTuple):
    """What a run would do."""

    target: Target
    abilities: Abilities
    steps: list[Step]
    notes: list[str]
    """What a person should know: what the cluster cannot do, what takes effect later."""


def plan(
    cluster: ElasticsearchOutput, target: Target, setup: SetupSettings, pipeline: dict[str, Any] | None = None
) -> Plan:
    """Compare what should be with what is; nothing is written.

    Raises ``UnavailableError``, and ``RefusedError`` for missing rights and for templates that somebody else has made.
    """
    can = abilities(cluster)
    if setup.ilm == "true" and not can.ilm:
        raise RefusedError(f"{cluster.name}: setup.ilm is true, but this cluster has no ILM: write auto")
    ilm = by_ilm(setup, can, target)
    notes = []
    if not target.is_stream:
        notes.append(
            f"{target.stream} is a plain index: nothing deletes its documents; with a data stream, setup.retention does"
        )
    elif not ilm and not can.lifecycle:
        notes.append("this version has neither ILM nor data stream lifecycles: nothing deletes old documents")
    if target.is_stream and not can.logsdb:
        notes.append("index mode logsdb comes with 8.17: indices take more disk until then")
    if can.text == "text":
        notes.append("this cluster has no match_only_text: message and errors are plain text fields")
    steps = [_step(cluster, each, setup) for each in requests(target, setup, can, pipeline)]
    if target.is_stream:
        stream, changed = _stream(cluster, target, setup, can, ilm=ilm)
        steps += stream
        if changed and any(step.state != "unchanged" for step in steps):
            notes.append(
                f"{target.stream} exists: new mappings hold from its next index on (POST {target.stream}/_rollover)"
            )
    return Plan(target, can, steps, notes)


def apply(cluster: ElasticsearchOutput, planned: Plan) -> None:
    """Do it. Raises as ``plan`` does."""
    for request, state in planned.steps:
        if state != "unchanged":
            ask(cluster, "PUT", request.path, request.body)


def _step(cluster: ElasticsearchOutput, request: Request, setup: SetupSettings) -> Step:
    answer = ask(cluster, "GET", request.path)
    if answer is None:
        return Step(request, "create")
    there = _found(answer)
    if _owner(there) != OWNER["managed_by"] and not setup.overwrite:
        raise RefusedError(
            f"{cluster.name}: there is a {request.what} already that shipper setup did not make: "
            "use another data_stream.dataset, or set setup.overwrite: true to replace it"
        )
    return Step(request, "unchanged" if _same(there, request.body) else "update")


def _found(answer: dict[str, Any]) -> dict[str, Any]:
    """The definition in the answer, each API's in its own place."""
    for plural, singular in (("component_templates", "component_template"), ("index_templates", "index_template")):
        if plural in answer:
            found: dict[str, Any] = answer[plural][0][singular]
            return found
    return next(iter(answer.values()), {})


def _owner(there: dict[str, Any]) -> Any:
    meta = there.get("_meta") or there.get("policy", {}).get("_meta") or {}
    return meta.get("managed_by")


def _same(there: Any, wanted: Any) -> bool:
    """Whether the server's definition says what ours does, and nothing that ours does not but its defaults."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        extra = {key: value for key, value in there.items() if key not in wanted and not _is_default(key, value)}
        return not extra and all(key in there and _same(there[key], value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(there, list):
        return len(wanted) == len(there) and all(map(_same, there, wanted))
    return _text(there) == _text(wanted)


def _is_default(key: str, value: Any) -> bool:
    """What servers add by themselves."""
    return (
        key in {"version", "modified_date", "in_use_by"}
        or key.endswith(("_date", "_millis"))
        or value in (False, "false", {}, [], None)
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _stream(
    cluster: ElasticsearchOutput, target: Target, setup: SetupSettings, can: Abilities, *, ilm: bool
) -> tuple[list[Step], bool]:
    """What the data stream itself needs if it is there already: a template's lifecycle is for new ones. And whether it is."""
    path = f"/_data_stream/{quote(target.stream)}"
    if not has_api(cluster, path):
        return [], False
    answer = ask(cluster, "GET", path)
    streams = (answer or {}).get("data_streams", [])
    if not streams or ilm or not can.lifecycle:
        return [], bool(streams)
    wanted = lifecycle(setup.retention)
    there = {
        key: value for key, value in streams[0].get("lifecycle", {}).items() if key in {"enabled", "data_retention"}
    }
    state: State = "unchanged" if there == wanted else "update"
    return [Step(Request(f"lifecycle of {target.stream}", f"{path}/_lifecycle", wanted), state)], True
