"""``shipper files``: how far each file is, and whether it may be deleted."""

from __future__ import annotations

import fnmatch
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from shipper.files.discovery import Found
    from shipper.files.status import FileStatus
    from shipper.settings import Settings

BEHIND = 1


@click.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    help="A settings file: whose state, whose output, and which files there should be.",
)
@click.option("--safe", is_flag=True, help="Print the paths only that are safe to delete; 1 if one is not.")
@click.option("-0", "--null", is_flag=True, help="With --safe: a NUL behind each path, no line feed, for xargs -0.")
@click.option("--all", "everything", is_flag=True, help="Files too that are gone and were read to their end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def files(
    patterns: tuple[str, ...], *, config: Path | None, safe: bool, null: bool, everything: bool, as_json: bool
) -> None:
    """Show how far each file is read and acknowledged, and whether it is safe to delete. PATTERN is a path or a glob.

    Works beside a running agent, and without one. The exit code is 0 when the output has every byte of every file that is
    shown, durably, and 1 when it has not, or a file cannot be read, or there is none; with --safe, 0 when all of them may
    be deleted.
    """
    if null and not safe:
        raise click.UsageError("--null goes with --safe")
    shown = _survey(config, [os.path.abspath(pattern) for pattern in patterns])  # noqa: PTH100 - a pattern
    if not everything:
        shown = [status for status in shown if status.state != "gone" or not _is_done(status)]
    if safe:
        _paths([status.path for status in shown if status.safe], null=null)
    elif as_json:
        import orjson  # noqa: PLC0415 - only for --json

        for status in shown:
            click.echo(orjson.dumps(_document(status)))
    else:
        _table(shown)
    if not shown and not as_json:
        click.echo("no files are known", err=True)
    good = [status.safe if safe else status.complete or _is_done(status) for status in shown]
    sys.exit(0 if good and all(good) else BEHIND)


def _paths(paths: list[str], *, null: bool) -> None:
    """For ``xargs rm``, byte by byte as they are: a path that is changed is another file's. A terminal gets no control characters."""
    from shipper.cli.printable import printable  # noqa: PLC0415 - as below

    for path in paths:
        if "\n" in path and not null:
            click.echo(f"left out, as its name has a line feed: {printable(path)}; use -0, for xargs -0", err=True)
        else:
            text = printable(path) if sys.stdout.isatty() else path
            click.echo(os.fsencode(text) + (b"\0" if null else b"\n"), nl=False)


def _survey(config: Path | None, patterns: list[str]) -> list[FileStatus]:
    from shipper.files.discovery import Discovery  # noqa: PLC0415 - SQLite, pydantic: only when it is used
    from shipper.files.status import FileStatus, survey  # noqa: PLC0415 - as above
    from shipper.outputs.target import target  # noqa: PLC0415 - as above
    from shipper.settings import data_folder, load  # noqa: PLC0415 - as above
    from shipper.state.reading import known_files  # noqa: PLC0415 - as above

    settings = load(config) if config else None
    folder = settings.path_data if settings else data_folder(os.environ)
    known = known_files(folder / "state.db")
    found: dict[str, Found] = {}
    unreadable: dict[str, str] = {}
    looks = [Discovery(each.paths, each.exclude_files) for each in settings.inputs if each.enabled] if settings else []
    for discovery in [*looks, *([Discovery(patterns)] if patterns else [])]:
        there, not_there = discovery.scan()
        found |= {file.path: file for file in there}
        unreadable |= dict(not_there)
    output = target(settings) if settings else ""
    outputs = {each.output for each in known}
    if settings:
        known = [each for each in known if each.output == output]
    elif len(outputs) == 1:
        (output,) = outputs
    shown = survey(known, list(found.values()), _undelivered(settings, folder), output)
    if not settings and len(outputs) > 1:
        begun = {status.path for status in shown if status.state != "not begun"}
        shown = [status for status in shown if status.state != "not begun" or status.path not in begun]
    shown += [FileStatus(path, output, "unreadable", lag_bytes=1, why=why) for path, why in unreadable.items()]
    return [status for status in shown if not patterns or any(_matches(status.path, each) for each in patterns)]


def _undelivered(settings: Settings | None, folder: Path) -> Any:
    from functools import cache  # noqa: PLC0415 - as above

    from shipper.state.spools import folders, undelivered  # noqa: PLC0415 - as above

    spools = folders(folder, settings.spool_path if settings else folder / "spool")
    return cache(lambda output: frozenset().union(*(undelivered(spool, output) for spool in spools)))


def _matches(path: str, pattern: str) -> bool:
    return path == pattern or fnmatch.fnmatchcase(path, pattern)


def _is_done(status: FileStatus) -> bool:
    return status.state == "gone" and not status.lag_bytes and not status.spooled


def _document(status: FileStatus) -> dict[str, Any]:
    from shipper.files.discovery import shown  # noqa: PLC0415 - as above

    return {
        "path": shown(status.path),
        "output": status.output,
        "state": status.state,
        "size": status.size,
        "read": status.read,
        "acknowledged": status.acknowledged,
        "lag_bytes": status.lag_bytes,
        "lag_seconds": round(status.lag_seconds, 1),
        "complete": status.complete or _is_done(status),
        "safe": status.safe,
        **({"why": shown(status.why)} if status.why else {}),
    }


def _table(shown: list[FileStatus]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only for a person
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    from shipper.cli.printable import printable  # noqa: PLC0415 - as above

    if not shown:
        return
    several = len({status.output for status in shown}) > 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "state", "size", "read", "acknowledged", "lag", "safe to delete"):
        table.add_column(heading, justify="right" if heading in {"size", "read", "acknowledged", "lag"} else "left", overflow="fold")  # fmt: skip
    if several:
        table.add_column("output", overflow="fold")
    for status in shown:
        lag = f"{status.lag_bytes:,} B, {status.lag_seconds:,.0f} s" if status.lag_bytes else "-"
        numbers = (f"{number:,}" for number in (status.size, status.read, status.acknowledged))
        verdict = "yes" if status.safe else "-" if status.state == "gone" else f"no: {status.why}"
        cells = [status.path, status.state, *numbers, lag, verdict, *([status.output] if several else [])]
        table.add_row(*(Text(printable(cell)) for cell in cells))
    # Paths are to be copied: not wrapped, where nobody reads along.
    Console(width=None if sys.stdout.isatty() else 10_000, soft_wrap=not sys.stdout.isatty()).print(table)
