"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click


def dictionary_options(command: click.decorators.FC) -> click.decorators.FC:
    """The options that say which patterns there are: ``ecs`` and ``directories``."""
    for option in (
        click.option(
            "--ecs-compatibility",
            "ecs",
            type=click.Choice(["v8", "v1", "disabled"]),
            default="v8",
            show_default=True,
            help="Which names the shipped patterns give their fields, as in Logstash.",
        ),
        click.option(
            "--patterns-dir",
            "directories",
            multiple=True,
            type=click.Path(path_type=Path),
            help="A folder of pattern files of your own. May be repeated.",
        ),
    ):
        command = option(command)
    return command


def settings_options(command: click.decorators.FC) -> click.decorators.FC:
    """The options that say what the settings are: ``path`` and ``overrides``, for ``shipper.settings.load``."""
    for option in (
        click.option(
            "-E",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="A setting over what the file says, such as queue.mem.bytes=8MiB. May be repeated.",
        ),
        click.option(
            "-c",
            "--config",
            "path",
            type=click.Path(path_type=Path),
            default="shipper.yml",
            show_default=True,
            help="The settings file.",
        ),
    ):
        command = option(command)
    return command
