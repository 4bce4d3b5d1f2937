"""``/health`` and ``/metrics`` of ``shipper run`` and ``shipper receive``, as the settings want them, also after a reload."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shipper.errors import ShipperError

if TYPE_CHECKING:
    from pathlib import Path

    from shipper.observer import Observer
    from shipper.progress import Snapshot
    from shipper.settings import Settings
    from shipper.settings.model import HttpSettings
    from shipper.status.server import StatusServer

log = logging.getLogger(__name__)


class StatusPages:
    """The server, if the settings want one."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._settings: HttpSettings | None = None
        self._state: Path | None = None
        self._server: StatusServer | None = None

    def apply(self, settings: Settings) -> None:
        """Serve as ``settings.http`` says. Raises ``ShipperError``: what was served before still is, where it can be."""
        wanted = settings.http
        self._state = settings.path_data / "state.db"
        if wanted == self._settings:
            return
        before, served = self._settings, self._server is not None
        self.close()
        try:
            self._server = self._serve(wanted) if wanted.enabled else None
        except ShipperError:
            if before and served:
                self._server = self._serve(before)
            raise
        self._settings = wanted

    def reapply(self, settings: Settings) -> None:
        """As ``apply``, for a running agent, which a port that is taken shall not end."""
        try:
            self.apply(settings)
        except ShipperError as error:
            log.error("reload: %s", error)  # noqa: TRY400 - a person's mistake, not ours

    def close(self) -> None:
        """Stop serving."""
        if self._server:
            self._server.close()
            self._server = None

    def _serve(self, wanted: HttpSettings) -> StatusServer:
        from shipper.status.health import Health  # noqa: PLC0415 - prometheus-client, http: only where they are used
        from shipper.status.metrics import Metrics  # noqa: PLC0415 - as above
        from shipper.status.server import StatusServer  # noqa: PLC0415 - as above

        def latest() -> Snapshot:
            return self._observer.latest

        pages = {"/health": Health(latest).page, "/metrics": Metrics(latest, self._state).page}
        server = StatusServer(wanted.host, wanted.port, pages, allow_remote=wanted.allow_remote)
        server.start()
        log.info("status at %s/health and %s/metrics", server.url, server.url)
        return server
