"""``shipper run``: the agent as a service."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default="shipper.yml",
    show_default=True,
    help="The settings file.",
)
@click.option("--once", is_flag=True, help="Ship what is there now and end.")
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the output may take nothing before a run that ends gives up.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log what is done, not only what goes wrong.")
def run(path: Path, *, once: bool, patience: float, verbose: bool) -> None:
    """Run the agent with a settings file, until SIGTERM or Ctrl-C: then it delivers what it has read, and ends.

    What could not be delivered by then is read again at the next start: nothing is lost.
    """
    from shipper.agent import Agent  # noqa: PLC0415 - the whole agent, only for the commands that run it
    from shipper.cli.running import allow_many_files, logging_to_stderr, stopping_on_signals, tune_memory  # noqa: PLC0415 - as above
    from shipper.errors import InputError, OutputError  # noqa: PLC0415 - as above
    from shipper.settings import load  # noqa: PLC0415 - as above

    logging_to_stderr(logging.DEBUG if verbose else logging.INFO)
    log = logging.getLogger("shipper")
    with Agent(load(path)) as agent:
        try:
            agent.check()
        except OutputError as error:
            if once:
                raise
            # A service outlives its server's restarts: it reads what the queue holds and waits.
            log.warning("%s", error)
        tune_memory()
        allow_many_files()
        with stopping_on_signals(agent.stop) as stopped:
            log.info("started with %s", path)
            complete = agent.run(once=once, patience=patience)
        documents = agent.progress().documents
        problems = [f"{path} {why}" for path, why in agent.unreadable().items()]
    log.info("stopped: %d documents delivered, %d rejected", documents.delivered, documents.rejected)
    if not complete and not once:
        log.warning("not everything that was read is delivered: the next start reads it again")
    elif not complete:
        problems.append(
            f"not everything is delivered{documents.trouble and ': '}{documents.trouble}; run it again to go on"
        )
    if documents.rejected:
        problems.append(f"{documents.rejected:,} documents were rejected; they are kept in the state")
    if once and problems:
        raise InputError("\n".join(problems))
    if once and stopped:
        sys.exit(130)
