"""The kinds of value a setting can have, beyond pydantic's own: durations, sizes, paths, regular expressions, lists."""

from __future__ import annotations

import math
import os
import re
import warnings
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from shipper.settings.options import FromOption

_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", re.IGNORECASE)
_BYTES = {"": 1, "b": 1} | {
    letter + suffix: base**power
    for power, letter in enumerate("kmgt", 1)
    for suffix, base in (("", 1000), ("b", 1000), ("i", 1024), ("ib", 1024))
}
_POSIX = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "ascii": r"\x00-\x7F", "blank": r"\t ", "cntrl": r"\x00-\x1F\x7F", "digit": "0-9",
    "graph": r"!-~", "lower": "a-z", "print": r" -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z",
    "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_POSIX_CLASS = re.compile(r"\[:([a-z]+):\]")


class Unit(NamedTuple):
    """Annotation of a field: what the reference calls its kind of value."""

    name: str


def seconds(value: Any) -> Any:
    """``5s``, ``1m30s``, ``500ms`` (Go's notation, and ``d`` for days) or a plain number of seconds, as seconds."""
    if isinstance(value, str):
        text = value.strip().lower()
        parts = _DURATION_PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            return sum(float(number) * _SECONDS[unit] for number, unit in parts)
        try:
            value = float(text)
        except ValueError:
            msg = f"{value!r} is not a duration: write a number and its unit, such as 500ms, 5s or 1m30s"
            raise ValueError(msg) from None
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    msg = f"{value!r} is not a duration: write a number and its unit, such as 500ms, 5s or 1m30s"
    raise ValueError(msg)


def size(value: Any) -> Any:
    """``10MiB``, ``10Mi`` (powers of 1024), ``2mb``, ``2m`` (powers of 1000) or a plain number of bytes, as bytes."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match and match[2].lower() in _BYTES:
            return round(float(match[1]) * _BYTES[match[2].lower()])
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    msg = f"{value!r} is not a size: write a number of bytes, or a number with KiB, MiB, GiB, kB, MB or GB"
    raise ValueError(msg)


def as_size(value: int) -> str:
    """Bytes as a person writes them: ``64MiB``."""
    for unit, length in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value % length == 0:
            return f"{value // length}{unit}"
    return str(value)


def python_regex(source: str) -> str:
    """A regular expression as Filebeat takes it (Go's RE2), in Python's syntax.

    The one difference that people meet is POSIX classes, ``[[:space:]]``: in Python's ``re`` they mean something else,
    silently. Raises ``ValueError`` with the position of what cannot be understood.
    """

    def posix(match: re.Match[str]) -> str:
        if match[1] not in _POSIX:
            msg = f"[:{match[1]}:] is not a class of characters: use one of {', '.join(_POSIX)}"
            raise ValueError(msg)
        return _POSIX[match[1]]

    translated = _POSIX_CLASS.sub(posix, source).replace(r"\z", r"\Z")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(translated)
    except FutureWarning as warning:
        msg = f"{source!r} is ambiguous: {warning}: put a backslash before [, -, & or ~ where it stands for itself"
        raise ValueError(msg) from None
    except (re.error, OverflowError, RecursionError) as error:
        msg = f"{source!r} is not a regular expression: {error}"
        raise ValueError(msg) from None
    return translated


def absolute(value: Any, info: ValidationInfo) -> Any:
    """A path as text or ``Path``, ``~`` expanded; a relative one is relative to the folder of the settings file."""
    if not isinstance(value, str | Path):
        return value
    if not str(value):
        msg = "is empty: name a path"
        raise ValueError(msg)
    base = (not isinstance(value, FromOption) and (info.context or {}).get("base")) or Path.cwd()
    return os.path.normpath(base / Path(value).expanduser())


def items(value: Any) -> Any:
    """One value where a list is wanted is a list of it, as in Filebeat; nothing is an empty list."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int | float) else value


def one_per_comma(value: Any) -> Any:
    """As ``items``; text is split at commas too, so that a list can come from one environment variable."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else items(value)


Seconds = Annotated[float, BeforeValidator(seconds), Unit("duration")]
Size = Annotated[int, BeforeValidator(size), Unit("size")]
Regex = Annotated[str, AfterValidator(python_regex), Unit("regular expression")]
FilePath = Annotated[Path, BeforeValidator(absolute), Unit("path")]
Glob = Annotated[str, BeforeValidator(absolute), Unit("glob")]
