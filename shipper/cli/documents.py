"""Documents on standard output: coloured and indented for a person, a line each for a program."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
import orjson

if TYPE_CHECKING:
    from collections.abc import Callable


def printer() -> Callable[[Any], None]:
    """A function that prints one document, and flushes."""
    if not sys.stdout.isatty():
        return _print_line
    from rich.console import Console  # noqa: PLC0415 - only for a person
    from rich.json import JSON  # noqa: PLC0415 - as above

    console = Console(file=sys.stdout)
    return lambda document: console.print(JSON(text(document), indent=2), soft_wrap=True)


def _print_line(document: Any) -> None:
    click.echo(text(document))


def text(document: Any) -> str:
    """JSON on one line; also of what orjson refuses, such as integers beyond 64 bits."""
    try:
        return orjson.dumps(document).decode()
    except TypeError:
        return (
            json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)
            .encode("utf-8", "replace")
            .decode()
        )
