"""A symbolic event as JSON: a format of bytes, and the expressions that fill it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from parser.direct.symbols import Const, Encoded, NotDirectError, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from parser.codegen import Code
    from parser.direct.symbols import Symbol, Tree


_REMEMBERED: Final = 4096


def template(event: Tree, code: Code) -> tuple[bytes, list[str]]:
    """The format of the event's JSON and its values; ``@metadata`` is not in it. Raises ``NotDirectError``."""
    values: list[str] = []
    layout = _object({key: value for key, value in event.items() if key != "@metadata"}, values, code)
    if layout is None:
        raise NotDirectError("an event that may be empty")
    return layout, values


def _object(tree: Tree, values: list[str], code: Code) -> bytes | None:
    """The format of an object: first the members that are always there, then those that may be missing.

    ``None`` where none is always there.
    """
    layout = b""
    late: list[tuple[str, Any]] = []
    for key, value in tree.items():
        here: list[str] = []
        match value:
            case Const(constant):
                part: bytes | None = orjson.dumps(constant).replace(b"%", b"%%")
            case Encoded(expression, part):
                here = [expression]
            case Text(certain=True):
                part, here = b"%b", [_json(value, code)]
            case dict() if value:
                part = _object(value, here, code)
            case dict():
                part = b"{}"
            case Text():
                part = None
            case _:
                raise NotDirectError(f"{value} in a document")
        if part is None:
            late.append((key, value))
        else:
            values += here
            layout += b",%b:%b" % (_key(key), part)
    if not layout:
        return None
    for key, value in late:
        layout += b"%b"
        values.append(_optional(key, value, code))
    return b"{" + layout[1:] + b"}"


def _optional(key: str, value: Text | Tree, code: Code) -> str:
    """The expression of a member that may be missing, with the comma before it."""
    around = b",%b:%%b" % _key(key)
    text: Symbol | Tree = value
    if isinstance(text, dict) and len(text) == 1:
        [(inner, text)] = text.items()
        around = b",%b:{%b:%%b}" % (_key(key), _key(inner))
    if isinstance(text, Text):
        if text.recurs:
            return f"{code.constant('json', Memory(around))}[{text.name}]"
        return f"({around!r} % {_json(text, code)} if {text.name} else b'')"
    members = []
    for inner, symbol in text.items() if isinstance(text, dict) else ():
        if not isinstance(symbol, Text):
            raise NotDirectError(f"{symbol} that may be missing")
        members.append(f"({inner!r}, {symbol.name})")
    return f"{code.constant('members', _members)}({b',%b:' % _key(key)!r}, ({', '.join(members)},))"


def _json(text: Text, code: Code) -> str:
    """The expression of a text's JSON."""
    if text.recurs:
        return f"{code.constant('json', Memory())}[{text.name}]"
    return f"{code.constant('dumps', orjson.dumps)}({text.name})"


class Memory(dict[str | None, bytes]):
    """The JSON of texts that come again and again, or of what they are converted to, put into a ``layout``.

    A missing text gives nothing at all. It grows to a bound and then begins anew.
    """

    def __init__(self, layout: bytes = b"%b", convert: Callable[[str], Any] = str) -> None:
        super().__init__({None: b"", "": b""})
        self._layout = layout
        self._convert = convert

    def __missing__(self, text: str) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
            self.update({None: b"", "": b""})
        encoded = self[text] = self._layout % orjson.dumps(self._convert(text))
        return encoded


def _members(head: bytes, members: tuple[tuple[str, str | None], ...]) -> bytes:
    found = {name: value for name, value in members if value}
    return head + orjson.dumps(found) if found else b""


def _key(key: str) -> bytes:
    return orjson.dumps(key).replace(b"%", b"%%")
