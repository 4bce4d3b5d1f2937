"""From a tree of nodes to the models, and from what pydantic finds wrong back to lines of the file."""

from __future__ import annotations

import difflib
import types
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from shipper.settings.base import Key
from shipper.settings.model import InputSettings, Settings
from shipper.settings.nodes import Node, Problem, resolved
from shipper.settings.options import LINE, as_option
from shipper.settings.outputs import (
    ConsoleOutputSettings,
    ElasticsearchOutputSettings,
    FileOutputSettings,
    LogstashOutputSettings,
    StoreOutputSettings,
)
from shipper.settings.units import as_size

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

OUTPUTS: dict[str, type[BaseModel]] = {
    "store": StoreOutputSettings,
    "elasticsearch": ElasticsearchOutputSettings,
    "logstash": LogstashOutputSettings,
    "file": FileOutputSettings,
    "console": ConsoleOutputSettings,
}
_ELSEWHERE = {
    "protocol": "write the scheme into hosts: https://host:9200",
    "output.elasticsearch.pipeline": "parsing is the input's pipeline",
    "bulk_max_size": "batches are bounded in bytes: bulk_max_bytes",
    "processors": "write a pipeline of Logstash filters, and name it with pipeline",
}
"""Settings of Filebeat that people will try, by their name or its end, and what to do instead."""

type_of = typing.get_origin
_Location = tuple[int | str, ...]


def keys_of(name: str, info: FieldInfo) -> Key:
    """The dotted names a field has in the file."""
    return next((item for item in info.metadata if isinstance(item, Key)), Key(name))


