"""``shipper follow``: what arrives in the store, as it arrives.

Exit codes: 130 after Ctrl-C, 0 when its reader goes away or at SIGTERM; 1 and 2 as ``shipper search``.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from shipper.cli.search import explained, find_store, piped, selected, terminal, where_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shipper.query import Hit

_INTERVAL = 0.15
"""Seconds between two looks at the store."""


@click.command()
@click.argument("query", nargs=-1)
@where_options
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="How many of the last events to begin with.",
)
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "ndjson"]),
    default="table",
    show_default=True,
    metavar="FORM",
    help="table, or ndjson: whole documents, one a line.",
)
@click.option("--full", is_flag=True, help="Whole messages and stack traces.")
def follow(
    query: tuple[str, ...],
    *,
    services: tuple[str, ...],
    levels: tuple[str, ...],
    limit: int,
    form: str,
    full: bool,
    config: Path | None,
    home: Path | None,
) -> None:
    """Print the last events that the store got, and then new ones as they come, until Ctrl-C.

    QUERY as for `shipper search`.
    """
    from shipper.query import Tail  # noqa: PLC0415 - lark and sqlite3, not needed for --help

    asked = " ".join(query)
    stopped = threading.Event()
    with explained(asked), piped():
        selection = selected(asked, services, levels)
        with Tail(find_store(config, home), selection) as tail:
            show = _printer(form, full=full)
            signal.signal(signal.SIGTERM, lambda *_: stopped.set())
            hits = tail.last(limit)
            try:
                while not stopped.is_set():
                    for hit in hits:
                        show(hit)
                    sys.stdout.flush()
                    if not hits:
                        stopped.wait(_INTERVAL)
                    hits = tail.new()
            except KeyboardInterrupt:
                sys.stdout.flush()
                raise click.exceptions.Exit(130) from None


def _printer(form: str, *, full: bool) -> Callable[[Hit], object]:
    from shipper.cli import hits  # noqa: PLC0415 - only here

    if form == "ndjson":
        return lambda hit: sys.stdout.buffer.write(hits.ndjson(hit))
    console = terminal()
    if console.is_terminal or full:
        return hits.Table(console, full=full).print
    return lambda hit: sys.stdout.write(f"{hits.plain_line(hit)}\n")
