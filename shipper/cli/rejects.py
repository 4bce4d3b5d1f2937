"""``shipper rejects``: what an output would not take, and what to do with it.

Exit codes: 0; of ``replay`` only when all that was asked for is delivered (or there was nothing), else 1; 2 for a mistake on
the command line or in the settings. All of them may be used while the agent runs.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from shipper.cli.options import settings_options
from shipper.errors import InputError, OutputError

if TYPE_CHECKING:
    from shipper.state.rejects import Reject, Rejects

_SHORT = 60
_NAMES = {"ignore_unknown_options": True}
"""An id may begin with a dash."""


@click.group()
def rejects() -> None:
    """See, send again or drop the documents that an output would not take."""


def _filters(command: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option(
            "--since", metavar="TIME", help="Only those rejected at or after this time: 2h, today, 2026-11-22."
        ),
        click.option("--status", type=int, metavar="N", help="Only those that the output answered with this status."),
        click.option("--output", metavar="TEXT", help="Only those of outputs with this in their name."),
    ):
        command = option(command)
    return command


def _where(command: click.decorators.FC) -> click.decorators.FC:
    for option in (
        click.option(
            "--home",
            type=click.Path(path_type=Path),
            help="The folder of the agent's state. Default: SHIPPER_HOME, or the agent's default.",
        ),
        click.option(
            "-c", "--config", type=click.Path(path_type=Path), help="The agent's shipper.yml, which knows the folder."
        ),
    ):
        command = option(command)
    return command


@rejects.command("list")
@_filters
@_where
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_rejects(
    *,
    output: str | None,
    status: int | None,
    since: str | None,
    config: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """List them: number, time, status, output, id, the reason and the message, the oldest first."""
    with closing(_open(config, home)) as kept:
        numbers = kept.numbers(output=output, status=status, since=_time(since))
        for number in numbers:
            reject = kept.get(number)
            if reject is None:
                continue
            if as_json:
                click.echo(orjson.dumps(_record(reject)))
            else:
                reason, message = (_shown(text, _SHORT) for text in (reject.reason, _message(reject.document)))
                click.echo(
                    f"{number:>6}  {reject.at[:19]}Z  {reject.status}  {_shown(reject.output)}  {_shown(reject.id)}"
                    f"  {reason}  |  {message}"
                )
        count, size = kept.size()
        click.echo(f"{len(numbers):,} of {count:,} rejects, which take {_bytes(size)}", err=True)


@rejects.command(context_settings=_NAMES)
@click.argument("name", metavar="NUMBER|ID")
@_where
def show(name: str, config: Path | None, home: Path | None) -> None:
    """Show a whole document and the output's reason, as JSON."""
    with closing(_open(config, home)) as kept:
        found = [reject for number in _named(kept, (name,)) if (reject := kept.get(number))]
    for reject in found:
        click.echo(
            orjson.dumps({**_record(reject), "document": _document(reject.document)}, option=orjson.OPT_INDENT_2)
        )


@rejects.command(context_settings=_NAMES)
@click.argument("names", metavar="[NUMBER|ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them, or all that fit --output, --status and --since.")
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the output may take nothing before it is given up.",
)
@_filters
@settings_options
def replay(
    path: Path,
    overrides: tuple[str, ...],
    names: tuple[str, ...],
    *,
    output: str | None,
    status: int | None,
    since: str | None,
    everything: bool,
    patience: float,
) -> None:
    """Send them once more, through the output of the settings file and under the same ids.

    Those that it takes now are removed; those that it rejects again stay, with the new reason.
    """
    from shipper.delivery.replay import Replay  # noqa: PLC0415 - only here
    from shipper.delivery.retry import Backoff  # noqa: PLC0415 - as above
    from shipper.outputs import open_output  # noqa: PLC0415 - as above
    from shipper.settings import load  # noqa: PLC0415 - as above

    settings = load(path, overrides=overrides)
    with closing(_open_in(settings.path_data)) as kept:
        numbers = _chosen(kept, names, everything=everything, output=output, status=status, since=since)
        if not numbers:
            click.echo("there is nothing to send")
            return
        target = open_output(settings)
        run = Replay(kept, target, Backoff(0.5, 5.0), batch_bytes=settings.batch_max_bytes, patience=patience)
        problem = ""
        try:
            target.check()
            run.run(numbers)
        except OutputError as error:
            problem = str(error)
        finally:
            target.close()
    counts = run.counts
    left = len(numbers) - counts.delivered - counts.rejected - counts.damaged
    click.echo(f"{counts.delivered:,} delivered, {counts.rejected:,} rejected again, {left:,} not sent")
    if counts.damaged:
        problem = f"{counts.damaged:,} are damaged and were not sent{problem and '; '}{problem}"
    if problem or counts.rejected or left:
        raise InputError(problem or f"{counts.rejected:,} were rejected again: see `shipper rejects list`")


