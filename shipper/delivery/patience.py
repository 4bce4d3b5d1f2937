"""How long whoever wants to end waits for an output that takes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipper.delivery.sender import Deliveries


class Patience:
    """Begins anew with each document that has its outcome. Belongs to one thread."""

    def __init__(self, seconds: float) -> None:
        """``seconds`` without any progress are enough."""
        self.seconds = seconds
        self._settled = 0
        self._since = time.monotonic()

    def renew(self) -> None:
        """Nobody waits yet, or something else went on."""
        self._since = time.monotonic()

    def is_over(self, counts: Deliveries, *, most: float | None = None) -> bool:
        """Whether that was so long ago; ``counts`` are as of now, ``most`` are seconds that are enough in any case."""
        settled = counts.delivered + counts.rejected
        if settled != self._settled:
            self._settled = settled
            self.renew()
        seconds = self.seconds if most is None else min(self.seconds, most)
        return time.monotonic() - self._since > seconds
