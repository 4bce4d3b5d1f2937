"""Documents as a person reads them, as NDJSON, as CSV.

On a terminal: a line with the date whenever it changes, then time, level, service, short logger and message, folded under
each other. Into a pipe: a document a line, with the whole local time, logger and message, for grep.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shipper.query.fields import resolve, severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console
    from rich.text import Text

    from shipper.query import Hit

CSV_COLUMNS = ("@timestamp", "log.level", "service.name", "log.logger", "message", "error.type", "error.message", "_id")
LEVEL_STYLES = ("dim", "blue", "green", "yellow", "red", "bold red")
"""By severity (query/fields.py)."""
_MESSAGE_LINES = 4
_SERVICE_WIDTH = 14
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = -62_103_542_400_000, 253_370_764_800_000
_CONTROLS = (
    {code: 0x2400 + code for code in range(32)}
    | {0x7F: 0x2421}
    | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
    | {9: "    "}
)
"""Control characters → their pictures: what a log holds must not move the terminal's cursor."""


def local_time(milliseconds: int) -> datetime:
    """In the machine's zone; the first and the last year that Python knows are as far as it goes."""
    return (_EPOCH + timedelta(milliseconds=min(max(milliseconds, _FIRST), _LAST))).astimezone()


def zone_name(moment: datetime) -> str:
    """The offset, and what the zone is called there, if it has a name: ``UTC+01:00, CET``."""
    offset = f"UTC{moment:%z}"
    offset = "UTC" if offset.endswith("0000") else f"{offset[:-2]}:{offset[-2:]}"
    name = moment.tzname() or ""
    return f"{offset}, {name}" if name.isalpha() and name != "UTC" else offset


def value(document: dict[str, Any], name: str) -> Any:
    """A field by its dotted name, nested or dotted in the document; ``None`` if it has none."""
    if name in document:
        return document[name]
    head, _, rest = name.partition(".")
    inner = document.get(head)
    return value(inner, rest) if rest and isinstance(inner, dict) else None


def text(found: Any) -> str:
    """A field's value in words."""
    if found is None:
        return ""
    if isinstance(found, str):
        return found.encode("utf-8", "replace").decode()
    if isinstance(found, list) and all(isinstance(each, str) for each in found):
        return ", ".join(map(text, found))
    return json.dumps(found, ensure_ascii=False)


def ndjson(hit: Hit) -> bytes:
    """The document byte for byte as it is stored, its id before the other fields, as a line."""
    rest = hit.source.lstrip()[1:]
    comma = b"" if rest.lstrip().startswith(b"}") else b","
    return b'{"_id":"%b"%b%b\n' % (hit.id.encode(), comma, rest.rstrip())


