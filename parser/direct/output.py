"""A symbolic event as JSON: a format of bytes, and the expressions that fill it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from parser.direct.symbols import Const, Encoded, NotDirectError, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from parser.codegen import Code
    from parser.direct.symbols import Symbol, Tree
    from parser.timestamps import Reader


_REMEMBERED: Final = 4096
_LONGEST: Final = 256


class Writer:
    """Writes symbolic events of one function; what a text's JSON is, is remembered once for all places it goes to."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._memories: dict[tuple[str, bytes], str] = {}

    def template(self, event: Tree) -> tuple[bytes, list[str]]:
        """The format of the event's JSON and its values; ``@metadata`` is not in it. Raises ``NotDirectError``."""
        values: list[str] = []
        layout = self._object({key: value for key, value in event.items() if key != "@metadata"}, values)
        if layout is None:
            raise NotDirectError("an event that may be empty")
        return layout, values

    def _object(self, tree: Tree, values: list[str]) -> bytes | None:
        """The format of an object: first the members that are always there, then those that may be missing.

        ``None`` where none is always there.
        """
        layout = b""
        late: list[tuple[str, Symbol | Tree]] = []
        for key, value in tree.items():
            here: list[str] = []
            match value:
                case Const(constant):
                    part: bytes | None = _literal(constant)
                case Encoded(expression, part):
                    here = [expression]
                case Text(certain=True):
                    part, here = b"%b", [self._json(value)]
                case dict() if value:
                    part = self._object(value, here)
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
                layout += b",%b:%b" % (_literal(key), part)
        if not layout:
            return None
        for key, value in late:
            layout += b"%b"
            values.append(self._optional(key, value))
        return b"{" + layout[1:] + b"}"

    def _optional(self, key: str, value: Symbol | Tree, before: bytes = b",", after: bytes = b"") -> str:
        """The expression of a member that may be missing, with the comma before it: a text, or a hash of such members."""
        before += _literal(key) + b":"
        if isinstance(value, dict):
            if len(value) == 1:
                [(inner, only)] = value.items()
                return self._optional(inner, only, before + b"{", b"}" + after)
            members = self._code.local("o")
            found = " + ".join(self._optional(inner, each) for inner, each in value.items())
            return f"({before + b'{%b}' + after!r} % {members}[1:] if ({members} := {found}) else b'')"
        assert isinstance(value, Text)
        around = before + b"%b" + after
        if value.recurs:
            return self._remembered(value, around)
        return f"({around!r} % {self._json(value)} if {value.name} else b'')"

    def _json(self, text: Text) -> str:
        """The expression of a text's JSON."""
        if text.recurs:
            return self._remembered(text, b"%b")
        return f"{self._code.constant('dumps', orjson.dumps)}({text.name})"

    def _remembered(self, text: Text, around: bytes) -> str:
        memory = self._memories.get((text.name, around))
        if memory is None:
            memory = self._memories[text.name, around] = self._code.constant("json", Memory(around))
        return f"{memory}[{text.name}]"


class Memory(dict[str | None, bytes]):
    """The JSON of texts that come again and again, or of what they are converted to, put into a ``layout``.

    A missing text gives nothing at all. It grows to a bound and then begins anew; long texts are not kept.
    """

    def __init__(self, layout: bytes = b"%b", convert: Callable[[str], Any] = str) -> None:
        super().__init__({None: b"", "": b""})
        self._layout = layout
        self._convert = convert

    def __missing__(self, text: str) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
            self.update({None: b"", "": b""})
        encoded = self._layout % orjson.dumps(self._convert(text))
        if len(text) <= _LONGEST:
            self[text] = encoded
        return encoded


class Seconds(dict[str, bytes]):
    """A date reader's memory, ``Reader.seconds``, as bytes. ``KeyError`` for what the reader has not met."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._known = reader.seconds

    def __missing__(self, text: str) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
        encoded = self[text] = self._known[text].encode()
        return encoded


def _literal(value: Any) -> bytes:
    """The JSON of a constant, for a format."""
    try:
        return orjson.dumps(value).replace(b"%", b"%%")
    except TypeError:
        raise NotDirectError(f"{value!r}, which is not written as usual") from None
