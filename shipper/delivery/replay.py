"""Rejected documents to an output once more, under the ids that they have.

A document leaves the rejects when its output has it, durably, and not before: killed in between, it is sent again, and
counts as there already. One that is rejected again stays, with the new reason.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from shipper.errors import OutputError, TooLargeError, UnavailableError
from shipper.outputs.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shipper.delivery.retry import Backoff
    from shipper.outputs.base import Output
    from shipper.state.rejects import Reject, Rejects

_ID = re.compile(r"[\w-]{20}", re.ASCII)
_BATCH_DOCUMENTS = 1000


@dataclass(slots=True)
class Replayed:
    """What became of the documents."""

    delivered: int = 0
    rejected: int = 0
    damaged: int = 0
    """Are not what was kept: no JSON, or no id. They stay, and are not sent."""


class Replay:
    """``run`` once; what was done before an error is done."""

    def __init__(
        self, rejects: Rejects, output: Output, backoff: Backoff, *, batch_bytes: int, patience: float
    ) -> None:
        """``patience`` is how many seconds the output may take nothing."""
        self.counts = Replayed()
        self._rejects = rejects
        self._output = output
        self._backoff = backoff
        self._batch_bytes = batch_bytes
        self._patience = patience

    def run(self, numbers: Iterable[int]) -> Replayed:
        """Send these. Raises ``OutputError`` when the output takes nothing, ``StateError``."""
        for group in self._groups(numbers):
            self._send(group)
        return self.counts

    def _groups(self, numbers: Iterable[int]) -> Iterator[list[Reject]]:
        group: list[Reject] = []
        size = 0
        for number in numbers:
            reject = self._rejects.get(number)
            if reject is None:
                continue
            if not _is_sound(reject):
                self.counts.damaged += 1
                continue
            if group and (size + len(reject.document) > self._batch_bytes or len(group) >= _BATCH_DOCUMENTS):
                yield group
                group, size = [], 0
            group.append(reject)
            size += len(reject.document)
        if group:
            yield group

    def _send(self, group: list[Reject]) -> None:
        deadline = time.monotonic() + self._patience
        while group:
            lines = [b'{"create":{"_id":"%b"}}\n%b\n' % (each.id.encode(), each.document) for each in group]
            try:
                outcomes = self._output.send(Batch(b"".join(lines), len(group)))
            except TooLargeError as error:
                if len(group) == 1:
                    self._rejects.renew([(group[0].number, 413, str(error))])
                    self.counts.rejected += 1
                    return
                half = len(group) // 2
                self._send(group[:half])
                self._send(group[half:])
                return
            except UnavailableError as error:
                self._wait(deadline, error)
                continue
            again = set(outcomes.retry)
            rejected = {each.position: each for each in outcomes.rejected}
            delivered = [each.number for at, each in enumerate(group) if at not in again and at not in rejected]
            self._rejects.remove(delivered)
            self._rejects.renew([(group[at].number, each.status, each.reason) for at, each in rejected.items()])
            self.counts.delivered += len(delivered)
            self.counts.rejected += len(rejected)
            if delivered or rejected:
                deadline = time.monotonic() + self._patience
                self._backoff.reset()
            group = [group[at] for at in outcomes.retry]
            if group:
                self._wait(deadline, UnavailableError(f"{self._output.name}: {outcomes.reason or 'not taken yet'}"))

    def _wait(self, deadline: float, error: OutputError) -> None:
        wait = self._backoff.next()
        if time.monotonic() + wait > deadline:
            raise error
        time.sleep(wait)


def _is_sound(reject: Reject) -> bool:
    if not _ID.fullmatch(reject.id) or b"\n" in reject.document:
        return False
    try:
        return isinstance(orjson.loads(reject.document), dict)
    except orjson.JSONDecodeError:
        return False
