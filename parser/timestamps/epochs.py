"""Timestamps that count from an epoch: ``UNIX``, ``UNIX_MS``, ``TAI64N``."""

from __future__ import annotations

import math
import re
from typing import Final

from parser.decimals import decimal
from parser.timestamps.errors import TimestampTextError
from parser.timestamps.instant import Timestamp, from_millis

_SECONDS: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_MILLISECONDS: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_FIRST, _LAST = -62_135_596_800, 2**31 - 1  # seconds: the year 1; where Logstash's UNIX ends


def unix(value: object) -> Timestamp:
    """Seconds since 1970, with a fraction. Raises ``TimestampTextError``, as the others here."""
    try:
        seconds = decimal(str(value), _SECONDS)
    except ValueError as error:
        raise TimestampTextError(str(error)) from None
    if isinstance(value, str) and "e" in value.lower():
        raise TimestampTextError(f"{value!r} is not a number of seconds")
    if not _FIRST <= seconds <= _LAST:
        raise TimestampTextError(f"{value!r} seconds are before the year 1, or later than 2038")
    return from_millis(int(seconds * 1000))


def unix_ms(value: object) -> Timestamp:
    """Milliseconds since 1970."""
    if isinstance(value, str) and _MILLISECONDS.fullmatch(value):
        return from_millis(int(value))
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return from_millis(int(value))
    raise TimestampTextError(f"{value!r} is not a number of milliseconds")


def tai64n(value: object) -> Timestamp:
    """A label of TAI64N: seconds of atomic time and nanoseconds, in hexadecimal digits."""
    text = str(value).removeprefix("@")
    try:
        return from_millis((int(text[1:16], 16) - 10) * 1000 + int(text[16:24], 16) // 1_000_000)
    except ValueError:
        raise TimestampTextError(f"{text!r} is not a TAI64N label") from None
