"""Lines to documents, as the agent makes them: framed into events, each through the pipeline."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parser import Pipeline
from parser.bundled import bundled
from parser.multiline import DEFAULT, PRESETS, Framer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime


def preset(pipeline: str | Path) -> Framer:
    """The framing of a bundled pipeline, given by its name or by its file; for others every line is an event."""
    path = Path(pipeline)
    if path.exists() and path.resolve().parent != bundled("pipeline").resolve():
        return DEFAULT
    return PRESETS.get(path.stem if path.suffix == ".conf" else str(pipeline), DEFAULT)


def load(
    pipeline: str | Path,
    *,
    ecs_compatibility: str = "v8",
    timezone: str = "UTC",
    env: Mapping[str, str] | None = None,
    now: datetime | None = None,
    patterns_dir: Iterable[str | Path] = (),
) -> Pipeline:
    """The pipeline, compiled for lines of ``timezone``. Raises what ``Pipeline.load`` does."""
    environment = {**os.environ, "LOG_TIMEZONE": timezone, **(env or {})}
    return Pipeline.load(
        pipeline, ecs_compatibility=ecs_compatibility, env=environment, now=now, patterns_dir=patterns_dir
    )


@dataclass(slots=True)
class Trial:
    """A pipeline with what goes in front of it. ``fields`` are nested, and what every event begins with."""

    pipeline: Pipeline
    framer: Framer = DEFAULT
    fields: dict[str, Any] = field(default_factory=dict)

    def messages(self, chunks: Iterable[bytes]) -> Iterator[list[str]]:
        """The texts of the events, as soon as they are complete; none of white space only."""
        pending = b""
        for chunk in chunks:
            pending += chunk
            end = pending.rfind(b"\n") + 1
            cuts = self.framer.cuts(pending[:end]) if end else []
            if cuts:
                yield _texts(pending, cuts)
                pending = pending[cuts[-1] :]
        if pending:
            whole = pending if pending.endswith(b"\n") else pending + b"\n"
            cuts = self.framer.cuts(whole)
            if not cuts or cuts[-1] < len(whole):
                cuts.append(len(whole))
            yield _texts(whole, cuts)

    def documents(self, events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """What the pipeline makes of them, as it is indexed: without ``@metadata``, and without those that it drops."""
        found = self.pipeline.run([{**event, **copy.deepcopy(self.fields)} for event in events])
        for document in found:
            document.pop("@metadata", None)
        return found


def _texts(block: bytes, cuts: list[int]) -> list[str]:
    texts = []
    begin = 0
    for end in cuts:
        raw = block[begin:end].removesuffix(b"\n").removesuffix(b"\r")
        begin = end
        if raw.strip():
            texts.append(raw.decode("utf-8", "replace").replace("\r\n", "\n"))
    return texts
