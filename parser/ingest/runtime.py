"""The functions in Painless that exported scripts call: ``runtime.painless``, taken apart."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_FUNCTION: Final = re.compile(r"^[\w\[\]]+ (?P<name>\w+)\([^\n]*\) \{\n.*?^\}$", re.MULTILINE | re.DOTALL)
_CALL: Final = re.compile(r"(?<![.\w])([a-zA-Z]\w*)\(")  # no methods


@cache
def functions() -> dict[str, str]:
    """All functions by their names."""
    text = Path(__file__).with_name("runtime.painless").read_text(encoding="utf-8")
    return {found["name"]: found[0] for found in _FUNCTION.finditer(text)}


def _compact(source: str) -> str:
    return "\n".join(line.strip() for line in source.splitlines())


def with_functions(code: str) -> str:
    """A script: ``code`` behind the functions that it calls, and those that they call."""
    known = functions()
    wanted: dict[str, None] = {}
    _collect(_CALL.findall(code), known, wanted)
    return "\n".join([*(_compact(known[name]) for name in known if name in wanted), code])


def _collect(names: Iterable[str], known: dict[str, str], wanted: dict[str, None]) -> None:
    for name in names:
        if name in known and name not in wanted:
            wanted[name] = None
            _collect(_CALL.findall(known[name]), known, wanted)


def text(value: str) -> str:
    """A string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def path(keys: Iterable[str]) -> str:
    """A list literal with the keys of a field's path."""
    return f"[{', '.join(map(text, keys))}]"


def constant(value: str | float) -> str:
    """The literal of a string or number of a configuration."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return f"{value}L" if -(2**63) <= value < 2**63 else f"new BigInteger('{value}')"
    return f"{value!r}d"
