"""``shipper pipeline``: run a pipeline on lines, test it, export it."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from shipper.errors import InputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 16
_ELSEWHERE = {"export": "shipper.cli.export:export"}
"""Commands of the group whose modules are imported when they are used."""


class _Pipeline(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Those of this module and those elsewhere."""
        return [*super().list_commands(ctx), *_ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import what is elsewhere."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = _ELSEWHERE[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=_Pipeline)
def pipeline() -> None:
    """Run a pipeline on lines, test it with cases, export it."""


@pipeline.command("list")
def list_() -> None:
    """List the bundled pipelines, with their files."""
    from parser import Pipeline  # noqa: PLC0415 - the grammar, only when a command needs it
    from parser.bundled import bundled  # noqa: PLC0415 - as above

    names = Pipeline.bundled()
    for name in names:
        click.echo(f"{name:{max(map(len, names))}}  {bundled('pipeline', f'{name}.conf')}")


@pipeline.command()
@click.argument("name", metavar="FILE|NAME")
@click.option(
    "--ecs-compatibility",
    "ecs",
    type=click.Choice(["v8", "v1", "disabled"]),
    default="v8",
    show_default=True,
    help="Which names grok's shipped patterns give their fields, as in Logstash.",
)
@click.option("--timezone", help="Zone of timestamps without an offset, such as Europe/Berlin. Default: the machine's.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field that each event begins with, such as service.name=orders. May be repeated.",
)
@click.option(
    "--patterns-dir",
    "directories",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of pattern files of your own. May be repeated.",
)
@click.option(
    "--multiline-pattern", metavar="REGEX", help="Frame events by this, instead of the pipeline's own framing."
)
@click.option("--multiline-negate/--no-multiline-negate", help="The lines that do not match belong to others.")
@click.option(
    "--multiline-match",
    type=click.Choice(["after", "before"]),
    default="after",
    show_default=True,
    help="They belong to the event before them (after it) or to the next one (before it).",
)
def run(
    name: str,
    *,
    ecs: str,
    timezone: str | None,
    fields: tuple[str, ...],
    directories: tuple[Path, ...],
    multiline_pattern: str | None,
    multiline_negate: bool,
    multiline_match: Literal["after", "before"],
) -> None:
    """Run lines from standard input through a pipeline: the documents as they would be indexed, without what the agent
    adds about host and file.

    NAME is a bundled pipeline, a configuration file, or a folder of *.conf. On a terminal the documents are coloured,
    otherwise they are a line each.
    """
    from parser.multiline import framer  # noqa: PLC0415 - the parser, only when a command needs it
    from parser.timestamps import Timestamp  # noqa: PLC0415 - as above
    from shipper import host  # noqa: PLC0415 - as above
    from shipper.cli.documents import printer  # noqa: PLC0415 - orjson
    from shipper.cli.search import piped  # noqa: PLC0415 - as above
    from shipper.testing.documents import Trial, load, preset  # noqa: PLC0415 - as above

    framing = (
        framer(multiline_pattern, negate=multiline_negate, match=multiline_match) if multiline_pattern else preset(name)
    )
    compiled = load(name, ecs_compatibility=ecs, timezone=_zone(timezone or host.time_zone()), patterns_dir=directories)
    on = Trial(compiled, framing, _fields(fields))
    with piped():
        show = printer()
        for texts in on.messages(_chunks()):
            now = Timestamp(datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z")
            for document in on.documents({"@timestamp": now, "message": text} for text in texts):
                show(document)
        sys.stdout.flush()


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - only here

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise SettingsError(f"--timezone {name}: is no zone; write it as Europe/Berlin or UTC") from None
    return name


def _fields(options: tuple[str, ...]) -> dict[str, Any]:
    from shipper.testing.cases import nested  # noqa: PLC0415 - PyYAML

    found = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name.strip():
            raise SettingsError(f"--field {option}: is not NAME=VALUE")
        found[name.strip()] = value
    return nested(found)


def _chunks() -> Iterator[bytes]:
    if sys.stdin.isatty():
        click.echo("reading lines from standard input; Ctrl-D ends", err=True)
    read = getattr(sys.stdin.buffer, "read1", sys.stdin.buffer.read)
    while chunk := read(_CHUNK):
        yield chunk


@pipeline.command()
@click.argument("paths", nargs=-1, metavar="[DIR|FILE]...")
@click.option("-v", "--verbose", is_flag=True, help="Name the cases that pass, too.")
def test(paths: tuple[str, ...], *, verbose: bool) -> None:
    """Run the cases of YAML files: of a file, of those beside a pipeline's .conf, of all below a folder (default: this
    one), or of a bundled pipeline.

    What differs is shown field by field. The exit code is 1 when a case fails, 2 when a file cannot be used.
    """
    from shipper.testing.cases import read  # noqa: PLC0415 - PyYAML and the parser, not needed for --help
    from shipper.testing.check import check, trial  # noqa: PLC0415 - as above

    passed = failed = 0
    for path in _case_files(paths or (".",)):
        file = read(path)
        on = trial(file)
        for case in file.cases:
            differences = check(on, case)
            if differences:
                failed += 1
                _tell_failure(f"{_relative(path)}:{case.line}: {case.name}", differences)
            else:
                passed += 1
                if verbose:
                    click.echo(f"{click.style('pass', fg='green')}  {_relative(path)}:{case.line}: {case.name}")
    click.echo(click.style(f"{passed} passed, {failed} failed", fg="red" if failed else "green"))
    if failed:
        raise click.exceptions.Exit(1)


def _case_files(paths: tuple[str, ...]) -> list[Path]:
    from parser.bundled import bundled  # noqa: PLC0415 - the parser
    from shipper.testing.cases import find  # noqa: PLC0415 - PyYAML

    found: list[Path] = []
    for name in paths:
        path = Path(name)
        if not path.exists():
            path = bundled("pipeline", f"{name}.conf")
        if not path.exists():
            raise SettingsError(f"{name}: there is no such file or folder, and no bundled pipeline of this name")
        files = find(path)
        if not files:
            raise InputError(f"{name}: there are no cases; write them to tests/{path.stem}.yml beside the pipeline")
        found += files
    return list(dict.fromkeys(found))


def _tell_failure(title: str, differences: list[Any]) -> None:
    click.echo(f"{click.style('FAIL', fg='red')}  {title}")
    for each in differences:
        for line in str(each).splitlines():
            click.echo(f"      {line}")


def _relative(path: Path) -> str:
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("..") else shown
