"""Blocks of events into encoded documents: decode, run the pipeline, give each its id, write JSON.

An id is ``base64url(BLAKE2b-120(event bytes))`` with the file's seed (host id, salt and key of its first line, see
``files.identity``) as ``person`` and the event's offset as ``node_offset``: what the event is and where it stood, not when
it was sent or by whom (invariant 3). 15 bytes are 20 characters of base64 without padding: a block is encoded in one go.

Most events take the direct way (``parser.direct``). The others go through the pipeline in chunks: small enough that a
chunk's dicts are still in the core's cache when they are written, which is a third quicker than a block at once.
"""

from __future__ import annotations

import binascii
import codecs
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from parser.direct import compile_direct
from parser.timestamps import Timestamp
from shipper.files.charset import UTF8

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parser import Pipeline
    from shipper.files.reader import Block

CHUNK = 32
TAGS = 20

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Encoded(NamedTuple):
    """The documents of a block, as the lines of a bulk body."""

    body: bytes
    documents: int


@dataclass(slots=True)
class Encodings:
    """What became of the events so far."""

    events: int = 0
    skipped: int = 0
    """White space only."""
    dropped: int = 0
    """By the pipeline."""
    unparsed: int = 0
    """Carry a tag of failure (``_grokparsefailure`` ...); shipped whole."""
    failures: dict[str, int] = field(default_factory=dict)
    """How many carry which; those of more than ``TAGS`` kinds together under ``other``."""

    def count(self, tags: object) -> None:
        """Count a document by its tags."""
        failed = failures_in(tags)
        self.unparsed += bool(failed)
        for tag in failed:
            # A tag may hold what stood in the log: their number, and the length of each, must have an end.
            name = tag[:64] if tag[:64] in self.failures or len(self.failures) < TAGS else "other"
            self.failures[name] = self.failures.get(name, 0) + 1


def failures_in(tags: object) -> list[str]:
    """The tags by which filters say that they failed."""
    each = tags if isinstance(tags, list) else [tags]
    return [tag for tag in each if isinstance(tag, str) and tag.startswith("_")]


