"""Each filter as processors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parser.errors import DialectError
from parser.filters.date import DateFilter
from parser.filters.dissect import DissectFilter
from parser.filters.drop import DropFilter
from parser.filters.grok import GrokFilter
from parser.filters.json import JsonFilter
from parser.filters.kv import KvFilter
from parser.filters.mutate import MutateFilter
from parser.ingest import dates, pairs, runtime
from parser.ingest.expressions import first_of, java_regex, java_replacement, rename
from parser.logstash.fieldref import parse_reference
from parser.logstash.regexes import as_literal, compile_regex
from parser.logstash.sprintf import Template

if TYPE_CHECKING:
    from parser.filters.base import Filter
    from parser.grok import Expression
    from parser.ingest.script import Script
    from parser.logstash.ast import Path

_CONVERSIONS: Final = {"int": "capturedInteger", "float": "capturedFloat"}
_TIMEOUT: Final = "'timeout'"


def emit(plugin: Filter, script: Script) -> None:
    """Write a filter. Raises ``PipelineConfigError`` for what an ingest pipeline cannot do."""
    script.at(plugin.name, plugin.line)
    match plugin:
        case DateFilter():
            dates.emit(plugin, script)
        case DissectFilter():
            pairs.emit_dissect(plugin, script)
        case DropFilter():
            _emit_drop(plugin, script)
        case GrokFilter():
            _emit_grok(plugin, script)
        case JsonFilter():
            _emit_json(plugin, script)
        case KvFilter():
            pairs.emit_kv(plugin, script)
        case MutateFilter():
            _emit_mutate(plugin, script)
        case _:
            script.fail("the filter is not exported")


def is_script(plugin: Filter) -> bool:
    """Whether the filter is nothing but lines of a script, so that it can stand inside of an ``if`` there."""
    if isinstance(plugin, MutateFilter):
        return all(_plain_substitution(needle, text) for _, needle, text in plugin.substitutions)
    return isinstance(plugin, (DateFilter, DissectFilter))


def _emit_drop(drop: DropFilter, script: Script) -> None:
    chance = None if drop.percentage >= 100 else f"Math.random() * 100 < {drop.percentage!r}"
    script.processor("drop", {}, chance)


def _emit_json(json: JsonFilter, script: Script) -> None:
    n = script.number()
    state = f"ctx._parser.s{n}"
    value = f"v{n}"
    script.line(f"def {value} = dig(ctx, {script.path(json.source)});")
    # s: what became of it; t: the text that the processor parses, into j
    script.line(
        f"{state} = {value} == null || ({value} instanceof Boolean && !{value}) ? 'none' : {value} instanceof String ? 'text' : 'bad';"
    )
    script.line(f"ctx._parser.t{n} = {state} == 'text' && !{value}.trim().isEmpty() ? {value} : null;")
    script.processor(
        "json",
        {
            "field": f"_parser.t{n}",
            "target_field": f"_parser.j{n}",
            "allow_duplicate_keys": True,
            "on_failure": [{"set": {"field": f"_parser.s{n}", "value": "bad"}}],
        },
        f"ctx._parser.t{n} != null",
    )
    # d: what may be several documents in one text, of which the last counts; the processor takes one
    script.line(f"ctx._parser.d{n} = {state} == 'bad' ? documents(ctx._parser.t{n}) : null;")
    script.processor(
        "foreach",
        {
            "field": f"_parser.d{n}",
            "processor": {
                "json": {
                    "field": "_ingest._value.text",
                    "target_field": "_ingest._value.parsed",
                    "allow_duplicate_keys": True,
                    "on_failure": [{"remove": {"field": "_ingest._value.text"}}],
                }
            },
        },
        f"ctx._parser.d{n} != null",
    )
    with script.block(f"if (areDocuments(ctx._parser.d{n}))"):
        script.line(f"{state} = 'text';")
        script.line(f"ctx._parser.j{n} = ctx._parser.d{n}.get(ctx._parser.d{n}.size() - 1).get('parsed');")
    with script.block(f"if ({state} == 'text')"):
        script.line(f"def {value} = ctx._parser.j{n};")
        with script.block("try"):
            if json.target is not None:
                script.line(f"put(ctx, {script.path(json.target)}, {value});")
            else:
                script.line(f"if (!({value} instanceof Map)) {{ fail('this is no object'); }}")
                script.line(f"mergeJson(ctx, {value});")
        with script.block("catch (IllegalArgumentException error)"):
            script.line(f"{state} = 'unset';")
    with script.block(f"if ({state} == 'text')"):
        script.success(json)
    failed = f"{state} == 'unset'" if json.skip_on_invalid_json else f"{state} == 'bad' || {state} == 'unset'"
    with script.block(f"else if ({failed})"):
        script.tags(json.tag_on_failure)


# ---- grok


def _emit_grok(grok: GrokFilter, script: Script) -> None:
    n = script.number()
    done, texts = f"ctx._parser.k{n}", f"ctx._parser.g{n}"
    for index, (_, path, expressions) in enumerate(grok.matches):
        skip = f"{done} != null" if grok.break_on_match else f"{done} == {_TIMEOUT}"
        fresh = f"grokTexts(dig(ctx, {script.path(path)}))"
        script.line(f"{texts} = {f'{skip} ? [] : ' if index else ''}{fresh};")
        groups = _emit_matching(grok, script, n, expressions)
        ok = f"ok{n}_{index}"
        script.line(f"boolean {ok} = false;")
        with script.block("try"), script.block(f"for (def m : {texts})"):
            if grok.break_on_match:
                for at, (expression, names) in enumerate(zip(expressions, groups, strict=True)):
                    with script.block(f"{'else ' if at else ''}if (m.containsKey('m{at}'))"):
                        _emit_captures(grok, script, expression, names)
                        script.line(f"{ok} = true;")
            else:
                script.line("boolean last = false;")
                for at, (expression, names) in enumerate(zip(expressions, groups, strict=True)):
                    script.line(f"last = m.containsKey('m{at}');")
                    with script.block("if (last)"):
                        _emit_captures(grok, script, expression, names)
                script.line(f"{ok} = {ok} || last;")
        with script.block("catch (IllegalArgumentException error)"):
            script.line(f"{ok} = false;")
        script.line(f"if ({ok}) {{ {done} = 'matched'; }}")
    with script.block(f"if ({done} == 'matched')"):
        script.success(grok)
    with script.block(f"else if ({done} == {_TIMEOUT})"):
        script.tags((grok.tag_on_timeout,) if grok.tag_on_timeout else ())
    with script.block("else"):
        script.tags(grok.tag_on_failure)


def _emit_matching(
    grok: GrokFilter, script: Script, n: int, expressions: tuple[Expression, ...]
) -> list[list[tuple[str, ...]]]:
    """The processors that match; returns, for each expression, the groups of each of its captures."""
    branches: list[tuple[str, str, bool]] = []
    groups: list[list[tuple[str, ...]]] = []
    definitions: dict[str, str] = {}
    for at, expression in enumerate(expressions):
        try:
            renamed = rename(expression.expanded, f"_ingest._value.g{at}_", definitions)
        except DialectError as error:
            script.fail(f"'match' has an expression with {error.message}")
        branches.append((renamed.text, f"_ingest._value.m{at}", expression.anchored))
        groups.append(
            [tuple(name.removeprefix("_ingest._value.") for name in names) for names in renamed.groups.values()]
        )
    # With break_on_match, the expressions are one: the first that is found ends the search.
    named = {"pattern_definitions": definitions} if definitions else {}
    for together in [branches] if grok.break_on_match else [[branch] for branch in branches]:
        script.processor(
            "foreach",
            {
                "field": f"_parser.g{n}",
                "processor": {"grok": {"field": "_ingest._value.text", "patterns": [first_of(together)], **named}},
                "on_failure": [{"set": {"field": f"_parser.k{n}", "value": "timeout"}}],
            },
        )
    return groups


def _emit_captures(grok: GrokFilter, script: Script, expression: Expression, groups: list[tuple[str, ...]]) -> None:
    for capture, names in zip(expression.captures, groups, strict=True):
        for index, name in enumerate(names):
            value = f"m.get('{name}')"
            if index == 0 and capture.type is not None:
                value = f"{_CONVERSIONS[capture.type]}({value})"
            path = script.path(grok.target + capture.path) if capture.path else None
            if path is None:
                empty = "true" if grok.keep_empty_captures else f"{value} != null && !isEmpty({value})"
                script.line(f"if ({empty}) {{ fail('a capture is not a field reference'); }}")
            elif capture.name in grok.overwrite:
                script.line(f"{'put' if grok.keep_empty_captures else 'overwrite'}(ctx, {path}, {value});")
            else:
                script.line(f"{'captureAny' if grok.keep_empty_captures else 'capture'}(ctx, {path}, {value});")


# ---- mutate


def _plain_substitution(needle: str, text: str) -> bool:
    """Whether a gsub is a mere replacement of text by text."""
    templates = Template(needle), Template(text)
    if not all(template.constant for template in templates) or "\\" in text:
        return False
    literal = as_literal(compile_regex(needle))
    return literal is not None and literal[0] == "in"


def _emit_mutate(mutate: MutateFilter, script: Script) -> None:
    before, after = _before_gsub(mutate, script), _after_gsub(mutate, script)
    if is_script(mutate):
        lines = [*before, *(_plain_gsub(script, *each) for each in mutate.substitutions), *after]
        if not lines and not mutate.decorates:
            return
        with script.block("try"):
            for line in lines:
                script.line(line)
            script.success(mutate)
        with script.block("catch (Exception error)"):
            script.tags(mutate.tag_on_failure)
        return
    failed = f"ctx._parser.f{script.number()}"
    lines = before
    for path, needle, text in mutate.substitutions:
        if _plain_substitution(needle, text):
            lines.append(_plain_gsub(script, path, needle, text))
        else:
            lines = _emit_gsub(mutate, script, failed, lines, (path, needle, text))
    _emit_part(mutate, script, failed, [*lines, *after], is_last=True)


def _emit_part(mutate: MutateFilter, script: Script, failed: str, lines: list[str], *, is_last: bool) -> None:
    """Lines of a mutate that is cut into several scripts: where one has failed, the rest is not done."""
    with script.block(f"if ({failed} == null)"):
        with script.block("try"):
            for line in lines:
                script.line(line)
            if is_last:
                script.success(mutate)
        with script.block("catch (Exception error)"):
            script.line(f"{failed} = true;")
            script.tags(mutate.tag_on_failure)


def _emit_gsub(
    mutate: MutateFilter, script: Script, failed: str, lines: list[str], change: tuple[Path, str, str]
) -> list[str]:
    path, needle, text = change
    if not Template(needle).constant or not Template(text).constant:
        script.fail("'gsub' has a pattern or a replacement that depends on the event")
    try:
        pattern, replacement = java_regex(needle), java_replacement(text, needle)
    except DialectError as error:
        script.fail(f"'gsub' has the pattern {needle!r}: {error.message}")
    n = script.number()
    where = script.path(path)
    lines = [*lines, f"ctx._parser.t{n} = substitutable(dig(ctx, {where}));"]
    _emit_part(mutate, script, failed, lines, is_last=False)
    body = {"field": f"_parser.t{n}", "pattern": pattern, "replacement": replacement, "ignore_missing": True}
    script.processor("gsub", body, f"{failed} == null")
    return [f"substituted(ctx, {where}, ctx._parser.t{n});"]


def _plain_gsub(script: Script, path: Path, needle: str, text: str) -> str:
    literal = as_literal(compile_regex(needle))
    assert literal is not None
    return f"substitute(ctx, {script.path(path)}, {runtime.text(literal[1])}, {runtime.text(text)});"


def _before_gsub(mutate: MutateFilter, script: Script) -> list[str]:
    """What Logstash does before gsub, in its order."""
    lines: list[str] = []
    for path, template in mutate.coercions:
        where = script.path(path)
        lines.append(
            f"if (has(ctx, {where}) && dig(ctx, {where}) == null) {{ put(ctx, {where}, {script.text(template)}); }}"
        )
    lines += [f"rename(ctx, {script.reference(old)}, {script.reference(new)});" for old, new in mutate.renames]
    for path, template in mutate.updates:
        where = script.path(path)
        lines.append(f"if (has(ctx, {where})) {{ put(ctx, {where}, {script.text(template)}); }}")
    lines += [f"put(ctx, {script.path(path)}, {script.text(template)});" for path, template in mutate.replacements]
    lines += [f"convert(ctx, {script.path(path)}, {runtime.text(kind)});" for path, kind in mutate.conversions]
    return lines


def _after_gsub(mutate: MutateFilter, script: Script) -> list[str]:
    """What Logstash does after gsub, in its order."""
    lines = [f"change(ctx, {script.path(path)}, {runtime.text(name)});" for path, name in mutate.text_changes]
    lines += [f"splitField(ctx, {script.path(path)}, {runtime.text(separator)});" for path, separator in mutate.splits]
    lines += [f"joinField(ctx, {script.path(path)}, {runtime.text(separator)});" for path, separator in mutate.joins]
    lines += [
        f"mergeField(ctx, {script.path(path)}, [{', '.join(map(script.path, added))}]);"
        for path, added in mutate.merges
    ]
    lines += [
        f"copyField(ctx, {script.reference(old)}, {script.path(parse_reference(new.source))});"
        for old, new in mutate.copies
    ]
    return lines
