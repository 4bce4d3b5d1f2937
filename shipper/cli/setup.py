"""``shipper setup``: what a cluster and Kibana need once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipper.cli.options import settings_options
from shipper.errors import InputError, SettingsError

if TYPE_CHECKING:
    from shipper.elastic.setup import Plan
    from shipper.outputs.elasticsearch import ElasticsearchOutput
    from shipper.settings import ElasticsearchOutputSettings, Settings


@click.command()
@settings_options
@click.option("--dry-run", is_flag=True, help="Print the requests that would be made, as JSON; change nothing.")
@click.option("--username", help="An administrator, in place of the output's user or key; the password is asked for.")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the password of --username.",
)
@click.option(
    "--create-api-key",
    "key_name",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[NAME]",
    help="Make an API key that may only add documents to the data stream, and print it once.",
)
@click.option("--kibana", "kibana_url", metavar="URL", help="Import the dashboards into this Kibana.")
@click.option("--space", help="The id of the Kibana space they go to.")
@click.option(
    "--export-kibana",
    "export_to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the dashboards as NDJSON, to import them by hand; nothing else is done.",
)
def setup(
    path: Path,
    overrides: tuple[str, ...],
    *,
    dry_run: bool,
    username: str | None,
    password_file: Path | None,
    key_name: str | None,
    kibana_url: str | None,
    space: str | None,
    export_to: Path | None,
) -> None:
    """Set up the cluster of output.elasticsearch: templates, retention, and what is asked for besides.

    A second run changes nothing that is as it should be. What is made is in the settings under setup.
    """
    if export_to is not None:
        _export(export_to)
        return
    from shipper.elastic.objects import saved_objects  # noqa: PLC0415 - the client, not needed for --help
    from shipper.elastic.setup import apply, plan  # noqa: PLC0415 - as above
    from shipper.elastic.template import target_of  # noqa: PLC0415 - as above
    from shipper.outputs.elasticsearch import ElasticsearchOutput  # noqa: PLC0415 - as above
    from shipper.settings import load  # noqa: PLC0415 - as above

    settings = load(path, overrides=overrides)
    output = _admin(_elasticsearch(settings, path), username, password_file)
    target = target_of(output)
    pipeline = _pipeline(settings)
    objects = saved_objects(also="" if target.is_stream else target.stream)
    cluster = ElasticsearchOutput(output)
    kibana = _Objects(kibana_url or settings.setup.kibana.host, space or settings.setup.kibana.space, output, objects)
    key = _Key(cluster, key_name, target.stream)
    try:
        planned = plan(cluster, target, settings.setup, pipeline)
        kibana.look()
        key.look()
        if dry_run:
            click.echo(json.dumps([*_as_json(planned), *key.as_json(), *kibana.as_json()], indent=2))
            return
        click.echo(f"{cluster.name}, version {cluster.version}: {target.stream}, {_kept(settings, planned)}")
        apply(cluster, planned)
        for request, state in planned.steps:
            _say(state, request.what)
        for note in planned.notes:
            click.echo(f"  note: {note}")
        kibana.put()
        key.create()
    finally:
        kibana.close()
        cluster.close()


_DONE = {"create": "created", "update": "updated", "unchanged": "unchanged"}


def _kept(settings: Settings, planned: Plan) -> str:
    """How long documents are kept: it is the one thing here that deletes."""
    from shipper.elastic.template import by_ilm, days  # noqa: PLC0415 - the client, not needed for --help

    seconds, can = settings.setup.retention, planned.abilities
    deletes = planned.target.is_stream and (can.lifecycle or by_ilm(settings.setup, can, planned.target))
    return f"documents are kept for {days(seconds)}" if seconds and deletes else "documents are kept for ever"


def _say(state: str, what: str) -> None:
    click.echo(f"  {_DONE[state]:9}  {what}")


def _as_json(planned: Plan) -> list[dict[str, Any]]:
    return [
        {"state": state, "method": "PUT", "path": request.path, "body": request.body}
        for request, state in planned.steps
    ]


class _Objects:
    """Kibana's objects, where a Kibana is named."""

    def __init__(
        self, url: str | None, space: str | None, output: ElasticsearchOutputSettings, objects: list[dict[str, Any]]
    ) -> None:
        from shipper.elastic.kibana import Kibana  # noqa: PLC0415 - the client, not needed for --help

        self._kibana = Kibana(url, space, output) if url else None
        self._objects = objects
        self._state = "unchanged"

    def look(self) -> None:
        if self._kibana is not None and not self._kibana.has(self._objects):
            self._state = "update"

    def as_json(self) -> list[dict[str, Any]]:
        if self._kibana is None:
            return []
        path = "/api/saved_objects/_import?overwrite=true"
        return [
            {"state": self._state, "method": "POST", "path": path, "to": self._kibana.name, "objects": self._objects}
        ]

    def put(self) -> None:
        if self._kibana is None:
            return
        if self._state != "unchanged":
            self._kibana.put(self._objects)
        _say(self._state, f"{len(self._objects)} saved objects of {self._kibana.name}")

    def close(self) -> None:
        if self._kibana is not None:
            self._kibana.close()


