"""Conditions as Python expressions, with Logstash's idea of truth, equality and order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parser.errors import DialectError, PipelineConfigError
from parser.logstash import ast
from parser.logstash.environment import UndefinedVariableError, substitute
from parser.logstash.event import dig, has
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.regexes import as_literal, compile_regex
from parser.timestamps import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parser.codegen import Code
    from parser.logstash.event import Event

_BOOLEANS: Final = {
    "and": "({} and {})",
    "or": "({} or {})",
    "xor": "(bool({}) != bool({}))",
    "nand": "(not ({} and {}))",
}


MISSING: Final = object()


class ConditionError(ValueError):
    """Two values cannot be compared: Logstash logs it and drops the event; here the event is kept and tagged."""


def lookup(event: Event, path: ast.Path) -> Any:
    """A field, or ``MISSING``: comparisons tell a field that is null from one that is not there."""
    value = dig(event, path)
    return MISSING if value is None and not has(event, path) else value


def equal(left: Any, right: Any) -> bool:
    """``==``: values of one type only, so neither ``10 == 10.0`` nor ``10 == "10"``."""
    return type(left) is type(right) and bool(left == right)


def compare(left: Any, right: Any) -> float:
    """Negative, zero or positive, as Java's ``compareTo``, or NaN. Raises ``ConditionError``.

    Two answers surprise: a boolean or null equals everything here, and a timestamp is neither below nor above another
    type.
    """
    if left is MISSING or right is MISSING:
        raise ConditionError("a field that is not there cannot be compared")
    if left is None or type(left) is bool:
        return 0
    numbers = (int, float)
    if (
        (type(left) in numbers and type(right) in numbers)
        or (type(left) is str and type(right) is str)
        or (type(left) is Timestamp and type(right) is Timestamp)
    ):
        return bool(left > right) - bool(left < right)
    if type(left) is Timestamp and type(right) in (str, int, float):
        return float("nan")
    raise ConditionError(f"{left!r} and {right!r} cannot be compared")


def contains(container: Any, item: Any) -> bool:
    """``item in container`` for two fields, or a text and a field."""
    if type(container) is list:
        return any(equal(item, candidate) for candidate in container)
    if type(container) is str and type(item) is str:
        return item in container
    if item is MISSING or type(item) in (list, dict):
        return False
    return equal(item, container)


def one_of(items: tuple[Any, ...], item: Any) -> bool:
    """``item in ["a", "b"]``: here, and only here, a number equals its text."""
    if type(item) is int and str(item) in items:
        return True
    return any(equal(item, candidate) for candidate in items)


class ConditionCompiler:
    """Turns condition trees into expressions over the event ``e``. Raises ``PipelineConfigError``."""

    def __init__(self, code: Code, environment: Mapping[str, str], file: str) -> None:
        self._code = code
        self._environment = environment
        self._file = file

    def expression(self, node: ast.Condition) -> str:
        """A Python expression that is true where the condition is."""
        match node:
            case ast.Boolean(operator, left, right):
                return _BOOLEANS[operator].format(self.expression(left), self.expression(right))
            case ast.Not(condition):
                return f"(not {self.expression(condition)})"
            case ast.Truth(operand):
                return self._truth(operand)
            case ast.Match(left, pattern, negated):
                found = self._match(left, pattern)
                return f"(not {found})" if negated else found
            case ast.Membership(left, right, negated):
                found = self._membership(left, right)
                return f"(not {found})" if negated else found
            case ast.Compare(operator, left, right):
                return self._compare(operator, left, right)

    def _truth(self, operand: ast.Operand) -> str:
        if not isinstance(operand, ast.Field):
            return "True"
        value = self._code.local("t")
        return f"(({value} := {self._operand(operand)}) or ({value} is not None and {value} is not False and {value} != ''))"

    def _match(self, left: ast.Operand, pattern: ast.Regex) -> str:
        try:
            compiled = compile_regex(pattern.source)
        except DialectError as error:
            raise PipelineConfigError(
                f"/{pattern.source}/: {error.message}", file=self._file, line=pattern.line, column=pattern.column
            ) from None
        value = self._code.local("t")
        literal = as_literal(compiled)
        if literal is None:
            test = f"{self._code.constant('search', compiled.search)}({value}) is not None"
        elif literal[0] == "in":
            test = f"{literal[1]!r} in {value}"
        else:
            test = f"{value}[:{len(literal[1])}] == {literal[1]!r}"
        return f"(type({value} := {self._operand(left)}) is str and {test})"

    def _membership(self, left: ast.Operand, right: ast.Operand) -> str:
        if isinstance(left, ast.Field) and isinstance(right, ast.Literal) and isinstance(right.value, str):
            value = self._code.local("t")
            return f"(type({value} := {self._operand(left)}) is str and {value} in {self._operand(right)})"
        if isinstance(left, ast.Field) and isinstance(right, ast.ListLiteral):
            return f"{self._code.constant('one_of', one_of)}({self._operand(right)}, {self._operand(left)})"
        if not isinstance(left, ast.Field) and not isinstance(right, ast.Field):
            # Logstash compares two constants for equality here, whatever they hold.
            return f"{self._code.constant('equal', equal)}({self._operand(left)}, {self._operand(right)})"
        return f"{self._code.constant('contains', contains)}({self._present(right)}, {self._present(left)})"

    def _compare(self, operator: str, left: ast.Operand, right: ast.Operand) -> str:
        if operator not in ("==", "!="):
            call = self._code.constant("compare", compare)
            return f"({call}({self._present(left)}, {self._present(right)}) {operator} 0)"
        if isinstance(left, ast.Field) and isinstance(right, ast.Literal):
            value = self._code.local("t")
            kind = type(right.value).__name__
            found = f"(type({value} := {self._operand(left)}) is {kind} and {value} == {self._operand(right)})"
        else:
            found = f"{self._code.constant('equal', equal)}({self._present(left)}, {self._present(right)})"
        return f"(not {found})" if operator == "!=" else found

    def _present(self, operand: ast.Operand) -> str:
        if not isinstance(operand, ast.Field):
            return self._operand(operand)
        self._operand(operand)  # checks the reference
        return f"{self._code.constant('lookup', lookup)}(e, {parse_reference(operand.reference)!r})"

    def _operand(self, operand: ast.Operand) -> str:
        match operand:
            case ast.Field(reference, line, column):
                try:
                    return self._code.read(parse_reference(reference))
                except FieldReferenceError as error:
                    raise PipelineConfigError(str(error), file=self._file, line=line, column=column) from None
            case ast.Literal(value):
                return repr(self._substituted(value))
            case ast.ListLiteral(items):
                return repr(tuple(self._substituted(item) for item in items))
            case ast.Regex(source):
                return repr(source)

    def _substituted(self, value: str | float) -> str | float:
        if not isinstance(value, str):
            return value
        try:
            return substitute(value, self._environment)
        except UndefinedVariableError as error:
            raise PipelineConfigError(str(error), file=self._file) from None


def fields_of(node: ast.Condition) -> Iterator[str]:
    """The references of all fields that a condition reads."""
    match node:
        case ast.Boolean(_, left, right):
            yield from fields_of(left)
            yield from fields_of(right)
        case ast.Not(condition):
            yield from fields_of(condition)
        case ast.Truth(operand) | ast.Match(operand, _, _):
            if isinstance(operand, ast.Field):
                yield operand.reference
        case ast.Membership(first, second, _) | ast.Compare(_, first, second):
            for side in (first, second):
                if isinstance(side, ast.Field):
                    yield side.reference
