"""Settings of the command line over those of a file: ``-E KEY=VALUE``, and the inputs that ``shipper ship`` makes of its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shipper.settings.nodes import Node, Plain, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shipper.settings.nodes import Reader

LINE = -1
"""The line of a node that comes from the command line."""


class FromOption(str):
    """The text of an option: a relative path in it is relative to the working folder, not to that of the settings file."""

    __slots__ = ()


def with_options(root: Node, reader: Reader, inputs: list[Any] | None, overrides: Iterable[str]) -> Node:
    """``root`` with ``inputs`` in place of its own, and ``KEY=VALUE`` over what it has; mistakes go to ``reader.problems``.

    A mapping adds to a mapping, everything else takes its place. A value is written as in the file: YAML, with ``${VAR}``.
    An output that is named so takes the place of the file's.
    """
    known = len(reader.problems)
    over = Node({}, LINE)
    for override in overrides:
        key, equals, value = override.partition("=")
        key = key.strip()
        if not equals:
            reader.problems.append(Problem(LINE, key, "is not KEY=VALUE"))
            continue
        before = len(reader.problems)
        node = reader.from_yaml(value) or Node(None)
        if any(problem.text.startswith("not valid YAML") for problem in reader.problems[before:]):
            del reader.problems[before:]
            node = Node(reader.expand(value, LINE, key))
        reader.problems[before:] = [
            Problem(
                LINE, f"{key}.{each.setting}" if each.setting and not each.setting.startswith(key) else key, each.text
            )
            for each in reader.problems[before:]
        ]
        reader.put(over, key, node)
    reader.problems[known:] = [each._replace(line=LINE) for each in reader.problems[known:]]
    if not isinstance(root.value, dict):
        root = Node({}, root.line)
    assert isinstance(root.value, dict)
    if inputs is not None:
        root.value["inputs"] = reader.from_python(inputs, "inputs")
        _mark(root.value["inputs"])
    _mark(over)
    _make_way(root, over)
    _lay(root, over)
    return root


def _mark(node: Node) -> None:
    node.line = LINE
    if isinstance(node.value, dict):
        for child in node.value.values():
            _mark(child)
    elif isinstance(node.value, list):
        for child in node.value:
            _mark(child)


def _make_way(root: Node, over: Node) -> None:
    """Only one output can be used: one that an option names takes the place of another."""
    named, there = over.walk("output"), root.walk("output")
    if named and there and isinstance(named.value, dict) and isinstance(there.value, dict):
        for kind in there.value.keys() - named.value.keys() if named.value else ():
            del there.value[kind]


def _lay(root: Node, over: Node) -> None:
    assert isinstance(root.value, dict)
    assert isinstance(over.value, dict)
    for key, child in over.value.items():
        there = root.value.get(key)
        if there is not None and isinstance(there.value, dict) and isinstance(child.value, dict):
            _lay(there, child)
        else:
            root.value[key] = child


def as_option(value: Any) -> Any:
    """A scalar as it goes to a model: text knows that it came from an option."""
    return FromOption(value) if isinstance(value, str | Plain) else value
