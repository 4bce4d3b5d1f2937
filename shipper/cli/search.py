"""``shipper search``: the store, from the terminal.

Exit codes: 0, found or not; 1 when there is no store yet or it cannot be read; 2 for a query or a time that cannot be understood.
A reader that goes away (``| head``) ends the search with 0.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from shipper.errors import QueryError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from shipper.query import Selection
    from shipper.store import Store

_HELP_QUERY = """

\b
QUERY  timeout                     a word of message, logger, error, trace id
       "connection reset" Conta*   a phrase; words that begin so
       level:ERROR service:orders  fields; also logger, host, thread, pid,
       labels.tenant:acme          trace, exception, file; any other by name
       pid >= 4000  exception:*    comparisons; events that have the field
       a b   a or b   not a   ( )  words side by side must all be there

\b
TIME   15m  2h  7d                 that long ago
       now  today  yesterday  10:15
       2026-11-22  2026-11-22T10:15:30+01:00
"""


def where_options(command: click.decorators.FC) -> click.decorators.FC:
    """The options that say which store, shared by ``search`` and ``follow``."""
    for option in (
        click.option(
            "--home",
            type=click.Path(path_type=Path),
            help="The folder of state and store. Default: SHIPPER_HOME, or the agent's default.",
        ),
        click.option(
            "-c", "--config", type=click.Path(path_type=Path), help="The agent's shipper.yml, which knows the store."
        ),
        click.option(
            "--level",
            "levels",
            multiple=True,
            metavar="LEVEL",
            help="Only this level; WARN+ for WARN and worse. May be repeated.",
        ),
        click.option(
            "--service", "services", multiple=True, metavar="NAME", help="Only this service. May be repeated."
        ),
    ):
        command = option(command)
    return command


@click.command(
    epilog=None, help=f"Search what was shipped into the store: the newest events first, of all times.{_HELP_QUERY}"
)
@click.argument("query", nargs=-1)
@click.option("--since", metavar="TIME", help="Only events at or after this time.")
@click.option("--until", metavar="TIME", help="Only events before this time.")
@where_options
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="How many events; 0 for all.",
)
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "ndjson", "csv"]),
    default="table",
    show_default=True,
    metavar="FORM",
    help="table; ndjson: whole documents, one a line; csv.",
)
@click.option("--columns", metavar="A,B,…", help="Fields for -o csv, instead of the usual ones.")
@click.option("--full", is_flag=True, help="Whole messages and stack traces.")
@click.option("--count", "counting", is_flag=True, help="Print only how many events there are.")
@click.option("--histogram", "drawing", is_flag=True, help="Draw events over time, by level.")
def search(
    query: tuple[str, ...],
    *,
    since: str | None,
    until: str | None,
    services: tuple[str, ...],
    levels: tuple[str, ...],
    limit: int,
    form: str,
    columns: str | None,
    full: bool,
    counting: bool,
    drawing: bool,
    config: Path | None,
    home: Path | None,
) -> None:
    """See ``help`` above."""
    from shipper.query import count, parse  # noqa: PLC0415 - lark and sqlite3, not needed for --help

    if counting and drawing:
        raise click.UsageError("--count and --histogram exclude each other")
    if columns is not None and (form != "csv" or counting or drawing):
        raise click.UsageError("--columns is for -o csv")
    asked = " ".join(query)
    with explained(asked):
        parse(asked)
    with explained(""):
        bounds = _milliseconds(since, "--since"), _milliseconds(until, "--until")
    if None not in bounds and bounds[0] >= bounds[1]:  # type: ignore[operator] # both are numbers here
        raise click.UsageError(f"--since {since} is not before --until {until}")
    with explained(asked), piped():
        selection = selected(asked, services, levels, *bounds)
        store = find_store(config, home)
        if counting:
            click.echo(count(store, selection))
        elif drawing:
            _draw(store, selection, form)
        else:
            _print(store, selection, limit or None, form, columns, full=full)
        sys.stdout.flush()


def selected(
    query: str, services: tuple[str, ...], levels: tuple[str, ...], since: int | None = None, until: int | None = None
) -> Selection:
    """The selection that the options describe; several services and levels may also be separated by commas."""
    from shipper.query import Selection  # noqa: PLC0415 - as above

    return Selection.of(query, services=_split(services), levels=_split(levels), since=since, until=until)


def _split(values: tuple[str, ...]) -> list[str]:
    return [part.strip() for each in values for part in each.split(",") if part.strip()]


def _milliseconds(text: str | None, option: str) -> int | None:
    from shipper.query.times import parse_time  # noqa: PLC0415 - as above

    if text is None:
        return None
    try:
        return parse_time(text).start
    except QueryError as error:
        raise QueryError(f"{option}: {error}") from error


def find_store(config: Path | None, home: Path | None) -> Store:
    """The store of the settings file, or of the data folder. Raises ``SettingsError``, and ``StateError`` if it is not there."""
    from shipper.settings import data_folder, load  # noqa: PLC0415 - pydantic
    from shipper.store import Store  # noqa: PLC0415 - sqlite3

    env = {**os.environ, "SHIPPER_HOME": str(home)} if home else dict(os.environ)
    path = data_folder(env) / "store" if config is None else load(config, env).store_path
    store = Store(path)
    if not store.exists:
        raise StateError(
            f"nothing was shipped into {path} yet; `shipper ship PATH… --once` ships log files,"
            " and --home, -c or SHIPPER_HOME say where else the store is"
        )
    return store


@contextmanager
def explained(query: str) -> Iterator[None]:
    """A query's mistake ends with the query, a caret under the place, and exit code 2."""
    try:
        yield
    except QueryError as error:
        _explain(error, query)


