"""The drop filter: the event ends here."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from parser.filters.base import Filter

if TYPE_CHECKING:
    from parser.codegen import Code
    from parser.filters.options import Options

_ALL: Final = 100


class DropFilter(Filter):
    """``percentage`` of the events are dropped, 100 by default."""

    name = "drop"

    def configure(self, options: Options) -> None:
        """Read the filter's own options."""
        self.percentage = options.number("percentage", _ALL)

    def emit(self, code: Code) -> None:
        """Write the filter into the code."""
        if self.percentage >= _ALL:
            code.line("append(None)")
            code.line("continue")
            return
        chance = code.constant("random", random.random)
        with code.block(f"if {chance}() * 100 < {self.percentage!r}:"):
            code.line("append(None)")
            code.line("continue")

    def writes(self) -> frozenset[str]:
        """The fields that the filter itself may change."""
        return frozenset()
