r"""A tree → a condition on ``documents`` (store/schema.py), as SQL.

Every part is 0 or 1, never NULL, so that ``NOT`` finds documents without the field too, as it does in Elasticsearch.

- Text fields and bare words: full-text index. Neighbouring text conditions become one ``MATCH``.
- Level, service, logger: decided on ``terms``; the index ``by_time`` answers the rest.
- Any other field: by its path in the JSON. Objects match nothing, lists when one of their elements does. Equality looks for the
  value's text in the JSON first, which is many times cheaper than parsing it; this takes it that letters, digits and ``_-.:``
  are not written as ``\u`` escapes, which nothing in this program does.
- Wildcards inside words of text: a regular expression on each document that holds the longest piece.

Keyword fields are equal exactly (``service:orders``), the level in any case. Numbers are also equal to numbers written
otherwise (``10``, ``10.0``), and to comparisons a text that is a number counts as one: grok without ``:int`` leaves such.
"""

from __future__ import annotations

import operator
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from shipper.query.fields import COLUMNS, SEVERITIES, TEXT, WORDS_OF, severity
from shipper.query.times import parse_time
from shipper.query.tree import And, Compare, Everything, Exists, Match, Node, Not, Or, Pattern

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

_FALSE, _TRUE = "0", "1"
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]+")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_INT64 = 1 << 63
_SCANNED = ("message", "log.logger", "error.type", "error.message", "error.stack_trace")
"""What a bare word with a wildcard inside is looked for in."""
_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


IN_INDEX = "seq IN"
"""How a condition on the full-text index begins. With a ``+`` before it, SQLite tests it on rows it finds otherwise."""


class Condition(NamedTuple):
    """``where`` refers to columns of ``documents``; ``parameters`` are named, and ``:after`` (a ``seq``: only later ones are
    looked for) is the caller's to add. ``text`` is the whole condition as an FTS5 expression, where it can be one.
    """

    where: str
    parameters: dict[str, object]
    text: str | None
    texts: list[str]


def compile_tree(tree: Node, *, now: datetime | None = None, zone: tzinfo | None = None) -> Condition:
    """The condition that finds the tree's documents. ``now`` and ``zone`` are for times, as in ``times.parse_time``.

    Raises ``QueryError`` where a value cannot be what its field needs.
    """
    builder = _Builder(now, zone)
    where = builder.condition(tree)
    return Condition(where, builder.parameters, _text(tree), builder.texts)


@lru_cache(maxsize=64)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)


def matches(expression: str, text: object) -> int:
    """The SQL function of that name: whether the expression is somewhere in the text."""
    return int(isinstance(text, str) and _compiled(expression).search(text) is not None)


def _text(node: Node) -> str | None:
    """The node as an FTS5 expression, or ``None`` where it cannot be one."""
    match node:
        case Match(field=field, value=value) if (field is None or field in TEXT) and _has_words(value):
            return _column(field) + _quoted(value)
        case Pattern(field=field, pieces=(piece, "")) if (field is None or field in TEXT) and _has_words(piece):
            return _column(field) + _quoted(piece) + ("*" if piece[-1].isalnum() else "")
        case And(children=children):
            wanted = [_text(child) for child in children if not isinstance(child, Not)]
            unwanted = [_text(child.child) for child in children if isinstance(child, Not)]
            if not wanted or None in wanted or None in unwanted:
                return None
            found = f"({' AND '.join(filter(None, wanted))})"
            return f"({found} NOT ({' OR '.join(filter(None, unwanted))}))" if unwanted else found
        case Or(children=children):
            parts = [_text(child) for child in children]
            return None if None in parts else f"({' OR '.join(filter(None, parts))})"
    return None


def _column(field: str | None) -> str:
    return f"{TEXT[field]} : " if field else ""


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace("\0", " ").replace('"', '""'))


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


