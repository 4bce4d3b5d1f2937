"""``shipper test``: check what is configured before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipper.errors import SettingsError

if TYPE_CHECKING:
    from shipper.settings import Settings


@click.group()
def test() -> None:
    """Check what is configured, before it is used."""


@test.command()
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default="shipper.yml",
    show_default=True,
    help="The settings file.",
)
def config(path: Path) -> None:
    """Check a settings file and the pipelines it names. Nothing is read, sent or written.

    Every mistake is printed on a line of its own, as FILE:LINE: SETTING: what is wrong; the exit code is 2 then.
    """
    from shipper.settings import load  # noqa: PLC0415 - pydantic, only when a command needs it

    settings = load(path)
    if problems := pipeline_problems(settings):
        raise SettingsError([f"{path}: {each}" for each in problems])
    click.echo(f"{path}: the settings are good")
    for at, each in enumerate(settings.inputs):
        state = "" if each.enabled else " (disabled)"
        click.echo(
            f"  input {each.id or at}{state}: {', '.join(each.paths)} · pipeline {each.pipeline or 'none, lines as they are'}"
        )
    click.echo(f"  output: {describe_output(settings)}")
    click.echo(f"  state: {settings.path_data}")


def pipeline_problems(settings: Settings) -> list[str]:
    """What is wrong with the pipelines that the inputs name, one line each, no pipeline twice."""
    from parser import Pipeline  # noqa: PLC0415 - the grammar, only when a command needs it
    from parser.errors import ParserError  # noqa: PLC0415 - as above

    used = {
        (each.pipeline, each.ecs_compatibility): at
        for at, each in reversed(list(enumerate(settings.inputs)))
        if each.pipeline
    }
    problems = []
    for (name, compatibility), at in sorted(used.items(), key=lambda item: item[1]):
        try:
            Pipeline.load(name, ecs_compatibility=compatibility)
        except ParserError as error:
            problems.append(f"inputs[{at}].pipeline: {error}")
        except OSError as error:
            problems.append(f"inputs[{at}].pipeline: {name} cannot be read: {error.strerror or error}")
    return list(dict.fromkeys(problems))


def describe_output(settings: Settings) -> str:
    """The output in a few words; no secrets."""
    output = settings.output
    match output.kind:
        case "elasticsearch":
            what = "index" if output.index else "data stream"
            return f"elasticsearch, {what} {output.target} at {', '.join(output.hosts)}"
        case "file":
            return f"file {output.path / output.filename}"
        case "store":
            return f"store {settings.store_path}"
        case "console":
            return "console"
