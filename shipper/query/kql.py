r"""The query language: a subset of Kibana's KQL, with what people type at a prompt.

::

    timeout                          a word, in any case, in message, logger, trace id or error
    "connection reset"               words in this order
    Conta*                           words that begin so
    level:ERROR  service:orders      short names (query/fields.py), or any field: labels.tenant:acme
    message:"order 42"  file:*.gz    phrases and wildcards
    level:(ERROR or WARN)            several values
    process.pid >= 4000              comparisons; also field:>=10
    error.type:*                     the field has a value
    not a   a and b   a b   a or b   ``and`` binds closer than ``or``; between terms it may be left out; ( ) group

A backslash takes the meaning from the next character: ``\* \" \( \: \and``. Values may hold colons (``10:15``, ``http://host``).
Unlike in KQL, words side by side are *and*, not *or*, and the operators' short names exist.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NoReturn, cast

from lark import Lark, Token, Transformer, UnexpectedEOF, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError

from shipper.errors import QueryError
from shipper.query.fields import resolve
from shipper.query.tree import And, Compare, Everything, Exists, Match, Node, Not, Operator, Or, Pattern, both, either

if TYPE_CHECKING:
    from collections.abc import Callable

    _Waiting = Callable[[Token, int], Node]

_GRAMMAR = r"""
?start: or_
?or_: and_ (_OR and_)*
?and_: unary (_AND? unary)*
?unary: _NOT unary -> not_ | primary
?primary: _LPAR or_ _RPAR
  | FIELD _COLON value -> equals
  | FIELD COMPARE (WORD | QUOTED) -> compare
  | FIELD _COLON _LPAR values _RPAR -> group
  | WORD -> bare
  | QUOTED -> bare
?value: WORD | QUOTED
?values: values_and (_OR values_and)* -> any_value
?values_and: values_unary (_AND? values_unary)* -> all_values
?values_unary: _NOT values_unary -> not_value | _LPAR values _RPAR | value

