"""Named patterns: pygrok's dictionary, what Logstash defines otherwise or newer, and the user's own.

A pattern file has a definition per line: a name, white space, the expression. ``#`` begins a comment line, a line
without an expression is passed over, and a later definition of a name replaces an earlier one (jls-grok 0.11.5).
"""

from __future__ import annotations

import difflib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from parser.bundled import bundled
from parser.errors import GrokError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EcsCompatibility: TypeAlias = Literal["disabled", "v1", "v8"]

_DIRECTORIES = {"disabled": "legacy", "v1": "ecs-v1", "v8": "ecs-v1"}


class Dictionary:
    """Pattern name → definition. Immutable; ``with_definitions`` makes a dictionary that goes further.

    ``files`` are read, the later before the earlier ones, when the first name is asked for.
    """

    __slots__ = ("_base", "_definitions", "_files")

    def __init__(
        self,
        definitions: Mapping[str, str] | None = None,
        *,
        files: Iterable[Path] = (),
        base: Dictionary | None = None,
    ) -> None:
        self._definitions = dict(definitions or {})
        self._files = tuple(files)
        self._base = base

    def get(self, name: str) -> str | None:
        """The definition of ``name``, or ``None``."""
        found = self._own().get(name)
        return self._base.get(name) if found is None and self._base is not None else found

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def names(self) -> frozenset[str]:
        """Every name that is defined."""
        own = frozenset(self._own())
        return own if self._base is None else own | self._base.names()

    def closest(self, name: str) -> str | None:
        """The defined name that looks most like ``name``, for messages."""
        near = difflib.get_close_matches(name, self.names(), n=1, cutoff=0.7)
        return near[0] if near else None

    def with_definitions(self, definitions: Mapping[str, str] | None) -> Dictionary:
        """A dictionary with more definitions, which replace those of the same names here."""
        return Dictionary(definitions, base=self) if definitions else self

    def _own(self) -> dict[str, str]:
        if self._files:
            files, self._files = self._files, ()
            read: dict[str, str] = {}
            for file in files:
                read.update(read_patterns(file))
            self._definitions = {**read, **self._definitions}
        return self._definitions


def read_patterns(file: Path) -> dict[str, str]:
    """The definitions of one pattern file.

    Raises:
        GrokError: if the file cannot be read, or is not UTF-8.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GrokError(f"the pattern file {file} cannot be read: {error}") from error
    found: dict[str, str] = {}
    for line in text.split("\n"):
        parts = line.strip("\r").lstrip().split(None, 1)
        if len(parts) == 2 and not parts[0].startswith("#"):
            found[parts[0]] = parts[1]
    return found


def load_dictionary(
    ecs_compatibility: EcsCompatibility | str = "disabled",
    patterns_dir: Iterable[str | Path] = (),
    files_glob: str = "*",
) -> Dictionary:
    """The dictionary of a mode, "disabled" (legacy field names) or "v1"/"v8" (ECS).

    Args:
        ecs_compatibility: as Logstash's setting of the same name.
        patterns_dir: directories of pattern files, or single files; a later one wins, all win over what is bundled.
        files_glob: which files of the directories (the filter's option ``patterns_files_glob``).

    Raises:
        GrokError: for another mode, a path that does not exist, or a file that cannot be read.
    """
    if ecs_compatibility not in _DIRECTORIES:
        raise GrokError(f'ecs_compatibility is "disabled", "v1" or "v8", not "{ecs_compatibility}"')
    shipped = _shipped(_DIRECTORIES[ecs_compatibility])
    files = [file for path in patterns_dir for file in _pattern_files(Path(path), files_glob)]
    return Dictionary(files=files, base=shipped) if files else shipped


@lru_cache
def _shipped(directory: str) -> Dictionary:
    own = _files_in(bundled("patterns", directory))
    base = _files_in(_pygrok())
    if directory != "legacy":
        # pygrok has legacy field names only: of its files, those that are overlaid here, and none that would mix the two.
        names = {file.name for file in own}
        base = [file for file in base if file.name in names]
    return Dictionary(files=[*base, *_files_in(bundled("patterns")), *own])


def _pygrok() -> Path:
    """The directory of pygrok's pattern files; its engine is never imported."""
    spec = importlib.util.find_spec("pygrok")
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise GrokError("the package pygrok is not installed: its pattern files are the base of the dictionary")
    return Path(next(iter(places))) / "patterns"


def _files_in(directory: Path, glob: str = "*") -> list[Path]:
    return sorted(path for path in directory.glob(glob) if path.is_file()) if directory.is_dir() else []


def _pattern_files(path: Path, glob: str) -> list[Path]:
    if path.is_dir():
        return _files_in(path, glob)
    if not path.is_file():
        raise GrokError(f"patterns_dir: {path} does not exist")
    return [path]
