"""Received events into encoded documents: parse the JSON, run the pipeline, give each its id, write JSON.

An event keeps what its sender put into it: host, agent, log, fields, tags. What is added is only what it lacks. An event
that one of our agents has parsed (``@metadata.parsed``) does not go through the pipeline again. ``@metadata`` itself is
stored nowhere; towards a Logstash it goes along.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from parser.timestamps import Timestamp
from shipper import __version__
from shipper.delivery.encoder import Encoded, Encodings
from shipper.settings import ElasticsearchOutputSettings, LogstashOutputSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parser import Pipeline
    from shipper.receiver.identity import Identities
    from shipper.settings import Settings
    from shipper.settings.receive import ReceiveSettings

CHUNK = 32
_UTC_MILLIS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class NotAnEventError(ValueError):
    """What came is no JSON object. ``before`` is what was encoded of the events before it, ``position`` how many they were."""

    def __init__(self, before: Encoded, position: int) -> None:
        super().__init__("an event is no JSON object")
        self.before = before
        self.position = position


class Documents:
    """What all connections have in common."""

    def __init__(self, settings: Settings, own: ReceiveSettings, pipeline: Pipeline | None, ids: Identities) -> None:
        self.counts = Encodings()
        self._transform = pipeline.transform if pipeline else None
        self._ids = ids
        self._tags = [*settings.tags, *own.tags]
        self._missing: dict[str, Any] = {}
        for source in (settings, own):
            if source.fields:
                _fill(self._missing, source.fields if source.fields_under_root else {"fields": source.fields})
        output = settings.output
        self._stream: dict[str, Any] | None = None
        if isinstance(output, ElasticsearchOutputSettings) and output.index is None:
            # It says where the document is, and nothing else may be written there.
            stream = output.data_stream
            self._stream = {"type": "logs", "dataset": stream.dataset, "namespace": stream.namespace}
            _fill(self._missing, {"event": {"dataset": stream.dataset}})
        self._beat = output.index if isinstance(output, LogstashOutputSettings) else ""

    def encode(self, payloads: list[bytes], connection: int, end: int) -> Encoded:
        """``payloads`` are the last events of a connection, up to its ``end``-th. Raises ``NotAnEventError``."""
        position = end - len(payloads)
        now = Timestamp(datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z")
        lines: list[bytes] = []
        for begin in range(0, len(payloads), CHUNK):
            ids: list[bytes] = []
            events: list[dict[str, Any]] = []
            chunk = payloads[begin : begin + CHUNK]
            for payload in chunk:
                event = _parsed(payload)
                if event is None:
                    lines += self._lines(events, ids, chunk)
                    done = begin + len(events)
                    raise NotAnEventError(Encoded(b"".join(lines), len(lines)), done)
                position += 1
                ids.append(self._ids.of(event, payload, connection, position))
                events.append(self._completed(event, now))
            lines += self._lines(events, ids, chunk)
        self.counts.events += len(payloads)
        return Encoded(b"".join(lines), len(lines))

    def _completed(self, event: dict[str, Any], now: Timestamp) -> dict[str, Any]:
        """The event with what it lacks."""
        at = event.get("@timestamp")
        if isinstance(at, str) and _UTC_MILLIS.fullmatch(at):
            event["@timestamp"] = Timestamp(at)
        else:
            event["@timestamp"] = _instant(at) or now
            if at is not None and event["@timestamp"] is now:
                _tag(event, ["_timestampparsefailure"])
                event["_@timestamp"] = at
        if self._missing:
            _fill(event, self._missing)
        if self._stream:
            event["data_stream"] = dict(self._stream)
        if self._tags:
            _tag(event, self._tags)
        return event

    def _lines(self, events: list[dict[str, Any]], ids: list[bytes], payloads: list[bytes]) -> Iterator[bytes]:
        metadata = [event.get("@metadata") for event in events]
        parsed = [isinstance(each, dict) and each.get("parsed") is True for each in metadata]
        done: list[dict[str, Any] | None] = list(events)
        if self._transform and not all(parsed):
            rest = [at for at, already in enumerate(parsed) if not already]
            for at, event in zip(rest, self._transform([events[at] for at in rest]), strict=True):
                done[at] = event
                parsed[at] = True
        for at, (given, document, own, already) in enumerate(zip(ids, done, metadata, parsed, strict=True)):
            if document is None:
                self.counts.dropped += 1
                continue
            document.pop("@metadata", None)
            self.counts.count(document.get("tags"))
            whole = {"@metadata": self._metadata(own, parsed=already), **document} if self._beat else document
            try:
                line = _dump(whole)
            except (TypeError, ValueError, RecursionError):
                text = payloads[at].decode("utf-8", "replace")
                line = _dump({"@timestamp": document["@timestamp"], "message": text, "tags": ["_encodefailure"]})
                self.counts.count(["_encodefailure"])
            yield b'{"create":{"_id":"%b"}}\n%b\n' % (given, line)

    def _metadata(self, own: Any, *, parsed: bool) -> dict[str, Any]:
        """What goes along to a Logstash; the output adds the id."""
        metadata: dict[str, Any] = {"beat": self._beat, "type": "_doc", "version": __version__}
        if isinstance(own, dict):
            metadata |= {name: value for name, value in own.items() if name != "_id"}
        if parsed:
            metadata["parsed"] = True
        return metadata


def _parsed(payload: bytes) -> dict[str, Any] | None:
    """The JSON object; ``None`` for anything else. What orjson is too strict for (``NaN``, lone surrogates) is taken."""
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        try:
            event = json.loads(payload.decode("utf-8", "replace"), parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            return None
    return event if isinstance(event, dict) else None


def _instant(at: Any) -> Timestamp | None:
    """A time as ISO 8601 has it, in milliseconds of UTC."""
    if not isinstance(at, str):
        return None
    try:
        moment = datetime.fromisoformat(at)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return Timestamp(moment.isoformat(timespec="milliseconds")[:-6] + "Z")


def _fill(event: dict[str, Any], missing: dict[str, Any]) -> None:
    """Add what is not there; what is there stays."""
    for name, value in missing.items():
        there = event.get(name)
        if name not in event:
            event[name] = _copy(value)
        elif isinstance(there, dict) and isinstance(value, dict):
            _fill(there, value)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, list) else value


def _tags_of(event: dict[str, Any]) -> list[Any]:
    tags = event.get("tags", [])
    return tags if isinstance(tags, list) else [tags]


def _tag(event: dict[str, Any], more: list[str]) -> None:
    tags = _tags_of(event)
    event["tags"] = tags + [tag for tag in more if tag not in tags]


def _dump(document: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, default=str)
    except (TypeError, ValueError):
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")
