"""The date filter in Painless: each pattern becomes a chain of small readers over the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parser.ingest import runtime, templates
from parser.timestamps.names import DAYS, months
from parser.timestamps.patterns import NUMBERS, reading_parts
from parser.timestamps.zones import ZONE_NAMES

if TYPE_CHECKING:
    from parser.filters.date import DateFilter
    from parser.ingest.script import Script

_EPOCHS: Final = {"UNIX": "readUnix", "UNIX_MS": "readUnixMillis", "TAI64N": "readTai64n"}


def emit(date: DateFilter, script: Script) -> None:
    """Write the filter."""
    n = script.number()
    value, zone, instant = f"v{n}", f"z{n}", f"d{n}"
    script.line(f"def {value} = dig(ctx, {script.path(date.field)});")
    with script.block(f"if ({value} != null)"):
        script.line(f"if ({value} instanceof List) {{ {value} = {value}.isEmpty() ? '' : {value}.get(0); }}")
        script.line(f"if ({value} instanceof ZonedDateTime) {{ {value} = stamp({value}); }}")
        script.line(f"ZoneId {zone} = zoneOf({templates.expression(date.timezone, script.path)});")
        script.line(f"ZonedDateTime {instant} = null;")
        for pattern in date.patterns:
            with script.block(f"if ({instant} == null && {zone} != null)"):
                if pattern in _EPOCHS:
                    script.line(f"{instant} = {_EPOCHS[pattern]}({value});")
                elif pattern == "ISO8601":
                    script.line(f"{instant} = readIso({value}, {zone});")
                else:
                    _emit_pattern(script, pattern, date.locale, (value, zone, instant))
        with script.block(f"if ({instant} != null)"):
            script.line(f"put(ctx, {script.path(date.target)}, {instant});")
            script.success(date)
        with script.block("else"):
            script.tags(date.tag_on_failure)


def _emit_pattern(script: Script, pattern: str, locale: str | None, names: tuple[str, str, str]) -> None:
    value, zone, instant = names
    n = script.number()
    found = f"f{n}"
    parts = reading_parts(pattern)
    reads: list[str] = []
    letters = {text[0] for kind, text, _ in parts if kind == "field"}
    for kind, text, adjacent in parts:
        if kind == "text":
            reads.append(f"literal(s{n}, a{n}, {runtime.text(text)})")
            continue
        call, arguments = _reader(text[0], len(text), locale, adjacent=adjacent)
        reads.append(f"{call}({', '.join([f's{n}', f'a{n}', found, *arguments])})")
    with script.block(f"if ({value} instanceof String)"):
        script.line(f"String s{n} = {value}; int[] a{n} = new int[] {{0}}; Map {found} = new HashMap();")
        with script.block(f"if ({' && '.join([*reads, f'a{n}[0] == s{n}.length()'])})"):
            if any(kind == "field" and text[0] in "yYu" and len(text) == 2 for kind, text, _ in parts):
                script.line(f"{found}.put('year', shortYear({found}.get('year'), {script.clock}));")
            if not letters & set("yYuCx"):
                script.line(f"{found}.put('year', guessedYear({found}, {script.clock}));")
            script.line(f"{instant} = assembled({found}, {zone});")


def _reader(letter: str, count: int, locale: str | None, *, adjacent: bool) -> tuple[str, list[str]]:
    """The function for ``count`` times ``letter``, and its arguments behind text, position and result."""
    if letter in "yYuC":
        return ("digits", ["'year'", str(count), str(count)]) if adjacent else ("signedDigits", ["'year'"])
    if letter == "M" and count >= 3:
        return "word", ["'month'", _words(months(locale))]
    if letter == "E":
        return "word", ["'weekday'", _words(DAYS)]
    if letter == "a":
        return "word", ["'half'", "['am': 'am', 'pm': 'pm']"]
    if letter == "S":
        return "digits", ["'fraction'", str(count if adjacent else 1), str(count)]
    if letter == "Z":
        return ("offset" if count <= 2 else "zoneName"), []
    if letter == "z":
        zones = ", ".join(f"{runtime.text(k.lower())}: ZoneId.of({runtime.text(v)})" for k, v in ZONE_NAMES.items())
        return "word", ["'zone'", f"[{zones}]"]
    key, most = ("month", 2) if letter == "M" else NUMBERS[letter]
    low, high = (count, count) if adjacent else (1, most)
    return "digits", [runtime.text(key), str(low), str(high)]


def _words(table: dict[str, int]) -> str:
    return f"[{', '.join(f'{runtime.text(name)}: {number}' for name, number in table.items())}]"
