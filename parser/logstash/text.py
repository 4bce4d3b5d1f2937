"""Values as text, as Ruby and Java write them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import orjson

from parser.logstash.hashorder import hash_ordered
from parser.timestamps import Timestamp


def java_float(value: float) -> str:
    """``Double.toString``: plain between 1e-3 and 1e7, else with ``E``."""
    if math.isnan(value):
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    mantissa, exponent = f"{Decimal(repr(value)):E}".split("E")
    if "." not in mantissa:
        mantissa += ".0"
    else:
        mantissa = mantissa.rstrip("0")
        mantissa += "0" if mantissa.endswith(".") else ""
    return f"{mantissa}E{int(exponent)}"


def ruby_float(value: float) -> str:
    """Ruby's ``Float#to_s``: plain between 1e-4 and 1e16, else with ``e``."""
    if not math.isfinite(value):
        return java_float(value)
    if value == 0 or 1e-4 <= abs(value) < 1e16:
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    text = java_float(value)
    mantissa, exponent = text.split("E")
    return f"{mantissa}e{'-' if int(exponent) < 0 else '+'}{abs(int(exponent)):02d}"


def interpolated(value: Any) -> str:
    """A field's value inside ``%{field}``: a list joined with commas, a hash as JSON."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return java_float(value)
    if isinstance(value, list):
        return ",".join(_java_text(item) for item in value)
    if isinstance(value, dict):
        if not value:
            return "{}"
        return orjson.dumps(_java_ordered(value)).decode()
    return str(value)


def _java_ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _java_ordered(item) for key, item in hash_ordered(value).items()}
    return [_java_ordered(item) for item in value] if isinstance(value, list) else value


def _java_text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_java_text(item)}" for key, item in value.items()) + "}"
    return interpolated(value)


def ruby_text(value: Any) -> str:
    """Ruby's ``to_s``: what grok and mutate see of a value that is no string."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, (list, dict)):
        return _inspect(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return ruby_float(value)
    return str(value)


def _inspect(value: Any) -> str:
    if value is None:
        return "nil"
    if isinstance(value, Timestamp):
        return str(value)
    if isinstance(value, str):
        return orjson.dumps(value).decode().replace("#{", "\\#{")
    if isinstance(value, list):
        return f"[{', '.join(_inspect(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_inspect(key)}=>{_inspect(item)}" for key, item in value.items()) + "}"
    return ruby_text(value)
