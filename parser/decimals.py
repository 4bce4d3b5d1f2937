"""Texts as numbers, at the cost of their length.

``1e1000000`` is short and names a million digits; to write them out takes minutes inside of one call, which nothing can
stop. No log has such a number, so here it is none.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import re

MOST_DIGITS: Final = 1000
"""Of a text, and of the integer that becomes of it. Python writes no integer of more than 4300."""


def decimal(text: str, form: re.Pattern[str]) -> Decimal:
    """A text of this form as a number. Raises ``ValueError`` where it is none, or too long for one."""
    if len(text) >= MOST_DIGITS or not form.fullmatch(text):
        raise ValueError(f"{text[:100]!r} is not a number")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:100]!r} is not a number") from None


def whole(number: Decimal | float) -> int:
    """The integer part. Raises ``ValueError`` where it has too many digits."""
    if isinstance(number, Decimal) and number.adjusted() >= MOST_DIGITS:
        if number:
            raise ValueError(f"{number.adjusted() + 1} digits are too many for an integer")
        return 0
    return int(number)


__all__ = ["MOST_DIGITS", "decimal", "whole"]
