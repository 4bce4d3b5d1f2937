"""A ``filebeat.yml``, of 5.x (prospectors) to 9.x (inputs), as the tree of a ``shipper.yml``.

A file is Filebeat's when it has a key ``filebeat``. Most names are the same in both. What is not falls into three kinds:

* translated: ``filebeat.prospectors``, ``filebeat.inputs``, ``input_type``, ``document_type``, ``encoding``, ``protocol`` and ``path``
  of hosts, ``${path.config}``;
* ignored, with a line in the log: what concerns Filebeat's own resources and files (``logging``, ``close_*``, ``clean_*``,
  ``queue.mem.events``, ``setup`` ...), and processors that add nothing but metadata;
* a problem: what would change *which* events are sent, or what is in them, and is not there (``exclude_lines``, ``json``,
  other processors, modules ...). It is never passed over in silence.

Names that are in none of the tables go on to the binder, which reports those that it does not know. A name that shipper's
own models know is never taken away: the tables (``filebeat_names``) give way.
"""

from __future__ import annotations

import glob
import re
from typing import TYPE_CHECKING

from shipper.settings import filebeat_names as names
from shipper.settings.binding import OUTPUTS, inner_model, keys_of
from shipper.settings.model import InputSettings, Settings
from shipper.settings.nodes import Node, Plain, Problem, resolved

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import BaseModel


def variables(path: Path, env: Mapping[str, str]) -> dict[str, str]:
    """``env`` with the names that Filebeat itself defines, where it keeps them on Debian and Red Hat: ``${path.config}`` is the file's folder."""
    folders = {
        "path.home": "/usr/share/filebeat",
        "path.config": str(path.absolute().parent),
        "path.data": "/var/lib/filebeat",
        "path.logs": "/var/log/filebeat",
    }
    return {**folders, **env}


def looks_like_filebeat(text: str) -> bool:
    """Whether a text that is not parsed yet may be a ``filebeat.yml``."""
    return re.search(r"^filebeat\b", text, re.MULTILINE) is not None


def is_filebeat(root: Node) -> bool:
    """Whether this is the tree of a ``filebeat.yml``."""
    return isinstance(root.value, dict) and "filebeat" in root.value


def translate(root: Node, problems: list[Problem]) -> list[Problem]:
    """Turn the tree into that of a ``shipper.yml``, in place.

    ``problems`` gets what cannot be had; returned is what is left out without harm, to be told.
    """
    return _Translation(problems).run(root)