def inner_model(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model in an annotation, ``None`` if it has none, and whether it is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if type_of(annotation) in {typing.Union, types.UnionType}:
        found = [inner_model(arm) for arm in typing.get_args(annotation)]
        models = [each for each in found if each[0]]
        return models[0] if len(models) == 1 else (None, False)
    if type_of(annotation) is tuple:
        return inner_model(typing.get_args(annotation)[0])[0], True
    return None, False


@dataclass(slots=True)
class Binder:
    """Walks the models and the tree side by side; ``problems`` collects what is wrong."""

    base: Path
    """The folder that relative paths are relative to."""
    problems: list[Problem]
    places: dict[_Location, tuple[int, str]] = field(default_factory=dict)
    """For pydantic's locations: line and dotted name."""

    def settings(self, root: Node, default_data: str | None) -> Settings | None:
        """The settings, or ``None`` when something is wrong. ``default_data`` is taken for ``path.data``, if it is not ``None``."""
        data = self._model(root, Settings, "", ())
        if default_data is not None:
            data["path_data"] = default_data
        try:
            settings = Settings.model_validate(data, context={"base": self.base})
        except ValidationError as error:
            known = {problem.setting for problem in self.problems}  # what is wrong with it follows from that
            found = [self._problem(each) for each in error.errors(include_url=False) if not _is_follow_up(each)]
            self.problems += [each for each in found if each.setting not in known]
            return None
        self._check_inputs(settings)
        return None if self.problems else settings

    def _add(self, node: Node, name: str, text: str) -> None:
        self.problems.append(Problem(node.line, name, text))

    def _model(self, node: Node, model: type[BaseModel], name: str, location: _Location) -> dict[int | str, Any]:
        """What pydantic shall validate as ``model``, by field names."""
        self.places[location] = (node.line, name)
        if node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self._add(node, name, f"must be a mapping of settings, not {_kind(node.value)}")
            return {}
        if model is InputSettings:
            self._lift_parsers(node, name)
        fields = {field_name: (info, keys_of(field_name, info)) for field_name, info in model.model_fields.items()}
        names = {each for _, key in fields.values() for each in (key.name, *key.also)}
        self._report_unknown(node, names - {"kind"}, name, "", _documented(model))
        data: dict[int | str, Any] = {}
        for field_name, (info, key) in fields.items():
            given = [(each, found) for each in (key.name, *key.also) if (found := node.walk(each)) is not None]
            if len(given) > 1:
                self._add(
                    given[1][1],
                    _join(name, given[1][0]),
                    f"means the same as {given[0][0]}, on line {given[0][1].line}: keep one",
                )
            self.places[*location, field_name] = (
                given[0][1].line if given else node.line,
                _join(name, given[0][0] if given else key.name),
            )
            if given:
                self._field(data, info, given[0][1], _join(name, given[0][0]), (*location, field_name))
        return data

    def _field(self, data: dict[int | str, Any], info: FieldInfo, node: Node, name: str, location: _Location) -> None:
        """Put into ``data`` what pydantic shall validate as the field at ``location``."""
        field_name = location[-1]
        model, several = inner_model(info.annotation)
        if location == ("output",):
            if (output := self._output(node)) is not None:
                data[field_name] = output
        elif model is not None and several:
            if isinstance(node.value, list):
                data[field_name] = [
                    self._model(child, model, f"{name}[{at}]", (*location, at)) for at, child in enumerate(node.value)
                ]
            elif node.value is not None:
                self._add(node, name, "must be a list: begin each entry with a dash")
                data[field_name] = (
                    [self._model(node, model, name, (*location, 0))] if isinstance(node.value, dict) else []
                )
        elif model is not None:
            data[field_name] = self._model(node, model, name, location)
        elif node.value is not None:
            data[field_name] = node.plain() if type_of(info.annotation) is dict else self._raw(node, name, location)

    def _raw(self, node: Node, name: str, location: _Location) -> Any:
        """The value as it was written, with the place of each element of a list."""
        self.places[location] = (node.line, name)
        if isinstance(node.value, list):
            return [self._raw(child, f"{name}[{at}]", (*location, at)) for at, child in enumerate(node.value)]
        if isinstance(node.value, dict):
            return node.plain()
        return as_option(node.value) if node.line == LINE else node.value

    def _output(self, node: Node) -> dict[int | str, Any] | None:
        if node.value is None:
            return None
        if not isinstance(node.value, dict):
            self._add(
                node, "output", f"must be a mapping, not {_kind(node.value)}: write output.elasticsearch, for example"
            )
            return None
        used: list[tuple[str, Node]] = []
        for kind, child in node.value.items():
            if kind not in OUTPUTS:
                hint = _did_you_mean(kind, list(OUTPUTS)) or f"use one of {', '.join(OUTPUTS)}"
                self._add(child, f"output.{kind}", f"is not an output: {hint}")
            elif not _is_disabled(child):
                used.append((kind, child))
        if len(used) > 1:
            lines = " and ".join(f"{kind} (line {child.line})" for kind, child in used)
            self._add(
                used[1][1], f"output.{used[1][0]}", f"only one output can be used, here are {lines}: remove all but one"
            )
        if not used:
            if not self.problems:
                self._add(node, "output", "every output is disabled: enable one")
            return None
        kind, child = used[0]
        return {"kind": kind, **self._model(child, OUTPUTS[kind], f"output.{kind}", ("output", kind))}

    def _lift_parsers(self, node: Node, name: str) -> None:
        """Filestream's ``parsers: [multiline: {...}]`` is ``multiline: {...}``."""
        assert isinstance(node.value, dict)
        parsers = node.value.pop("parsers", None)
        if parsers is None or parsers.value is None:
            return
        if not isinstance(parsers.value, list):
            self._add(parsers, f"{name}.parsers", "must be a list: begin each entry with a dash")
            return
        for at, parser in enumerate(parsers.value):
            for kind, child in (parser.value if isinstance(parser.value, dict) else {}).items():
                if kind != "multiline":
                    self._add(
                        child,
                        f"{name}.parsers[{at}].{kind}",
                        "is not supported: only multiline is; what else parses is the pipeline",
                    )
                elif "multiline" in node.value:
                    self._add(
                        child,
                        f"{name}.parsers[{at}].multiline",
                        f"multiline is set on line {node.value['multiline'].line} already: keep one",
                    )
                else:
                    node.value["multiline"] = child

    def _report_unknown(self, node: Node, known: set[str], name: str, prefix: str, documented: list[str]) -> None:
        if not isinstance(node.value, dict):
            if node.value is not None:
                self._add(node, name, f"must be a mapping of settings, not {_kind(node.value)}")
            return
        for key, child in node.value.items():
            dotted = prefix + key
            if dotted in known:
                continue
            if any(each.startswith(dotted + ".") for each in known):
                self._report_unknown(child, known, _join(name, key), dotted + ".", documented)
                continue
            full = _join(name, key)
            hint = _ELSEWHERE.get(full) or _ELSEWHERE.get(key) or _did_you_mean(dotted, documented)
            self._add(
                child, full, "is not a setting: " + (hint or "see `shipper config reference` for those there are")
            )

    def _check_inputs(self, settings: Settings) -> None:
        ids: dict[str, int] = {}
        for at, each in enumerate(settings.inputs):
            if each.id is not None and ids.setdefault(each.id, at) != at:
                line, name = self.places["inputs", at, "id"]
                self.problems.append(
                    Problem(line, name, f"{each.id!r} is the id of inputs[{ids[each.id]}] already: ids must differ")
                )
        if ("inputs",) not in self.places:
            return  # the file is no mapping, and that is reported
        line, name = self.places["inputs",]
        if not settings.inputs and settings.receive is None:
            self.problems.append(Problem(line, name, "is missing, and it is required"))
        elif settings.inputs and not any(each.enabled for each in settings.inputs):
            self.problems.append(Problem(line, name, "every input is disabled: enable one"))

    def _problem(self, detail: ErrorDetails) -> Problem:
        location = detail["loc"]
        known = location
        while known and known not in self.places:
            known = known[:-1]
        line, name = self.places.get(known, (0, ""))
        return Problem(line, name, _explain(detail))


def _documented(model: type[BaseModel]) -> list[str]:
    """The dotted names of a model's settings, those of the models in it too."""
    names = []
    for name, info in model.model_fields.items():
        key = keys_of(name, info).name
        inner, several = inner_model(info.annotation)
        names.append(key)
        names += [f"{key}.{each}" for each in _documented(inner)] if inner is not None and not several else []
    return names


def _is_follow_up(detail: ErrorDetails) -> bool:
    """A list that only has too few *valid* elements: each of those that are not has a problem of its own."""
    return detail["type"] == "too_short" and len(detail["input"]) > 0


def _explain(detail: ErrorDetails) -> str:
    """Pydantic's finding in our words."""
    context = detail.get("ctx", {})
    given = detail["input"]
    match detail["type"]:
        case "missing":
            return "is missing, and it is required"
        case "value_error":
            return str(context["error"])
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return f"must be a whole number, not {_kind(given)}"
        case "bool_parsing" | "bool_type":
            return f"must be true or false, not {_kind(given)}"
        case "string_type":
            return f"must be text, not {_kind(given)}"
        case "tuple_type":
            return f"must be a list, not {_kind(given)}"
        case "dict_type":
            return f"must be a mapping, not {_kind(given)}"
        case "too_short":
            return "is empty: name at least one"
        case "literal_error":
            allowed = context["expected"]
            hint = _did_you_mean(str(given), [each.strip("'") for each in allowed.replace(" or ", ", ").split(", ")])
            return f"must be {allowed}, not {_kind(given)}" + (f": {hint}" if hint else "")
        case "greater_than":
            return f"must be more than {_bound(context['gt'])}"
        case "greater_than_equal":
            return f"must be at least {_bound(context['ge'])}"
        case "less_than_equal":
            return f"must be at most {_bound(context['le'])}"
        case _:
            return detail["msg"].replace("Input should be", "must be").replace("Value error, ", "")


def _bound(value: float) -> str:
    """A limit in a message; whole MiB are always sizes."""
    return as_size(int(value)) if value and value % (1 << 20) == 0 else f"{value:g}"


def _kind(value: Any) -> str:
    """A value in a message."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else repr(str(value))


def _did_you_mean(name: str, known: list[str]) -> str:
    """``did you mean ...?``, or nothing. Compares whole dotted names, then their last parts."""
    if near := difflib.get_close_matches(name, known, 1, 0.7):
        return f"did you mean {near[0]}?"
    by_end = {each.rpartition(".")[2]: each for each in known}
    near = difflib.get_close_matches(name.rpartition(".")[2], list(by_end), 1, 0.8)
    return f"did you mean {by_end[near[0]]}?" if near else ""


def _is_disabled(node: Node) -> bool:
    enabled = node.walk("enabled")
    return enabled is not None and (
        enabled.value is False or (isinstance(enabled.value, str) and resolved(enabled.value) is False)
    )


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
