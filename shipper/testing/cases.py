r"""Cases for a pipeline in a YAML file beside it.

::

    pipeline: my.conf           # a file, from here, or a bundled name; default: the .conf of this file's name, here or above
    timezone: America/Sao_Paulo # of lines without an offset; default UTC
    ecs_compatibility: v8
    env: {STAGE: test}          # for ${STAGE} in the pipeline
    patterns_dir: [patterns]
    now: 2024-05-06             # the clock, for dates without a year
    fields: {service.name: orders}
    multiline: {pattern: '^\d', negate: true, match: after}   # default: what belongs to a bundled pipeline
    cases:
      - name: a usual line
        input: "2017-07-04 … INFO …"      # text (framed into events), a list of lines, or an event as a mapping
        expect: {log.level: INFO, error: null}   # what must be in the document; null: must not
        tags: []                          # all its tags
      - name: two events, the second dropped
        input: ["…", "…"]
        exact: [{message: "…"}]           # all that is in the documents; a list where there is more than one

``expect`` and ``exact`` are one mapping for one document, a list for several; ``[]``: all are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml

from parser.errors import DialectError
from parser.multiline import Framer, framer
from shipper.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILE = {
    "pipeline", "timezone", "ecs_compatibility", "env", "patterns_dir", "now", "fields", "multiline", "cases"
}  # fmt: skip
_CASE = {"name", "input", "expect", "exact", "tags"}
_MULTILINE = {"pattern", "negate", "match", "flush_pattern", "max_lines", "type"}


@dataclass(frozen=True, slots=True)
class Case:
    """One case; ``line`` is where it begins in its file. ``expect`` and ``exact`` are lists, ``None`` if not given."""

    name: str
    line: int
    text: str | None
    """The input as text, to be framed; ``None`` if ``event`` is given."""
    event: dict[str, Any] | None
    expect: list[dict[str, Any]] | None
    exact: list[dict[str, Any]] | None
    tags: list[str] | None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file of cases: what they have in common, and the cases."""

    path: Path
    pipeline: str | Path
    timezone: str
    ecs_compatibility: str
    env: dict[str, str]
    patterns_dir: tuple[Path, ...]
    now: datetime | None
    fields: dict[str, Any]
    framer: Framer | None
    cases: tuple[Case, ...]


