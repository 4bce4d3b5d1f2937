"""The order in which Logstash walks a hash of the configuration: that of ``java.util.HashMap``."""

from __future__ import annotations

from typing import TypeVar

_Value = TypeVar("_Value")


def java_hash(text: str) -> int:
    """``String.hashCode()`` as an unsigned 32-bit number; it runs over UTF-16 code units."""
    units = text.encode("utf-16-be", "surrogatepass")
    value = 0
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return value


def hash_ordered(pairs: dict[str, _Value]) -> dict[str, _Value]:
    """Sort by bucket; keys that share one stay as written. The table starts at 16 and doubles beyond 75 percent."""
    capacity = 16
    while len(pairs) > 0.75 * capacity:
        capacity *= 2

    def bucket(key: str) -> int:
        value = java_hash(key)
        return (value ^ value >> 16) & (capacity - 1)

    return {key: pairs[key] for key in sorted(pairs, key=bucket)}
