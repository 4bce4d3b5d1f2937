"""A parsed configuration, compiled to one function over a list of events.

The text becomes a syntax tree, the tree becomes ``statements`` (filters that know their options, conditions with
their branches), and the statements become the source of a Python function. Nothing of the configuration is
interpreted while events pass through it.

An event that a filter or a condition cannot deal with (Logstash would drop it, or its worker would die) is kept as
it is at that point and tagged ``_filtererror``; the events beside it are not touched.

A pattern that runs away is stopped by a ``Watchdog`` around the call: the filter, or where it has no tag for that the
event, is tagged ``_groktimeout``, and the events beside it are not touched.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from parser.bundled import bundled
from parser.codegen import Code
from parser.errors import PipelineConfigError
from parser.filters import FILTERS, Filter
from parser.filters.options import Context, Options, to_value
from parser.logstash import ast, grammar
from parser.logstash.conditions import ConditionCompiler
from parser.logstash.creation import create
from parser.logstash.event import tag
from parser.watchdog import DEFAULT, MatchTimeoutError, Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from parser.logstash.event import Event

ERROR_TAG: Final = "_filtererror"
TIMEOUT_TAG: Final = "_groktimeout"
_ECS: Final = ("disabled", "v1", "v8")


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of an ``If``: its condition (``None`` for ``else``) and what it runs."""

    condition: ast.Condition | None
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class If:
    """``if … else if … else …``."""

    arms: tuple[Arm, ...]


Statement = If | Filter


class Pipeline:
    """A compiled pipeline.

    ``statements`` is what it does; ``touches`` the top-level fields that it may change, ``None`` for any;
    ``timeout`` the seconds that one event may take in it, ``None`` for no limit: the least ``timeout_millis`` of its
    filters, 1 s where they have none; ``source`` the Python that it became.
    """

    def __init__(self, statements: tuple[Statement, ...], context: Context) -> None:
        self.statements = statements
        self.context = context
        self.touches = _touches(statements)
        limit = min(_limits(statements), default=DEFAULT)
        self.timeout = limit if math.isfinite(limit) else None
        code = Code()
        _emit_pipeline(code, statements, context)
        self.source = code.source
        compiled = compile(self.source, f"<pipeline {context.file}>", "exec")
        exec(compiled, code.namespace)  # noqa: S102 - our own source; texts of the configuration are in it by repr()
        self.transform: Callable[[list[Event]], list[Event | None]] = code.namespace["transform"]
        """Run the events through the pipeline, in place where useful; a dropped one leaves ``None`` in its position."""

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        ecs_compatibility: str = "v8",
        env: Mapping[str, str] = os.environ,
        now: datetime | None = None,
        support_escapes: bool = False,
        name: str = "<pipeline>",
        patterns_dir: Iterable[str | Path] = (),
    ) -> Pipeline:
        r"""Compile the filter sections of a configuration; ``input`` and ``output`` are checked for syntax only.

        Args:
            text: the configuration.
            ecs_compatibility: "v8", "v1" or "disabled": which names grok's shipped patterns capture. The option of
                the same name on a filter wins.
            env: what ``${VAR}`` and ``${VAR:default}`` are taken from.
            now: the clock for dates without a year; the real one by default.
            support_escapes: whether ``\n`` in a string is a newline (Logstash's ``config.support_escapes``).
            name: the file's name, for messages.
            patterns_dir: directories with grok patterns besides the shipped ones.

        Raises:
            PipelineSyntaxError: the text is not in the language.
            PipelineConfigError: a plugin, an option or a value is unknown or not supported.
        """
        context = _context(ecs_compatibility, env, now, patterns_dir, name=name, support_escapes=support_escapes)
        sections = grammar.parse(text, file=name, support_escapes=support_escapes)
        nodes = [node for section in sections if section.kind == "filter" for node in section.body]
        return cls(_configure(nodes, context), context)

    @classmethod
    def build(
        cls,
        filters: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        ecs_compatibility: str = "disabled",
        env: Mapping[str, str] = os.environ,
        now: datetime | None = None,
        patterns_dir: Iterable[str | Path] = (),
    ) -> Pipeline:
        """Compile filters given in code, as (name, options); a dict is walked as written.

        Raises ``PipelineConfigError``.
        """
        context = replace(_context(ecs_compatibility, env, now, patterns_dir), java_hash_order=False)
        nodes = [
            ast.Plugin(name, tuple(ast.Attribute(key, to_value(value), 0, 0) for key, value in options.items()), 0, 0)
            for name, options in filters
        ]
        return cls(_configure(nodes, context), context)

    @classmethod
    def load(
        cls,
        name_or_path: str | Path,
        *,
        ecs_compatibility: str = "v8",
        env: Mapping[str, str] = os.environ,
        now: datetime | None = None,
        support_escapes: bool = False,
        patterns_dir: Iterable[str | Path] = (),
    ) -> Pipeline:
        """Compile a bundled pipeline by its name, a file, or a directory's ``*.conf`` joined in the order of names.

        Raises what ``parse`` does, and ``PipelineConfigError`` if there is no such pipeline.
        """
        path = _find(name_or_path)
        try:
            text = _read(path)
        except (OSError, UnicodeDecodeError) as error:
            raise PipelineConfigError(f"cannot be read: {error}", file=str(path)) from None
        return cls.parse(
            text,
            ecs_compatibility=ecs_compatibility,
            env=env,
            now=now,
            support_escapes=support_escapes,
            name=str(path),
            patterns_dir=patterns_dir,
        )

    @staticmethod
    def bundled() -> list[str]:
        """The names of the pipelines that come with the package."""
        return sorted(path.stem for path in bundled("pipeline").glob("*.conf"))

    def run(self, events: list[Event]) -> list[Event]:
        """Run the events through the pipeline; dropped ones are missing from the result.

        As when Logstash makes an event, a text in ``@timestamp`` becomes an instant first, and what cannot be a time, or
        tags, is moved to ``_@timestamp`` and ``_tags``. An event that takes longer than ``timeout`` is stopped and tagged.
        """
        ready = [create(event, self.context.now) for event in events]
        return [event for event in self.transform_guarded(ready) if event is not None]

    def transform_guarded(self, events: list[Event], seconds: float | None = None) -> list[Event | None]:
        """``transform``, where an event that takes longer than ``seconds`` (by default ``timeout``) is stopped and tagged.

        In the main thread; in another one it is ``transform`` and no more. See ``parser.watchdog``.
        """
        with Watchdog(self.timeout if seconds is None else seconds):
            return self.transform(events)


