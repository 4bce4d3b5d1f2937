"""Reading a plugin's options: names, types and defaults, as Logstash's own validation has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from parser.errors import PipelineConfigError
from parser.logstash import ast
from parser.logstash.environment import UndefinedVariableError, substitute
from parser.logstash.hashorder import hash_ordered
from parser.logstash.text import ruby_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

_BOOLEANS: Final = {"true": True, "false": False}

Plain = str | int | float | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True)
class Context:
    """What a configuration is compiled with; the same for all of its plugins."""

    ecs_compatibility: str = "v8"
    environment: Mapping[str, str] = field(default_factory=dict)
    now: datetime | None = None
    patterns_dir: tuple[Path, ...] = ()
    file: str = "<pipeline>"
    support_escapes: bool = False
    java_hash_order: bool = True


class Options:
    """The options of one plugin.

    Every reading method takes the option's name and its default, and raises ``PipelineConfigError`` if the value
    is of another type. ``finish`` rejects what was not read: an option is honoured or refused, never ignored.
    """

    def __init__(self, plugin: ast.Plugin, context: Context) -> None:
        self.plugin = plugin
        self.context = context
        self._written: dict[str, list[ast.Attribute]] = {}
        for attribute in plugin.attributes:
            self._written.setdefault(attribute.name, []).append(attribute)
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._written

    def fail(self, message: str, name: str | None = None) -> NoReturn:
        """Raise a ``PipelineConfigError`` at the option, or at the plugin."""
        place = self._written[name][0] if name in self._written else self.plugin
        raise PipelineConfigError(
            f"{self.plugin.name}: {message}", file=self.context.file, line=place.line, column=place.column
        )

    def finish(self) -> None:
        """Reject every option that the plugin has not read."""
        for name in self._written:
            if name not in self._read:
                self.fail(f"the option '{name}' is unknown or not supported", name)

    def string(self, name: str, default: str | None = None) -> str | None:
        """A text; numbers are taken as text."""
        value = self._single(name)
        if value is None:
            return default
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, (list, dict)):
            self.fail(f"'{name}' must be one string", name)
        return ruby_text(value)

    def required(self, name: str) -> str:
        """A text that has no default."""
        value = self.string(name)
        if value is None:
            self.fail(f"the option '{name}' is missing")
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        """``true`` or ``false``, quoted or not."""
        value = self._single(name)
        if value is None:
            return default
        if not isinstance(value, str) or value not in _BOOLEANS:
            self.fail(f"'{name}' must be true or false", name)
        return _BOOLEANS[value]

    def number(self, name: str, default: float) -> float:
        """A number, quoted or not."""
        value = self._single(name)
        if isinstance(value, str):
            try:
                value = float(value) if "." in value else int(value)
            except ValueError:
                self.fail(f"'{name}' must be a number, not {value!r}", name)
        if value is None:
            return default
        if not isinstance(value, (int, float)):
            self.fail(f"'{name}' must be a number", name)
        return value

    def strings(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of texts; a single text is a list of one; a repeated option adds to the list."""
        if name not in self._written:
            self._read.add(name)
            return default
        found: list[str] = []
        for value in self._values(name):
            if isinstance(value, dict):
                self.fail(f"'{name}' must be a list of strings", name)
            found += [ruby_text(item) for item in (value if isinstance(value, list) else [value])]
        return tuple(found)

    def one_of(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        value = self.string(name, default)
        assert value is not None
        if value not in allowed:
            self.fail(f"'{name}' must be one of {', '.join(allowed)}, not {value!r}", name)
        return value

    def pairs(self, name: str) -> tuple[tuple[str, Plain], ...]:
        """A hash, in the order in which Logstash walks it; ``["key", "value", …]`` is walked as written."""
        if name not in self._written:
            self._read.add(name)
            return ()
        merged: dict[str, Plain] = {}
        lists: list[tuple[str, Plain]] = []
        for value in self._values(name):
            if isinstance(value, dict):
                for key, item in value.items():
                    merged[key] = _joined(merged[key], item) if key in merged else item
            elif isinstance(value, list) and len(value) % 2 == 0:
                lists += [(ruby_text(key), item) for key, item in zip(value[::2], value[1::2], strict=True)]
            else:
                self.fail(f'\'{name}\' must be a hash, such as {{ "field" => "value" }}', name)
        ordered = hash_ordered(merged) if self.context.java_hash_order else merged
        return (*ordered.items(), *lists)

    def _single(self, name: str) -> Plain | None:
        if name not in self._written:
            self._read.add(name)
            return None
        values = self._values(name)
        if len(values) > 1:
            self.fail(f"'{name}' is given {len(values)} times, and can be given once", name)
        return values[0]

    def _values(self, name: str) -> list[Plain]:
        self._read.add(name)
        return [self._plain(attribute.value, name) for attribute in self._written[name]]

    def _plain(self, value: ast.Value, name: str) -> Plain:
        if isinstance(value, str):
            try:
                return substitute(value, self.context.environment)
            except UndefinedVariableError as error:
                self.fail(str(error), name)
        if isinstance(value, ast.Array):
            return [self._plain(item, name) for item in value.items]
        if isinstance(value, ast.Hash):
            merged: dict[str, Plain] = {}
            for key, item in value.pairs:
                if not isinstance(key, str):
                    self.fail(f"in '{name}' the key {key} must be a string: put it in quotes", name)
                plain = self._plain(item, name)
                merged[key] = _joined(merged[key], plain) if key in merged else plain
            return merged
        if isinstance(value, ast.Plugin):
            self.fail(f"'{name}' cannot be a plugin", name)
        return value


def _joined(first: Plain, second: Plain) -> Plain:
    return [
        *(first if isinstance(first, list) else [first]),
        *(second if isinstance(second, list) else [second]),
    ]


def to_value(value: object) -> ast.Value:
    """A Python value as a configuration would have it, for pipelines built in code."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ast.Hash(tuple((str(key), to_value(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return ast.Array(tuple(to_value(item) for item in value))
    if isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{value!r} cannot be an option's value")


__all__ = ["Context", "Options", "Plain", "to_value"]
