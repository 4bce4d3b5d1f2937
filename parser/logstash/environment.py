"""``${VAR}`` and ``${VAR:default}`` in the values of a configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE: Final = re.compile(r"\$\{(?P<name>[a-zA-Z_.][a-zA-Z0-9_.]*)(?::(?P<default>[^}]*))?\}")


class UndefinedVariableError(ValueError):
    """A variable has neither a value nor a default."""


def substitute(text: str, environment: Mapping[str, str]) -> str:
    """Replace every variable. Raises ``UndefinedVariableError``; what is not a variable's form stays as it is."""

    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if name in environment:
            return environment[name]
        if default is None:
            raise UndefinedVariableError(
                f"the variable {name} is not set and has no default: set it, or write ${{{name}:default}}"
            )
        return default

    previous = None
    # A default may hold another variable: ${A:${B:x}} is resolved from the inside out.
    while "${" in text and text != previous:
        previous, text = text, _VARIABLE.sub(value, text)
    return text