class _Translation:
    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.ignored: list[Problem] = []

    def run(self, root: Node) -> list[Problem]:
        assert isinstance(root.value, dict)
        beat = root.value.pop("filebeat")
        if isinstance(beat.value, dict):
            self._below_filebeat(root, beat)
        else:
            self._missing(beat, "filebeat", "must be a mapping with inputs")
        if (setup := root.value.pop("setup", None)) is not None:
            self._ignore(setup, "setup", "`shipper setup` makes what a cluster needs")
        self._take_away(root, names.IGNORED, names.MISSING, Settings, "")
        if (processors := root.value.pop("processors", None)) is not None:
            self._processors(processors, "processors")
        self._output(root.value.get("output"))
        return self.ignored

    def _below_filebeat(self, root: Node, beat: Node) -> None:
        assert isinstance(root.value, dict)
        assert isinstance(beat.value, dict)
        given = [(name, beat.value.pop(name)) for name in ("inputs", "prospectors") if name in beat.value]
        if len(given) > 1:
            self._missing(
                given[1][1],
                "filebeat.prospectors",
                f"is the old name of filebeat.inputs, on line {given[0][1].line}: keep one",
            )
        if "inputs" in root.value:
            self._missing(
                root.value["inputs"],
                "inputs",
                "stands beside filebeat: write all inputs below filebeat.inputs, or none",
            )
        for name, node in given[:1]:
            root.value["inputs"] = node
            self._inputs(node, f"filebeat.{name}")
        self._take_away(beat, names.IGNORED_BELOW_FILEBEAT, {}, None, "filebeat")
        self._more_files(beat)
        for rest, child in beat.value.items():
            if rest in {"modules", "autodiscover"} and not child.value:
                continue
            hints = {"modules": "is not supported: name the logs as inputs, and a pipeline for each"}
            self._missing(
                child, f"filebeat.{rest}", hints.get(rest, "is not supported: write the inputs below filebeat.inputs")
            )

    def _more_files(self, beat: Node) -> None:
        """``filebeat.config.modules`` and ``filebeat.config.inputs``: a problem only where they find a file."""
        assert isinstance(beat.value, dict)
        config = beat.value.pop("config", None)
        if config is None or not isinstance(config.value, dict):
            return
        for name, child in config.value.items():
            path = child.walk("path")
            pattern = path.value if path is not None and isinstance(path.value, str) else ""
            found = [] if _is_off(child) else sorted(glob.glob(pattern))  # noqa: PTH207 - a whole pattern, not one below a folder
            if found:
                hint = f"{found[0]} is not read: write its inputs below filebeat.inputs in this file"
                self._missing(child, f"filebeat.config.{name}", f"is not supported, {hint}")
            else:
                self._ignore(child, f"filebeat.config.{name}", "no file is there, or it is disabled")

    def _inputs(self, node: Node, name: str) -> None:
        if not isinstance(node.value, list):
            return  # the binder says so
        for at, each in enumerate(node.value):
            if not _is_off(each):
                self._input(each, f"{name}[{at}]")
        # What is in a disabled one need not be understood.
        node.value = [each for each in node.value if not _is_off(each)] or node.value

    def _input(self, node: Node, name: str) -> None:
        if not isinstance(node.value, dict):
            return  # the binder says so
        if (old := node.value.pop("input_type", None)) is not None:
            if "type" in node.value:
                self._missing(
                    old, f"{name}.input_type", f"means the same as type, on line {node.value['type'].line}: keep one"
                )
            else:
                node.value["type"] = old
        if (kind := node.value.pop("document_type", None)) is not None:
            self._document_type(node, kind, name)
        encoding = node.value.get("encoding")
        if encoding is not None and isinstance(encoding.value, str):
            encoding.value = names.ENCODINGS.get(encoding.value.lower(), encoding.value)
        for flag in ("close_removed", "clean_removed"):
            # A flag there; here, where there is such a setting, how long to wait.
            if (given := node.value.get(flag)) is not None and isinstance(_scalar(given), bool):
                self._ignore(node.value.pop(flag), f"{name}.{flag}", names.IGNORED_BELOW_INPUT[flag])
        self._take_away(node, names.IGNORED_BELOW_INPUT, names.MISSING_BELOW_INPUT, InputSettings, name)

    def _document_type(self, node: Node, kind: Node, name: str) -> None:
        """The event's ``type`` of 5.x: at the top of the event where nothing else is in ``fields``, else one of them."""
        assert isinstance(node.value, dict)
        fields = node.value.setdefault("fields", Node({}, kind.line))
        if fields.value is None:
            fields.value = {}
        if not isinstance(fields.value, dict):
            return  # the binder says so
        if not fields.value:
            node.value["fields_under_root"] = Node(value=True, line=kind.line)
        elif (under_root := node.value.get("fields_under_root")) is None or _scalar(under_root) is not True:
            self._ignore(
                kind, f"{name}.document_type", "it becomes fields.type, because fields are not under the event's root"
            )
        fields.value.setdefault("type", kind)

    def _processors(self, node: Node, name: str) -> None:
        for at, each in enumerate(node.value if isinstance(node.value, list) else [node]):
            for kind, child in (each.value if isinstance(each.value, dict) else {}).items():
                if kind in names.METADATA:
                    self._ignore(child, f"{name}[{at}].{kind}", "events carry the host's name, and no more of that")
                else:
                    self._missing(child, f"{name}[{at}].{kind}", f"is not supported: {names.FILTER}")

    def _output(self, node: Node | None) -> None:
        for kind, child in (node.value if node is not None and isinstance(node.value, dict) else {}).items():
            if not isinstance(child.value, dict) or kind not in OUTPUTS:
                continue
            if kind == "elasticsearch":
                self._hosts(child)
            mode = child.walk("ssl.verification_mode")
            if mode is not None and mode.value == "strict":
                mode.value = "full"
            self._take_away(child, names.IGNORED_BELOW_OUTPUT, {}, OUTPUTS[kind], f"output.{kind}")

    @staticmethod
    def _hosts(output: Node) -> None:
        """``protocol`` and ``path`` go into each of ``hosts``, where it has none of its own."""
        assert isinstance(output.value, dict)
        scheme, path = (
            str(each.value) if (each := output.value.pop(key, None)) is not None and each.value else ""
            for key in ("protocol", "path")
        )
        hosts = output.value.get("hosts")
        if hosts is None or not (scheme or path):
            return
        if isinstance(hosts.value, str):
            hosts.value = [Node(each.strip(), hosts.line) for each in hosts.value.split(",")]
        for host in hosts.value if isinstance(hosts.value, list) else []:
            if not isinstance(host.value, str):
                continue
            if scheme and "://" not in host.value:
                host.value = f"{scheme}://{host.value}"
            if path and "/" not in host.value.partition("://")[2]:
                host.value = f"{host.value}/{path.strip('/')}"

    def _take_away(
        self,
        node: Node,
        ignored: Mapping[str, str],
        missing: Mapping[str, str],
        model: type[BaseModel] | None,
        name: str,
    ) -> None:
        """Remove what the tables name and ``model`` does not know."""
        known = _names(model) if model is not None else set()
        for table, tell in ((ignored, self._ignore), (missing, self._lacks)):
            for dotted, why in table.items():
                if any(each == dotted or each.startswith(f"{dotted}.") for each in known):
                    continue
                if (found := _remove(node, dotted)) is not None:
                    tell(found, f"{name}.{dotted}" if name else dotted, why)

    def _lacks(self, node: Node, name: str, why: str) -> None:
        if name.endswith(".processors"):
            self._processors(node, name)
        elif node.value not in (None, [], {}) and _scalar(node) not in {False, "0"} and not _is_off(node):
            self._missing(node, name, f"is not supported: {why}")

    def _missing(self, node: Node, name: str, text: str) -> None:
        self.problems.append(Problem(node.line, name, text))

    def _ignore(self, node: Node, name: str, why: str) -> None:
        self.ignored.append(Problem(node.line, name, f"is ignored: {why}" if not why.startswith("it becomes") else why))


def _names(model: type[BaseModel]) -> set[str]:
    """All dotted names of a model's settings, and of the models in it."""
    found = set()
    for field, info in model.model_fields.items():
        key = keys_of(field, info)
        inner, several = inner_model(info.annotation)
        below = _names(inner) if inner is not None and not several else set()
        for each in (key.name, *key.also):
            found |= {each, *(f"{each}.{name}" for name in below)}
    return found


def _remove(node: Node, dotted: str) -> Node | None:
    """Take out the node under a dotted key, and the mappings that are empty then."""
    if not isinstance(node.value, dict):
        return None
    first, _, rest = dotted.partition(".")
    child = node.value.get(first)
    if child is None:
        return None
    found = _remove(child, rest) if rest else child
    if found is not None and (not rest or child.value == {}):
        del node.value[first]
    return found


def _is_off(node: Node) -> bool:
    """Whether it says ``enabled: false``."""
    enabled = node.walk("enabled")
    return enabled is not None and _scalar(enabled) is False


def _scalar(node: Node) -> object:
    """What YAML makes of a scalar; ``None`` for anything else."""
    if isinstance(node.value, Plain):
        return resolved(node.value)
    return node.value if not isinstance(node.value, dict | list) else None
