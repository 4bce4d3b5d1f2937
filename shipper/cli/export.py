"""``shipper pipeline export``: a pipeline in the form of another system."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("name", metavar="FILE|NAME")
@click.option(
    "--to",
    "form",
    type=click.Choice(["ingest"]),
    required=True,
    help="ingest: an Elasticsearch ingest pipeline, whose documents are equal to those of this program.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write. Default: the screen."
)
@click.option(
    "--ecs-compatibility",
    "ecs",
    type=click.Choice(["v8", "v1", "disabled"]),
    default="v8",
    show_default=True,
    help="Which names grok's shipped patterns give their fields, as in Logstash.",
)
@click.option(
    "--patterns-dir",
    "directories",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A folder of pattern files of your own. May be repeated.",
)
def export(name: str, form: str, output: Path | None, ecs: str, directories: tuple[Path, ...]) -> None:
    """Export a pipeline: the body of ``PUT _ingest/pipeline/NAME``.

    What an ingest pipeline cannot do is an error that names the plugin, the option, the file and the line; the exit code
    is 2 then. ${VAR} is what it is here and now.
    """
    from parser import Pipeline  # noqa: PLC0415 - the grammar, only when a command needs it
    from parser.ingest import export as to_ingest  # noqa: PLC0415 - as above

    assert form == "ingest"
    pipeline = Pipeline.load(name, ecs_compatibility=ecs, patterns_dir=directories)
    text = json.dumps(to_ingest(pipeline), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.FileError(str(output), error.strerror or str(error)) from None
