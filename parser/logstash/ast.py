"""The syntax tree of a configuration: what was written, before any plugin has looked at it.

``line`` and ``column`` are 1-based. Strings are as they came out of the quotes; ``${VAR}`` is still in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hash:
    """``{ "key" => value ... }``: the pairs as written, duplicates included."""

    pairs: tuple[tuple[str | float, Value], ...]


@dataclass(frozen=True, slots=True)
class Array:
    """``[ value, ... ]``."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    """``name => value`` inside a plugin's braces."""

    name: str
    value: Value
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Plugin:
    """``name { attributes }``; ``quoted`` if the name stood in quotes, which Logstash parses but never finds."""

    name: str
    attributes: tuple[Attribute, ...]
    line: int
    column: int
    quoted: bool = False


Value: TypeAlias = str | int | float | Array | Hash | Plugin


@dataclass(frozen=True, slots=True)
class Field:
    """``[a][b]`` in a condition."""

    reference: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A string or number in a condition."""

    value: str | float


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """``["a", "b"]`` in a condition."""

    items: tuple[str | float, ...]


@dataclass(frozen=True, slots=True)
class Regex:
    """``/pattern/``, or the string after ``=~``, in Ruby's dialect."""

    source: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Truth:
    """A value alone: true unless missing, null, false or the empty string."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class Compare:
    """``left operator right``; the operator is one of ``== != < > <= >=``."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Match:
    """``left =~ pattern``, or ``!~`` if ``negated``."""

    left: Operand
    pattern: Regex
    negated: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """``left in right``, or ``not in`` if ``negated``."""

    left: Operand
    right: Operand
    negated: bool


@dataclass(frozen=True, slots=True)
class Not:
    """``!(condition)``."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Boolean:
    """``left operator right``; the operator is one of ``and or xor nand``."""

    operator: str
    left: Condition
    right: Condition


Operand: TypeAlias = Field | Literal | ListLiteral | Regex
Condition: TypeAlias = Truth | Compare | Match | Membership | Not | Boolean


@dataclass(frozen=True, slots=True)
class Branch:
    """One arm of an ``if``; ``condition`` is ``None`` for ``else``."""

    condition: Condition | None
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    """``if … else if … else …``."""

    branches: tuple[Branch, ...]
    line: int
    column: int


Node: TypeAlias = Conditional | Plugin


@dataclass(frozen=True, slots=True)
class Section:
    """``input``, ``filter`` or ``output`` with its braces."""

    kind: str
    body: tuple[Node, ...]
