"""The filters dissect and kv as processors.

What kv scans for is a regular expression with several forms of a value, found again and again in a text. A gsub processor
does that: it puts marks around what it finds and between the groups, and the rest is a script's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from parser.errors import DialectError
from parser.ingest import runtime, templates
from parser.ingest.expressions import code_points, java_groups, java_regex
from parser.logstash.fieldref import FieldReferenceError, parse_reference

if TYPE_CHECKING:
    from parser.filters.dissect import DissectFilter, Field
    from parser.filters.kv import KvFilter
    from parser.ingest.script import Script

_KINDS: Final = ("normal", "append", "indirect")
_MATCH, _GROUP = "␞", "␟"


def emit_dissect(dissect: DissectFilter, script: Script) -> None:
    """Write a dissect filter."""
    with script.block("try"):
        for _, path, parts in dissect.mappings:
            n = script.number()
            where = script.path(path)
            script.line(f"def v{n} = dig(ctx, {where});")
            with script.block(f"if (v{n} != null || has(ctx, {where}))"):
                delimiters = ", ".join(runtime.text(field.delimiter) for field in parts)
                padded = ", ".join("true" if field.padded else "false" for field in parts)
                script.line(f"List d{n} = dissected(rubyText(v{n}), [{delimiters}], [{padded}]);")
                with script.block(f"if (d{n} != null)"):
                    _emit_saves(script, parts, f"d{n}")
                    script.success(dissect)
                with script.block("else"):
                    script.tags(dissect.tag_on_failure)
        for name, path, kind in dissect.conversions:
            script.line(f"convertType(ctx, {runtime.text(name)}, {script.path(path)}, {runtime.text(kind)});")
    with script.block("catch (IllegalArgumentException error)"):
        script.tags(dissect.tag_on_failure)


def _emit_saves(script: Script, parts: tuple[Field, ...], values: str) -> None:
    saved = [(field, f"{values}.get({index})") for index, field in enumerate(parts) if field.kind != "skip"]
    for field, value in sorted(saved, key=lambda each: (_KINDS.index(each[0].kind), each[0].order)):
        try:
            path = script.path(parse_reference(field.name))
        except FieldReferenceError:
            path = f"reference({runtime.text(field.name)})"
        if field.kind == "indirect":
            other = next(
                (
                    f"{values}.get({index})"
                    for index, each in enumerate(parts)
                    if each.name == field.name and each is not field
                ),
                "''",
            )
            script.line(f"setIndirect(ctx, {path}, {other}, {value});")
        elif field.kind == "append":
            script.line(f"appendField(ctx, {path}, {runtime.text(field.delimiter or ' ')}, {value});")
        else:
            script.line(f"setPlain(ctx, {path}, {value});")


def emit_kv(kv: KvFilter, script: Script) -> None:
    """Write a kv filter."""
    if kv.recursive:
        script.fail("'recursive' looks for pairs in a value")
    n = script.number()
    source = script.path(kv.source)
    fields = {f"t{n}": "false", f"u{n}": "true"}  # texts without a backslash, and with one
    for key, escaped in fields.items():
        script.line(f"ctx._parser.{key} = kvTexts(dig(ctx, {source}), {escaped});")
    for key, expression in zip(fields, kv.expressions, strict=True):
        try:
            pattern, groups = java_regex(expression), java_groups(expression)
        except DialectError as error:
            script.fail(f"what splits fields and values is a regular expression with {error.message}")
        marks = _GROUP.join(f"${number}" for number in range(1, groups + 1))
        body = {"field": f"_parser.{key}", "pattern": pattern, "replacement": f"{_MATCH}{marks}{_MATCH}"}
        script.processor("gsub", body, f"ctx._parser.{key} != null")
    script.line(f"boolean ok{n} = false;")
    with script.block("try"):
        script.line("Map found = new LinkedHashMap();")
        _emit_pairs(kv, script, n)
        for name, value in kv.defaults.items():
            literal = _literal(value, script)
            script.line(
                f"if (!found.containsKey({runtime.text(name)})) {{ found.put({runtime.text(name)}, {literal}); }}"
            )
        with script.block("if (!found.isEmpty())"):
            script.line("kvPut(ctx, found);" if kv.target is None else f"put(ctx, {script.path(kv.target)}, found);")
            script.line(f"ok{n} = true;")
    with script.block("catch (IllegalArgumentException error)"):
        script.tags(kv.tag_on_failure)
    if kv.decorates:
        with script.block(f"if (ok{n})"):
            script.success(kv)


def _emit_pairs(kv: KvFilter, script: Script, n: int) -> None:
    with script.block(f"for (List groups : kvMatches(ctx._parser.t{n}, ctx._parser.u{n}))"):
        script.line("String key = groups.get(0);")
        script.line("String value = kvValue(groups);")
        if not kv.allow_empty_values:
            script.line("if (value.isEmpty()) { continue; }")
        _emit_changes(kv, script, "key")
        for keys, test in ((kv.include_keys, "!"), (kv.exclude_keys, "")):
            if keys:
                items = ", ".join(templates.expression(key.source, script.path) for key in keys)
                script.line(f"if ({test}[{items}].contains(key)) {{ continue; }}")
        if kv.prefix.source:
            script.line(f"key = {templates.expression(kv.prefix.source, script.path)} + key;")
        _emit_changes(kv, script, "value")
        if not kv.allow_duplicate_values:
            script.line("if (found.containsKey(key) && contains(found.get(key), value)) { continue; }")
        script.line("kvAdd(found, key, value);")


def _emit_changes(kv: KvFilter, script: Script, what: str) -> None:
    for option, ends in ((f"trim_{what}", True), (f"remove_char_{what}", False)):
        if option not in kv.classes:
            continue
        try:
            ranges = code_points(kv.classes[option])
        except DialectError as error:
            script.fail(f"'{option}' has {error.message}")
        if ends and any(low <= 10 <= high for low, high in ranges):
            script.fail(f"'{option}' trims newlines, which also end a line")
        limits = ", ".join(str(limit) for pair in ranges for limit in pair)
        script.line(f"{what} = without({what}, [{limits}], {'true' if ends else 'false'});")
    if f"transform_{what}" in kv.transformations:
        script.line(f"{what} = changed({what}, {runtime.text(kv.transformations[f'transform_{what}'])});")


def _literal(value: Any, script: Script) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_literal(item, script) for item in value)}]"
    if isinstance(value, dict):
        script.fail("'default_keys' has a hash as a value")
    return runtime.constant(value)
