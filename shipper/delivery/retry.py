"""When to try again.

The wait before attempt n + 1 is drawn evenly from the upper half of ``min(longest, first * 2**n)``: it grows with every
failure, and many agents that lost the same server do not come back in step. A success begins anew.
"""

from __future__ import annotations

import random


class Backoff:
    """The waits between attempts. ``first`` and ``longest`` are seconds (Filebeat's defaults: 1 and 60)."""

    def __init__(self, first: float = 1.0, longest: float = 60.0) -> None:
        self._first = first
        self._longest = longest
        self.failures = 0

    def next(self) -> float:
        """Count a failure; how many seconds to wait."""
        ceiling = min(self._longest, self._first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret

    def reset(self) -> None:
        """Count a success."""
        self.failures = 0
