"""``shipper receive``: the receiver as a service."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from shipper.cli.options import settings_options

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@settings_options
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the output may take nothing before a receiver that ends gives up.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log what is done, not only what goes wrong.")
def receive(path: Path, *, overrides: tuple[str, ...], patience: float, verbose: bool) -> None:
    """Receive events from Filebeat, any other Beat and other agents (Lumberjack v2), parse them and deliver them.

    The section receive of the settings file says where to listen. A sender is told that an event arrived when the output
    has it, or the queue on disk. SIGTERM or Ctrl-C: what came is delivered, and the receiver ends; what its senders were not
    told of, they send again. SIGHUP changes nothing: the settings are read at the start.
    """
    from shipper.cli.running import (  # noqa: PLC0415 - only when it runs
        allow_many_files,
        hide_in_log,
        logging_to_stderr,
        reloading_on_hangup,
        stopping_on_signals,
        tune_memory,
    )
    from shipper.cli.watching import StatusPages  # noqa: PLC0415 - as above
    from shipper.errors import OutputError  # noqa: PLC0415 - as above
    from shipper.observer import Observer  # noqa: PLC0415 - as above
    from shipper.receiver.service import Receiver  # noqa: PLC0415 - as above
    from shipper.settings import load  # noqa: PLC0415 - as above
    from shipper.status.systemd import Systemd  # noqa: PLC0415 - as above

    logging_to_stderr(logging.DEBUG if verbose else logging.INFO)
    log = logging.getLogger("shipper")
    settings = load(path, overrides=overrides)
    hide_in_log(settings.secrets)
    systemd, observer = Systemd(), Observer()
    pages = StatusPages(observer)
    hangups: list[bool] = []

    def pulse() -> None:
        systemd.alive()
        if hangups:
            hangups.clear()
            log.warning("SIGHUP: the settings are read at the start only; restart to use new ones, its senders wait")

    def stop() -> None:
        receiver.stop()
        systemd.stopping()

    receiver = Receiver(settings, pulse=pulse, observer=observer)
    with receiver:
        try:
            pages.apply(settings)
            with stopping_on_signals(stop), reloading_on_hangup(lambda: hangups.append(True)):
                try:
                    receiver.check()
                except OutputError as error:
                    # A service outlives its server's restarts: its senders wait, and keep what they have.
                    log.warning("%s", error)
                tune_memory()
                allow_many_files()
                host, port = receiver.address
                tls = "TLS" if settings.receive and settings.receive.tls else "no TLS"
                where = f"{f'[{host}]' if ':' in host else host}:{port} ({tls})"
                log.info("listening on %s", where)
                systemd.ready(f"listening on {where}")
                complete = receiver.run(patience=patience)
        finally:
            pages.close()
        documents = receiver.documents()
    log.info("stopped: %d documents delivered, %d rejected", documents.delivered, documents.rejected)
    if not complete:
        log.warning("not everything that came is delivered: its senders send it again")
