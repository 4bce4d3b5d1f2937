"""The prune filter: only fields whose names and values are wanted stay."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from parser.errors import DialectError
from parser.filters.base import Filter
from parser.logstash.regexes import compile_regex
from parser.logstash.sprintf import Template
from parser.logstash.text import ruby_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from parser.codegen import Code
    from parser.filters.options import Options
    from parser.logstash.event import Event

    Search = Callable[[str], object]

_UNRESOLVED: Final = r"%\{[^}]+\}"


class PruneFilter(Filter):
    """Of the top-level fields: names in ``whitelist_names`` stay, those in ``blacklist_names`` go; values likewise.

    A list loses the items that are not wanted, and goes when none is left. With ``interpolate`` the expressions, and the
    names beside values, are templates.
    """

    name = "prune"

    def configure(self, options: Options) -> None:
        """Read the filter's own options."""
        self.interpolate = options.boolean("interpolate", default=False)
        self.names = (
            (self._searches(options, "whitelist_names"), True),
            (self._searches(options, "blacklist_names", (_UNRESOLVED,)), False),
        )
        self.values = tuple(
            (Template(field), self._search(options, name, ruby_text(pattern)), wanted)
            for name, wanted in (("whitelist_values", True), ("blacklist_values", False))
            for field, pattern in options.pairs(name)
        )

    def _searches(
        self, options: Options, name: str, default: tuple[str, ...] = ()
    ) -> tuple[Callable[[Event], Search], ...]:
        return tuple(self._search(options, name, pattern) for pattern in options.strings(name, default))

    def _search(self, options: Options, name: str, pattern: str) -> Callable[[Event], Search]:
        template = Template(pattern)
        if self.interpolate and not template.constant:
            compiled = lru_cache(256)(compile_regex)
            return lambda event: compiled(template.render(event)).search
        try:
            search = compile_regex(pattern).search
        except DialectError as error:
            options.fail(f"'{name}' has the pattern {pattern!r}, which is none: {error.message}", name)
        return lambda _event: search

    def writes(self) -> frozenset[str] | None:
        """The fields that the filter itself may change: any."""
        return None

    def emit(self, code: Code) -> None:
        """Write the filter into the code."""
        code.line(f"{code.constant('prune', self._run)}(e)")
        self.emit_success(code)

    def _run(self, event: Event) -> None:
        gone: set[str] = set()
        items: dict[str, list[object]] = {}
        # Nothing goes before all is decided: a template may need it.
        names = [name for name in event if name != "@metadata"]
        for searches, wanted in self.names:
            if searches:
                found = [search(event) for search in searches]
                gone.update(name for name in names if any(search(name) for search in found) is not wanted)
        for template, make, wanted in self.values:
            name = template.render(event) if self.interpolate else template.source
            value, search = event.get(name), make(event)
            if value is None or value is False or name == "@metadata":
                continue
            if type(value) is not list:
                if (search(ruby_text(value)) is not None) is not wanted:
                    gone.add(name)
                continue
            left = [item for item in items.get(name, value) if (search(ruby_text(item)) is not None) is wanted]
            if value and not left:
                gone.add(name)
            items[name] = left
        event.update(items)
        for name in gone:
            event.pop(name, None)
