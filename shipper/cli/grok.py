"""``shipper grok``: try an expression, see why a line does not match, have expressions proposed."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipper.cli.options import dictionary_options
from shipper.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from parser.grok import Grok

PATIENCE = 10.0
"""Seconds for one line: an expression that takes longer has run away."""


_define = click.option(
    "--define", "definitions", multiple=True, metavar="NAME=PATTERN", help="A pattern of your own. May be repeated."
)


@click.group()
def grok() -> None:
    """Try grok expressions: match lines, explain why one does not match, suggest an expression."""


@grok.command()
@click.argument("expression")
@click.argument("lines", nargs=-1, metavar="[LINE]...")
@_define
@dictionary_options
def match(
    expression: str, lines: tuple[str, ...], *, ecs: str, directories: tuple[Path, ...], definitions: tuple[str, ...]
) -> None:
    """Match lines, or standard input, line by line: a JSON object of the fields each, null for one that does not match.

    The exit code is 1 when a line does not match.
    """
    from shipper.cli.documents import printer  # noqa: PLC0415 - orjson, not needed for --help

    compiled = _grok(expression, ecs, directories, definitions)
    show = printer()
    missed = 0
    for number, line in enumerate(lines or _stdin(), 1):
        with patience(f"line {number}"):
            fields = compiled.match(line)
        missed += fields is None
        show(fields)
    if missed:
        raise InputError(
            f"{missed} {'line does' if missed == 1 else 'lines do'} not match; shipper grok explain says why"
        )


@grok.command()
@click.argument("expression")
@click.argument("line")
@_define
@dictionary_options
def explain(
    expression: str, line: str, *, ecs: str, directories: tuple[Path, ...], definitions: tuple[str, ...]
) -> None:
    """Show how far an expression gets in a line, where it stops, what it wants there and what stands there.

    The exit code is 1 when the line does not match.
    """
    from parser.grok.explain import explain as explained  # noqa: PLC0415 - the grok engine, not needed for --help
    from shipper.cli.explaining import describe  # noqa: PLC0415 - as above

    with patience("the line"):
        found = explained(
            expression,
            line,
            ecs_compatibility=ecs,
            pattern_definitions=_definitions(definitions),
            patterns_dir=directories,
        )
    describe(found)
    if not found.matched:
        raise click.exceptions.Exit(1)


@grok.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("-n", "count", type=click.IntRange(min=1), default=3, show_default=True, help="How many at most.")
@click.option("--filter", "as_filter", is_flag=True, help="The best one only, as a filter for a pipeline.")
@_define
@dictionary_options
def suggest(
    files: tuple[Path, ...],
    *,
    count: int,
    as_filter: bool,
    ecs: str,
    directories: tuple[Path, ...],
    definitions: tuple[str, ...],
) -> None:
    """Propose expressions for sample lines, from files or standard input: the most specific first, each matches every line."""
    from parser.grok.suggest import suggest as suggested  # noqa: PLC0415 - the grok engine, not needed for --help

    if definitions:
        raise click.UsageError("--define is for match and explain: only the dictionary's patterns are proposed")
    lines = [line for file in files for line in _text(file).splitlines()] if files else list(_stdin())
    if not any(map(str.strip, lines)):
        raise InputError("there is no line to suggest an expression for: give sample lines on standard input")
    found = suggested(lines, 1 if as_filter else count, ecs_compatibility=ecs, patterns_dir=directories)
    for each in found:
        click.echo(_filter(each.expression) if as_filter else each.expression)


def _filter(expression: str) -> str:
    quoted = expression.replace('"', '\\"')
    overwrite = '\n    overwrite => ["message"]' if ":message}" in expression else ""
    return f'filter {{\n  grok {{\n    match => {{ "message" => "{quoted}" }}{overwrite}\n  }}\n}}'


def _grok(expression: str, ecs: str, directories: tuple[Path, ...], definitions: tuple[str, ...]) -> Grok:
    from parser.grok import Grok  # noqa: PLC0415 - the grok engine, not needed for --help

    return Grok(
        expression,
        ecs_compatibility=ecs,
        patterns_dir=directories,
        pattern_definitions=_definitions(definitions),
    )


def _definitions(options: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for option in options:
        name, equals, pattern = option.partition("=")
        if not equals or not name.strip():
            raise click.UsageError(f"--define {option}: is not NAME=PATTERN")
        found[name.strip()] = pattern
    return found


def _stdin() -> Iterator[str]:
    if sys.stdin.isatty():
        click.echo("reading lines from standard input; Ctrl-D ends", err=True)
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error


@contextmanager
def patience(what: str, seconds: float = PATIENCE) -> Iterator[None]:
    """Stop what runs in the block after ``seconds``: ``InputError``. Needs the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise InputError(
            f"the expression was still at {what} after {seconds:g} s: it runs away."
            " Repeats within repeats, and several .* in a row, are the usual reason"
        )

    before: Callable[[int, FrameType | None], Any] | int | None = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
