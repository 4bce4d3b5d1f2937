"""The fields that were read from a text, resolved to an instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from parser.timestamps.errors import TimestampTextError
from parser.timestamps.zones import localize

if TYPE_CHECKING:
    from datetime import tzinfo


def resolve(values: dict[str, Any], place: tzinfo) -> datetime:
    """The instant of a date and time of day; ``place`` is where no zone was read. Raises ``TimestampTextError``."""
    hour = values.get("hour", 0)
    if "hour24" in values:
        hour = _limit(values["hour24"], 1, 24) % 24
    elif "clock12" in values or "hour12" in values:
        hour = _limit(values.get("clock12", 12), 1, 12) % 12 if "clock12" in values else _limit(values["hour12"], 0, 11)
        hour += 12 if values.get("half") == "pm" else 0
    try:
        if "weekyear" in values:
            day = datetime.fromisocalendar(values["weekyear"], values.get("week", 1), values.get("weekday", 1))
        elif "ordinal" in values:
            day = datetime(values["year"], 1, 1) + timedelta(days=values["ordinal"] - 1)  # noqa: DTZ001 - a wall clock, its zone comes last
            if day.year != values["year"]:
                raise TimestampTextError(f"the year {values['year']} has no day {values['ordinal']}")
        else:
            day = datetime(values["year"], values.get("month", 1), values.get("day", 1))  # noqa: DTZ001
            if "weekday" in values:
                day += timedelta(days=values["weekday"] - day.isoweekday())
        moment = day.replace(
            hour=hour,
            minute=values.get("minute", 0),
            second=values.get("second", 0),
            microsecond=values.get("micros", 0) // 1000 * 1000,
        )
        return localize(moment, values.get("zone", place))
    except (ValueError, OverflowError) as error:
        raise TimestampTextError(str(error)) from None


def _limit(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise TimestampTextError(f"{value} is not between {low} and {high}")
    return value
