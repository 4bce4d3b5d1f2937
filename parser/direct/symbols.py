"""The symbolic event: what is known of it while the pipeline is compiled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parser.logstash.ast import Path


class NotDirectError(Exception):
    """The pipeline does something, at this point, that only the general way can do."""


@dataclass(frozen=True, slots=True, eq=False)
class Const:
    """A value that is the same for all events. Equal to itself only: ``1 == True``, and their JSON differs."""

    value: Any


@dataclass(frozen=True, slots=True)
class Text:
    """A text in the local variable ``name``, never empty; if it is not ``certain``, a falsy variable means: missing.

    ``recurs``: few texts come again and again (a level, a thread's name), so that their JSON is worth remembering.
    """

    name: str
    certain: bool = True
    recurs: bool = False


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value that is always there: ``layout`` is the format of its JSON, ``value`` what fills it, with commas between."""

    value: str
    layout: bytes = b"%b"


@dataclass(frozen=True, slots=True)
class Items:
    """A list, of which the texts that are not certain may be missing; with one item left it is that item.

    One of them is certain: the field is always there.
    """

    items: tuple[Symbol, ...]


Symbol = Const | Text | Encoded | Items
Tree = dict[str, "Symbol | Tree"]
"""A hash. It is always there if it is empty or one of its members is; else it comes and goes with its members.

What would make another hash of it, one that stays behind empty, is no direct way.
"""


def tree_of(fields: dict[str, Any]) -> Tree:
    """Nested constants, down to what is no hash."""
    return {key: tree_of(value) if isinstance(value, dict) else Const(value) for key, value in fields.items()}


def certain(symbol: Symbol | Tree) -> bool:
    """Whether it is there in every event."""
    if isinstance(symbol, dict):
        return not symbol or any(map(certain, symbol.values()))
    return not isinstance(symbol, Text) or symbol.certain


def get(tree: Tree, path: Path) -> Symbol | Tree | None:
    """What is at ``path``, if it is there; ``None`` where nothing is."""
    node: Symbol | Tree | None = tree
    for key in path:
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, Items) and key.isdecimal():
            node = _item(node.items, int(key))
        elif isinstance(node, (Text, Encoded)) or node is None:
            return None
        else:
            raise NotDirectError(f"a look into {node}")
    return node


def _item(items: tuple[Symbol, ...], index: int) -> Symbol | None:
    """The item where it surely stands; one before it that is missing would move it, and a single one is no list."""
    if index >= len(items):
        return None
    others = items[1:] if index == 0 else items[:1]
    if not all(map(certain, items[:index])) or not any(map(certain, others)):
        raise NotDirectError(f"an item of {items}")
    if not certain(items[index]) and index < len(items) - 1:
        raise NotDirectError(f"an item of {items}")
    return items[index]


def put(tree: Tree, path: Path, value: Symbol | Tree) -> None:
    """Set what is at ``path``, in the events that have the value."""
    always = certain(value)
    if not always and get(tree, path) is not None:
        raise NotDirectError(f"{value} in the place of another")
    for key in path[:-1]:
        child = tree.get(key)
        if child is None:
            child = tree[key] = {}
        elif not isinstance(child, dict) or not (child or always):
            raise NotDirectError(f"a field below {child}")
        tree = child
    tree[path[-1]] = value


def remove(tree: Tree, path: Path) -> None:
    """Take out what is at ``path``."""
    parent = get(tree, path[:-1])
    if isinstance(parent, dict):
        before = certain(parent)
        if parent.pop(path[-1], None) is not None and parent is not tree and not (before and certain(parent)):
            raise NotDirectError(f"what is left of {parent}")
    elif parent is not None:
        raise NotDirectError(f"a removal below {parent}")


def copy(tree: Tree) -> Tree:
    """A tree of its own; symbols are shared."""
    return {key: copy(value) if isinstance(value, dict) else value for key, value in tree.items()}


def present(tree: Tree, name: str) -> Tree:
    """The tree as it is where the text ``name`` is there."""
    return {
        key: present(value, name) if isinstance(value, dict) else _known(value, name) for key, value in tree.items()
    }


def _known(symbol: Symbol, name: str) -> Symbol:
    if isinstance(symbol, Items):
        return Items(tuple(_known(item, name) for item in symbol.items))
    return replace(symbol, certain=True) if isinstance(symbol, Text) and symbol.name == name else symbol


def without(tree: Tree, name: str) -> Tree:
    """The tree as it is where the text ``name`` is missing."""
    found: Tree = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            inner = without(value, name)
            if inner or not value:
                found[key] = inner
        elif isinstance(value, Items):
            left = tuple(item for item in value.items if not (isinstance(item, Text) and item.name == name))
            found[key] = left[0] if len(left) == 1 else Items(left)
        elif not (isinstance(value, Text) and value.name == name):
            found[key] = value
    return found
