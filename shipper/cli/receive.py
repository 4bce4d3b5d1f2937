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
    told of, they send again.
    """
    from shipper.cli.running import allow_many_files, logging_to_stderr, stopping_on_signals, tune_memory  # noqa: PLC0415 - only when it runs
    from shipper.errors import OutputError  # noqa: PLC0415 - as above
    from shipper.receiver.service import Receiver  # noqa: PLC0415 - as above
    from shipper.settings import load  # noqa: PLC0415 - as above

    logging_to_stderr(logging.DEBUG if verbose else logging.INFO)
    log = logging.getLogger("shipper")
    settings = load(path, overrides=overrides)
    with Receiver(settings) as receiver:
        try:
            receiver.check()
        except OutputError as error:
            # A service outlives its server's restarts: its senders wait, and keep what they have.
            log.warning("%s", error)
        tune_memory()
        allow_many_files()
        with stopping_on_signals(receiver.stop):
            host, port = receiver.address
            tls = "TLS" if settings.receive and settings.receive.tls else "no TLS"
            log.info("listening on %s:%d (%s)", f"[{host}]" if ":" in host else host, port, tls)
            complete = receiver.run(patience=patience)
        documents = receiver.documents()
    log.info("stopped: %d documents delivered, %d rejected", documents.delivered, documents.rejected)
    if not complete:
        log.warning("not everything that came is delivered: its senders send it again")
