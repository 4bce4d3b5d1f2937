"""Timestamps as Logstash reads and writes them: Joda patterns, ``ISO8601``, ``UNIX``, ``UNIX_MS``, ``TAI64N``.

Two layers. ``compile_matcher`` is exact: a pattern becomes a regular expression and a list of fields, and the zone
rules are those of Joda (an hour that a clock change skipped is an error, one that it repeats is the earlier instant).
``Reader`` is fast: log lines of one second differ in their fraction only, so it remembers what the text without its
three digits of fraction stands for, and only puts the digits behind it.
"""

from __future__ import annotations

import calendar
import math
import re
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from parser.decimals import decimal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CACHE_LIMIT: Final = 8192
# Three digits and what they become at the end of a timestamp; a text that is not in it is not three digits.
MILLIS: Final = {f"{number:03d}": f"{number:03d}Z" for number in range(1000)}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET_TEXT: Final = re.compile(r"([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?", re.ASCII)
_FRACTION_LAST: Final = re.compile(r"yyyy-MM-dd(?: |T|'T')HH:mm:ss[.,]SSS(?:Z|ZZ)?")
_EPOCH_PATTERNS: Final = ("UNIX", "UNIX_MS")
_SECONDS: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_MILLISECONDS: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_FIRST, _LAST = -62_135_596_800, 2**31 - 1  # seconds: the year 1; where Logstash's UNIX ends
_DIGITS: Final = "yYuCMdHmsSDwexkKh"  # the letters of a pattern that stand for digits
_MONTHS: Final = {
    name.lower(): n for names in (calendar.month_abbr, calendar.month_name) for n, name in enumerate(names) if n
}
DAYS: Final = {name.lower(): n + 1 for names in (calendar.day_abbr, calendar.day_name) for n, name in enumerate(names)}
# Joda's names of zones in text (``z``): only those of the English locale that it knows without a provider.
ZONE_NAMES: Final = {
    "UTC": "UTC", "UT": "UTC", "GMT": "UTC", "EST": "America/New_York", "EDT": "America/New_York",
    "CST": "America/Chicago", "CDT": "America/Chicago", "MST": "America/Denver", "MDT": "America/Denver",
    "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles",
}  # fmt: skip
# CLDR's abbreviated and wide month names where they are not the English ones; Java takes them as they are written.
_LOCALE_MONTHS: Final = {
    "pt": (
        ["jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.", "out.", "nov.", "dez."],
        ["janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro", "dezembro"],
    ),
    "de": (
        ["Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."],
        ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"],
    ),
    "es": (
        ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic"],
        ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"],
    ),
    "fr": (
        ["janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."],
        ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"],
    ),
}  # fmt: skip


class Timestamp(str):
    """An instant in Logstash's JSON form, ``2017-07-04T11:11:37.921Z``; a type of its own, so that it is told from text."""

    __slots__ = ()


class TimestampPatternError(ValueError):
    """A pattern has a letter that is none, or a zone that nobody knows."""


class TimestampTextError(ValueError):
    """A text does not fit the pattern, or names a date or an hour that does not exist."""


def from_millis(millis: int) -> Timestamp:
    """The timestamp of a number of milliseconds since 1970. Raises ``TimestampTextError`` beyond the year 9999."""
    try:
        moment = _EPOCH + timedelta(milliseconds=millis)
    except OverflowError:
        raise TimestampTextError(f"{millis} ms is out of range") from None
    return _timestamp(moment)


