"""What a query means, whichever language it was written in, and whatever will answer it.

::

    Node
    ├── Everything()
    ├── Match(field, value, phrase)          a text field holds these words in this order; any other field equals the value
    ├── Pattern(field, pieces)               as Match, with anything between the pieces (a ``*`` each)
    ├── Exists(field)                        the field has a value
    ├── Compare(field, operator, value)      < <= > >=
    ├── And(children)  Or(children)
    └── Not(child)

Fields are full ECS names (``query/fields.py`` resolves the short ones); ``None`` stands for the default text fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Operator: TypeAlias = Literal["<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Everything:
    """Every document."""


@dataclass(frozen=True, slots=True)
class Match:
    """``value`` as written, without quotes and escapes; ``phrase``: it stood in quotes."""

    field: str | None
    value: str
    phrase: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """``pieces`` are what stands before, between and after the wildcards: ``("Conta", "")`` is ``Conta*``. At least two."""

    field: str | None
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there and not null."""

    field: str


@dataclass(frozen=True, slots=True)
class Compare:
    """``field operator value``. Numbers compare as numbers, times as times, levels by severity, anything else as text."""

    field: str
    operator: Operator
    value: str


@dataclass(frozen=True, slots=True)
class And:
    """All of at least two."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of at least two."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The documents that ``child`` does not find, those without its field among them."""

    child: Node


Node: TypeAlias = Everything | Match | Pattern | Exists | Compare | And | Or | Not


def both(*nodes: Node) -> Node:
    """All of the nodes: ``Everything`` counts for nothing, a single one stands for itself."""
    children: list[Node] = []
    for node in nodes:
        if isinstance(node, And):
            children += node.children
        elif not isinstance(node, Everything):
            children.append(node)
    if len(children) > 1:
        return And(tuple(children))
    return children[0] if children else Everything()


def either(*nodes: Node) -> Node:
    """Any of the nodes."""
    children: list[Node] = []
    for node in nodes:
        if isinstance(node, Everything):
            return node
        children += node.children if isinstance(node, Or) else (node,)
    return Or(tuple(children)) if len(children) > 1 else children[0]
