"""The processors of an ingest pipeline as they grow: lines of Painless become script processors, others stand between.

What passes from one processor to the next is in ``ctx._parser``, which the pipeline's last processor removes.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final

from parser.errors import PipelineConfigError
from parser.filters.base import static_path
from parser.ingest import runtime, templates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from parser.filters.base import Filter
    from parser.filters.options import Context
    from parser.logstash.ast import Path
    from parser.logstash.sprintf import Template

METADATA: Final = frozenset(
    ("_index", "_id", "_version", "_version_type", "_routing", "_if_seq_no", "_if_primary_term", "_dynamic_templates",
     "_op_type", "_type", "_parser")
)  # fmt: skip
_LONG: Final = 12_000
"""Characters of a script after which the next one begins: a cluster takes 65,535, the functions included."""


class Script:
    """Growing processors.

    ``line`` and ``block`` write Painless; ``processor`` ends the script so far and adds a processor; in ``guarded``,
    every processor depends on a condition. ``clock`` is the literal of a fixed time in milliseconds, or ``null``.
    """

    def __init__(self, context: Context) -> None:
        self.processors: list[dict[str, Any]] = []
        self.clock = "null" if context.now is None else f"{int(context.now.timestamp() * 1000)}L"
        self._file = context.file
        self._lines: list[str] = []
        self._depth = 0
        self._guard: str | None = None
        self._places: list[str] = []
        self._place = ("", 0)
        self._counter = 0

    # ---- what is being exported

    def at(self, name: str, line: int) -> None:
        """What follows comes from this plugin."""
        self._place = name, line
        place = f"{name} (line {line})" if line else name
        if place not in self._places:
            self._places.append(place)

    def fail(self, message: str) -> NoReturn:
        """Raise a ``PipelineConfigError`` for the plugin that is being exported."""
        name, line = self._place
        raise PipelineConfigError(
            f"{name}: {message}; this has no equivalent in an ingest pipeline", file=self._file, line=line
        )

    # ---- Painless

    def number(self) -> int:
        """A number that nothing else has, for names."""
        self._counter += 1
        return self._counter

    def line(self, text: str) -> None:
        """Append a statement."""
        self._lines.append("  " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Append ``head {`` and, after what is written inside of it, ``}``. Painless refuses a block with nothing in it."""
        self.line(f"{head} {{")
        self._depth += 1
        before = len(self._lines)
        yield
        if len(self._lines) == before:
            if head == "else":
                self._depth -= 1
                self._lines.pop()
                return
            self.line(f"int nothing{self.number()} = 0;")
        self._depth -= 1
        self.line("}")

    def path(self, path: Path) -> str:
        """The list of a field's path; refuses the names that Elasticsearch keeps to itself."""
        if path[0] in METADATA:
            self.fail(f"the field '{path[0]}' is metadata of a document in Elasticsearch")
        return runtime.path(path)

    def text(self, template: Template) -> str:
        """An expression for a template's text."""
        return templates.expression(template.source, self.path)

    def reference(self, template: Template) -> str:
        """An expression for the path that a template names."""
        path = static_path(template)
        return f"reference({self.text(template)})" if path is None else self.path(path)

    def tags(self, names: tuple[str, ...]) -> None:
        """Tag the event, as a filter does on failure."""
        for name in names:
            self.line(f"tag(ctx, {runtime.text(name)});")

    def success(self, plugin: Filter) -> None:
        """What the options common to all filters ask for."""
        for key, values in plugin.additions:
            for value in values:
                self.line(f"addField(ctx, {self.reference(key)}, {self.text(value)});")
        for removal in plugin.removals:
            self.line(f"take(ctx, {self.reference(removal)});")
        for template in plugin.tags:
            self.line(f"addTag(ctx, {self.text(template)});")
        for template in plugin.untags:
            self.line(f"removeTag(ctx, {self.text(template)});")

    # ---- processors

    def flush(self) -> None:
        """End the script so far."""
        if self._lines:
            code = "\n".join(self._lines)
            self._lines = []
            self._add("script", {"source": runtime.with_functions(code)})
        self._places = []

    def flush_long(self) -> None:
        """End the script so far if it is long; only between statements at the top."""
        if self._depth == 0 and sum(map(len, self._lines)) > _LONG:
            self.flush()

    def processor(self, kind: str, body: dict[str, Any], condition: str | None = None) -> None:
        """Add a processor after what was written so far."""
        places = list(self._places)
        self.flush()
        self._places = places[-1:]
        self._add(kind, body, condition)

    @contextmanager
    def guarded(self, condition: str) -> Iterator[None]:
        """Everything inside depends on ``condition``; it is false where an outer one is."""
        self.flush()
        outer, self._guard = self._guard, condition
        yield
        self.flush()
        self._guard = outer

    def _add(self, kind: str, body: dict[str, Any], condition: str | None = None) -> None:
        head: dict[str, Any] = {}
        if self._places:
            shown = self._places if len(self._places) <= 6 else [*self._places[:3], "…", *self._places[-2:]]
            head["description"] = f"{FilePath(self._file).name}: {', '.join(shown)}"
        conditions = [each for each in (self._guard, condition) if each]
        if conditions:
            head["if"] = " && ".join(conditions)
        self.processors.append({kind: {**head, **body}})
