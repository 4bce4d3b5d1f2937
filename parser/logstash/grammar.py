r"""The grammar of Logstash's configuration files, and the way from text to syntax tree.

It follows Logstash's own ``grammar.treetop`` (8.19), which is a scannerless PEG. Here an LALR(1) parser reads it,
because its contextual lexer knows which tokens can come next: ``[a]`` is a field reference in a condition and an array
in a value, ``if`` is a word of the language only where a statement begins. The possessive quantifiers keep what a PEG
does: ``"end\\"`` is not a finished string, since ``\"`` never ends one.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, v_args
from lark.exceptions import UnexpectedInput, VisitError

from parser.errors import PipelineSyntaxError
from parser.logstash import ast

_GRAMMAR: Final = r"""
start: section*
section: SECTION "{" body "}"
body: (conditional | plugin)*
conditional: if_branch else_if_branch* else_branch?
if_branch: IF condition "{" body "}"
else_if_branch: ELSE IF condition "{" body "}"
else_branch: ELSE "{" body "}"

plugin: (NAME | BAREWORD | NUMBER | STRING) "{" attribute* "}"
attribute: (NAME | BAREWORD | NUMBER | STRING) "=>" value
?value: NUMBER -> number
      | STRING -> string
      | BAREWORD -> bareword
      | codec
      | array
      | hash
codec: (BAREWORD | NAME) "{" attribute* "}"
array: "[" (value ("," value)*)? "]"
hash: "{" entry* "}"
entry: (NUMBER | STRING | BAREWORD) "=>" value

condition: expression (BOOLEAN expression)*
?expression: "(" condition ")"
           | "!" "(" condition ")" -> negation
           | "!" SELECTOR -> not_field
           | operand -> truth
           | operand COMPARE operand -> compare
           | operand MATCH (STRING | REGEX) -> match
           | operand IN operand -> membership
           | operand NOT_IN operand -> not_membership
?operand: SELECTOR -> field
        | STRING -> string_literal
        | NUMBER -> number_literal
        | REGEX -> regex_literal
        | condition_array
        | BAREWORD "(" (operand ("," operand)*)? ")" -> method_call
condition_array: "[" (value ("," value)*)? "]"

