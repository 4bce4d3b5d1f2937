"""An explanation as a person reads it: the expression and the line, marked under the parts, and what was wanted."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from typing import TYPE_CHECKING

import click

from parser.grok.meanings import MEANINGS
from shipper.cli.documents import text as as_json

if TYPE_CHECKING:
    from parser.grok.explain import Explanation, Failure, Wanted

_VISIBLE = {"\n": "↵", "\r": "←", "\t": "→"}
_SHOWN = 60


def describe(found: Explanation) -> None:
    """Print it, in colours on a terminal."""
    for line in lines(found, max(shutil.get_terminal_size((120, 24)).columns, 40) if sys.stdout.isatty() else 160):
        click.echo(line)


def lines(found: Explanation, width: int = 160) -> list[str]:
    """The lines of the description, ``width`` columns at most for those with marks."""
    if found.matched:
        return [click.style("the expression matches", fg="green"), f"captured  {as_json(found.fields)}"]
    head = click.style("the expression does not match", fg="red")
    failure = found.failure
    if found.bad_field is not None:
        return [
            click.style("the expression matches, and the event fails", fg="red"),
            f"the field {found.bad_field} cannot be set: it is no field reference, or leads through what is no object",
        ]
    if failure is None:
        return [head, "why cannot be followed: it refers back to what a group of it took"]
    marks = [(0, failure.begin, "~", "green"), (failure.begin, failure.end, "^", "red")]
    told = [head, *_marked(found.source, marks, failure.begin, width), ""]
    reach = failure.reach
    marks = [
        (failure.start, failure.at, "~", "green"),
        (failure.at, reach, "-", "yellow"),
        (reach, reach + 1, "^", "red"),
    ]
    told += [*_marked(found.text, marks, reach, width), ""]
    if found.fields:
        told.append(f"captured  {_cut(as_json(found.fields), 400)}")
    elif not failure.begin:
        told.append("captured  nothing: its first part is nowhere in the line")
    told += _wanted(found, failure)
    return told + [f"hint      {hint}" for hint in _hints(found, failure)]


def _wanted(found: Explanation, failure: Failure) -> list[str]:
    text, at, reach = found.text, failure.at, failure.reach
    if failure.end_is_wanted:
        written = found.source[failure.begin : failure.end]
        left = len(text) - at
        return [
            f"wanted    {written}: the end; all before it matches",
            f"stood     {_quote(text[at:])} ({left} more {'character' if left == 1 else 'characters'})",
        ]
    meaning = MEANINGS.get(failure.pattern or "", "")
    part = found.source[failure.begin : failure.end]
    told = f"wanted    {part if part == part.strip() else _quote(part)}"
    told += f": {meaning}" if meaning else ""
    lines = [told]
    if failure.definition is not None:
        lines.append(f"          {failure.pattern} is {_cut(failure.definition, 110)}")
    if reach > at:
        lines.append(
            f"          it took {_quote(text[at:reach])} and then wanted {_either(failure.wanted, failure.pattern)}"
        )
    place = "the end of the line" if reach >= len(text) else _quote(text[reach:])
    lines.append(f"stood     {place} (character {reach + 1})")
    return lines


def _either(wanted: tuple[Wanted, ...], known: str | None = None) -> str:
    """The alternatives; ``known`` is the pattern whose meaning was told already."""
    parts: dict[str, None] = {}
    for each in wanted[:5]:
        part = _visible(each.text) if each.text.strip() else _quote(each.text)
        if each.pattern and each.pattern != known:
            meaning = MEANINGS.get(each.pattern)
            part += f" of {each.pattern}" + (f" ({meaning})" if meaning else "")
        parts[part] = None
    return ", or ".join(parts) + (", …" if len(wanted) > 5 else "")


def _hints(found: Explanation, failure: Failure) -> list[str]:
    hints = []
    if failure.blanks:
        there = (
            "there is white space" if failure.blanks == 1 else f"there are {failure.blanks} characters of white space"
        )
        hints.append(f"{there} before it that the expression does not have: %{{SPACE}} takes any number of them")
    if failure.elsewhere is not None:
        hints.append(
            f"only the anchor at its beginning is in the way: it would match from character {failure.elsewhere + 1}"
        )
    if failure.left_out:
        out = failure.left_out
        hints.append(
            f"the optional part {_visible(out.text)} was left out: it got to character {out.reach + 1}, "
            f"{_quote(found.text[out.reach :])}, and wanted {_either(out.wanted)}"
        )
    return hints


# ---- a line with marks under it


def _marked(text: str, marks: list[tuple[int, int, str, str]], focus: int, width: int) -> list[str]:
    """``text``, cut to ``width`` around ``focus``, and under it ``(begin, end, character, colour)`` for each part."""
    room = width - 4
    begin = 0 if len(text) <= room else max(0, min(focus - room * 2 // 3, len(text) - room))
    end = min(len(text), begin + room)
    head, tail = ("…" if begin else ""), ("…" if end < len(text) else "")
    under = " " * len(head)
    at = begin
    for first, last, mark, colour in marks:
        first, last = max(first, at), min(last, end + 1)  # noqa: PLW2901 - what is shown of it; a mark may stand behind the end
        if first < last:
            under += " " * _columns(text[at:first])
            under += click.style(mark * max(_columns(text[first:last]), 1), fg=colour)
            at = last
    return [f"  {head}{_visible(text[begin:end])}{tail}", f"  {under}"]


def _visible(text: str) -> str:
    return "".join(_VISIBLE.get(char, char) if char in _VISIBLE or char.isprintable() else "·" for char in text)


def _columns(text: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _quote(text: str) -> str:
    return f"“{_cut(_visible(text), _SHOWN)}”"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