@rejects.command(context_settings=_NAMES)
@click.argument("names", metavar="[NUMBER|ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them, or all that fit --output, --status and --since.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@_filters
@_where
def drop(
    names: tuple[str, ...],
    *,
    config: Path | None,
    home: Path | None,
    output: str | None,
    status: int | None,
    since: str | None,
    everything: bool,
    yes: bool,
) -> None:
    """Delete them for good. They are nowhere else, unless the log files are still there."""
    with closing(_open(config, home)) as kept:
        numbers = _chosen(kept, names, everything=everything, output=output, status=status, since=since)
        if numbers and not yes:
            click.confirm(f"Delete {len(numbers):,} documents for good?", abort=True)
        kept.remove(numbers)
    click.echo(f"{len(numbers):,} dropped")


def _chosen(
    kept: Rejects,
    names: tuple[str, ...],
    *,
    everything: bool,
    output: str | None,
    status: int | None,
    since: str | None,
) -> list[int]:
    if names and everything:
        raise click.UsageError("name some, or say --all: not both")
    if names:
        return _named(kept, names)
    if not everything:
        raise click.UsageError("name them by number or id, or say --all")
    return kept.numbers(output=output, status=status, since=_time(since))


def _named(kept: Rejects, names: tuple[str, ...]) -> list[int]:
    for name in names:
        if not kept.numbers([name]):
            raise InputError(f"{name}: there is no reject of that number or id: see `shipper rejects list`")
    return kept.numbers(names)


def _open(config: Path | None, home: Path | None) -> Rejects:
    from shipper.settings import data_folder, load  # noqa: PLC0415 - pydantic, only when a command runs

    if config is not None and home is not None:
        raise click.UsageError("--config and --home both say where the state is: give one")
    return _open_in(home or (load(config).path_data if config else data_folder(os.environ)))


def _open_in(folder: Path) -> Rejects:
    from shipper.state.rejects import Rejects  # noqa: PLC0415 - SQLite, only when a command runs

    path = folder / "state.db"
    if not path.exists():
        raise InputError(
            f"{path}: is not there: no agent has run with this folder; name it with -c, --home or SHIPPER_HOME"
        )
    return Rejects(path)


def _time(since: str | None) -> str | None:
    if since is None:
        return None
    from datetime import UTC, datetime  # noqa: PLC0415 - only here

    from shipper.query.times import parse_time  # noqa: PLC0415 - only here

    return datetime.fromtimestamp(parse_time(since).start / 1000, UTC).isoformat(timespec="milliseconds")


def _record(reject: Reject) -> dict[str, Any]:
    return {
        "number": reject.number,
        "time": reject.at,
        "output": reject.output,
        "status": reject.status,
        "id": reject.id,
        "reason": reject.reason,
        "message": _message(reject.document),
    }


def _document(document: bytes) -> Any:
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError:
        return document.decode("utf-8", "replace")


def _message(document: bytes) -> str:
    found = _document(document)
    message = found.get("message", "") if isinstance(found, dict) else found
    return message if isinstance(message, str) else str(message)


def _shown(text: str, most: int = 200) -> str:
    """One line without control characters: what a log holds must not move the terminal's cursor."""
    line = "".join(char if char.isprintable() else "·" for char in text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _bytes(size: int) -> str:
    for unit, length in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return f"{size} bytes"
