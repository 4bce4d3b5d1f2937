"""The seam to the outside: what an output is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipper.outputs.batch import Batch, Outcomes


class Output(ABC):
    """A place that documents go to. Used by one thread at a time; ``delivery/sender.py`` owns retries and backoff.

    An output tries once and tells the truth: an outcome per document, or an error for all of them.
    """

    name: str
    """For messages: ``store``, ``elasticsearch at https://es:9200``."""

    def check(self) -> None:
        """Look, once and before anything is sent, whether the output can be used as it is set up.

        Raises ``UnavailableError`` or ``RefusedError``.
        """
        return

    @abstractmethod
    def send(self, batch: Batch) -> Outcomes:
        """Deliver, durably: what is not in the outcome's lists survives a crash of this process and of the output.

        Raises ``UnavailableError`` or ``RefusedError``: nothing of the batch is known to be delivered.
        """

    def close(self) -> None:
        """Let go of connections and files. Called once, after the last ``send``."""
        return
