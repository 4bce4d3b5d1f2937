"""A batch in the making: encoded blocks and their segments, until they are enough for a request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shipper.outputs.batch import Batch

if TYPE_CHECKING:
    from shipper.delivery.encoder import Encoded
    from shipper.delivery.ledger import Segment


class Builder:
    """Collects blocks; ``done`` makes the batch of them."""

    def __init__(self) -> None:
        self.count = self.bytes = 0
        self.since = 0.0
        """When the first block came (monotonic)."""
        self._bodies: list[bytes] = []
        self._segments: list[Segment] = []

    def add(self, encoded: Encoded, *segments: Segment) -> None:
        """Add a block; its segments are settled with the batch."""
        if not self.count:
            self.since = time.monotonic()
        self.count += encoded.documents
        self.bytes += len(encoded.body)
        self._bodies.append(encoded.body)
        self._segments += segments

    def done(self) -> Batch:
        """The batch."""
        return Batch(b"".join(self._bodies), self.count, self._segments)
