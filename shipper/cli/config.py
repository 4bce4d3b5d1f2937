"""``shipper config``: what can be set."""

from __future__ import annotations

import click


@click.group()
def config() -> None:
    """Show what can be set."""


@config.command()
def reference() -> None:
    """Print every setting with its kind, default and meaning, as Markdown."""
    from shipper.settings.reference import markdown  # noqa: PLC0415 - pydantic, only when a command needs it

    click.echo(markdown(), nl=False)
