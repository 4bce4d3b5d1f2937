"""Imports go only downwards (DESIGN.md, "Rooms"), and what is heavy is imported only where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = (
    ("parser",),
    # the version, the tree of errors, the machine's name, what a disk's errors mean, a lock: for everybody
    ("shipper", "shipper.errors", "shipper.host", "shipper.faults"),
    ("shipper.lock",),
    ("shipper.settings", "shipper.testing"),
    ("shipper.store", "shipper.state", "shipper.lumberjack"),
    ("shipper.outputs", "shipper.files"),
    ("shipper.delivery",),
    ("shipper.query", "shipper.progress"),
    ("shipper.web", "shipper.elastic", "shipper.status"),
    ("shipper.inputs", "shipper.sending"),
    ("shipper.observer", "shipper.handover", "shipper.completion", "shipper.publishing"),
    ("shipper.reading", "shipper.reloading"),
    ("shipper.agent", "shipper.receiver"),
    ("shipper.cli",),
    ("shipper.__main__",),
)
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}

HEAVY = (
    "ansible",
    "cryptography",
    "elasticsearch",
    "lark",
    "luqum",
    "prometheus_client",
    "pydantic",
    "rich",
    "sqlite3",
    "starlette",
    "testcontainers",
    "watchdog",
)


def room(module: str) -> str:
    """``shipper.store.reader`` is in the room ``shipper.store``; all of ``parser`` is one room."""
    parts = module.split(".")
    return parts[0] if parts[0] == "parser" else ".".join(parts[:2])


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports, wherever in it; also those for the type checker only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            module = node.module or ""
            # ``from shipper import host`` is the module shipper.host
            found |= {
                f"{module}.{alias.name}" if is_module(f"{module}.{alias.name}") else module for alias in node.names
            }
    return {name for name in found if name.split(".")[0] in {"parser", "shipper"}}


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or place.is_dir()


MODULES = {
    module_of(path): path for package in ("parser", "shipper") for path in sorted(ROOT.joinpath(package).rglob("*.py"))
}


def upwards(module: str, imported: set[str]) -> list[str]:
    """Which of the imports leave the room for one that is not below it."""
    here = room(module)
    return sorted(name for name in imported if room(name) != here and RANK[room(name)] >= RANK[here])


def test_every_module_has_its_room():
    assert MODULES
    assert {name for name in map(room, MODULES) if name not in RANK} == set()


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downwards(module):
    assert upwards(module, imports(MODULES[module])) == []


def test_an_import_upwards_is_seen():
    assert upwards("parser.grok", {"shipper.errors"}) == ["shipper.errors"]
    assert upwards("shipper.store.reader", {"shipper.state.lock", "shipper.settings"}) == ["shipper.state.lock"]
    assert upwards("shipper.outputs.file", {"shipper.outputs.batch", "shipper.delivery.sender"}) == [
        "shipper.delivery.sender"
    ]
    assert upwards("shipper.cli.ship", {"shipper.agent", "parser"}) == []


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("shipper.cli", set()),
        ("parser", {"lark"}),
        ("shipper.agent", {"lark", "pydantic", "sqlite3"}),
    ],
)
def test_heavy_imports_wait_until_they_are_used(module, allowed):
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert set(loaded.split()) & set(HEAVY) <= allowed