class _Loader(yaml.SafeLoader):
    """YAML's plain types, with times left as the text they are: that is what they are in a document."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def find(path: Path) -> list[Path]:
    """The files with cases: ``path`` itself, those beside a ``.conf`` file, or all below a folder (``*.yml``, ``*.yaml``)."""
    if path.suffix == ".conf":
        places = (
            folder / f"{path.stem}{suffix}"
            for folder in (path.parent, path.parent / "tests")
            for suffix in (".yml", ".yaml")
        )
        return [place for place in places if place.is_file()]
    if not path.is_dir():
        return [path]
    below = sorted([*path.rglob("*.yml"), *path.rglob("*.yaml")])
    return [each for each in below if each.is_file() and _has_cases(each)]


def _has_cases(path: Path) -> bool:
    try:
        return any(line.startswith("cases:") for line in path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return False


def read(path: Path) -> CaseFile:
    """The cases of a file. Raises ``SettingsError`` with every mistake in it."""
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{path}:{line}: is not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is not YAML: {error}") from error
    return _Reading(path, node).file(data)


class _Reading:
    """One file: its mistakes are collected, with the lines they are in."""

    def __init__(self, path: Path, node: yaml.Node | None) -> None:
        self._path = path
        self._lines = {name: key.start_mark.line + 1 for name, key, _ in _entries(node)}
        cases = next((value for name, _, value in _entries(node) if name == "cases"), None)
        self._case_nodes = cases.value if isinstance(cases, yaml.SequenceNode) else []
        self._problems: list[str] = []

    def _fail(self, line: int, message: str) -> None:
        self._problems.append(f"{self._path}:{line}: {message}")

    def file(self, data: Any) -> CaseFile:
        if not isinstance(data, dict) or not isinstance(data.get("cases"), list):
            raise SettingsError(f"{self._path}: has no cases: it needs a list `cases:`")
        for name in data.keys() - _FILE:
            self._fail(self._lines.get(name, 1), f"{name} is unknown; there are {', '.join(sorted(_FILE))}")
        cases = tuple(
            case
            for each, node in zip(data["cases"], self._case_nodes, strict=True)
            if (case := self._case(each, node.start_mark.line + 1))
        )
        here = self._path.parent
        found = CaseFile(
            self._path,
            self._pipeline(data.get("pipeline")),
            str(data.get("timezone", "UTC")),
            str(data.get("ecs_compatibility", "v8")),
            {str(name): str(value) for name, value in self._mapping(data, "env").items()},
            tuple(here / str(each) for each in _as_list(data.get("patterns_dir"))),
            self._now(data.get("now")),
            nested(self._mapping(data, "fields")),
            self._framer(data),
            cases,
        )
        if self._problems:
            raise SettingsError(self._problems)
        return found

    def _mapping(self, data: dict[str, Any], name: str) -> dict[str, Any]:
        value = data.get(name) or {}
        if isinstance(value, dict):
            return value
        self._fail(self._lines.get(name, 1), f"{name}: is a mapping, not {value!r}")
        return {}

    def _pipeline(self, name: Any) -> str | Path:
        here = self._path.parent
        if name is None:
            for place in (here, here.parent):
                if (beside := place / f"{self._path.stem}.conf").is_file():
                    return beside
            self._fail(1, f"pipeline: is missing, and there is no {self._path.stem}.conf here or in the folder above")
            return ""
        return here / str(name) if (here / str(name)).exists() else str(name)

    def _now(self, value: Any) -> datetime | None:
        if value is None:
            return None
        try:
            now = datetime.fromisoformat(str(value))
        except ValueError:
            self._fail(
                self._lines.get("now", 1), f"now: {value!r} is no date; write 2024-05-06 or 2024-05-06T10:15:00+02:00"
            )
            return None
        return now if now.tzinfo else now.replace(tzinfo=UTC)

    def _framer(self, data: dict[str, Any]) -> Framer | None:
        settings = self._mapping(data, "multiline")
        line = self._lines.get("multiline", 1)
        if not settings:
            return None
        for name in settings.keys() - _MULTILINE:
            self._fail(line, f"multiline.{name} is unknown; there are {', '.join(sorted(_MULTILINE))}")
        match = settings.get("match", "after")
        if "pattern" not in settings or match not in ("after", "before"):
            self._fail(line, "multiline: needs a pattern, and match is after or before")
            return None
        flush, most = settings.get("flush_pattern"), settings.get("max_lines")
        if most is not None and (type(most) is not int or most < 1):
            self._fail(line, f"multiline.max_lines: {most!r} is no number of lines")
            return None
        try:
            return framer(
                str(settings["pattern"]),
                negate=bool(settings.get("negate", False)),
                match=match,
                flush_pattern=None if flush is None else str(flush),
                max_lines=most,
            )
        except DialectError as error:
            self._fail(line, f"multiline: {error.message}")
            return None

    def _case(self, data: Any, line: int) -> Case | None:
        if not isinstance(data, dict) or "input" not in data:
            self._fail(line, "a case is a mapping with name, input and what is expected")
            return None
        for name in data.keys() - _CASE:
            self._fail(line, f"{name} is unknown in a case; there are {', '.join(sorted(_CASE))}")
        if not {"expect", "exact", "tags"} & data.keys():
            self._fail(line, "the case expects nothing: give expect, exact or tags")
        given = data["input"]
        if isinstance(given, list):
            given = "\n".join(map(str, given))
        return Case(
            str(data.get("name", f"line {line}")),
            line,
            None if isinstance(given, dict) else str(given),
            nested(given) if isinstance(given, dict) else None,
            self._documents(data, "expect", line),
            self._documents(data, "exact", line),
            [str(tag) for tag in _as_list(data["tags"])] if "tags" in data else None,
        )

    def _documents(self, data: dict[str, Any], name: str, line: int) -> list[dict[str, Any]] | None:
        if name not in data:
            return None
        documents = data[name] if isinstance(data[name], list) else [data[name]]
        if not all(isinstance(each, dict) for each in documents):
            self._fail(line, f"{name}: is a mapping of fields, or a list of them")
            return None
        return documents


def _entries(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key, value


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def nested(fields: dict[str, Any]) -> dict[str, Any]:
    """``{"a.b": 1}`` → ``{"a": {"b": 1}}``; names without a dot stay."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        *parents, leaf = str(name).split(".")
        place = found
        for parent in parents:
            inner = place.get(parent)
            if not isinstance(inner, dict):
                inner = place[parent] = {}
            place = inner
        place[leaf] = nested(value) if isinstance(value, dict) else value
    return found
