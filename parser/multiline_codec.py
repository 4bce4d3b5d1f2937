r"""Logstash's multiline codec: lines in, events out.

It is what an input of Logstash would make of the lines, with the codec's tags, for tests of a configuration and for
those who bring one. The agent frames bytes, see ``parser.multiline``.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from parser.errors import GrokError, PipelineSyntaxError
from parser.filters.options import Context, Options, to_value
from parser.grok import compile_expression, load_dictionary
from parser.logstash import ast, grammar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from parser.logstash.event import Event

_SIZE: Final = re.compile(r"([\d,.]+)\s?([kmgtpezy]?)(i?)b", re.IGNORECASE)
_PREFIXES: Final = "kmgtpezy"
_ECS: Final = ("disabled", "v1", "v8")
_BINARY: Final = ("ASCII-8BIT", "BINARY")

MAX_LINES_TAG: Final = "multiline_codec_max_lines_reached"
MAX_BYTES_TAG: Final = "multiline_codec_max_bytes_reached"


class Multiline:
    r"""The codec, configured.

    Args:
        pattern: a grok expression; a line that it matches is *special*.
        what: "previous": a special line belongs to the event before it; "next": to the one after it.
        negate: the lines that do not match are special.
        patterns_dir: directories with grok patterns besides the shipped ones.
        charset: what lines that are bytes are decoded with; what cannot be decoded becomes U+FFFD.
        multiline_tag: the tag of an event of several lines; "" for none.
        max_lines: an event ends behind the line that makes it longer than this.
        max_bytes: an event ends behind the line that makes it this long or longer; a number, or "10 MiB", "500 kB".
        auto_flush_interval: seconds without a line after which the codec ends an event. There is no time between the
            lines of ``run``, which ends the last event in any case: the option is accepted and has no effect.
        ecs_compatibility: "disabled", "v1" or "v8": the dictionary, and whether events carry ``[event][original]``.

    Raises:
        PipelineConfigError: an option has no such value, or the pattern is no grok expression.
    """

    def __init__(
        self,
        pattern: str,
        what: Literal["previous", "next"],
        *,
        negate: bool = False,
        patterns_dir: Iterable[str | Path] = (),
        charset: str = "UTF-8",
        multiline_tag: str = "multiline",
        max_lines: int = 500,
        max_bytes: int | str = "10 MiB",
        auto_flush_interval: float | None = None,
        ecs_compatibility: str = "disabled",
    ) -> None:
        given: dict[str, Any] = {
            "pattern": pattern,
            "what": what,
            "negate": negate,
            "patterns_dir": [str(path) for path in patterns_dir],
            "charset": charset,
            "multiline_tag": multiline_tag,
            "max_lines": max_lines,
            "max_bytes": max_bytes,
            "ecs_compatibility": ecs_compatibility,
        }
        if auto_flush_interval is not None:
            given["auto_flush_interval"] = auto_flush_interval
        attributes = tuple(ast.Attribute(name, to_value(value), 0, 0) for name, value in given.items())
        self._configure(Options(ast.Plugin("multiline", attributes, 0, 0), Context(file="<multiline>")))

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        ecs_compatibility: str = "disabled",
        env: Mapping[str, str] | None = None,
        name: str = "<multiline>",
    ) -> Multiline:
        r"""The codec from its options as a configuration has them: ``pattern => "^\s" what => "previous"``.

        Raises ``PipelineSyntaxError`` and ``PipelineConfigError``.
        """
        try:
            sections = grammar.parse(f"filter {{ multiline {{\n{text}\n}} }}", file=name)
        except PipelineSyntaxError as error:
            raise PipelineSyntaxError(error.message, file=name, line=error.line - 1, column=error.column) from None
        if len(sections) > 1 or len(sections[0].body) > 1 or not isinstance(sections[0].body[0], ast.Plugin):
            raise PipelineSyntaxError("there is more than the options of one codec", file=name)
        plugin = sections[0].body[0]
        plugin = replace(
            plugin, line=0, column=0, attributes=tuple(replace(each, line=each.line - 1) for each in plugin.attributes)
        )
        codec = cls.__new__(cls)
        Multiline._configure(codec, Options(plugin, Context(ecs_compatibility, env or {}, file=name)))
        return codec

    def _configure(self, options: Options) -> None:
        pattern = options.required("pattern")
        if "what" not in options:
            options.fail("the option 'what' is missing: it is previous or next")
        self._after = options.one_of("what", ("previous", "next"), "") == "previous"
        self._negate = options.boolean("negate", default=False)
        self._ecs = options.one_of("ecs_compatibility", _ECS, options.context.ecs_compatibility)
        self._tag = options.string("multiline_tag", "multiline")
        self._max_lines = options.number("max_lines", 500)
        self._max_bytes = _bytes(options)
        options.number("auto_flush_interval", 0)
        charset = options.string("charset", "UTF-8") or ""
        try:
            self._charset = codecs.lookup("latin-1" if charset in _BINARY else charset).name
        except LookupError:
            options.fail(f"the charset {charset!r} is unknown", "charset")
        dictionary = load_dictionary(self._ecs, tuple(map(Path, options.strings("patterns_dir"))))
        options.finish()
        try:
            self._match = compile_expression(pattern, dictionary=dictionary).match
        except GrokError as error:
            options.fail(str(error), "pattern")

    def run(self, lines: Iterable[str | bytes]) -> list[Event]:
        """The events of these lines, the last one included.

        A line comes without its end; one that has newlines inside is taken apart. Empty lines at the end of what comes at
        once are dropped, as by Logstash: so an empty line alone is none. Events have ``message``, ``@version``, ``tags``
        where there are any and, in an ECS mode, ``event.original``; no ``@timestamp``, which is the reader's clock.
        """
        events: list[Event] = []
        buffer: list[str] = []
        size = 0
        for line in self._lines(lines):
            special = (self._match(line) is not None) != self._negate
            if self._after and buffer and (not special or self._is_full(buffer, size)):
                events.append(self._event(buffer, size))
                buffer, size = [], 0
            buffer.append(line)
            size += len(line.encode("utf-8", "replace"))
            if not self._after and (not special or self._is_full(buffer, size)):
                events.append(self._event(buffer, size))
                buffer, size = [], 0
        if buffer:
            events.append(self._event(buffer, size))
        return events

    def _lines(self, chunks: Iterable[str | bytes]) -> Iterator[str]:
        for chunk in chunks:
            text = chunk.decode(self._charset, "replace") if isinstance(chunk, bytes) else chunk
            yield from text.rstrip("\n").split("\n") if text.rstrip("\n") else ()

    def _is_full(self, buffer: list[str], size: int) -> bool:
        return len(buffer) > self._max_lines or size >= self._max_bytes

    def _event(self, buffer: list[str], size: int) -> Event:
        text = "\n".join(buffer)
        event: Event = {"message": text, "@version": "1"}
        tags = [self._tag] if self._tag and len(buffer) > 1 else []
        if size >= self._max_bytes:
            tags.append(MAX_BYTES_TAG)
        if len(buffer) > self._max_lines:
            tags.append(MAX_LINES_TAG)
        if tags:
            event["tags"] = tags
        if self._ecs != "disabled":
            event["event"] = {"original": text}
        return event


def _bytes(options: Options) -> float:
    """``max_bytes``: a number, or one with a unit; kB is 1000, KiB is 1024."""
    text = options.string("max_bytes", "10 MiB") or ""
    size = _SIZE.fullmatch(text)
    try:
        if size is None:
            return int(text)
        power = _PREFIXES.index(size[2].lower()) + 1 if size[2] else 0
        return float(size[1].replace(",", "")) * float(1024 if size[3] else 1000) ** power
    except ValueError:
        options.fail(
            f"'max_bytes' must be a number of bytes, or one with a unit such as 10 MiB, not {text!r}", "max_bytes"
        )


__all__ = ["MAX_BYTES_TAG", "MAX_LINES_TAG", "Multiline"]
