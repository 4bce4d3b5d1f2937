"""The symbolic event: what is known of it while the pipeline is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parser.logstash.ast import Path


class NotDirectError(Exception):
    """The pipeline does something, at this point, that only the general way can do."""


@dataclass(frozen=True, slots=True)
class Const:
    """A value that is the same for all events."""

    value: Any


@dataclass(frozen=True, slots=True)
class Text:
    """A text in the local variable ``name``; where it is not ``certain``, a falsy variable means that it is missing.

    ``recurs``: few texts come again and again (a level, a thread's name), so that their JSON is worth remembering.
    """

    name: str
    certain: bool = True
    recurs: bool = False


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value that is always there: ``layout`` is the format of its JSON, ``value`` the expression that fills it."""

    value: str
    layout: bytes = b"%b"


@dataclass(frozen=True, slots=True)
class Items:
    """A list, of which the texts that are not certain may be missing; with one item left it is that item."""

    items: tuple[Symbol, ...]


Symbol = Const | Text | Encoded | Items
Tree = dict[str, "Symbol | Tree"]


def tree_of(fields: dict[str, Any]) -> Tree:
    """Nested constants, down to what is no hash."""
    return {key: tree_of(value) if isinstance(value, dict) else Const(value) for key, value in fields.items()}


def get(tree: Tree, path: Path) -> Symbol | Tree | None:
    """What is at ``path``; ``None`` where nothing is."""
    node: Symbol | Tree | None = tree
    for key in path:
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, Items) and key.isdigit():
            node = node.items[int(key)] if int(key) < len(node.items) else None
        elif isinstance(node, (Text, Encoded)) or node is None:
            return None
        else:
            raise NotDirectError(f"a look into {node}")
    return node


def put(tree: Tree, path: Path, value: Symbol | Tree) -> None:
    """Set what is at ``path``."""
    for key in path[:-1]:
        child = tree.setdefault(key, {})
        if not isinstance(child, dict):
            raise NotDirectError(f"a field below {child}")
        tree = child
    tree[path[-1]] = value


def remove(tree: Tree, path: Path) -> None:
    """Take out what is at ``path``."""
    parent = get(tree, path[:-1])
    if isinstance(parent, dict):
        parent.pop(path[-1], None)
    elif parent is not None:
        raise NotDirectError(f"a removal below {parent}")


def copy(tree: Tree) -> Tree:
    """A tree of its own; symbols are shared."""
    return {key: copy(value) if isinstance(value, dict) else value for key, value in tree.items()}


def without(tree: Tree, name: str) -> Tree:
    """The tree as it is where the text ``name`` is missing."""
    found: Tree = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found[key] = without(value, name)
        elif isinstance(value, Items):
            left = tuple(item for item in value.items if not (isinstance(item, Text) and item.name == name))
            found[key] = left[0] if len(left) == 1 else Items(left)
        elif not (isinstance(value, Text) and value.name == name):
            found[key] = value
    return found
