"""What is wrong with a pattern, or with a text."""

from __future__ import annotations


class TimestampPatternError(ValueError):
    """A pattern has a letter that is none, or a zone that nobody knows."""


class TimestampTextError(ValueError):
    """A text does not fit the pattern, or names a date or an hour that does not exist."""
