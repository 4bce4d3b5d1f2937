"""The id of a received event: what makes it one document, however often it is sent.

In this order:

1. ``@metadata._id``, where it has the form of ours (20 characters of base64url): one of our agents sent it. Any other
   ``@metadata._id`` is hashed, together with the agent's id.
2. Where a Beat read it from a file and says so: a hash of ``agent.id``, the file (``log.file.fingerprint``, else
   ``device_id`` and ``inode``, else ``path``, with its generation), ``log.offset`` and the message. Not ``@timestamp``,
   which is when the Beat read it: a Beat that begins again behind its last acknowledgement sends the same ids.
3. Else nothing tells two equal events from one that was sent twice, and losing one is worse: each gets an id of its own.
   Only those that their client cannot know to be here, as its connection ended before they were acknowledged, are
   remembered; the next event with the same bytes is taken for one of them, and gets its id.

What follows from that, and is not hidden: under 2, a file without a fingerprint that is emptied while its Beat or this
process is down, and gets the same line at the same place again, gives the same id. Under 3, events that were acknowledged while the connection broke are stored twice,
and so is what was not yet acknowledged when this process ended.
"""

from __future__ import annotations

import binascii
import os
import re
import time
from collections import OrderedDict, deque
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from shipper.receiver.generations import Generations

_OURS = re.compile(r"[A-Za-z0-9_-]{20}")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_REMEMBERED = 100_000
_FOR = 3600.0
"""Seconds that an event is remembered for."""


class _Given(NamedTuple):
    """An id that was given to an event of which nobody can tell another."""

    end: int
    """Its connection's events up to and with it."""
    digest: bytes
    id: bytes


class Identities:
    """Gives the ids. Belongs to one thread."""

    def __init__(self) -> None:
        self._given: dict[int, deque[_Given]] = {}
        """By connection: those that are not acknowledged."""
        self._orphans: OrderedDict[bytes, tuple[float, list[bytes]]] = OrderedDict()
        self._orphaned = 0
        self._generations = Generations()

    def of(self, event: dict[str, Any], payload: bytes, connection: int, end: int) -> bytes:
        """The id of an event, ``payload`` as it came, the ``end``-th of its connection."""
        known = _known(event, self._generations)
        if known is not None:
            return known
        digest = blake2b(payload, digest_size=16).digest()
        given = self._orphan(digest) or _text(os.urandom(15))
        self._given.setdefault(connection, deque()).append(_Given(end, digest, given))
        return given

    def acknowledged(self, connection: int, end: int) -> None:
        """The client will be told of the events up to ``end``."""
        waiting = self._given.get(connection)
        while waiting and waiting[0].end <= end:
            waiting.popleft()

    def ended(self, connection: int, end: int) -> None:
        """The connection is over; its client knows of the events up to ``end``."""
        self.acknowledged(connection, end)
        now = time.monotonic()
        for _, digest, given in self._given.pop(connection, ()):
            ids = self._orphans.pop(digest, (now, []))[1]
            self._orphans[digest] = (now, [*ids, given])
            self._orphaned += 1
        while self._orphans:
            digest, (since, ids) = next(iter(self._orphans.items()))
            if self._orphaned <= _REMEMBERED and now - since < _FOR:
                break
            del self._orphans[digest]
            self._orphaned -= len(ids)

    def _orphan(self, digest: bytes) -> bytes | None:
        if digest not in self._orphans:
            return None
        since, ids = self._orphans[digest]
        found = ids.pop(0)
        self._orphaned -= 1
        if not ids:
            del self._orphans[digest]
        return None if time.monotonic() - since > _FOR else found


def _known(event: dict[str, Any], generations: Generations) -> bytes | None:
    """The id that the event's own fields give; ``None`` when they give none."""
    metadata = event.get("@metadata")
    agent = _path(event, "agent", "id")
    given = metadata.get("_id") if isinstance(metadata, dict) else None
    if isinstance(given, str) and given:
        return given.encode() if _OURS.fullmatch(given) else _hash("id", agent, given)
    offset = _path(event, "log", "offset")
    if not isinstance(offset, int):
        return None
    file = _path(event, "log", "file")
    if not isinstance(file, dict):
        return None
    if fingerprint := file.get("fingerprint"):
        identity = ["fingerprint", fingerprint]
    elif inode := file.get("inode"):
        identity = ["inode", file.get("device_id"), inode]
    elif path := file.get("path"):
        identity = ["path", path]
    else:
        return None
    message = event.get("message")
    if not isinstance(message, str):
        message = {name: value for name, value in event.items() if name not in {"@timestamp", "@metadata", "agent"}}
    if not fingerprint:
        run = _path(event, "agent", "ephemeral_id")
        generation = generations.of(repr((agent, identity)), run, offset, event.get("@timestamp"))
        identity += [generation] if generation else []
    return _hash(agent, identity, offset, message)


def _path(event: dict[str, Any], first: str, second: str) -> Any:
    inner = event.get(first)
    return inner.get(second) if isinstance(inner, dict) else event.get(f"{first}.{second}")


def _hash(*parts: Any) -> bytes:
    try:
        data = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers beyond 64 bits, lone surrogates
        data = repr(parts).encode("utf-8", "backslashreplace")
    return _text(blake2b(data, digest_size=15).digest())


def _text(digest: bytes) -> bytes:
    return binascii.b2a_base64(digest, newline=False).translate(_URL_SAFE)
