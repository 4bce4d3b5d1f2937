"""A parsed configuration as an Elasticsearch ingest pipeline whose documents are equal to the parser's.

The cluster's grok processor has Logstash's own engine, so it does the matching, and its json and gsub processors what
Painless cannot; everything else (where captures go, conditions, dates, mutate, tags) is scripts over a small runtime
that says in Painless what ``parser`` says in Python. Filters and conditions that stand next to each other share a script.

An ``if`` with something else than scripts in it is decided once, by a script that keeps the number of the arm, for the
processors of the arm to ask. An event that a filter cannot deal with is kept and tagged ``_filtererror``, as here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parser.ingest import plugins
from parser.ingest.conditions import ConditionWriter, line_of
from parser.ingest.script import Script
from parser.pipeline import ERROR_TAG, If

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parser.filters.options import Context
    from parser.pipeline import Pipeline, Statement


def export(pipeline: Pipeline, *, description: str | None = None) -> dict[str, Any]:
    """The definition, for ``PUT _ingest/pipeline/NAME``.

    Args:
        pipeline: what to export; ``${VAR}`` in it is what it was when the pipeline was parsed.
        description: the pipeline's description; by default it names the configuration.

    Raises:
        PipelineConfigError: for what an ingest pipeline cannot do; it names the plugin, the option, file and line.
    """
    script = Script(pipeline.context)
    script.line(f"create(ctx, {script.clock});")
    script.flush()
    _Exporter(script, pipeline.context).statements(pipeline.statements)
    script.flush()
    processors = script.processors
    if "_parser" in json.dumps(processors):
        processors = [{"set": {"field": "_parser", "value": {}}}, *processors]
    cleaning = {"remove": {"field": ["@metadata", "_parser"], "ignore_missing": True}}
    return {
        "description": description or f"{Path(pipeline.context.file).name}, as Logstash runs it",
        "processors": [*processors, cleaning],
        "on_failure": [{"append": {"field": "tags", "value": [ERROR_TAG], "allow_duplicates": False}}, cleaning],
    }


class _Exporter:
    def __init__(self, script: Script, context: Context) -> None:
        self._script = script
        self._context = context

    def statements(self, statements: Iterable[Statement]) -> None:
        for statement in statements:
            if isinstance(statement, If):
                self._conditional(statement)
            else:
                plugins.emit(statement, self._script)
            self._script.flush_long()

    def _conditional(self, statement: If) -> None:
        script = self._script
        writer = ConditionWriter(self._context, script.path, script.number)
        script.at("if", next((line_of(arm.condition) for arm in statement.arms if arm.condition), 0))
        conditions = [None if arm.condition is None else writer.expression(arm.condition) for arm in statement.arms]
        for search in writer.searches:
            script.line(f"ctx._parser.{search.key} = {search.text};")
        for search in writer.searches:
            script.processor(
                "grok",
                {"field": f"_parser.{search.key}", "patterns": [search.pattern]},
                f"ctx._parser.{search.key} != null",
            )
        if all(self._is_script(each) for arm in statement.arms for each in arm.statements):
            for index, (condition, arm) in enumerate(zip(conditions, statement.arms, strict=True)):
                head = ("else " if index else "") + ("" if condition is None else f"if ({condition})")
                with script.block(head.strip()):
                    self.statements(arm.statements)
            return
        verdict = f"ctx._parser.c{script.number()}"
        choices = [f"{condition} ? {index} : " for index, condition in enumerate(conditions) if condition is not None]
        has_else = conditions[-1] is None
        script.line(f"{verdict} = {''.join(choices)}{len(conditions) - 1 if has_else else -1};")
        for index, arm in enumerate(statement.arms):
            with script.guarded(f"{verdict} == {index}"):
                self.statements(arm.statements)

    def _is_script(self, statement: Statement) -> bool:
        """Whether a statement needs nothing but lines of a script."""
        if not isinstance(statement, If):
            return plugins.is_script(statement)
        writer = ConditionWriter(self._context, self._script.path, self._script.number)
        for arm in statement.arms:
            if arm.condition is not None:
                writer.expression(arm.condition)
        return not writer.searches and all(self._is_script(each) for arm in statement.arms for each in arm.statements)


__all__ = ["export"]