def _context(
    ecs_compatibility: str,
    env: Mapping[str, str],
    now: datetime | None,
    patterns_dir: Iterable[str | Path],
    *,
    name: str = "<build>",
    support_escapes: bool = False,
) -> Context:
    if ecs_compatibility not in _ECS:
        raise PipelineConfigError(
            f"ecs_compatibility is one of {', '.join(_ECS)}, not {ecs_compatibility!r}", file=name
        )
    return Context(ecs_compatibility, env, now, tuple(map(Path, patterns_dir)), name, support_escapes)


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.exists():
        return path
    shipped = bundled("pipeline", f"{name_or_path}.conf")
    if shipped.is_file():
        return shipped
    raise PipelineConfigError(
        f"there is no such pipeline: give a file, a directory, or one of {', '.join(Pipeline.bundled())}",
        file=str(name_or_path),
    )


def _read(path: Path) -> str:
    if not path.is_dir():
        return path.read_text(encoding="utf-8")
    files = sorted(path.glob("*.conf"))
    if not files:
        raise PipelineConfigError("there is no *.conf in this directory", file=str(path))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def _configure(nodes: Iterable[ast.Node], context: Context) -> tuple[Statement, ...]:
    return tuple(_statement(node, context) for node in nodes)


def _statement(node: ast.Node, context: Context) -> Statement:
    if isinstance(node, ast.Conditional):
        return If(tuple(Arm(branch.condition, _configure(branch.body, context)) for branch in node.branches))
    filter_type = FILTERS.get(node.name)
    if filter_type is None or node.quoted:
        raise PipelineConfigError(
            f"the filter '{node.name}' is unknown or not supported; there are {', '.join(sorted(FILTERS))}",
            file=context.file,
            line=node.line,
            column=node.column,
        )
    return filter_type(Options(node, context))


def _touches(statements: Iterable[Statement]) -> frozenset[str] | None:
    found: set[str] = set()
    for statement in statements:
        if isinstance(statement, If):
            parts = [_touches(arm.statements) for arm in statement.arms]
        else:
            parts = [statement.touches()]
        for part in parts:
            if part is None:
                return None
            found |= part
    return frozenset(found)


def _limits(statements: Iterable[Statement]) -> Iterator[float]:
    for statement in statements:
        if isinstance(statement, If):
            for arm in statement.arms:
                yield from _limits(arm.statements)
        elif statement.limit is not None:
            yield statement.limit


def _emit_pipeline(code: Code, statements: tuple[Statement, ...], context: Context) -> None:
    conditions = ConditionCompiler(code, context.environment, context.file)
    code.namespace |= {"tag": tag, "MatchTimeoutError": MatchTimeoutError}
    with code.block("def transform(events):"):
        code.line("out = []")
        code.line("append = out.append")
        with code.block("while len(out) < len(events):"):
            with code.block("try:"), code.block("for e in events[len(out) :]:"):
                with code.block("try:"):
                    _emit(code, statements, conditions)
                with code.block("except Exception:"):
                    code.line(f"tag(e, {ERROR_TAG!r})")
                code.line("append(e)")
            with code.block("except MatchTimeoutError:"):
                # The event that is not done is the one at fault; the others follow.
                code.line("append(events[len(out)])")
                code.line(f"tag(out[-1], {TIMEOUT_TAG!r})")
        code.line("return out")


def _emit(code: Code, statements: Iterable[Statement], conditions: ConditionCompiler) -> None:
    for statement in statements:
        if isinstance(statement, Filter):
            statement.emit(code)
            continue
        for index, arm in enumerate(statement.arms):
            if arm.condition is None:
                head = "else:"
            else:
                head = f"{'elif' if index else 'if'} {conditions.expression(arm.condition)}:"
            with code.block(head):
                _emit(code, arm.statements, conditions)


__all__ = ["ERROR_TAG", "TIMEOUT_TAG", "Arm", "If", "Pipeline", "Statement"]
