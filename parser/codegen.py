"""Writing Python: the lines, names and constants of the function that a pipeline becomes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from parser.logstash.event import dig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parser.logstash.ast import Path


class Code:
    """A growing Python source.

    ``line`` appends at the current depth; ``block`` indents what is written inside of it. ``constant`` gives a value
    a name that the source can use, ``local`` a name that is free. The event is the local ``e`` everywhere.
    """

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {}
        self._lines: list[str] = []
        self._depth = 0
        self._counter = 0
        self._shared: dict[int, str] = {}

    @property
    def source(self) -> str:
        """All that was written."""
        return "\n".join(self._lines) + "\n"

    def line(self, text: str) -> None:
        """Append a line."""
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Append ``head`` and indent what follows; an empty block becomes ``pass``."""
        self.line(head)
        self._depth += 1
        before = len(self._lines)
        yield
        if len(self._lines) == before:
            self.line("pass")
        self._depth -= 1

    def mark(self) -> int:
        """Where the source ends now, for ``rewind``."""
        return len(self._lines)

    def rewind(self, mark: int) -> None:
        """Take back what was written since ``mark``, in the same block."""
        del self._lines[mark:]

    def local(self, hint: str) -> str:
        """A name that nothing else has."""
        self._counter += 1
        return f"{hint}{self._counter}"

    def constant(self, hint: str, value: Any) -> str:
        """The name of a value in the source's namespace; the same object has one name."""
        name = self._shared.get(id(value))
        if name is None:
            name = self.local(f"{hint}_")
            self.namespace[name] = value
            self._shared[id(value)] = name
        return name

    def read(self, path: Path) -> str:
        """An expression for the field at ``path``, ``None`` where it is missing."""
        expression = f"e.get({path[0]!r})"
        for key in path[1:]:
            step = self.local("t")
            missing = "None"
            if key.lstrip("-").isdigit():
                missing = f"{self.constant('dig', dig)}({step}, {(key,)!r}) if type({step}) is list else None"
            expression = f"({step}.get({key!r}) if type({step} := {expression}) is dict else {missing})"
        return expression
