"""What all filters share: their options, what they do on success, and how they write themselves into the code."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from parser.logstash import event as fields
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.sprintf import Template
from parser.logstash.text import ruby_text
from parser.watchdog import DEFAULT, MatchTimeoutError

if TYPE_CHECKING:
    from parser.codegen import Code
    from parser.filters.options import Options
    from parser.logstash.ast import Path
    from parser.logstash.event import Event


class Filter(ABC):
    """A configured filter.

    ``additions``, ``removals``, ``tags`` and ``untags`` are the common options ``add_field``, ``remove_field``,
    ``add_tag`` and ``remove_tag``; they take effect in this order, and only if the filter succeeds.
    """

    name: ClassVar[str]
    limit: float | None = None
    """Seconds that one event may take; ``None`` where the filter does not say."""

    def __init__(self, options: Options) -> None:
        self.line = options.plugin.line
        self.additions = tuple(
            (Template(key), tuple(Template(ruby_text(item)) for item in fields.ruby_array(value)))
            for key, value in options.pairs("add_field")
        )
        self.removals = tuple(map(Template, options.strings("remove_field")))
        self.tags = tuple(map(Template, options.strings("add_tag")))
        self.untags = tuple(map(Template, options.strings("remove_tag")))
        self.id = options.string("id")
        options.boolean("enable_metric", default=True)
        options.boolean("periodic_flush", default=False)
        self.configure(options)
        options.finish()

    @abstractmethod
    def configure(self, options: Options) -> None:
        """Read the options that are the filter's own."""

    @abstractmethod
    def emit(self, code: Code) -> None:
        """Write the statements that do to the event ``e`` what the filter does."""

    @abstractmethod
    def writes(self) -> frozenset[str] | None:
        """The top-level fields that the filter's own work may change; ``None`` for any. Tags are not counted."""

    def touches(self) -> frozenset[str] | None:
        """The top-level fields that the filter may change, common options included; ``None`` for any."""
        own = self.writes()
        if own is None:
            return None
        found = {*own, "tags"}
        for template in (*(key for key, _ in self.additions), *self.removals):
            if not template.constant:
                return None
            found.add(top_level(template.source))
        return frozenset(found)

    @property
    def decorates(self) -> bool:
        """Whether there is anything to do on success."""
        return bool(self.additions or self.removals or self.tags or self.untags)

    def emit_success(self, code: Code) -> None:
        """Write what the common options ask for."""
        for key, values in self.additions:
            for value in values:
                self._emit_addition(code, key, value)
        for removal in self.removals:
            self._emit_removal(code, removal)
        for template in self.tags:
            code.line(f"{code.constant('add_tag', fields.add_tag)}(e, {text_of(code, template)})")
        for template in self.untags:
            code.line(f"{code.constant('remove_tag', fields.remove_tag)}(e, {text_of(code, template)})")

    @staticmethod
    def _emit_addition(code: Code, key: Template, value: Template) -> None:
        text = text_of(code, value)
        path = static_path(key)
        if path is None:
            code.line(f"{code.constant('add_named', add_named)}(e, {text_of(code, key)}, {text})")
        elif len(path) == 1 and path[0] not in ("tags", "@timestamp"):
            with code.block(f"if {path[0]!r} not in e:"):
                code.line(f"e[{path[0]!r}] = {text}")
            with code.block("else:"):
                code.line(f"{code.constant('add_field', fields.add_field)}(e, {path!r}, {text})")
        else:
            code.line(f"{code.constant('add_field', fields.add_field)}(e, {path!r}, {text})")

    @staticmethod
    def _emit_removal(code: Code, removal: Template) -> None:
        path = static_path(removal)
        if path is None:
            code.line(f"{code.constant('remove_named', remove_named)}(e, {text_of(code, removal)})")
        elif len(path) == 1:
            code.line(f"e.pop({path[0]!r}, None)")
        elif not path[-1].lstrip("-").isdigit():
            parent = code.local("n")
            with code.block(f"if type({parent} := {code.read(path[:-1])}) is dict:"):
                code.line(f"{parent}.pop({path[-1]!r}, None)")
        else:
            code.line(f"{code.constant('remove', fields.remove)}(e, {path!r})")


def add_named(event: Event, reference: str, value: str) -> None:
    """``add_field`` where the field's name is known only now."""
    fields.add_field(event, parse_reference(reference), value)


def remove_named(event: Event, reference: str) -> None:
    """``remove_field`` where the field's name is known only now."""
    fields.remove(event, parse_reference(reference))


def static_path(template: Template) -> Path | None:
    """The path that a template names, if it needs no event to know it."""
    if not template.constant:
        return None
    try:
        return parse_reference(template.source)
    except FieldReferenceError:
        return None


def text_of(code: Code, template: Template) -> str:
    """An expression for a template's text."""
    if template.constant:
        return repr(template.source)
    return f"{code.constant('text', template.render)}(e)"


def top_level(reference: str) -> str:
    """The top-level field that a reference is in."""
    try:
        return parse_reference(reference)[0]
    except FieldReferenceError:
        return reference


def emit_timeout(code: Code, tag: str, done: str) -> None:
    """Write what happens when the watchdog stops the ``try`` block before: the event is tagged, ``done`` is ``None``."""
    with code.block(f"except {code.constant('MatchTimeoutError', MatchTimeoutError)}:"):
        code.line(f"{done} = None")
        emit_tags(code, (tag,))


def read_limit(options: Options) -> float:
    """The option ``timeout_millis`` in seconds; one second where it is not given, no limit for 0."""
    millis = options.number("timeout_millis", DEFAULT * 1000)
    return millis / 1000 if millis > 0 else math.inf


def emit_tags(code: Code, tags: tuple[str, ...]) -> None:
    """Write the tagging of a failure."""
    for name in tags:
        code.line(f"{code.constant('tag', fields.tag)}(e, {name!r})")
