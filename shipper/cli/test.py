"""``shipper test``: check what is configured before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shipper.cli.options import settings_options
from shipper.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from shipper.settings import Settings


@click.group()
def test() -> None:
    """Check what is configured, before it is used."""


@test.command()
@settings_options
def config(path: Path, overrides: tuple[str, ...]) -> None:
    """Check a settings file, the pipelines it names and the files of its TLS settings. Nothing is sent or written.

    Every mistake is printed on a line of its own, as FILE:LINE: SETTING: what is wrong; the exit code is 2 then.
    """
    from shipper.settings import load  # noqa: PLC0415 - pydantic, only when a command needs it

    settings = load(path, overrides=overrides)
    if problems := [*pipeline_problems(settings), *certificate_problems(settings), *receive_problems(settings)]:
        raise SettingsError([f"{path}: {each}" for each in problems])
    click.echo(f"{path}: the settings are good")
    for at, each in enumerate(settings.inputs):
        state = "" if each.enabled else " (disabled)"
        click.echo(
            f"  input {each.id or at}{state}: {', '.join(each.paths)} · pipeline {each.pipeline or 'none, lines as they are'}"
        )
    if own := settings.receive:
        secured = "TLS" if own.tls else "no TLS"
        click.echo(f"  receive: {own.host}, {secured} · pipeline {own.pipeline or 'none, events as they are'}")
    click.echo(f"  output: {describe_output(settings)}")
    click.echo(f"  state: {settings.path_data}")


@test.command()
@settings_options
def output(path: Path, overrides: tuple[str, ...]) -> None:
    """Connect to the output and say what works, with what rights. No document is sent.

    The exit code is 1 when something failed: a host that does not answer, credentials, a right that is needed.
    """
    from shipper.errors import OutputError  # noqa: PLC0415 - only when a command needs it
    from shipper.outputs import open_output  # noqa: PLC0415 - as above
    from shipper.settings import load  # noqa: PLC0415 - as above

    settings = load(path, overrides=overrides)
    click.echo(describe_output(settings))
    if settings.output.kind == "elasticsearch":
        from shipper.elastic.looking import look  # noqa: PLC0415 - the client, only where it is used

        failed = 0
        for finding in look(settings.output, settings.setup):
            failed += finding.good is False
            click.echo(f"  {_SIGNS[finding.good]}  {finding.what}")
        if failed:
            raise OutputError("the output cannot be used as it is set up")
        return
    opened = open_output(settings)
    try:
        opened.check()
    finally:
        opened.close()
    click.echo(f"  {_SIGNS[True]}  it can be used")


_SIGNS = {True: "ok     ", False: "FAILED ", None: "note   "}


def pipeline_problems(settings: Settings) -> list[str]:
    """What is wrong with the pipelines of the inputs that are used, one line each, no pipeline twice."""
    from parser.errors import ParserError  # noqa: PLC0415 - the grammar, only when a command needs it
    from shipper.inputs import pipeline_of  # noqa: PLC0415 - as above

    used = {
        (each.pipeline, each.ecs_compatibility, each.timezone): (at, each)
        for at, each in reversed(list(enumerate(settings.inputs)))
        if each.enabled
    }
    problems: dict[str, str] = {}
    for at, each in sorted(used.values(), key=lambda item: item[0]):
        try:
            pipeline_of(each)
        except ParserError as error:
            problems.setdefault(str(error), f"inputs[{at}].pipeline: {error}")
        except OSError as error:
            why = f"{each.pipeline} cannot be read: {error.strerror or error}"
            problems.setdefault(why, f"inputs[{at}].pipeline: {why}")
    return list(problems.values())


def certificate_problems(settings: Settings) -> list[str]:
    """What is wrong with the certificates and keys that the output names, one line each."""
    tls = getattr(settings.output, "ssl", None)
    if tls is None:
        return []
    from shipper.outputs.certificates import unusable  # noqa: PLC0415 - TLS, only where it is set

    return [f"output.{settings.output.kind}.ssl.{setting}: {why}" for setting, why in unusable(tls)]


def receive_problems(settings: Settings) -> list[str]:
    """What is wrong with the pipeline and the certificate of ``shipper receive``, one line each."""
    own = settings.receive
    if own is None:
        return []
    from parser.errors import ParserError  # noqa: PLC0415 - only when a command needs it
    from shipper.errors import RefusedError  # noqa: PLC0415 - as above
    from shipper.inputs import pipeline_of  # noqa: PLC0415 - as above
    from shipper.receiver.tls import server_context  # noqa: PLC0415 - as above

    problems = []
    try:
        pipeline_of(own)
    except ParserError as error:
        problems.append(f"receive.pipeline: {error}")
    except OSError as error:
        problems.append(f"receive.pipeline: {own.pipeline} cannot be read: {error.strerror or error}")
    try:
        if own.tls:
            server_context(own.ssl)
    except RefusedError as error:
        problems.append(str(error))
    return problems


def describe_output(settings: Settings) -> str:
    """The output in a few words; no secrets."""
    output = settings.output
    match output.kind:
        case "elasticsearch":
            what = "index" if output.index else "data stream"
            return f"elasticsearch, {what} {output.target} at {', '.join(output.hosts)}"
        case "logstash":
            return f"logstash at {', '.join(output.hosts)}{' over TLS' if output.tls else ''}"
        case "file":
            return f"file {output.path / output.filename}"
        case "store":
            return f"store {settings.store_path}"
        case "console":
            return "console"
