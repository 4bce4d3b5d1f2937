"""Runs a pipeline's statements on a symbolic event and writes the function that comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from parser.codegen import Code
from parser.direct import symbols
from parser.direct.conditions import answer
from parser.direct.output import Memory, Seconds, Writer
from parser.direct.symbols import Const, Encoded, Items, NotDirectError, Symbol, Text, Tree
from parser.filters import DateFilter, Filter, GrokFilter, MutateFilter
from parser.filters.base import static_path
from parser.grok.values import CONVERSIONS
from parser.logstash.fieldref import FieldReferenceError
from parser.logstash.regexes import certain_groups, recurring_groups
from parser.pipeline import If
from parser.timestamps.reader import MILLIS
from parser.watchdog import MatchTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from parser.grok import Capture
    from parser.logstash.ast import Path
    from parser.logstash.sprintf import Template
    from parser.pipeline import Statement

_MOST_FORKS: Final = 16
_MILLIS: Final = {text: end.encode() for text, end in MILLIS.items()}


class Direct(Protocol):
    """What ``compile_direct`` gives."""

    def __call__(self, raws: Sequence[bytes], offsets: Sequence[int], path: bytes, now: bytes) -> list[bytes | None]:
        """The JSON of each event, ``None`` where it has to take the general way.

        ``raws`` are the events' bytes (not empty), ``offsets`` their places in the file; ``path`` and ``now`` are the
        JSON of the file's path and of the moment that stands for ``@timestamp`` where the pipeline sets none.
        """


def compile_direct(statements: Sequence[Statement], fields: Mapping[str, Any]) -> Direct | None:
    """The direct way through a pipeline's statements of events that have these constant ``fields``, beside their own.

    Their own are ``@timestamp``, ``message``, ``log.file.path`` and ``log.offset``; ``fields`` are JSON's values. ``None``
    where no event could take it.
    """
    try:
        return _Compiler(fields).compile(tuple(statements))
    except (NotDirectError, FieldReferenceError):
        return None


class _Compiler:
    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.code = Code()
        self._writer = Writer(self.code)
        self._forks = 0
        constant = symbols.tree_of(dict(fields))
        log = constant.pop("log", {})
        self.event: Tree = {
            "@timestamp": Encoded("now"),
            "message": Text("text"),
            **constant,
            "log": {
                **(log if isinstance(log, dict) else {}),
                "file": {"path": Encoded("path")},
                "offset": Encoded("offset", b"%d"),
            },
        }

    def compile(self, statements: tuple[Statement, ...]) -> Direct:
        code = self.code
        code.namespace["MatchTimeoutError"] = MatchTimeoutError
        with code.block("def direct(raws, offsets, path, now):"):
            code.line("out = []")
            code.line("append = out.append")
            with code.block("while len(out) < len(raws):"):
                with code.block("try:"), code.block("for raw, offset in zip(raws[len(out):], offsets[len(out):]):"):
                    with code.block("try:"):
                        code.line("text = raw.decode('utf-8', 'replace')")
                        self._run(statements)
                    with code.block("except Exception:"):
                        # Whatever it was, the general way has an answer.
                        code.line("append(None)")
                with code.block("except MatchTimeoutError:"):
                    # The general way gives it as long again, and tags it.
                    code.line("append(None)")
            code.line("return out")
        exec(compile(code.source, "<direct>", "exec"), code.namespace)  # noqa: S102 - our own source
        direct: Direct = code.namespace["direct"]
        return direct

    def _run(self, statements: tuple[Statement, ...]) -> None:
        """Write all that is left of the way, to the document."""
        for index, statement in enumerate(statements):
            match statement:
                case If():
                    self._if(statement, statements[index + 1 :])
                    return
                case GrokFilter():
                    self._grok(statement, statements[index + 1 :])
                case DateFilter():
                    self._date(statement)
                case MutateFilter():
                    self._mutate(statement)
                case _:
                    raise NotDirectError(statement.name)
        layout, values = self._writer.template(self.event)
        self.code.line(f"append({layout!r} % ({''.join(f'{value}, ' for value in values)}))")
        self.code.line("continue")

    def _bail_if(self, condition: str) -> None:
        with self.code.block(f"if {condition}:"):
            self._bail()

    def _bail(self) -> None:
        self.code.line("append(None)")
        self.code.line("continue")

    def _if(self, statement: If, rest: tuple[Statement, ...]) -> None:
        """Known answers choose their arm; where the text decides, the way forks."""
        for arm in statement.arms:
            known = True if arm.condition is None else answer(arm.condition, self.event, self.code)
            if known is True:
                self._run((*arm.statements, *rest))
                return
            if known is False or (arm is statement.arms[-1] and self._same_either_way(known, arm.statements)):
                continue
            self._fork(known, (*arm.statements, *rest))
        self._run(rest)

    def _fork(self, condition: str, statements: tuple[Statement, ...]) -> None:
        """The way of those for which the condition holds, up to their document; or a bail-out where that is not direct."""
        if self._forks == _MOST_FORKS:
            self._bail_if(condition)
            return
        self._forks += 1
        before, code = self.event, self.code
        with code.block(f"if {condition}:"):
            mark = code.mark()
            self.event = symbols.present(before, condition)
            try:
                self._run(statements)
            except NotDirectError:
                code.rewind(mark)
                self._bail()
            finally:
                self.event = before

    def _same_either_way(self, name: str, statements: Iterable[Statement]) -> bool:
        """Whether the arm that runs where the text ``name`` is there leaves what its absence leaves."""
        before = self.event
        absent = symbols.without(before, name)
        self.event = symbols.present(before, name)
        try:
            for statement in statements:
                self._mutate(statement)
            same = self.event == absent
        except NotDirectError:
            same = False
        self.event = absent if same else before
        return same

    def _grok(self, statement: GrokFilter, rest: tuple[Statement, ...]) -> None:
        if len(statement.matches) != 1 or not statement.break_on_match or statement.keep_empty_captures:
            raise NotDirectError("grok with several fields or options")
        [(_, path, expressions)] = statement.matches
        source = symbols.get(self.event, path)
        if not isinstance(source, Text) or not source.certain or not expressions:
            raise NotDirectError(f"grok of {source}")
        code, expression = self.code, expressions[0]
        match = code.local("m")
        code.line(f"{match} = {code.constant('match', expression.match)}({source.name})")
        others = [code.constant("match", other.match) for other in expressions[1:]]
        if statement.tag_on_failure:
            self._bail_if(f"{match} is None")
        else:
            # Where none of them matches, nothing has changed and the way goes on.
            none = " and ".join([f"{match} is None", *(f"{other}({source.name}) is None" for other in others)])
            self._fork(none, rest)
            self._bail_if(f"{match} is None")
        names = {group: code.local("g") for capture in expression.captures for group in capture.groups}
        if names:
            places = (names.get(group, "_") for group in range(1, expression.pattern.groups + 1))
            code.line(f"({', '.join(places)},) = {match}.groups()")
        certain, recurring = certain_groups(expression.pattern), recurring_groups(expression.pattern)
        for capture in expression.captures:
            if len(capture.groups) != 1 or not capture.path:
                raise NotDirectError(f"the capture {capture.name}")
            [group] = capture.groups
            self._capture(statement, capture, names[group], certain=group in certain, recurs=group in recurring)
        self._succeed(statement)

    def _capture(self, statement: GrokFilter, capture: Capture, name: str, *, certain: bool, recurs: bool) -> None:
        path = self._free(statement.target + capture.path)
        value: Symbol = Text(name, certain, recurs)
        if capture.type:
            if not certain:
                raise NotDirectError("a number that may be missing")
            memory = self.code.constant("json", Memory(convert=CONVERSIONS[capture.type]))
            value = Encoded(f"{memory}[{name}]")
        before = symbols.get(self.event, path)
        if before is None:
            symbols.put(self.event, path, value)
        elif capture.name in statement.overwrite:
            if not certain:
                self._bail_if(f"not {name}")
            symbols.put(self.event, path, Text(name, True, recurs) if isinstance(value, Text) else value)
        elif isinstance(before, (Const, Text)) and isinstance(value, Text):
            if isinstance(before, Const) and not isinstance(before.value, str):
                raise NotDirectError(f"a capture beside {before}")
            symbols.put(self.event, path, Items((before, value)))
        else:
            raise NotDirectError(f"a capture beside {before}")

    def _date(self, statement: DateFilter) -> None:
        source = symbols.get(self.event, statement.field)
        if source is None:
            return
        if not isinstance(source, Text) or statement.reader is None or statement.target[0] == "tags":
            raise NotDirectError(f"date of {source}")
        code, reader, text = self.code, statement.reader, source.name
        if not source.certain:
            self._bail_if(f"not {text}")
            self.event = symbols.present(self.event, text)
        prefix, fraction, instant = code.local("p"), code.local("f"), code.local("d")
        seconds, millis = code.constant("seconds", Seconds(reader)), code.constant("millis", _MILLIS)
        with code.block("try:"):
            code.line(f"{prefix} = {seconds}[{text}[:20] + {text}[23:]]")
            code.line(f"{fraction} = {millis}[{text}[20:23]]")
        with code.block("except KeyError:"):
            code.line(f"{instant} = {code.constant('date', reader)}({text})")
            self._bail_if(f"{instant} is None")
            code.line(f"{prefix}, {fraction} = {instant}.encode(), b''")
        # An instant's text needs no escapes. Two halves: joining and encoding them is a third of what a date costs.
        symbols.put(self.event, statement.target, Encoded(f"{prefix}, {fraction}", b'"%b%b"'))
        self._succeed(statement)

    def _mutate(self, statement: Statement) -> None:
        if not isinstance(statement, MutateFilter) or len(statement.operations) != len(statement.renames) + len(
            statement.replacements
        ) + len(statement.copies):
            raise NotDirectError("mutate")
        for old, new in statement.renames:
            source, target = self._path(old), self._path(new)
            value = symbols.get(self.event, source)
            if value is not None:
                symbols.remove(self.event, source)
                symbols.put(self.event, target, value)
        for path, text in statement.replacements:
            symbols.put(self.event, self._free(path), self._text(text))
        for old, new in statement.copies:
            value = symbols.get(self.event, self._path(old))
            if value is not None and not (isinstance(value, Const) and value.value is None):
                symbols.put(self.event, self._path(new), symbols.copy(value) if isinstance(value, dict) else value)
        self._succeed(statement)

    def _succeed(self, statement: Filter) -> None:
        if statement.additions or statement.tags or statement.untags:
            raise NotDirectError("additions")
        for removal in statement.removals:
            symbols.remove(self.event, self._path(removal))

    def _text(self, text: Template) -> Symbol:
        if text.constant:
            return Const(text.source)
        if text.field is not None:
            value = symbols.get(self.event, text.field)
            if isinstance(value, Text) and value.certain:
                return value
            if isinstance(value, Const) and isinstance(value.value, str):
                return value
        raise NotDirectError(f"the text {text.source}")

    def _path(self, text: Template) -> Path:
        path = static_path(text)
        if path is None:
            raise NotDirectError(f"the field {text.source}")
        return self._free(path)

    @staticmethod
    def _free(path: Path) -> Path:
        """The path, if it may hold whatever is put there."""
        if path[0] in ("tags", "@timestamp"):
            raise NotDirectError(f"the field {path}")
        return path