class _Key:
    """The API key, where one is asked for."""

    def __init__(self, cluster: ElasticsearchOutput, name: str | None, stream: str) -> None:
        self._cluster = cluster
        self._stream = stream
        self._name = None if name is None else name or f"shipper-{stream}"
        self._id: str | None = None

    def look(self) -> None:
        from shipper.elastic.keys import existing  # noqa: PLC0415 - the client, not needed for --help

        if self._name is not None:
            self._id = existing(self._cluster, self._name)

    def as_json(self) -> list[dict[str, Any]]:
        from shipper.elastic.keys import definition  # noqa: PLC0415 - as above

        if self._name is None:
            return []
        body = definition(self._name, self._stream)
        state = "unchanged" if self._id else "create"
        return [{"state": state, "method": "POST", "path": "/_security/api_key", "body": body}]

    def create(self) -> None:
        from shipper.elastic.keys import create  # noqa: PLC0415 - as above

        if self._name is None:
            return
        if self._id:
            _say("unchanged", f"API key {self._name} ({self._id}); its secret was shown when it was made")
            return
        key = create(self._cluster, self._name, self._stream)
        _say("create", f"API key {key.name}, which may only add documents to {self._stream}; this is shown once:")
        click.echo(f"output.elasticsearch.api_key: {key.setting}")


def _elasticsearch(settings: Settings, path: Path) -> ElasticsearchOutputSettings:
    if settings.output.kind != "elasticsearch":
        raise SettingsError(
            f"{path}: its output is {settings.output.kind}: shipper setup needs output.elasticsearch, with an administrator's "
            "user or key; a file of its own will do, with the same data_stream"
        )
    return settings.output


def _admin(
    output: ElasticsearchOutputSettings, username: str | None, password_file: Path | None
) -> ElasticsearchOutputSettings:
    from pydantic import SecretStr  # noqa: PLC0415 - loaded with the settings

    if username is None:
        if password_file is not None:
            raise click.UsageError("--password-file goes with --username")
        return output
    try:
        password = password_file.read_text(encoding="utf-8").strip() if password_file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{password_file} cannot be read: {error}") from None
    password = password or click.prompt("password", hide_input=True, err=True)
    return output.model_copy(update={"username": username, "password": SecretStr(password), "api_key": None})


def _pipeline(settings: Settings) -> dict[str, Any] | None:
    name = settings.setup.pipeline
    if name is None:
        return None
    from parser import Pipeline  # noqa: PLC0415 - the grammar, only where a pipeline is exported
    from parser.ingest import export  # noqa: PLC0415 - as above

    try:
        return export(Pipeline.load(name))
    except OSError as error:
        raise SettingsError(f"setup.pipeline: {name} cannot be read: {error.strerror or error}") from None


def _export(to: Path) -> None:
    from shipper.elastic.objects import ndjson, saved_objects  # noqa: PLC0415 - YAML, not needed for --help

    objects = saved_objects()
    try:
        to.write_text(ndjson(objects), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{to} cannot be written: {error.strerror}") from error
    click.echo(f"{to}: {len(objects)} saved objects, for Kibana's Stack Management, Saved Objects, Import")
