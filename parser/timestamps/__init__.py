"""Timestamps as Logstash reads and writes them: Joda patterns, ``ISO8601``, ``UNIX``, ``UNIX_MS``, ``TAI64N``.

Two layers. ``compile_matcher`` (``matcher``) is exact: a pattern becomes a function, and the zone rules are those of Joda
(an hour that a clock change skipped is an error, one that it repeats is the earlier instant). ``Reader`` is fast: it
remembers the second of a text.

``patterns`` is the syntax of patterns; ``joda``, ``iso8601`` and ``epochs`` compile or read each kind, by ``names`` and
``zones``; ``resolving`` makes of the fields that were read an ``instant``.
"""

from __future__ import annotations

from parser.timestamps.errors import TimestampPatternError, TimestampTextError
from parser.timestamps.instant import Timestamp, epoch_millis, from_millis
from parser.timestamps.matcher import compile_matcher
from parser.timestamps.reader import Reader
from parser.timestamps.zones import zone

__all__ = [
    "Reader",
    "Timestamp",
    "TimestampPatternError",
    "TimestampTextError",
    "compile_matcher",
    "epoch_millis",
    "from_millis",
    "zone",
]