SECTION: /(input|filter|output)(?![A-Za-z0-9_-])/
IF.3: /if(?=[\s#(\["'!\/-])/
ELSE.3: /else(?=\s*(if[\s#(\["'!\/-]|\{|#))/
NAME: /[A-Za-z0-9_-]+/
BAREWORD.2: /[A-Za-z_][A-Za-z0-9_]+(?![A-Za-z0-9_-])/
NUMBER.3: /-?[0-9]+(\.[0-9]*)?(?!(?!and|or|xor|nand)[A-Za-z_-])/
STRING: /"(?>(?:\x5c\x5c"|[^"])*)"|'(?>(?:\x5c\x5c'|[^'])*)'/
REGEX: /\/(?>(?:\x5c\/|[^\/])*)\//
SELECTOR.3: /(?:\[[^\],]+\])+/
COMPARE: "==" | "!=" | "<=" | ">=" | "<" | ">"
MATCH: "=~" | "!~"
IN: "in"
NOT_IN: /not \s*in/
BOOLEAN: "and" | "or" | "xor" | "nand"

COMMENT: /#[^\r\n]*/
%import common.WS
%ignore WS
%ignore COMMENT
"""

_WORDS: Final = {
    "SECTION": "'input', 'filter' or 'output'",
    "IF": "'if'",
    "ELSE": "'else'",
    "NAME": "a name",
    "BAREWORD": "a word of two or more letters",
    "NUMBER": "a number",
    "STRING": "a string in quotes",
    "REGEX": "a /regular expression/",
    "SELECTOR": "a [field] reference",
    "COMPARE": "'==', '!=', '<', '>', '<=' or '>='",
    "MATCH": "'=~' or '!~'",
    "IN": "'in'",
    "NOT_IN": "'not in'",
    "BOOLEAN": "'and', 'or', 'xor' or 'nand'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "LSQB": "'['",
    "RSQB": "']'",
    "LPAR": "'('",
    "RPAR": "')'",
    "BANG": "'!'",
    "COMMA": "','",
    "$END": "the end of the configuration",
}
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", '"': '"', "'": "'", "\\": "\\"}
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_CHAINABLE: Final = ("and", "or")


class _MisuseError(Exception):
    """A mistake that the grammar lets through; carries the token where it stands."""

    def __init__(self, message: str, token: Token) -> None:
        super().__init__(message)
        self.token = token


@v_args(inline=True)
class _TreeBuilder(Transformer[Token, tuple[ast.Section, ...]]):
    """Turns lark's tree into ours while it is parsed."""

    def __init__(self, *, support_escapes: bool) -> None:
        super().__init__()
        self._support_escapes = support_escapes

    def _text(self, token: Token) -> str:
        text = token[1:-1]
        if self._support_escapes:
            text = _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[0]), text)
        return str(text)

    def _name(self, token: Token) -> str:
        return self._text(token) if token.type == "STRING" else str(token)

    @staticmethod
    def _number(token: Token) -> float:
        if token.endswith("."):
            raise _MisuseError(f"{token} is not a number: there is no digit after the point", token)
        return float(token) if "." in token else int(token)

    def start(self, *sections: ast.Section) -> tuple[ast.Section, ...]:
        return sections

    def section(self, kind: Token, body: tuple[ast.Node, ...]) -> ast.Section:
        return ast.Section(str(kind), body)

    def body(self, *nodes: ast.Node) -> tuple[ast.Node, ...]:
        return nodes

    def conditional(self, *parts: tuple[Token, ast.Branch]) -> ast.Conditional:
        first = parts[0][0]
        return ast.Conditional(tuple(branch for _, branch in parts), first.line or 0, first.column or 0)

    def if_branch(self, word: Token, condition: ast.Condition, body: tuple[ast.Node, ...]) -> tuple[Token, ast.Branch]:
        return word, ast.Branch(condition, body)

    def else_if_branch(
        self, word: Token, _if: Token, condition: ast.Condition, body: tuple[ast.Node, ...]
    ) -> tuple[Token, ast.Branch]:
        return word, ast.Branch(condition, body)

    def else_branch(self, word: Token, body: tuple[ast.Node, ...]) -> tuple[Token, ast.Branch]:
        return word, ast.Branch(None, body)

    def plugin(self, name: Token, *attributes: ast.Attribute) -> ast.Plugin:
        return ast.Plugin(self._name(name), attributes, name.line or 0, name.column or 0, name.type == "STRING")

    codec = plugin

    def attribute(self, name: Token, value: ast.Value) -> ast.Attribute:
        return ast.Attribute(self._name(name), value, name.line or 0, name.column or 0)

    def number(self, token: Token) -> float:
        return self._number(token)

    def string(self, token: Token) -> str:
        return self._text(token)

    def bareword(self, token: Token) -> str:
        return str(token)

    def array(self, *items: ast.Value) -> ast.Array:
        return ast.Array(items)

    def hash(self, *pairs: tuple[str | float, ast.Value]) -> ast.Hash:
        return ast.Hash(pairs)

    def entry(self, key: Token, value: ast.Value) -> tuple[str | float, ast.Value]:
        return (self._number(key) if key.type == "NUMBER" else self._name(key)), value

    def condition(self, first: ast.Condition, *rest: Token | ast.Condition) -> ast.Condition:
        operators = [part for part in rest if isinstance(part, Token)]
        operands = [first, *(part for part in rest if not isinstance(part, Token))]
        for operator in operators:
            if len(operators) > 1 and operator not in _CHAINABLE:
                raise _MisuseError(f"'{operator}' cannot be chained: put parentheses around one of its sides", operator)
        if len(operators) == 1:
            return ast.Boolean(str(operators[0]), operands[0], operands[1])
        alternatives = [operands[0]]
        for operator, operand in zip(operators, operands[1:], strict=True):
            if operator == "and":
                alternatives[-1] = ast.Boolean("and", alternatives[-1], operand)
            else:
                alternatives.append(operand)
        return functools.reduce(lambda left, right: ast.Boolean("or", left, right), alternatives)

    def negation(self, condition: ast.Condition) -> ast.Not:
        return ast.Not(condition)

    def not_field(self, selector: Token) -> ast.Not:
        return ast.Not(ast.Truth(self.field(selector)))

    def truth(self, operand: ast.Operand) -> ast.Truth:
        return ast.Truth(operand)

    def compare(self, left: ast.Operand, operator: Token, right: ast.Operand) -> ast.Compare:
        for side in (left, right):
            if isinstance(side, ast.Regex):
                raise _MisuseError(f"'{operator}' does not take a /regular expression/: use =~ or !~", operator)
        return ast.Compare(str(operator), left, right)

    def match(self, left: ast.Operand, operator: Token, pattern: Token) -> ast.Match:
        source = str(pattern[1:-1])
        if pattern.type == "REGEX":
            source = source.replace("\\/", "/")
        return ast.Match(left, ast.Regex(source, pattern.line or 0, pattern.column or 0), operator == "!~")

    def membership(self, left: ast.Operand, _in: Token, right: ast.Operand) -> ast.Membership:
        return ast.Membership(left, right, negated=False)

    def not_membership(self, left: ast.Operand, _in: Token, right: ast.Operand) -> ast.Membership:
        return ast.Membership(left, right, negated=True)

    def field(self, selector: Token) -> ast.Field:
        return ast.Field(str(selector), selector.line or 0, selector.column or 0)

    def string_literal(self, token: Token) -> ast.Literal:
        return ast.Literal(self._text(token))

    def number_literal(self, token: Token) -> ast.Literal:
        return ast.Literal(self._number(token))

    def regex_literal(self, token: Token) -> ast.Regex:
        return ast.Regex(str(token[1:-1]).replace("\\/", "/"), token.line or 0, token.column or 0)

    def condition_array(self, *items: ast.Value) -> ast.ListLiteral:
        return ast.ListLiteral(tuple(item for item in items if isinstance(item, (str, int, float))))

    def method_call(self, name: Token, *_arguments: ast.Operand) -> ast.Operand:
        raise _MisuseError(f"{name}() cannot be called: a condition has no methods", name)


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", propagate_positions=False, maybe_placeholders=False)


def parse(text: str, *, file: str = "<pipeline>", support_escapes: bool = False) -> tuple[ast.Section, ...]:
    r"""Read a configuration into its sections.

    With ``support_escapes`` (Logstash's ``config.support_escapes``) ``\n``, ``\"`` and the like mean what they do in
    most languages; without, which is the default, every backslash stays. Raises ``PipelineSyntaxError``.
    """
    try:
        tree = _parser().parse(text)
        return _TreeBuilder(support_escapes=support_escapes).transform(tree)
    except VisitError as error:
        misuse = error.orig_exc
        if not isinstance(misuse, _MisuseError):
            raise
        raise PipelineSyntaxError(
            str(misuse), file=file, line=misuse.token.line or 0, column=misuse.token.column or 0
        ) from None
    except UnexpectedInput as error:
        raise _syntax_error(error, text, file) from None


def _syntax_error(error: UnexpectedInput, text: str, file: str) -> PipelineSyntaxError:
    if isinstance(error, UnexpectedToken):
        accepted: set[str] = set(error.accepts or error.expected)
        found = "the text ends here" if error.token.type == "$END" else f"found {_shorten(str(error.token))}"
        line, column = error.line, error.column
        if error.token.type == "$END":
            line, column = text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1
    elif isinstance(error, UnexpectedCharacters):
        accepted = set(error.allowed or ())
        found = f"found {_shorten(text[error.pos_in_stream :])}"
        line, column = error.line, error.column
    else:
        assert isinstance(error, UnexpectedEOF)
        accepted, found, line, column = set(error.expected), "the text ends here", text.count("\n") + 1, 1
    accepted -= {"WS", "COMMENT"}
    if "NAME" in accepted and "RBRACE" in accepted:
        accepted -= {"BAREWORD", "NUMBER"}
    names = sorted(_WORDS.get(name, "'=>'") for name in accepted)
    return PipelineSyntaxError(f"expected {_either(names)}, but {found}", file=file, line=line, column=column)


def _shorten(text: str) -> str:
    first = re.match(r"[\w\[\]@.-]+|.", text, re.DOTALL)
    return repr(first[0][:30]) if first else "nothing"


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
