"""``shipper config``: what can be set, and what is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shipper.cli.options import settings_options

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def config() -> None:
    """Show what can be set, and what is."""


@config.command()
def reference() -> None:
    """Print every setting with its kind, default and meaning, as Markdown."""
    from shipper.settings.reference import markdown  # noqa: PLC0415 - pydantic, only when a command needs it

    click.echo(markdown(), nl=False)


@config.command()
@settings_options
def show(path: Path, overrides: tuple[str, ...]) -> None:
    """Print the settings in use as YAML, with all defaults. Secrets are hidden, so that it can be shown to others."""
    from shipper.settings import load  # noqa: PLC0415 - as above
    from shipper.settings.redaction import shown  # noqa: PLC0415 - as above

    click.echo(shown(load(path, overrides=overrides)), nl=False)