def csv_lines(hits: Iterable[Hit], columns: Sequence[str]) -> Iterator[str]:
    """A header with the columns as given, then a record per document."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    yield _taken(buffer)
    names = [resolve(column) for column in columns]
    for hit in hits:
        document = hit.document
        writer.writerow(hit.id if name == "_id" else text(value(document, name)) for name in names)
        yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    line = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return line


def plain_line(hit: Hit) -> str:
    """A document as one line of text, however many lines its message and stack trace have."""
    document = hit.document
    moment = local_time(hit.timestamp)
    logger = _field(document, "log.logger")
    message, more = _first_line(text(value(document, "message")))
    parts = [
        f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}{moment:%z}",
        f"{_field(document, 'log.level') or '-':5}",
        _field(document, "service.name"),
        f"{logger}:" if logger else "",
        message,
        f"[+{more} lines]" if more else "",
    ]
    error, frames = _error(document)
    if error:
        parts.append(f"[{error}{f', +{frames} lines' if frames else ''}]")
    return " ".join(part for part in parts if part)


class Table:
    """Prints documents on a terminal, one after the other.

    ``full``: the whole message and stack trace. ``services`` makes the column wide enough from the beginning.
    """

    def __init__(self, console: Console, *, full: bool = False, services: Iterable[str] = ()) -> None:
        self._console = console
        self._full = full
        self._day = ""
        self._service = min(max(map(len, services), default=0), _SERVICE_WIDTH)

    def print(self, hit: Hit) -> None:
        """Print a document, and the date before it if it is another one than the last's."""
        from rich.text import Text  # noqa: PLC0415 - only for a terminal

        document = hit.document
        moment = local_time(hit.timestamp)
        day = f"{moment:%A %Y-%m-%d} ({zone_name(moment)})"
        if day != self._day:
            self._day = day
            self._line(Text(day, style="bold"))
        service = _field(document, "service.name")
        self._service = max(self._service, min(len(service), _SERVICE_WIDTH))
        level = _field(document, "log.level")
        head = Text(f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d} ")
        head.append(f"{level[:5] or '-':5} ", style=level_style(level))
        if self._service:
            shown = service if len(service) <= _SERVICE_WIDTH else f"{service[: _SERVICE_WIDTH - 1]}…"
            head.append(f"{shown:{self._service}} ", style="magenta")
        if self._full:
            self._print_whole(head, document)
            return
        narrow = self._console.width - head.cell_len < 30
        indent = Text(" " * (4 if narrow else head.cell_len))
        lines = self._body(document, self._console.width - indent.cell_len)
        if narrow:
            self._line(head)
        for number, line in enumerate(lines):
            self._line((indent if number or narrow else head) + line)

    def _print_whole(self, head: Text, document: dict[str, Any]) -> None:
        from rich.text import Text  # noqa: PLC0415 - as above

        logger = _field(document, "log.logger")
        first, *rest = text(value(document, "message")).splitlines() or [""]
        self._line(head + Text(f"{logger}  " if logger else "", style="cyan") + Text(first.translate(_CONTROLS)))
        trace = text(value(document, "error.stack_trace")) or _error(document)[0]
        for line in rest:
            self._line(Text(f"    {line.translate(_CONTROLS)}"))
        for at, line in enumerate(trace.splitlines()):
            self._line(Text(f"    {line.translate(_CONTROLS)}", style="dim" if at else "red"))

    def _line(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)

    def _body(self, document: dict[str, Any], width: int) -> list[Text]:
        from rich.text import Text  # noqa: PLC0415 - as above

        logger = _field(document, "log.logger")
        start = Text(short_logger(logger), style="cyan").append("  ", style="default") if logger else Text()
        first, more = _first_line(text(value(document, "message")))
        lines = self._fold(
            start + Text(first) + Text(f" [+{more} lines]" if more else "", style="dim"), width, _MESSAGE_LINES
        )
        error, frames = _error(document)
        if error:
            note = Text(f" [+{frames} lines]" if frames else "", style="dim")
            lines += self._fold(Text(_short_error(error), style="red") + note, width, 2)
        return lines

    def _fold(self, line: Text, width: int, most: int) -> list[Text]:
        lines = list(line.wrap(self._console, width, overflow="fold", tab_size=4)) if line.cell_len > width else [line]
        if len(lines) > most:
            lines = lines[:most]
            lines[-1].rstrip()
            lines[-1].truncate(width - 2)
            lines[-1].append(" …", style="dim")
        for each in lines:
            each.rstrip()
        return lines or [line]


def level_style(level: str) -> str:
    """Rich's style for a level."""
    rank = severity(level)
    return "default" if rank is None else LEVEL_STYLES[rank]


def short_logger(logger: str) -> str:
    """The class of a logger's name: ``OrderService`` of ``com.example.OrderService``; others whole."""
    name = logger.rsplit(".", 1)[-1]
    return name if name.isidentifier() else logger


def _short_error(error: str) -> str:
    kind, colon, message = error.partition(":")
    return f"{short_logger(kind)}{colon}{message}"


def _field(document: dict[str, Any], name: str) -> str:
    return text(value(document, name)).translate(_CONTROLS)


def _first_line(message: str) -> tuple[str, int]:
    """The first line that is not blank, and how many follow it."""
    lines = message.strip("\r\n").splitlines()
    return (lines[0].translate(_CONTROLS).rstrip(), len(lines) - 1) if lines else ("", 0)


def _error(document: dict[str, Any]) -> tuple[str, int]:
    """An exception in one line, and how many lines more its stack trace has."""
    kind, message = _field(document, "error.type"), text(value(document, "error.message"))
    first, frames = _first_line(text(value(document, "error.stack_trace")))
    said, _ = _first_line(message)
    return (first or ": ".join(part for part in (kind, said) if part)), frames
