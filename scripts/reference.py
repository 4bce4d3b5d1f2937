#!/usr/bin/env python3
"""Print the reference, Markdown: what each command takes, as its own ``--help`` says, and every setting, as the models say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shipper.cli import main
from shipper.settings.reference import markdown

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """\
# Reference

Generated from the code by `scripts/reference`; do not edit.

- [Commands](#commands)
- [Settings](#settings)

# Commands
"""

WIDTH = 110


def commands(command: click.Command, parent: click.Context | None = None, name: str = "shipper") -> Iterator[str]:
    """The help of ``command`` and of all below it, each in a section."""
    settings = {**main.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            if below is not None and not below.hidden:
                yield from commands(below, context, each)


def reference() -> str:
    """The whole file."""
    return "\n".join([HEAD, *commands(main), markdown()])


if __name__ == "__main__":
    print(reference(), end="")