def _explain(error: QueryError, query: str) -> NoReturn:
    click.echo(f"shipper: {error}", err=True)
    if error.position is not None:
        line = query.translate({ord(c): " " for c in "\r\n\t"})
        # A long query is shown around the place only.
        start = max(error.position - 50, 0)
        click.echo(f"  {line[start : start + 76]}\n  {' ' * (error.position - start)}^", err=True)
    raise click.exceptions.Exit(error.exit_code)


@contextmanager
def piped() -> Iterator[None]:
    """Whoever reads our output may stop: that is no error of the search. Nor is a character that the output cannot show."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        yield
    except BrokenPipeError:
        # The interpreter flushes standard output once more at its end; into a closed pipe that would print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def terminal() -> Console:
    """Rich's console on standard output, without its own ideas about a log's words."""
    from rich.console import Console  # noqa: PLC0415 - only for a table or chart

    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def _draw(store: Store, selection: Selection, form: str) -> None:
    import orjson  # noqa: PLC0415 - only here

    from shipper.cli import chart  # noqa: PLC0415 - only here
    from shipper.query import histogram  # noqa: PLC0415 - as above

    console = terminal()
    rows = min(max(console.height - 6, 12), 30) if console.is_terminal else 24
    found = histogram(store, selection, rows)
    if found is None:
        click.echo("nothing found", err=True)
    elif form == "ndjson":
        for record in chart.records(found):
            click.echo(orjson.dumps(record))
    elif form == "csv":
        for row in chart.csv_rows(found):
            click.echo(row, nl=False)
    else:
        for line in chart.draw(found, min(console.width, 100), sys.stdout.encoding or "ascii"):
            console.print(line, soft_wrap=True)


def _print(
    store: Store, selection: Selection, limit: int | None, form: str, columns: str | None, *, full: bool
) -> None:
    from shipper.cli import hits  # noqa: PLC0415 - only here
    from shipper.query import count, scan  # noqa: PLC0415 - as above

    found = scan(store, selection, limit)
    if form == "ndjson":
        for hit in found:
            sys.stdout.buffer.write(hits.ndjson(hit))
        return
    if form == "csv":
        names = [name.strip() for name in columns.split(",")] if columns else hits.CSV_COLUMNS
        for line in hits.csv_lines(found, names):
            sys.stdout.buffer.write(line.encode())
        return
    console = terminal()
    shown = 0
    if console.is_terminal or full:
        services: set[str] = set()
        if limit:
            listed = list(found)
            services = {hits.text(hits.value(hit.document, "service.name")) for hit in listed}
            found = iter(listed)
        table = hits.Table(console, full=full, services=services)
        for shown, hit in enumerate(found, 1):  # noqa: B007 - counts
            table.print(hit)
    else:
        for shown, hit in enumerate(found, 1):  # noqa: B007 - counts
            sys.stdout.write(f"{hits.plain_line(hit)}\n")
    if not shown:
        click.echo("nothing found", err=True)
    elif console.is_terminal and shown == limit:
        total = count(store, selection)
        if total > shown:
            console.print(
                f"the newest {shown:,} of {total:,}; -n shows more, --histogram all of them over time", style="dim"
            )
