"""``shipper ship``: from files to searchable, without a settings file."""

from __future__ import annotations

import glob
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipper.cli.printable import printable
from shipper.errors import InputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipper.agent import Agent
    from shipper.progress import Progress
    from shipper.settings import Settings

_OPTIONS = {
    "inputs[0].paths": "PATH",
    "inputs[0].pipeline": "--pipeline",
    "inputs[0].fields": "--service",
    "inputs[0].timezone": "--timezone",
    "inputs[0].encoding": "--encoding",
}
"""What the options set, for the messages."""


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--once", is_flag=True, help="Ship what is there now and end, instead of following the files.")
@click.option(
    "--pipeline",
    default="spring-boot",
    metavar="NAME|FILE",
    show_default=True,
    help="What parses the events: a bundled pipeline, a Logstash configuration file, or 'none'.",
)
@click.option("--service", metavar="NAME", help="service.name of the events. Default: what the log lines say.")
@click.option(
    "--timezone",
    metavar="ZONE",
    help="Zone of timestamps without an offset, such as Europe/Berlin. Default: the machine's.",
)
@click.option("--encoding", metavar="NAME", help="What the files are written in, if not UTF-8: utf-16, latin1, gbk ...")
@click.option("-c", "--config", type=click.Path(path_type=Path), help="Take all but the inputs from this shipper.yml.")
@click.option(
    "-E",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting, such as output.elasticsearch.hosts=http://es:9200.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the output may take nothing before a run that ends gives up.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def ship(
    paths: tuple[str, ...],
    *,
    once: bool,
    pipeline: str,
    service: str | None,
    timezone: str | None,
    encoding: str | None,
    config: Path | None,
    overrides: tuple[str, ...],
    patience: float,
    quiet: bool,
) -> None:
    """Ship log files into the store of this machine, or wherever -c or -E say, and go on as they grow, until Ctrl-C.

    What was shipped before is not shipped again. With --once the exit code is 0 only when everything is durably delivered.
    """
    from shipper.agent import Agent  # noqa: PLC0415 - the whole agent, only for the commands that run it
    from shipper.cli.running import allow_many_files, hide_in_log, logging_to_stderr, stopping_on_signals, tune_memory  # noqa: PLC0415 - as above

    # A one-shot run says at its end what went wrong; one that follows says it when it happens.
    logging_to_stderr(logging.ERROR if once else logging.WARNING)
    settings = _settings(
        paths,
        pipeline=pipeline,
        service=service,
        timezone=timezone,
        encoding=encoding,
        config=config,
        overrides=overrides,
    )
    hide_in_log(settings.secrets)
    started = time.monotonic()
    with _progress_bar(quiet=quiet or not sys.stderr.isatty()) as watch, Agent(settings, watch=watch) as agent:
        agent.check()
        tune_memory()
        allow_many_files()
        with stopping_on_signals(agent.stop) as stopped:
            complete = agent.run(once=once, patience=patience)
        progress = agent.progress()
        problems = [f"{path} {why}" for path, why in agent.unreadable().items()]
        problems += [f"{path}: there is no such file" for path in _missing(paths)] if once else []
        problems += [] if complete else _undelivered(agent)
        if once and (lost := agent.lost()):
            problems.append(f"{lost:,} bytes were gone before they could be read")
        if once and (rejected := progress.documents.rejected):
            problems.append(f"{rejected:,} documents were rejected; they are kept in {settings.path_data / 'state.db'}")
    if not quiet and (progress.files or not problems):
        click.echo(_summary(progress, settings, time.monotonic() - started, once=once), err=True)
    if problems:
        raise InputError("\n".join(printable(each) for each in problems))
    if once and stopped:
        sys.exit(130)


def _settings(
    paths: tuple[str, ...],
    *,
    pipeline: str,
    service: str | None,
    timezone: str | None,
    encoding: str | None,
    config: Path | None,
    overrides: tuple[str, ...],
) -> Settings:
    from shipper.settings import load  # noqa: PLC0415 - pydantic

    one: dict[str, Any] = {"type": "filestream", "paths": list(paths)}
    if pipeline != "none":
        one["pipeline"] = pipeline
    if service:
        one |= {"fields": {"service.name": service}, "fields_under_root": True}
    if timezone:
        one["timezone"] = timezone
    if encoding:
        one["encoding"] = encoding
    try:
        return load(config, inputs=[one], overrides=overrides)
    except SettingsError as error:
        raise SettingsError([_by_option(problem) for problem in error.problems]) from None


def _by_option(problem: str) -> str:
    """A mistake under the name of the option that made it, instead of the setting's."""
    for setting, option in _OPTIONS.items():
        if problem.startswith(f"-E {setting}"):
            return option + problem.removeprefix(f"-E {setting}")
    return problem


class _progress_bar:  # noqa: N801 - used as a function
    """A bar on standard error while files are read; gives the agent's ``watch``, or ``None`` when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __enter__(self) -> Callable[[Progress], None] | None:
        if self._quiet:
            return None
        from rich.console import Console  # noqa: PLC0415 - only for a person
        from rich.markup import escape  # noqa: PLC0415 - as above
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415 - as above

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TextColumn("{task.fields[events]:,} events {task.fields[trouble]}"),
            console=Console(stderr=True),
            transient=True,
        )
        task = self._bar.add_task("shipping", total=None, events=0, trouble="")
        self._bar.start()
        return lambda progress: self._bar.update(
            task,
            total=progress.size or None,
            completed=progress.read,
            events=progress.documents.delivered,
            trouble=progress.documents.trouble and f"[yellow]{escape(progress.documents.trouble)}[/]",
        )

    def __exit__(self, *_: object) -> None:
        if not self._quiet:
            self._bar.stop()


def _summary(progress: Progress, settings: Settings, seconds: float, *, once: bool) -> str:
    from shipper.cli.test import describe_output  # noqa: PLC0415 - words for the output

    events, documents = progress.events, progress.documents
    # While files are followed, those that are idle or gone are closed, and are not among the files any more.
    files = f" from {_number(progress.files, 'file')}" if once else ""
    text = f"shipped {_number(documents.delivered, 'event')}{files} to the {describe_output(settings)}"
    if events.events or not once:
        text += f" in {seconds:.1f} s"
    elif progress.read:
        text += ": what is in them was shipped before"
    details = [
        f"{count:,} {what}"
        for count, what in (
            (documents.duplicates, "were there already"),
            (events.unparsed, "not parsed (tagged, shipped whole)"),
            (events.dropped, "dropped by the pipeline"),
            (documents.failure_store, "in the failure store"),
            (documents.rejected, f"rejected (kept in {settings.path_data / 'state.db'})"),
        )
        if count
    ]
    return "\n  ".join([text, *details])


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _missing(paths: tuple[str, ...]) -> list[str]:
    return [path for path in paths if not os.path.lexists(path) and not glob.glob(path, recursive=True)]  # noqa: PTH207 - absolute patterns too


def _undelivered(agent: Agent) -> list[str]:
    trouble = agent.progress().documents.trouble
    left = [f"  {path}: {size:,} bytes are not acknowledged" for path, size in agent.outstanding().items()]
    return [f"not everything is delivered{trouble and ': '}{trouble}; run it again to go on from here", *left]
