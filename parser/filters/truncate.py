"""The truncate filter: texts that are too long are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parser.filters.base import Filter
from parser.logstash import event as fields
from parser.logstash.fieldref import FieldReferenceError, parse_reference

if TYPE_CHECKING:
    from parser.codegen import Code
    from parser.filters.options import Options
    from parser.logstash.event import Event


class TruncateFilter(Filter):
    """``length_bytes`` is the longest that a text may be in UTF-8, in ``fields`` or in all; lists and hashes are entered.

    It succeeds if it cut something.
    """

    name = "truncate"

    def configure(self, options: Options) -> None:
        """Read the filter's own options."""
        if "length_bytes" not in options:
            options.fail("the option 'length_bytes' is missing")
        self.length = int(options.number("length_bytes", 0))
        if self.length < 0:
            options.fail("'length_bytes' must not be negative", "length_bytes")
        try:
            self.fields = tuple(map(parse_reference, options.strings("fields"))) if "fields" in options else None
        except FieldReferenceError as error:
            options.fail(str(error), "fields")

    def writes(self) -> frozenset[str] | None:
        """The fields that the filter itself may change."""
        return None if self.fields is None else frozenset(path[0] for path in self.fields)

    def emit(self, code: Code) -> None:
        """Write the filter into the code."""
        run = f"{code.constant('truncate', self._run)}(e)"
        if not self.decorates:
            code.line(run)
            return
        with code.block(f"if {run}:"):
            self.emit_success(code)

    def _run(self, event: Event) -> bool:
        paths = self.fields
        if paths is None:
            paths = tuple((key,) for key in event if key not in ("@metadata", "@timestamp"))
        changed = False
        for path in paths:
            value = fields.dig(event, path)
            cut = self._cut(value)
            if cut is not value:
                fields.put(event, path, cut)
                changed = True
        return changed

    def _cut(self, value: Any) -> Any:
        """The value with its texts cut; the same object if nothing was."""
        if type(value) is str:
            if len(value) * 4 <= self.length:
                return value
            raw = value.encode("utf-8", "replace")
            return value if len(raw) <= self.length else raw[: self.length].decode("utf-8", "ignore")
        if type(value) is list:
            items = [self._cut(item) if type(item) is str else item for item in value]
            return value if all(new is old for new, old in zip(items, value, strict=True)) else items
        if type(value) is dict:
            inner = {key: self._cut(item) for key, item in value.items()}
            return value if all(inner[key] is item for key, item in value.items()) else inner
        return value
