"""``shipper patterns``: grok's named patterns, those shipped and those of a cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipper.cli.options import dictionary_options
from shipper.errors import InputError, SettingsError

if TYPE_CHECKING:
    from parser.grok import Dictionary
    from shipper.settings import ElasticsearchOutputSettings

FILE = "elasticsearch"
_OUTPUT = "output.elasticsearch."


@click.group()
def patterns() -> None:
    """Show grok's named patterns, and import those that are not shipped."""


@patterns.command("list")
@click.argument("part", required=False, default="")
@dictionary_options
def list_(part: str, *, ecs: str, directories: tuple[Path, ...]) -> None:
    """List the patterns, or those whose names contain PART, with what they mean."""
    from parser.grok.meanings import MEANINGS  # noqa: PLC0415 - the grok engine, not needed for --help

    dictionary = _dictionary(ecs, directories)
    names = sorted(name for name in dictionary.names() if part.upper() in name.upper())
    if not names:
        raise InputError(f"no pattern's name contains {part}; shipper patterns import takes more from a cluster")
    width = max(map(len, names))
    for name in names:
        click.echo(f"{name:{width}}  {MEANINGS.get(name) or dictionary.get(name)}"[: 160 if width < 100 else None])


@patterns.command()
@click.argument("name")
@dictionary_options
def show(name: str, *, ecs: str, directories: tuple[Path, ...]) -> None:
    """Show a pattern's definition, and the definitions of the patterns that it uses."""
    from parser.errors import UnknownPatternError  # noqa: PLC0415 - the grok engine, not needed for --help
    from parser.grok import compile_expression  # noqa: PLC0415 - as above
    from parser.grok.meanings import MEANINGS  # noqa: PLC0415 - as above
    from parser.grok.references import expand  # noqa: PLC0415 - as above

    name = name.removeprefix("%{").removesuffix("}").partition(":")[0]
    dictionary = _dictionary(ecs, directories)
    try:
        used = expand(f"%{{{name}}}", dictionary).references
    except UnknownPatternError as error:
        raise InputError(str(error)) from error
    if meaning := MEANINGS.get(name):
        click.echo(f"# {meaning}")
    for each in dict.fromkeys(reference.name for reference in reversed(used)):
        click.echo(f"{each} {dictionary.get(each)}")
    fields = [capture.name for capture in compile_expression(f"%{{{name}}}", dictionary=dictionary).captures]
    if fields:
        click.echo(f"# fields: {', '.join(dict.fromkeys(fields))}")


def _dictionary(ecs: str, directories: tuple[Path, ...]) -> Dictionary:
    from parser.grok import load_dictionary  # noqa: PLC0415 - the grok engine, not needed for --help

    return load_dictionary(ecs, directories)


@patterns.command("import")
@click.option("--from-elasticsearch", "url", metavar="URL", help="The cluster, such as https://es:9200.")
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="patterns",
    show_default=True,
    help="The folder to write to, for patterns_dir.",
)
@click.option(
    "--ecs",
    type=click.Choice(["v1", "disabled"]),
    default="v1",
    show_default=True,
    help="Whose field names: ECS, or the legacy ones.",
)
@click.option("--all", "everything", is_flag=True, help="Also those that are shipped.")
@click.option("-c", "--config", type=click.Path(path_type=Path), help="A shipper.yml whose output is the cluster.")
@click.option(
    "--username", help="User of basic authentication; the password is asked for, or in ELASTICSEARCH_PASSWORD."
)
@click.option(
    "-E",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of output.elasticsearch, such as api_key=… or ssl.certificate_authorities=ca.crt.",
)
def import_(
    url: str | None,
    *,
    folder: Path,
    ecs: str,
    everything: bool,
    config: Path | None,
    username: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Take the patterns that are not shipped from a cluster, and write them as a pattern file of Logstash.

    An API key may also be in ELASTICSEARCH_API_KEY.
    """
    from shipper.elastic.patterns import fetch, pattern_file  # noqa: PLC0415 - the client, not needed for --help
    from shipper.outputs.elasticsearch import ElasticsearchOutput  # noqa: PLC0415 - as above

    cluster = ElasticsearchOutput(_cluster(url, config, username, overrides))
    try:
        found = fetch(cluster, ecs)
    finally:
        cluster.close()
    if not everything:
        # The files that are shipped are the same in both modes; pygrok's older ones besides are replaced.
        shipped = _dictionary("v1", ()).names()
        found = {name: definition for name, definition in found.items() if name not in shipped}
    target = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = pattern_file(found, origin=f"Elasticsearch {cluster.version}".strip(), ecs_compatibility=ecs)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}") from error
    click.echo(f'{target}: {len(found)} patterns; use it with patterns_dir => ["{folder}"]')
    for name, why in _unusable(found, ecs, folder):
        click.echo(f"  {name} cannot be used: {why}", err=True)


def _unusable(found: dict[str, str], ecs: str, folder: Path) -> list[tuple[str, str]]:
    from parser.errors import GrokError  # noqa: PLC0415 - the grok engine
    from parser.grok import compile_expression  # noqa: PLC0415 - as above

    dictionary = _dictionary(ecs, (folder / FILE,))
    problems = []
    for name in sorted(found):
        try:
            compile_expression(f"%{{{name}}}", dictionary=dictionary)
        except GrokError as error:
            problems.append((name, str(error)))
    return problems


def _cluster(
    url: str | None, config: Path | None, username: str | None, overrides: tuple[str, ...]
) -> ElasticsearchOutputSettings:
    from shipper.settings import ElasticsearchOutputSettings, load  # noqa: PLC0415 - pydantic

    if config is not None:
        if url or username or overrides:
            raise click.UsageError("-c has the address and the credentials already: leave out the other options")
        settings = load(config).output
        if not isinstance(settings, ElasticsearchOutputSettings):
            raise SettingsError(f"{config}: its output is no Elasticsearch; give --from-elasticsearch URL")
        return settings
    if url is None:
        raise click.UsageError("say which cluster: --from-elasticsearch URL, or -c shipper.yml")
    own = [each.strip().removeprefix(_OUTPUT) for each in overrides]
    named = {each.partition("=")[0].strip() for each in own}
    # By variables, which are taken as they are: a password may be anything, 0123 or ${x} too.
    env = {**os.environ, "option.url": url}
    given = {"hosts": "option.url"}
    if username:
        env["option.username"] = username
        if "password" not in named and not env.get("ELASTICSEARCH_PASSWORD"):
            env["ELASTICSEARCH_PASSWORD"] = click.prompt("password", hide_input=True, err=True)
        given |= {"username": "option.username", "password": "ELASTICSEARCH_PASSWORD"}
    elif env.get("ELASTICSEARCH_API_KEY"):
        given["api_key"] = "ELASTICSEARCH_API_KEY"
    others = [f'{setting}="${{{variable}}}"' for setting, variable in given.items() if setting not in named]
    settings = load(
        None, env, inputs=[{"paths": ["/dev/null"]}], overrides=[f"{_OUTPUT}{each}" for each in (*others, *own)]
    ).output
    assert isinstance(settings, ElasticsearchOutputSettings)
    return settings
