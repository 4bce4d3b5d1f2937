"""``shipper run``: the agent as a service."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING

import click

from shipper.cli.options import settings_options
from shipper.cli.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

    from shipper.agent import Agent
    from shipper.settings import Settings

log = logging.getLogger("shipper")


@click.command()
@settings_options
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
def run(path: Path, overrides: tuple[str, ...], *, once: bool, patience: float, verbose: bool) -> None:
    """Run the agent with a settings file, until SIGTERM or Ctrl-C: then it delivers what it has read, and ends.

    What could not be delivered by then is read again at the next start: nothing is lost. SIGHUP makes it read the settings
    again; where they are wrong, those before go on.
    """
    if not once:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # before there is something to reload, and after it
    from shipper.cli.running import logging_to_stderr  # noqa: PLC0415 - logging, signals: only to run an agent

    logging_to_stderr(logging.DEBUG if verbose else logging.INFO)
    if once:
        _once(_load(path, overrides), patience)
    else:
        _serve(path, overrides, patience)


def _once(settings: Settings, patience: float) -> None:
    from shipper.agent import Agent  # noqa: PLC0415 - the whole agent, only for the commands that run it
    from shipper.cli.running import allow_many_files, stopping_on_signals, tune_memory  # noqa: PLC0415 - as above
    from shipper.errors import InputError  # noqa: PLC0415 - as above

    with Agent(settings) as agent:
        agent.check()
        tune_memory()
        allow_many_files()
        with stopping_on_signals(agent.stop) as stopped:
            complete = agent.run(once=True, patience=patience)
        documents = agent.progress().documents
        problems = [f"{path} {why}" for path, why in agent.unreadable().items()]
        if lost := agent.lost():
            problems.append(f"{lost:,} bytes were gone before they could be read")
    _log_end(agent)
    if not complete:
        problems.append(
            f"not everything is delivered{documents.trouble and ': '}{documents.trouble}; run it again to go on"
        )
    if documents.rejected:
        problems.append(f"{documents.rejected:,} documents were rejected; they are kept in the state")
    if problems:
        raise InputError("\n".join(printable(each) for each in problems))
    if stopped:
        sys.exit(130)


def _serve(path: Path, overrides: tuple[str, ...], patience: float) -> None:
    from shipper.agent import Agent  # noqa: PLC0415 - as above
    from shipper.cli.running import allow_many_files, reloading_on_hangup, stopping_on_signals, tune_memory  # noqa: PLC0415 - as above
    from shipper.cli.watching import StatusPages  # noqa: PLC0415 - as above
    from shipper.observer import Observer  # noqa: PLC0415 - as above
    from shipper.status.systemd import Systemd  # noqa: PLC0415 - as above

    systemd, observer = Systemd(), Observer()
    pages = StatusPages(observer)
    settings = _load(path, overrides)

    def load_again() -> Settings:
        systemd.reloading()
        return _load(path, overrides)

    def reloaded(in_use: Settings) -> None:
        pages.reapply(in_use)
        systemd.ready(f"shipping, with {path}")

    def stop() -> None:
        agent.stop()
        systemd.stopping()

    agent = Agent(settings, pulse=systemd.alive, observer=observer, loader=load_again, reloaded=reloaded)
    with agent:
        try:
            pages.apply(settings)
            _check(agent, settings)
            tune_memory()
            allow_many_files()
            with stopping_on_signals(stop), reloading_on_hangup(agent.reload):
                log.info("started with %s", path)
                systemd.ready(f"shipping, with {path}")
                complete = agent.run(patience=patience)
        finally:
            pages.close()
    _log_end(agent)
    if not complete:
        log.warning("not everything that was read is delivered: the next start reads it again")


def _load(path: Path, overrides: tuple[str, ...]) -> Settings:
    """The settings, with all that can be known to be wrong with what they name."""
    from shipper.cli.running import hide_in_log  # noqa: PLC0415 - as above
    from shipper.cli.test import certificate_problems  # noqa: PLC0415 - as above
    from shipper.errors import SettingsError  # noqa: PLC0415 - as above
    from shipper.settings import load  # noqa: PLC0415 - as above

    settings = load(path, overrides=overrides)
    hide_in_log(settings.secrets)
    if problems := certificate_problems(settings):
        raise SettingsError([f"{path}: {each}" for each in problems])
    return settings


def _check(agent: Agent, settings: Settings) -> None:
    """Look whether the output can be used, so that a mistake is seen at once. A service outlives its server's restarts."""
    from shipper.errors import OutputError  # noqa: PLC0415 - as above

    if settings.output.kind in {"elasticsearch", "logstash"}:
        return  # a server that does not answer must not hold up the start; the first batch says what is wrong
    try:
        agent.check()
    except OutputError as error:
        log.warning("%s", error)


def _log_end(agent: Agent) -> None:
    documents = agent.progress().documents
    log.info("stopped: %d documents delivered, %d rejected", documents.delivered, documents.rejected)
