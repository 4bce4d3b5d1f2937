"""A settings file as a tree of nodes, each of which knows the line it stands on.

Three things happen here and nowhere else: dotted keys become nested mappings (``output.file: {path: x}`` is
``output: {file: {path: x}}``, the two may be mixed), ``${VAR}`` is replaced from the environment and ``${file:PATH}`` by
what a file holds, and scalars stay the *text* that was written: whether ``0123`` is a number is decided by the setting it
belongs to, not by YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from shipper.settings.secrets import read_secret

if TYPE_CHECKING:
    from pathlib import Path

    import yaml

_VARIABLE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_SECRET = re.compile(r"(?i)pass|secret|token|key|credential")


class Problem(NamedTuple):
    """One mistake. ``line`` is 1-based, 0 where there is no file."""

    line: int
    setting: str
    """Its full dotted name, ``inputs[0].paths``; empty where the mistake belongs to no setting."""
    text: str


class Plain(str):
    """The text of an unquoted YAML scalar: ``true`` and ``12`` where the setting wants text, else what YAML reads."""

    __slots__ = ()


@dataclass(slots=True)
class Node:
    """A value and the line of its key. ``value``: a mapping, a list, or a scalar (text, or a Python value; ``None`` = null)."""

    value: dict[str, Node] | list[Node] | str | float | bool | None
    line: int = 0

    def walk(self, dotted: str) -> Node | None:
        """The node under a dotted key, or ``None``."""
        node: Node | None = self
        for part in dotted.split("."):
            if node is None or not isinstance(node.value, dict):
                return None
            node = node.value.get(part)
        return node

    def plain(self) -> Any:
        """The value as ordinary Python data; unquoted text is read as YAML would."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return resolved(self.value) if isinstance(self.value, Plain) else self.value


def resolved(text: str) -> Any:
    """What YAML makes of an unquoted scalar: a number, a truth value, null, or the text itself (dates stay text)."""
    import yaml  # noqa: PLC0415 - only for a file's free values

    loader = yaml.SafeLoader("")
    tag: str = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if tag.rpartition(":")[2] not in {"bool", "int", "float", "null"}:
        return str(text)
    return loader.construct_object(yaml.ScalarNode(tag, text))


