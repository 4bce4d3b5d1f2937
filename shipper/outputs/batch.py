r"""A batch: encoded documents, and what must be settled when their outcomes are known.

The encoding is Elasticsearch's bulk body, made once, in the thread that parses::

    {"create":{"_id":"<20 characters>"}}\n
    {"@timestamp":...}\n

JSON has no raw newline, so every document is exactly two lines; the other outputs take the second of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Rejection(NamedTuple):
    """A document that the output will never accept as it is."""

    position: int
    """0-based, in the batch."""
    status: int
    """The output's own code, HTTP-like; 0 where it has none."""
    reason: str


@dataclass(slots=True)
class Outcomes:
    """What became of each document of a batch. A position that is in neither list was delivered."""

    retry: list[int] = field(default_factory=list)
    """Positions to send again, ascending."""
    rejected: list[Rejection] = field(default_factory=list)
    duplicates: int = 0
    """How many of the delivered ones were there already."""
    failure_store: int = 0
    """How many of the delivered ones Elasticsearch put into its failure store."""
    reason: str = ""
    """Why the ``retry`` ones must be sent again, for a person."""


@dataclass(slots=True)
class Batch:
    """Encoded documents on their way to an output. ``body`` is as above, ``count`` documents long.

    ``segments`` are the delivery ledger's, settled when every document of the batch is; they mean nothing to an output.
    """

    body: bytes
    count: int
    segments: Sequence[Any] = ()

    def documents(self) -> list[bytes]:
        """The JSON of each document, without its newline."""
        return self.body.split(b"\n")[1::2]

    def ids(self) -> list[str]:
        """The id of each document, as its action line carries it."""
        return [action[18:38].decode() for action in self.body.split(b"\n")[:-1:2]]

    def select(self, positions: Iterable[int]) -> Batch:
        """A batch of some of the documents. It settles nothing by itself: it has no segments."""
        lines = self.body.split(b"\n")
        picked = [b"%b\n%b\n" % (lines[2 * at], lines[2 * at + 1]) for at in positions]
        return Batch(b"".join(picked), len(picked))