class Encoder:
    """What all files of an input have in common: a pipeline (or none) and the fields that every document gets."""

    def __init__(
        self,
        pipeline: Pipeline | None,
        fields: Mapping[str, Any],
        tags: tuple[str, ...] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """``fields`` are nested; the pipeline sees them, and may change them in its own event only.

        ``metadata`` goes in front of each document as ``@metadata``, for outputs that understand it.
        """
        self._metadata = b'{"@metadata":%b,' % orjson.dumps(metadata) if metadata else b""
        self.counts = Encodings()
        constant = _plain({**fields, "tags": list(tags)} if tags else fields)
        if not isinstance(constant.get("log", {}), dict):
            del constant["log"]  # where the event stood is below it
        # The direct way counts nothing.
        self._direct = (
            None
            if failures_in(constant.get("tags"))
            else compile_direct(pipeline.statements if pipeline else (), constant)
        )
        self._transform = pipeline.transform if pipeline else None
        touched = frozenset[str]() if pipeline is None else pipeline.touches
        # What no filter can write into is shared by all documents.
        self._shared = {
            name: value
            for name, value in constant.items()
            if touched is not None and name not in touched and name != "log"
        }
        own = {name: value for name, value in constant.items() if name not in self._shared}
        self._own = _maker(own) if own else None

    def encode(self, block: Block, path: str, seed: bytes) -> Encoded:
        """``path`` and ``seed`` are the file's; the seed is 16 bytes."""
        raws, offsets = self._events(block)
        self.counts.events += len(raws)
        now = Timestamp(datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z")
        documents: list[bytes | None] = [None] * len(raws)
        partial = {block.offset + (block.cuts[at - 1] if at else 0) for at in block.partial}
        if self._direct:
            documents = self._direct(raws, offsets, _dump(path), _dump(now))
            if partial or b"\r" in block.data:
                documents = [
                    None if b"\r" in raw or offset in partial else document
                    for document, raw, offset in zip(documents, raws, offsets, strict=True)
                ]
        rest = [at for at, document in enumerate(documents) if document is None]
        for begin in range(0, len(rest), CHUNK):
            chunk = rest[begin : begin + CHUNK]
            events = [self._event(raws[at], offsets[at], path, now) for at in chunk]
            _mend(events, partial)
            for at, document in zip(chunk, self._transform(events) if self._transform else events, strict=True):
                if document is not None:
                    documents[at] = self._encode(document) or self._bare(raws[at], offsets[at], path, now)
        done = [document for document in documents if document is not None]
        if len(done) < len(documents):
            self.counts.dropped += len(documents) - len(done)
            raws = [raw for raw, document in zip(raws, documents, strict=True) if document is not None]
            offsets = [offset for offset, document in zip(offsets, documents, strict=True) if document is not None]
        if self._metadata:
            done = [self._metadata + document[1:] if document != b"{}" else document for document in done]
        return _body(done, raws, offsets, seed)

    def _event(self, raw: bytes, offset: int, path: str, now: Timestamp) -> dict[str, Any]:
        event = {"@timestamp": now, "message": raw.decode("utf-8", "replace"), **self._shared}
        if self._own:
            event.update(self._own())
        event["log"] = {**event.get("log", {}), "file": {"path": path}, "offset": offset}
        return event

    def _encode(self, document: dict[str, Any]) -> bytes | None:
        document.pop("@metadata", None)
        if "tags" in document:
            self.counts.count(document["tags"])
        try:
            return _dump(document)
        except (TypeError, ValueError, RecursionError):
            return None

    def _bare(self, raw: bytes, offset: int, path: str, now: Timestamp) -> bytes:
        """The event as it came: what the pipeline made of it cannot be written as JSON."""
        self.counts.count(["_encodefailure"])
        return _dump({**self._event(raw, offset, path, now), "tags": ["_encodefailure"]})

    def _events(self, block: Block) -> tuple[list[bytes], list[int]]:
        """The bytes of each event without its line end, and where it stands in the file; none of white space only."""
        data, ends, base = block.data, block.cuts, block.offset
        foreign = block.charset is not UTF8 or block.borrowed
        if foreign:
            data, ends = block.text()
        raws, offsets = [], []
        begin = 0
        for end in ends:
            raw = data[begin:end].removesuffix(b"\n").removesuffix(b"\r")
            if raw.isspace() or not raw:
                self.counts.skipped += data.count(b"\n", begin, end) or 1  # empty lines come together
            else:
                raws.append(raw)
                offsets.append(base + begin)
            begin = end
        if foreign:  # where they stand in the file
            place = dict(zip([0, *ends], [0, *block.cuts], strict=True))
            offsets = [base + place[offset - base] for offset in offsets]
        if base == 0 and raws and not offsets[0] and raws[0].startswith(codecs.BOM_UTF8):
            raws[0] = raws[0].removeprefix(codecs.BOM_UTF8)  # of the file, not of its first event
            if not raws[0].strip():
                self.counts.skipped += 1
                del raws[0], offsets[0]
        return raws, offsets


def _mend(events: list[dict[str, Any]], partial: set[int]) -> None:
    """What few events need: Windows' line ends replaced, the pieces of what was too long (by their offsets) flagged."""
    for event in events:
        if "\r" in event["message"]:
            event["message"] = event["message"].replace("\r\n", "\n")
        if event["log"]["offset"] in partial:
            event["log"]["flags"] = ["partial"]


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as JSON has them: YAML knows dates, and keys that are no texts."""
    try:
        text: bytes | str = orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        text = json.dumps(fields, default=str)
    plain: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return plain


def _maker(fields: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """A function that gives a copy of ``fields`` of its own each time: a literal, ten times as quick as ``deepcopy``."""
    make: Callable[[], dict[str, Any]] = eval(f"lambda: {fields!r}")  # noqa: S307 - JSON values only, written by repr
    return make


def _body(documents: list[bytes], raws: list[bytes], offsets: list[int], seed: bytes) -> Encoded:
    count = len(documents)
    digests = [
        blake2b(raw, digest_size=15, person=seed, node_offset=offset).digest()
        for raw, offset in zip(raws, offsets, strict=True)
    ]
    ids = binascii.b2a_base64(b"".join(digests), newline=False).translate(_URL_SAFE)
    lines: list[bytes] = [b""] * (2 * count)
    lines[::2] = struct.unpack("20s" * count, ids)
    lines[1::2] = documents
    # One format for the whole block: a third of the cost of one per document.
    return Encoded(b'{"create":{"_id":"%b"}}\n%b\n' * count % tuple(lines), count)


def _dump(value: Any) -> bytes:
    """JSON, also of what orjson will not write: lone surrogates, integers beyond 64 bits, very deep nesting.

    Raises ``TypeError``, ``ValueError`` or ``RecursionError`` where that does not help either.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")