_OR.4: /or(?=[\s()"]|$)/i
_AND.4: /and(?=[\s()"]|$)/i
_NOT.4: /not(?=[\s()"]|$)/i
_LPAR: "("
_RPAR: ")"
COMPARE.3: /:?\s*(?:>=|<=|>|<)/
_COLON.2: ":"
QUOTED: /"(?:\\.|[^"\\])*"/s
FIELD.3: /(?:\\.|[^\W\d]|[@*])(?:\\.|[^\s()":<>\\])*(?=\s*(?::(?!\/\/)|[<>]))/
WORD: /(?!(?i:and|or|not)(?:[\s()"]|$))(?:\\.|[^\s()":<>\\])(?:\\.|:(?=[^\s"()])|[^\s()":<>\\])*/s
%ignore /\s+/
"""

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_WILDCARD = re.compile(r"((?:\\.|[^*\\])*)(\*+|$)", re.DOTALL)
_FOUND = re.compile(r"\w+|[<>]=?")
_MAX_LENGTH = 10_000
_MAX_DEPTH = 16
_TOO_DEEP = f"the query is nested more than {_MAX_DEPTH} deep"
_MAX_TERMS = 500


def parse(text: str) -> Node:
    """The tree of a query; an empty one finds everything. Raises ``QueryError`` with the position of the mistake."""
    if not text.strip():
        return Everything()
    if len(text) > _MAX_LENGTH:
        raise QueryError(f"the query is longer than {_MAX_LENGTH:,} characters", position=_MAX_LENGTH)
    try:
        tree = cast("Node", _parser().parse(text))
    except UnexpectedInput as error:
        raise _explain(error, text) from None
    except VisitError as error:
        raise error.orig_exc from None
    _check_size(tree)
    return tree


def _check_size(tree: Node) -> None:
    """FTS5's parser has a stack of 100, SQLite's a depth of 1000; nobody writes queries that come near."""
    level: list[Node] = [tree]
    total = 0
    for _ in range(_MAX_DEPTH):
        total += len(level)
        if total > _MAX_TERMS:
            raise QueryError(f"the query has more than {_MAX_TERMS} parts", position=0)
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise QueryError(_TOO_DEEP, position=0)


def _children(node: Node) -> tuple[Node, ...]:
    match node:
        case And(children=children) | Or(children=children):
            return children
        case Not(child=child):
            return (child,)
    return ()


def _explain(error: UnexpectedInput, text: str) -> QueryError:
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        message = "the query ends where something must follow" if _opened(text) <= 0 else "a closing ) is missing"
        return QueryError(message, position=len(text.rstrip()))
    position = error.pos_in_stream or 0
    found = _FOUND.match(text, position)
    return QueryError(_unexpected(found[0] if found else text[position]), position=position)


def _unexpected(found: str) -> str:
    match found.lower():
        case '"':
            return 'a closing " is missing'
        case "\\":
            return "nothing follows the \\; write \\\\ for a backslash itself"
        case ")":
            return "a ) without its (, or with nothing before it"
        case "and" | "or" | "not":
            return f"{found!r} cannot stand here (to search for the word, put it in quotes)"
        case ":" | "<" | ">" | "<=" | ">=":
            return f"no field stands before {found} (to search for the character, put it in quotes)"
    return f"{found!r} cannot stand here"


def _opened(text: str) -> int:
    bare = re.sub(r'"(?:\\.|[^"\\])*"|\\.', "", text, flags=re.DOTALL)
    return bare.count("(") - bare.count(")")


@v_args(inline=True)
class _Tree(Transformer[Token, Node]):
    """Tokens → nodes. Inside ``field:( )`` values wait, as functions of the field and of how deep they stand in it."""

    def or_(self, *nodes: Node) -> Node:
        return either(*nodes)

    def and_(self, *nodes: Node) -> Node:
        return both(*nodes)

    def not_(self, node: Node) -> Node:
        return Not(node)

    def bare(self, token: Token) -> Node:
        return _term(None, token)

    def equals(self, field: Token, value: Token) -> Node:
        return _term(field, value)

    def compare(self, field: Token, operator: Token, value: Token) -> Node:
        return Compare(_name(field), cast("Operator", operator.strip(": \t\r\n")), _plain(value))

    def group(self, field: Token, values: Token | _Waiting) -> Node:
        return _bound(field, values, 1)

    def any_value(self, *values: Token | _Waiting) -> _Waiting:
        return lambda field, depth: either(*(_bound(field, value, depth) for value in values))

    def all_values(self, *values: Token | _Waiting) -> _Waiting:
        return lambda field, depth: both(*(_bound(field, value, depth) for value in values))

    def not_value(self, value: Token | _Waiting) -> _Waiting:
        return lambda field, depth: Not(_bound(field, value, depth))


def _bound(field: Token, value: Token | _Waiting, depth: int) -> Node:
    if isinstance(value, Token):
        return _term(field, value)
    if depth > _MAX_DEPTH:
        _fail(field, _TOO_DEEP)
    return value(field, depth + 1)


def _term(field: Token | None, value: Token) -> Node:
    name = None if field is None or field == "*" else _name(field)
    if value.type == "QUOTED":
        return Match(name, _plain(value), phrase=True)
    pieces = _pieces(value)
    if len(pieces) == 1:
        return Match(name, pieces[0])
    if any(pieces):
        return Pattern(name, pieces)
    return Everything() if name is None else Exists(name)


def _pieces(value: str) -> tuple[str, ...]:
    """The value, cut at its unescaped wildcards (several in a row are one), without escapes."""
    pieces = [_ESCAPE.sub(r"\1", piece) for piece, _ in _WILDCARD.findall(value)]
    # findall reports the empty string at the end once more, unless the last match was empty already.
    return tuple(pieces[:-1] if value and not value.endswith("*") else pieces) or ("",)


def _plain(value: Token) -> str:
    return _ESCAPE.sub(r"\1", value[1:-1] if value.type == "QUOTED" else value)


def _name(field: Token) -> str:
    if "*" in field.replace("\\*", ""):
        _fail(field, f"a wildcard in a field's name ({field}) is not supported; name the field")
    name = _ESCAPE.sub(r"\1", field)
    if '"' in name:
        _fail(field, "a field's name cannot hold a \"")
    return resolve(name)


def _fail(token: Token, message: str) -> NoReturn:
    raise QueryError(message, position=token.start_pos)


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", transformer=_Tree())
