"""The translate filter: a value is looked up in a dictionary."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from parser.errors import DialectError
from parser.filters.base import Filter
from parser.logstash import event as fields
from parser.logstash.fieldref import FieldReferenceError, parse_reference
from parser.logstash.regexes import compile_regex
from parser.logstash.sprintf import Template
from parser.logstash.text import ruby_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from parser.codegen import Code
    from parser.filters.options import Options
    from parser.logstash.event import Event


class TranslateFilter(Filter):
    """``source`` (once ``field``) is looked up in ``dictionary``, and what is found goes to ``target`` (``destination``).

    A target that exists is left alone without ``override``. The options for dictionaries in files are not supported.
    """

    name = "translate"

    def configure(self, options: Options) -> None:
        """Read the filter's own options."""
        ecs = options.one_of("ecs_compatibility", ("disabled", "v1", "v8"), options.context.ecs_compatibility)
        source = self._renamed(options, "source", "field")
        if source is None:
            options.fail("the option 'source' is missing")
        target = self._renamed(options, "target", "destination") or ("translation" if ecs == "disabled" else source)
        self.override = options.boolean("override", default=target == source)
        self.dictionary = dict(options.pairs("dictionary"))
        exact = options.boolean("exact", default=True)
        regex = options.boolean("regex", default=False)
        fallback = options.string("fallback")
        self.fallback = None if fallback is None else Template(fallback)
        try:
            self.source, self.target = parse_reference(source), parse_reference(target)
            self._look_up = self._exact if not regex else self._by_regex()
            if not exact:
                self._look_up = self._inside()
        except FieldReferenceError as error:
            options.fail(str(error))
        except DialectError as error:
            options.fail(f"'dictionary' has a key that is no regular expression: {error.message}", "dictionary")

    @staticmethod
    def _renamed(options: Options, name: str, old: str) -> str | None:
        if name in options and old in options:
            options.fail(f"'{old}' is the old name of '{name}': give one of them", old)
        return options.string(old if old in options else name)

    def writes(self) -> frozenset[str] | None:
        """The fields that the filter itself may change."""
        return frozenset({self.target[0]})

    def emit(self, code: Code) -> None:
        """Write the filter into the code."""
        run = f"{code.constant('translate', self._run)}(e)"
        if not self.decorates:
            code.line(run)
            return
        with code.block(f"if {run}:"):
            self.emit_success(code)

    def _run(self, event: Event) -> bool:
        if not fields.has(event, self.source) or (not self.override and fields.has(event, self.target)):
            return False
        value = fields.dig(event, self.source)
        if type(value) is list:
            value = value[0] if value else None
        found = self._look_up(ruby_text(value))
        if found is None and self.fallback is not None:
            found = self.fallback.render(event)
        if found is not None:
            fields.put(event, self.target, copy.deepcopy(found) if type(found) in (list, dict) else found)
        return found is not None or self.source == self.target

    def _exact(self, text: str) -> Any:
        return self.dictionary.get(text)

    def _by_regex(self) -> Callable[[str], Any]:
        searches = [(compile_regex(key).search, value) for key, value in self.dictionary.items()]
        return lambda text: next((value for search, value in searches if search(text) is not None), None)

    def _inside(self) -> Callable[[str], Any]:
        """Every key that is found in the text is replaced."""
        if not self.dictionary:
            return lambda _text: None
        union = re.compile("|".join(map(re.escape, self.dictionary)))

        def translate(text: str) -> str | None:
            translated = union.sub(lambda match: ruby_text(self.dictionary[match[0]]), text)
            return None if translated == text else translated

        return translate
