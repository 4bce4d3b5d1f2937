"""Every error that ``shipper`` raises on purpose. The command line prints ``str(error)`` and exits with ``exit_code``.

::

    ShipperError             1   the root: a message for a person, which says what to do
    ├── SettingsError        2   a mistake in shipper.yml or on the command line; one line per mistake, with its file and line
    ├── InputError           1   a path that cannot be read as a log: a directory, a FIFO, no permission
    ├── StateError           1   the agent's own files: another instance has them, a disk is full, a database is broken
    ├── QueryError           2   a search expression that does not parse; carries the position
    └── OutputError          1   an output that cannot be used at all
        ├── UnavailableError 1   ... now: down, overloaded, timed out; worth another try (delivery does, forever)
        │   └── TooLargeError    1   ... for a batch of this size: worth another try in parts
        └── RefusedError     1   ... as it is set up: bad credentials, not an Elasticsearch; trying again needs a person
            └── UnfitError       1   ... or for something that stands in this very batch: in parts most of it may go
"""

from __future__ import annotations


class ShipperError(Exception):
    """The root of the tree above."""

    exit_code = 1


class SettingsError(ShipperError):
    """One or more mistakes in the settings; ``problems`` holds one line each: ``file:line: setting: what, and what to do``."""

    exit_code = 2

    def __init__(self, problems: str | list[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else problems
        super().__init__("\n".join(self.problems))


class InputError(ShipperError):
    """A path that cannot be read as a log."""


class StateError(ShipperError):
    """The agent's own files cannot be used."""


class QueryError(ShipperError):
    """A search expression does not parse. ``position`` is the 0-based character where it stopped making sense."""

    exit_code = 2

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class OutputError(ShipperError):
    """An output cannot be used."""


class UnavailableError(OutputError):
    """The output cannot take anything now; nothing of the batch is known to be delivered."""


class TooLargeError(UnavailableError):
    """The output does not take a batch of this size; in parts it may."""


class RefusedError(OutputError):
    """The output refuses us as we are set up; only a person can mend it. Delivery still retries: it may be mended while we run."""


class UnfitError(RefusedError):
    """The output refuses this request as a whole, and it is not known whether for what stands in it."""
