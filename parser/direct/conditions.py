"""Conditions on a symbolic event: true, false, or an expression over the local variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parser.direct.symbols import Const, Encoded, NotDirectError, Text, certain, get
from parser.logstash import ast
from parser.logstash.conditions import contains, equal
from parser.logstash.fieldref import parse_reference
from parser.logstash.regexes import as_literal, compile_regex

if TYPE_CHECKING:
    from parser.codegen import Code
    from parser.direct.symbols import Symbol, Tree

Answer = bool | str


def answer(node: ast.Condition, event: Tree, code: Code) -> Answer:
    """Whether the condition holds, or the expression that tells. Raises ``NotDirectError``."""
    match node:
        case ast.Boolean(operator, left, right):
            return _combine(operator, answer(left, event, code), answer(right, event, code))
        case ast.Not(condition):
            return _negate(answer(condition, event, code))
        case ast.Truth(ast.Field(reference)):
            return _truth(get(event, parse_reference(reference)))
        case ast.Match(ast.Field(reference), pattern, negated):
            found = _match(get(event, parse_reference(reference)), pattern.source, code)
            return _negate(found) if negated else found
        case ast.Membership(ast.Literal(value), ast.Field(reference), negated) if not _substitutes(value):
            return contains(_constant(get(event, parse_reference(reference))), value) != negated
        case ast.Compare("==" | "!=" as operator, ast.Field(reference), ast.Literal(value)) if not _substitutes(value):
            return equal(_constant(get(event, parse_reference(reference))), value) == (operator == "==")
        case _:
            raise NotDirectError(f"the condition {node}")


def _substitutes(value: str | float) -> bool:
    return isinstance(value, str) and "${" in value


def _constant(symbol: Symbol | Tree | None) -> object:
    if symbol is None:
        return None
    if isinstance(symbol, Const):
        return symbol.value
    raise NotDirectError(f"a look at {symbol}")


def _truth(symbol: Symbol | Tree | None) -> Answer:
    match symbol:
        case None:
            return False
        case Text(name):
            return certain(symbol) or name
        case Const(value):
            return value is not None and value is not False and value != ""
        case dict() | Encoded() if certain(symbol):
            return True
        case _:
            raise NotDirectError(f"the truth of {symbol}")


def _match(symbol: Symbol | Tree | None, source: str, code: Code) -> Answer:
    pattern = compile_regex(source)
    match symbol:
        case Text(name):
            literal = as_literal(pattern)
            if literal is None:
                found = f"{code.constant('search', pattern.search)}({name}) is not None"
            elif literal[0] == "in":
                found = f"{literal[1]!r} in {name}"
            else:
                found = f"{name}[:{len(literal[1])}] == {literal[1]!r}"
            return f"({found})" if certain(symbol) else f"({name} and {found})"
        case Const(str() as value):
            return pattern.search(value) is not None
        case None | Const() | dict():
            return False
        case _:
            raise NotDirectError(f"a pattern on {symbol}")


def _negate(found: Answer) -> Answer:
    return not found if isinstance(found, bool) else f"(not {found})"


def _combine(operator: str, left: Answer, right: Answer) -> Answer:
    if operator not in ("and", "or"):
        raise NotDirectError(operator)
    decided = operator == "or"
    if left is decided or right is decided:
        return decided
    undecided = [side for side in (left, right) if isinstance(side, str)]
    return f"({f' {operator} '.join(undecided)})" if undecided else not decided