class Reader:
    """Builds the tree of one source and collects what is wrong with it into ``problems``."""

    def __init__(self, env: Mapping[str, str], base: Path | None = None) -> None:
        """``base`` is the folder that the paths of ``${file:PATH}`` are relative to."""
        self.env = env
        self.base = base
        self.problems: list[Problem] = []
        self.secrets: set[str] = set()
        """What must not be shown: what came from ``${file:PATH}``, or from a variable whose name says so."""
        self._open: list[int] = []

    def from_yaml(self, text: str) -> Node | None:
        """The tree of a YAML text; ``None`` when it cannot be parsed at all (there is a problem then) or is empty."""
        import yaml  # noqa: PLC0415 - a command without a settings file needs no YAML

        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = error.problem or error.context or "cannot be understood"
            if "'\\t'" in problem:
                problem = "a tab stands where YAML wants spaces: indent with spaces"
            elif "mapping values are not allowed" in problem:
                problem += ": check the indentation, and put text with a colon in quotes"
            self.problems.append(Problem(mark.line + 1 if mark else 0, "", f"not valid YAML: {problem}"))
            return None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self.problems.append(Problem(line, "", f"not valid YAML: the character {error.character!r} is not allowed"))
            return None
        return None if root is None else self._yaml(root, "")

    def from_python(self, value: Any, name: str = "") -> Node:
        """The tree of a Python value; keys may be dotted, ``${VAR}`` is left alone. There are no lines."""
        if isinstance(value, Mapping):
            node = Node({})
            for key, child in value.items():
                self._put(node, str(key), self.from_python(child, _join(name, str(key))), name)
            return node
        if isinstance(value, Sequence) and not isinstance(value, str):
            return Node([self.from_python(child, f"{name}[{at}]") for at, child in enumerate(value)])
        return Node(value if value is None or isinstance(value, str | int | float | bool) else str(value))

    def put(self, node: Node, dotted: str, child: Node) -> None:
        """Put ``child`` under its dotted key, below ``node``, which is a mapping."""
        self._put(node, dotted, child, "")

    def _yaml(self, source: yaml.Node, name: str) -> Node:
        import yaml  # noqa: PLC0415 - as above

        line = source.start_mark.line + 1
        if id(source) in self._open:
            self.problems.append(Problem(line, name, "an alias that contains itself: write the value out"))
            return Node(None, line)
        self._open.append(id(source))
        try:
            if isinstance(source, yaml.ScalarNode):
                return Node(self._scalar(source, name, line), line)
            if isinstance(source, yaml.SequenceNode):
                return Node([self._yaml(child, f"{name}[{at}]") for at, child in enumerate(source.value)], line)
            return self._mapping(source, name, line)
        finally:
            self._open.pop()

    def _mapping(self, source: yaml.Node, name: str, line: int) -> Node:
        node = Node({}, line)
        merged: list[Node] = []
        seen: dict[str, int] = {}
        for key, value in source.value:
            if key.tag == "tag:yaml.org,2002:merge":
                sources = value.value if value.id == "sequence" else [value]
                merged += [self._yaml(each, name) for each in sources]
            elif key.id != "scalar" or not key.value:
                self.problems.append(Problem(key.start_mark.line + 1, name, "a key must be a name"))
            else:
                child = self._yaml(value, _join(name, key.value))
                child.line = key.start_mark.line + 1
                if key.value in seen:
                    text = f"is set twice, the first time on line {seen[key.value]}: remove one"
                    self.problems.append(Problem(child.line, _join(name, key.value), text))
                    continue
                seen[key.value] = child.line
                self._put(node, key.value, child, name)
        for other in merged:
            _fill(node, other)
        return node

    def _put(self, node: Node, dotted: str, child: Node, name: str) -> None:
        """Put ``child`` under its dotted key, into mappings that are there or made on the way; a second value is a problem."""
        full = _join(name, dotted)
        *parents, last = dotted.split(".")
        if not all((*parents, last)):
            self.problems.append(
                Problem(child.line, full, "a dotted name must not begin or end with a dot, nor hold two in a row")
            )
            return
        for part in parents:
            assert isinstance(node.value, dict)
            inner = node.value.setdefault(part, Node({}, child.line))
            if inner.value is None:
                inner.value = {}
            if not isinstance(inner.value, dict):
                self.problems.append(
                    Problem(
                        child.line, full, f"{part} has a plain value already, on line {inner.line}: keep one of the two"
                    )
                )
                return
            node = inner
        assert isinstance(node.value, dict)
        there = node.value.get(last)
        if there is None or there.value is None:
            node.value[last] = child
        elif isinstance(there.value, dict) and isinstance(child.value, dict):
            for key, grandchild in child.value.items():
                self._put(there, key, grandchild, full)
        elif child.value is not None:
            self.problems.append(
                Problem(child.line, full, f"is set twice, the first time on line {there.line}: remove one")
            )

    def _scalar(self, source: yaml.ScalarNode, name: str, line: int) -> str | None:
        quoted = source.style is not None
        if not quoted and source.tag == "tag:yaml.org,2002:null":
            return None
        text = self.expand(source.value, line, name)
        return text if quoted else Plain(text)

    def expand(self, text: str, line: int, name: str) -> str:
        """``text`` with ``${VAR}``, ``${VAR:default}``, ``${VAR:?message}`` and ``${file:PATH}`` replaced; ``$${`` stands for ``${``."""

        def value(match: re.Match[str]) -> str:
            inner = match[1]
            if inner is None:
                return "${"
            variable, colon, default = inner.partition(":")
            if variable == "file" and colon:
                try:
                    secret = read_secret(default, self.env, self.base)
                except ValueError as error:
                    self.problems.append(Problem(line, name, str(error)))
                    return "?"  # something: that it is missing would be another mistake
                self.secrets.add(secret)
                return secret
            if not _NAME.fullmatch(variable):
                self.problems.append(
                    Problem(line, name, f"${{{inner}}} is not the name of a variable; write $${{ for a literal ${{")
                )
            elif variable in self.env:
                if _SECRET.search(variable):
                    self.secrets.add(self.env[variable])
                return self.env[variable]
            elif default.startswith("?"):
                self.problems.append(
                    Problem(line, name, f"the environment variable {variable} is not set: {default[1:]}")
                )
            elif not colon:
                hint = f"set it, or give a default: ${{{variable}:value}}"
                self.problems.append(Problem(line, name, f"the environment variable {variable} is not set: {hint}"))
            return default

        return _VARIABLE.sub(value, text) if "${" in text else text


def _fill(node: Node, other: Node) -> None:
    """YAML's ``<<``: take from ``other`` what ``node`` has not."""
    if isinstance(node.value, dict) and isinstance(other.value, dict):
        for key, child in other.value.items():
            if key in node.value:
                _fill(node.value[key], child)
            else:
                node.value[key] = child


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
