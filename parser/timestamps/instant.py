"""An instant as Logstash writes it, and the numbers that stand for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from parser.timestamps.errors import TimestampTextError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Timestamp(str):
    """An instant in Logstash's JSON form, ``2017-07-04T11:11:37.921Z``; a type of its own, so that it is told from text."""

    __slots__ = ()


def from_millis(millis: int) -> Timestamp:
    """The timestamp of a number of milliseconds since 1970. Raises ``TimestampTextError`` beyond the year 9999."""
    try:
        moment = _EPOCH + timedelta(milliseconds=millis)
    except OverflowError:
        raise TimestampTextError(f"{millis} ms is out of range") from None
    return from_moment(moment)


def from_moment(moment: datetime) -> Timestamp:
    """The timestamp of a moment in UTC; what is finer than milliseconds is left out."""
    return Timestamp(f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z")


def epoch_millis(timestamp: str) -> int:
    """Milliseconds since 1970 of a ``Timestamp``."""
    return round((datetime.fromisoformat(timestamp) - _EPOCH) / timedelta(milliseconds=1))