class _Builder:
    """Makes conditions and collects their parameters."""

    def __init__(self, now: datetime | None, zone: tzinfo | None) -> None:
        self.parameters: dict[str, object] = {}
        self.texts: list[str] = []
        self._now = now
        self._zone = zone

    def condition(self, node: Node) -> str:
        text = _text(node)
        if text is not None:
            return self._in_index(text)
        match node:
            case Everything():
                return _TRUE
            case And(children=children):
                return self._and(children)
            case Or(children=children):
                return f"({' OR '.join(self.condition(child) for child in children)})"
            case Not(child=child):
                return f"(NOT {self.condition(child)})"
            case Exists(field=field):
                return self._exists(field)
            case Match(field=field, value=value):
                return self._match(field, value)
            case Pattern(field=field, pieces=pieces):
                return self._pattern(field, pieces)
            case Compare():
                return self._compare(node)

    def _and(self, children: tuple[Node, ...]) -> str:
        # What the index answers comes first, and in one piece; what needs the JSON comes last.
        texts = [child for child in children if _text(child) is not None]
        others = [child for child in children if _text(child) is None]
        parts = [self.condition(texts[0] if len(texts) == 1 else And(tuple(texts)))] if texts else []
        parts += sorted((self.condition(child) for child in others), key=lambda sql: "source" in sql)
        return f"({' AND '.join(parts)})"

    def _name(self, value: object) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"

    def _in_index(self, expression: str) -> str:
        self.texts.append(expression)
        return f"{IN_INDEX} (SELECT rowid FROM text WHERE text MATCH {self._name(expression)} AND rowid > :after)"  # noqa: S608 - a parameter's name

    def _match(self, field: str | None, value: str) -> str:
        if field is None or field in TEXT:
            return self._scan(field, re.escape(value), value)  # only signs, no words
        if field == "@timestamp":
            span = parse_time(value, now=self._now, zone=self._zone)
            return f"timestamp BETWEEN {span.start:d} AND {span.end - 1:d}"
        if field == "_id":
            return f"id = {self._name(value)}"
        if field in COLUMNS:
            same = "text = {} COLLATE NOCASE" if field == "log.level" else "text = {}"
            return self._in_terms(field, same.format(self._name(value)))
        found = self._json_equals(field, value)
        if field in WORDS_OF and _has_words(value):
            return f"({self._in_index(f'{WORDS_OF[field]} : {_quoted(value)}')} AND {found})"
        return found

    def _pattern(self, field: str | None, pieces: tuple[str, ...]) -> str:
        if field is None or field in TEXT:
            before = "" if not pieces[0] or not pieces[0][0].isalnum() else r"(?<![^\W_])"
            after = "" if not pieces[-1] or not pieces[-1][-1].isalnum() else r"(?![^\W_])"
            return self._scan(field, before + r"\S*".join(map(re.escape, pieces)) + after, max(pieces, key=len))
        glob = self._name("*".join(re.sub(r"([*?\[])", r"[\1]", piece) for piece in pieces))
        if field == "_id":
            return f"id GLOB {glob}"
        if field in COLUMNS:
            return self._in_terms(
                field, f"upper(text) GLOB upper({glob})" if field == "log.level" else f"text GLOB {glob}"
            )
        return self._json(field, f"CAST({{}} AS TEXT) GLOB {glob}", self._holds(max(pieces, key=len)))

    def _exists(self, field: str) -> str:
        if field in COLUMNS:
            return f"{COLUMNS[field]} <> 0"
        if field == "_id":
            return _TRUE
        kinds = (f"ifnull(json_type(source, {self._name(path)}), 'null') <> 'null'" for path in _paths(field))
        return f"({' OR '.join(kinds)})"

    def _compare(self, node: Compare) -> str:
        field, sign, value = node.field, node.operator, node.value
        if field == "@timestamp":
            span = parse_time(value, now=self._now, zone=self._zone)
            bounds = {
                "<": f"< {span.start:d}",
                "<=": f"< {span.end:d}",
                ">": f">= {span.end:d}",
                ">=": f">= {span.start:d}",
            }
            return f"timestamp {bounds[sign]}"
        if field == "log.level":
            rank = severity(value)
            if rank is None:
                return self._in_terms(field, f"upper(text) {sign} upper({self._name(value)})")
            names = [name for at, names in enumerate(SEVERITIES) if _OPERATORS[sign](at, rank) for name in names]
            return self._in_terms(field, f"upper(text) IN ({', '.join(map(self._name, names))})")
        if field in COLUMNS:
            return self._in_terms(field, f"text {sign} {self._name(value)}")
        if field == "_id":
            return f"id {sign} {self._name(value)}"
        number = _number(value)
        if number is None:
            return self._json(field, f"(typeof({{0}}) = 'text' AND {{0}} {sign} {self._name(value)})")
        bound = self._name(number)
        return self._json(
            field,
            f"CASE typeof({{0}}) WHEN 'text' THEN {{0}} <> '' AND ltrim({{0}}, '-') NOT GLOB '*[^0-9.]*'"
            f" AND CAST({{0}} AS REAL) {sign} {bound} WHEN 'null' THEN 0 ELSE {{0}} {sign} {bound} END",
        )

    def _in_terms(self, field: str, condition: str) -> str:
        return f"{COLUMNS[field]} IN (SELECT number FROM terms WHERE {condition})"  # noqa: S608 - made here

    def _json_equals(self, field: str, value: str) -> str:
        same = f"CAST({{0}} AS TEXT) = {self._name(value)}"
        number = _number(value)
        if number is not None:
            return self._json(
                field, f"({same} OR typeof({{0}}) IN ('integer', 'real') AND {{0}} = {self._name(number)})"
            )
        if value in {"true", "false"}:
            return self._json(field, f"({same} OR {{1}} = {self._name(value)})")
        return self._json(field, same, self._holds(value))

    def _json(self, field: str, test: str, first: str = "") -> str:
        """``test`` on the field's value, ``{0}`` in it, whose JSON type is ``{1}``; ``first`` is a cheaper condition."""
        parts = []
        for path in map(self._name, _paths(field)):
            one = test.format(f"json_extract(source, {path})", f"json_type(source, {path})")
            each = test.format("value", "type")
            parts.append(
                f"CASE json_type(source, {path}) WHEN 'object' THEN 0"  # noqa: S608 - names of parameters
                f" WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each(source, {path}) WHERE {each}) ELSE ifnull({one}, 0) END"
            )
        return f"({first}({' OR '.join(parts)}))"

    def _holds(self, value: str) -> str:
        """A condition that is true wherever the JSON has the value, and cheap; empty where there is none."""
        plain = max(_PLAIN.findall(value), key=len, default="")
        return f"instr(source, {self._name(plain)}) AND " if plain else ""

    def _scan(self, field: str | None, expression: str, piece: str) -> str:
        plain = max(re.findall(r"[A-Za-z0-9]+", piece), key=len, default="")
        like = f"source LIKE {self._name(f'%{plain}%')} AND " if plain else ""
        wanted = self._name(expression)
        paths = [path for name in ((field,) if field else _SCANNED) for path in _paths(name)]
        found = (f"matches({wanted}, json_extract(source, {self._name(path)}))" for path in paths)
        return f"({like}({' OR '.join(found)}))"


def _number(value: str) -> int | float | None:
    if not _NUMBER.fullmatch(value):
        return None
    if value.lstrip("+-").isdecimal() and -_INT64 <= int(value) < _INT64:
        return int(value)
    return float(value)


def _paths(field: str) -> list[str]:
    """Where a field may be in the JSON: nested, its first name apart from the rest (``labels``: ``order.id``), or dotted."""
    names = field.split(".")
    ways = [names, [names[0], ".".join(names[1:])], [field]] if len(names) > 2 else [names, [field]]
    return list(dict.fromkeys("$" + "".join(f'."{name}"' for name in way) for way in ways))
