"""The command line's root: which commands there are, and how an error ends.

Each command's module is imported when the command is used, never for ``--help``. Exit codes:

==== =======================================================================================
0    done
1    it could not be done: an error of ``shipper.errors`` that says why
2    a mistake in the settings, in a pipeline or on the command line
70   a fault of this program; ``SHIPPER_DEBUG=1`` shows where
130  interrupted by Ctrl-C
==== =======================================================================================
"""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from shipper import __version__
from shipper.errors import ShipperError

if TYPE_CHECKING:
    from typing import NoReturn

USAGE, FAULT, INTERRUPTED = 2, 70, 130


class Command(NamedTuple):
    """A command that is not imported yet."""

    target: str
    """``module:attribute``"""
    help: str


COMMANDS = {
    "ship": Command("shipper.cli.ship:ship", "Ship log files, once or for as long as they grow."),
    "run": Command("shipper.cli.run:run", "Run the agent with a settings file."),
    "receive": Command("shipper.cli.receive:receive", "Receive events from Beats and other agents."),
    "search": Command("shipper.cli.search:search", "Search what was shipped."),
    "follow": Command("shipper.cli.follow:follow", "Show new events as they arrive."),
    "setup": Command("shipper.cli.setup:setup", "Set up a cluster and Kibana: templates, retention, dashboards."),
    "rejects": Command("shipper.cli.rejects:rejects", "See, send again or drop what an output would not take."),
    "files": Command("shipper.cli.files:files", "Show how far each file is, and which may be deleted."),
    "test": Command("shipper.cli.test:test", "Check what is configured, before it is used."),
    "pipeline": Command("shipper.cli.pipeline:pipeline", "Run a pipeline on lines, test it, export it."),
    "grok": Command("shipper.cli.grok:grok", "Match, explain and suggest grok expressions."),
    "patterns": Command("shipper.cli.patterns:patterns", "Show the named patterns, import more."),
    "config": Command("shipper.cli.config:config", "Show what can be set, and what is."),
}


class Root(click.Group):
    """A group whose commands come from ``COMMANDS``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order that a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Tell whoever mistypes a command which one may be meant."""
        if args and args[0] not in COMMANDS and (near := get_close_matches(args[0], COMMANDS, 1)):
            ctx.fail(f"No such command '{args[0]}': did you mean {near[0]}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List them without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error ends in a message and an exit code, not in a traceback."""
        try:
            return super().invoke(ctx)
        except ShipperError as error:
            _fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            _fail("interrupted", INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            from parser.errors import ParserError  # noqa: PLC0415 - its package is loaded already where it was raised

            if isinstance(error, ParserError):
                _fail(str(error), USAGE)
            if os.environ.get("SHIPPER_DEBUG"):
                raise
            # Not its text: that may quote an event, and this is in the agent's log.
            text = f"this should not have happened: {type(error).__name__}\nSet SHIPPER_DEBUG=1 to see what and where, and report it, please."
            _fail(text, FAULT)


def _fail(message: str, code: int) -> NoReturn:
    """Print each line of ``message`` as ``shipper: line`` and exit."""
    from shipper.cli.printable import printable  # noqa: PLC0415 - only for an error

    for line in message.splitlines() or ["failed"]:
        click.echo(f"shipper: {printable(line)}", err=True)
    sys.exit(code)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="shipper")
def main() -> None:
    """Ship logs of Java services, parsed by Logstash's own filters, and search them."""
