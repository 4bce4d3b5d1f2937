"""Conditions as Painless expressions, with Logstash's idea of truth, equality and order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parser.errors import DialectError, PipelineConfigError
from parser.grok.references import Expanded
from parser.ingest import runtime
from parser.ingest.expressions import first_of, rename
from parser.logstash import ast
from parser.logstash.conditions import equal
from parser.logstash.environment import UndefinedVariableError, substitute
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.regexes import as_literal, compile_regex

if TYPE_CHECKING:
    from collections.abc import Callable

    from parser.filters.options import Context
    from parser.logstash.ast import Path

_TRUE, _FALSE = "truth(true)", "truth(false)"  # Painless refuses what it knows to be one or the other
_BOOLEANS: Final = {"and": "({} && {})", "or": "({} || {})", "xor": "({} != {})", "nand": "!({} && {})"}


@dataclass(frozen=True, slots=True)
class Search:
    """A regular expression that Painless cannot do: a grok processor looks for it before the condition is asked.

    ``text`` is the Painless expression of what is searched; ``key`` the entry of ``ctx._parser`` that takes it, and
    ``pattern`` captures into the entry ``found`` where it matches.
    """

    key: str
    found: str
    text: str
    pattern: str


class ConditionWriter:
    """Turns condition trees into expressions. ``searches`` are what has to be done before; the caller takes them."""

    def __init__(self, context: Context, path_of: Callable[[Path], str], number: Callable[[], int]) -> None:
        self._context = context
        self._path_of = path_of
        self._number = number
        self.searches: list[Search] = []

    def expression(self, node: ast.Condition) -> str:
        """A Painless expression that is true where the condition is. Raises ``PipelineConfigError``."""
        match node:
            case ast.Boolean(operator, left, right):
                return _BOOLEANS[operator].format(self.expression(left), self.expression(right))
            case ast.Not(condition):
                return f"!({self.expression(condition)})"
            case ast.Truth(operand):
                return f"truth({self._value(operand)})" if isinstance(operand, ast.Field) else _TRUE
            case ast.Match(left, pattern, negated):
                return self._negated(self._match(left, pattern), negated=negated)
            case ast.Membership(left, right, negated):
                return self._negated(self._membership(left, right), negated=negated)
            case ast.Compare(operator, left, right):
                return self._compare(operator, left, right)

    @staticmethod
    def _negated(found: str, *, negated: bool) -> str:
        return f"!{found}" if negated else found

    def _match(self, left: ast.Operand, pattern: ast.Regex) -> str:
        if isinstance(left, ast.ListLiteral):
            return _FALSE
        try:
            literal = as_literal(compile_regex(pattern.source))
            number = self._number()
            key, found = f"t{number}", f"r{number}"
            if literal is None:
                renamed = rename(Expanded(f"(?-m:{pattern.source})"), f"_parser.{key}_", {})
                joined = first_of([(renamed.text, f"_parser.{found}", False)])
                self.searches.append(Search(key, found, f"textOnly({self._value(left)})", joined))
                return f"(ctx._parser.{found} != null)"
        except DialectError as error:
            raise PipelineConfigError(
                f"/{pattern.source}/: {error.message}",
                file=self._context.file,
                line=pattern.line,
                column=pattern.column,
            ) from None
        return f"{'holds' if literal[0] == 'in' else 'begins'}({self._value(left)}, {runtime.text(literal[1])})"

    def _membership(self, left: ast.Operand, right: ast.Operand) -> str:
        if isinstance(left, ast.Field) and isinstance(right, ast.Literal) and isinstance(right.value, str):
            return f"partOf({self._value(left)}, {self._value(right)})"
        if isinstance(left, ast.Field) and isinstance(right, ast.ListLiteral):
            return f"oneOf({self._value(right)}, {self._value(left)})"
        if not isinstance(left, ast.Field) and not isinstance(right, ast.Field):
            return _TRUE if equal(self._constant(left), self._constant(right)) else _FALSE
        return f"contains({self._value(right, present=True)}, {self._value(left, present=True)})"

    def _compare(self, operator: str, left: ast.Operand, right: ast.Operand) -> str:
        pair = f"{self._value(left, present=True)}, {self._value(right, present=True)}"
        if operator not in ("==", "!="):
            return f"(compared({pair}) {operator} 0)"
        if isinstance(left, ast.ListLiteral) or isinstance(right, ast.ListLiteral):
            return _TRUE if operator == "!=" else _FALSE
        return self._negated(f"same({pair})", negated=operator == "!=")

    def _value(self, operand: ast.Operand, *, present: bool = False) -> str:
        """``present``: a field that is not there is told from one that is null."""
        match operand:
            case ast.Field(reference, line, column):
                try:
                    path = parse_reference(reference)
                except FieldReferenceError as error:
                    raise PipelineConfigError(str(error), file=self._context.file, line=line, column=column) from None
                return f"{'lookup' if present else 'dig'}(ctx, {self._path_of(path)})"
            case ast.Literal(value):
                return runtime.constant(self._substituted(value))
            case ast.ListLiteral(items):
                return f"[{', '.join(runtime.constant(self._substituted(item)) for item in items)}]"
            case ast.Regex(source):
                return runtime.text(source)

    def _constant(self, operand: ast.Operand) -> object:
        match operand:
            case ast.Literal(value):
                return self._substituted(value)
            case ast.ListLiteral(items):
                return tuple(self._substituted(item) for item in items)
            case ast.Regex(source):
                return source
            case ast.Field(reference):
                return reference

    def _substituted(self, value: str | float) -> str | float:
        if not isinstance(value, str):
            return value
        try:
            return substitute(value, self._context.environment)
        except UndefinedVariableError as error:
            raise PipelineConfigError(str(error), file=self._context.file) from None


def line_of(node: ast.Condition) -> int:
    """The line of the first field or regular expression in a condition; 0 if there is none."""
    match node:
        case ast.Boolean(_, left, right):
            return line_of(left) or line_of(right)
        case ast.Not(condition):
            return line_of(condition)
        case ast.Truth(operand):
            return _line(operand)
        case ast.Match(operand, pattern, _):
            return _line(operand) or pattern.line
        case ast.Membership(first, second, _) | ast.Compare(_, first, second):
            return _line(first) or _line(second)


def _line(operand: ast.Operand) -> int:
    return operand.line if isinstance(operand, (ast.Field, ast.Regex)) else 0