def _timestamp(moment: datetime) -> Timestamp:
    return Timestamp(f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z")


def epoch_millis(timestamp: str) -> int:
    """Milliseconds since 1970 of a ``Timestamp``."""
    return round((datetime.fromisoformat(timestamp) - _EPOCH) / timedelta(milliseconds=1))


def zone(name: str) -> tzinfo:
    """A zone by its IANA name, or an offset such as ``+03:00``. Raises ``TimestampPatternError``."""
    if name in ("UTC", "Z"):
        return UTC
    offset = _OFFSET_TEXT.fullmatch(name)
    if offset:
        return _offset(offset)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise TimestampPatternError(
            f"{name!r} is no time zone: use a name such as Europe/Berlin, or an offset such as +02:00"
        ) from None


def _offset(match: re.Match[str]) -> timezone:
    sign, hours, minutes, seconds = match.groups()
    span = timedelta(hours=int(hours), minutes=int(minutes or 0), seconds=int(seconds or 0))
    try:
        return timezone(span if sign == "+" else -span)
    except ValueError:
        raise TimestampPatternError(f"{match[0]!r} is no time zone: an offset is less than a day") from None


def _localize(moment: datetime, place: tzinfo) -> datetime:
    """Wall clock to instant, by Joda's rules for the two nights a year."""
    aware = moment.replace(tzinfo=place)
    instant = aware.astimezone(UTC)
    if instant.astimezone(place).replace(tzinfo=None) != moment:
        raise TimestampTextError(f"{moment} was skipped by a clock change in {place}")
    return instant


class _Field:
    """A letter run of a pattern: how its text looks, and what it sets."""

    __slots__ = ("key", "parse", "regex")

    def __init__(self, regex: str, key: str, parse: Callable[[str], Any]) -> None:
        self.regex, self.key, self.parse = regex, key, parse


def _names(table: dict[str, int], key: str) -> _Field:
    longest_first = sorted(table, key=len, reverse=True)
    return _Field("(?i:" + "|".join(map(re.escape, longest_first)) + ")", key, lambda text: table[text.lower()])


def _read_zone(text: str) -> tzinfo:
    try:
        return zone(text)
    except TimestampPatternError as error:
        raise TimestampTextError(str(error)) from None


def months(locale: str | None) -> dict[str, int]:
    """The names of the months in a language, in small letters, and their numbers."""
    names = _LOCALE_MONTHS.get((locale or "en").replace("_", "-").split("-")[0])
    if names is None:
        return _MONTHS
    return {name.lower(): n + 1 for group in names for n, name in enumerate(group)}


def _two_digit_year(clock: Callable[[], datetime]) -> Callable[[str], int]:
    def year(text: str) -> int:
        if len(text) != 2:
            return int(text)
        low = clock().year - 80
        return low + (int(text) - low) % 100

    return year


# The letters of plain numbers: what each sets, and its most digits.
NUMBERS: Final = {
    "d": ("day", 2), "H": ("hour", 2), "m": ("minute", 2), "s": ("second", 2), "D": ("ordinal", 3),
    "w": ("week", 2), "e": ("weekday", 1), "x": ("weekyear", 9), "k": ("hour24", 2), "K": ("hour12", 2),
    "h": ("clock12", 2),
}  # fmt: skip


def _field(letter: str, count: int, locale: str | None, *, adjacent: bool, clock: Callable[[], datetime]) -> _Field:
    """The field of ``count`` times ``letter``; ``adjacent`` if digits follow at once, which fixes its width."""
    if letter in "yYu" and count == 2:
        return _Field(r"\d\d" if adjacent else r"[+-]?\d{1,9}", "year", _two_digit_year(clock))
    if letter in "yYuC":
        return _Field(rf"\d{{{count}}}" if adjacent else r"[+-]?\d{1,9}", "year", int)
    if letter == "M" and count >= 3:
        return _names(months(locale), "month")
    if letter == "M":
        return _Field(rf"\d{{{count}}}" if adjacent else r"\d{1,2}", "month", int)
    if letter == "E":
        return _names(DAYS, "weekday")
    if letter == "a":
        return _Field("(?i:am|pm)", "half", str.lower)
    if letter == "S":
        return _Field(
            rf"\d{{{count}}}" if adjacent else rf"\d{{1,{count}}}", "micros", lambda text: int(text.ljust(6, "0")[:6])
        )
    if letter == "Z" and count <= 2:
        return _Field(r"Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?", "zone", _read_zone)
    if letter == "Z":
        return _Field(r"(?!Z\b)[A-Za-z][\w/+-]*", "zone", _read_zone)
    if letter == "z":
        return _Field("|".join(ZONE_NAMES), "zone", lambda text: zone(ZONE_NAMES[text]))
    if letter in NUMBERS:
        key, digits = NUMBERS[letter]
        return _Field(rf"\d{{{count}}}" if adjacent else rf"\d{{1,{digits}}}", key, int)
    raise TimestampPatternError(f"{letter * count!r} is nothing that Joda's date patterns know")


def split_pattern(pattern: str) -> list[tuple[str, str]]:
    """A pattern's parts: ("field", letters) and ("text", literal); quotes are resolved."""
    parts = []
    for match in re.finditer(r"''|'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z'])|(')", pattern):
        quoted, letters, _, plain, stray = match.groups()
        if letters:
            parts.append(("field", letters))
        elif stray:
            raise TimestampPatternError(f"{pattern!r} has a quote that does not end")
        else:
            text = "'" if match[0] == "''" else quoted.replace("''", "'") if quoted is not None else plain
            parts.append(("text", text))
    return parts


def reading_parts(pattern: str) -> list[tuple[str, str, bool]]:
    """``split_pattern`` for reading: the flag says that digits follow at once, which fixes a field's width."""
    parts = split_pattern(pattern)
    following = [kind == "field" and text[0] in _DIGITS and not text.startswith("MMM") for kind, text in parts[1:]]
    return [(kind, text, adjacent) for (kind, text), adjacent in zip(parts, [*following, False], strict=False)]


def _compile_pattern(
    pattern: str, locale: str | None, clock: Callable[[], datetime]
) -> Callable[[str, tzinfo], datetime]:
    if pattern == "ISO8601":
        return _compile_iso()
    fields: list[_Field] = []
    regex = ""
    for kind, text, adjacent in reading_parts(pattern):
        if kind == "text":
            regex += re.escape(text)
            continue
        field = _field(text[0], len(text), locale, adjacent=adjacent, clock=clock)
        fields.append(field)
        regex += f"({field.regex})"
    matcher = re.compile(regex, re.ASCII).fullmatch

    def parse(text: str, place: tzinfo) -> datetime:
        match = matcher(text)
        if match is None:
            raise TimestampTextError(f"{text!r} does not look like {pattern}")
        values = {field.key: field.parse(part) for field, part in zip(fields, match.groups(), strict=True)}
        if "year" in values or "weekyear" in values:
            return _assemble(values, place)
        # No year in the text: Logstash takes this one, save around New Year.
        now = clock()
        year = now.year
        month = values.get("month", 1)
        if month == 12 and now.month == 1:
            year -= 1
        elif month == 1 and now.month == 12:
            year += 1
        return _assemble({**values, "year": year}, place)

    return parse


def _compile_iso() -> Callable[[str, tzinfo], datetime]:
    matcher = re.compile(
        r"(?P<year>[+-]?\d{1,9})(?:-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?|-(?P<ordinal>\d{3})|-W(?P<week>\d\d)(?:-(?P<weekday>\d))?)?"
        r"(?:T(?:(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}))?)?(?:[.,](?P<fraction>\d{1,9}))?)?(?P<zone>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?"
        r"|(?P<year_>[+-]?\d{1,9})-(?P<month_>\d{1,2})-(?P<day_>\d{1,2}) (?P<hour_>\d{1,2}):(?P<minute_>\d{1,2}):(?P<second_>\d{1,2})"
        r"[.,](?P<fraction_>\d{1,3})(?P<zone_>Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?",
        re.ASCII,
    ).fullmatch

    def parse(text: str, place: tzinfo) -> datetime:
        match = matcher(text)
        if match is None:
            raise TimestampTextError(f"{text!r} is not an ISO 8601 date and time")
        found = {key.rstrip("_"): part for key, part in match.groupdict().items() if part is not None}
        values: dict[str, Any] = {key: int(part) for key, part in found.items() if key not in ("zone", "fraction")}
        if "week" in values:
            values["weekyear"] = values.pop("year")
        if "fraction" in found:
            _set_fraction(values, found["fraction"])
        if "zone" in found:
            values["zone"] = _read_zone(found["zone"])
        return _assemble(values, place)

    return parse


def _set_fraction(values: dict[str, Any], digits: str) -> None:
    """A fraction belongs to the smallest field before it: ``T11.5`` is half past eleven."""
    if "second" in values:
        values["micros"] = int(digits.ljust(6, "0")[:6])
    else:
        unit = 60 if "minute" in values else 3600
        seconds = int(Decimal(f"0.{digits}") * unit)
        values["minute"] = values.get("minute", 0) + seconds // 60
        values["second"] = seconds % 60


def _assemble(values: dict[str, Any], place: tzinfo) -> datetime:
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
        return _localize(moment, values.get("zone", place))
    except (ValueError, OverflowError) as error:
        raise TimestampTextError(str(error)) from None


def _limit(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise TimestampTextError(f"{value} is not between {low} and {high}")
    return value


def _unix(value: object) -> Timestamp:
    try:
        seconds = decimal(str(value), _SECONDS)
    except ValueError as error:
        raise TimestampTextError(str(error)) from None
    if isinstance(value, str) and "e" in value.lower():
        raise TimestampTextError(f"{value!r} is not a number of seconds")
    if not _FIRST <= seconds <= _LAST:
        raise TimestampTextError(f"{value!r} seconds are before the year 1, or later than 2038")
    return from_millis(int(seconds * 1000))


def _unix_ms(value: object) -> Timestamp:
    if isinstance(value, str) and _MILLISECONDS.fullmatch(value):
        return from_millis(int(value))
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return from_millis(int(value))
    raise TimestampTextError(f"{value!r} is not a number of milliseconds")


def _tai64n(value: object) -> Timestamp:
    text = str(value).removeprefix("@")
    try:
        return from_millis((int(text[1:16], 16) - 10) * 1000 + int(text[16:24], 16) // 1_000_000)
    except ValueError:
        raise TimestampTextError(f"{text!r} is not a TAI64N label") from None


def _clock() -> datetime:
    return datetime.now(UTC)


def compile_matcher(
    pattern: str, *, locale: str | None = None, now: datetime | None = None
) -> Callable[[object, tzinfo], Timestamp]:
    """Compile one pattern of a date filter.

    The function takes the field's value and the zone for a text without one, and raises ``TimestampTextError``.
    ``now`` stands in for the clock where a year has to be guessed. Raises ``TimestampPatternError``.
    """
    if pattern == "UNIX":
        return lambda value, _place: _unix(value)
    if pattern == "UNIX_MS":
        return lambda value, _place: _unix_ms(value)
    if pattern == "TAI64N":
        return lambda value, _place: _tai64n(value)
    # Read anew for each text: what is compiled may run over New Year.
    parse = _compile_pattern(pattern, locale, _clock if now is None else lambda: now)

    def match(value: object, place: tzinfo) -> Timestamp:
        if not isinstance(value, str):
            raise TimestampTextError(f"{value!r} is not a text")
        return _timestamp(parse(value, place))

    return match


class Reader:
    """A date filter's patterns, tried in turn, for texts of one zone.

    Calling it with a field's value gives the ``Timestamp``, or ``None`` where no pattern takes it. ``seconds`` is its
    memory: text without the three digits of its fraction -> the same instant in UTC up to the point, so that
    "2017-07-04 11:11:37." gives "2017-07-04T14:11:37."; generated code looks there first. It stays empty where one of
    the patterns could tell two texts apart that differ in these digits only. Bounded.
    """

    __slots__ = ("_fast", "_iso", "_matchers", "_place", "seconds")

    def __init__(
        self, patterns: Sequence[str], place: tzinfo, *, locale: str | None = None, now: datetime | None = None
    ) -> None:
        self._matchers = [compile_matcher(pattern, locale=locale, now=now) for pattern in patterns]
        self._place = place
        self.seconds: dict[str, str] = {}
        self._iso = all(pattern == "ISO8601" or pattern in _EPOCH_PATTERNS for pattern in patterns)
        self._fast = all(
            pattern == "ISO8601" or pattern in _EPOCH_PATTERNS or _FRACTION_LAST.fullmatch(pattern)
            for pattern in patterns
        )

    def __call__(self, value: object) -> Timestamp | None:
        """The timestamp of a field's value, or ``None``."""
        if type(value) is str:
            prefix = self.seconds.get(self._key(value))
            fraction = MILLIS.get(value[20:23])
            if prefix is not None and fraction is not None:
                return Timestamp(prefix + fraction)
        result = self._read(value)
        if self._fast and result is not None and type(value) is str:
            self._remember(value, result)
        return result

    def _read(self, value: object) -> Timestamp | None:
        for matcher in self._matchers:
            try:
                return matcher(value, self._place)
            except TimestampTextError:
                continue
        return None

    def _remember(self, value: str, result: Timestamp) -> None:
        fraction = MILLIS.get(value[20:23])
        if (
            fraction is not None
            and value[19:20] in (".", ",")
            and value[4:5] == value[7:8] == "-"
            and not (key := self._key(value))[20:21].isdigit()
            and result.endswith(f".{fraction}")
        ):
            if len(self.seconds) >= _CACHE_LIMIT:
                self.seconds.clear()
            self.seconds[key] = result[:-4]

    def _key(self, value: str) -> str:
        """The text without its fraction. ISO8601 takes up to nine digits after a ``T`` and uses three of them."""
        rest = value[23:]
        if self._iso and value[10:11] == "T" and rest[:1].isdigit():
            tail = rest.lstrip("0123456789")
            if len(rest) - len(tail) <= 6:
                rest = tail
        return value[:20] + rest
