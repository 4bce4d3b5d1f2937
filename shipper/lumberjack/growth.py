"""How many events the next window has: few at first, more with each success, half after a failure.

A server in trouble gets little to lose, and one that does not know the window's size in advance (the client never does)
is not flooded. The least is one event: what a server cannot take at all must not take others with it.
"""

from __future__ import annotations


class Growth:
    """``size`` is the next window's, between 1 and ``most``. Not ``slow``: always ``most``."""

    def __init__(self, most: int, *, slow: bool = True) -> None:
        self._most = most
        self._slow = slow
        self.size = min(10, most) if slow else most

    def succeeded(self, count: int) -> None:
        """A window of ``count`` events is acknowledged: double the size, if it was used."""
        if count >= self.size:
            self.size = min(self._most, 2 * self.size)

    def failed(self) -> None:
        """A window was not acknowledged."""
        if self._slow:
            self.size = max(1, self.size // 2)
