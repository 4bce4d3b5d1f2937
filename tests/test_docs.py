"""The documentation is true: its links lead somewhere, its commands and settings exist, its reference is the code's."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from shipper.cli import main
from shipper.settings import from_mapping

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "benchmarks" / "README.md",
]
FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")


def name(page):
    return str(page.relative_to(ROOT))


def blocks(language):
    """(page, text) of each code block in a language, on any page."""
    for page in PAGES:
        for written, text in FENCE.findall(page.read_text(encoding="utf-8")):
            if written == language:
                yield pytest.param(text, id=f"{name(page)}:{text.split(maxsplit=2)[:2]}")


def commands():
    """Each ``shipper …`` of the shell blocks, as its words."""
    for block in blocks("sh"):
        for line in block.values[0].splitlines():
            words = shlex.split(line, comments=True)
            for part in " ".join(map(shlex.quote, words)).split(" '&&' "):
                words = shlex.split(part)
                if words and Path(words[0]).name == "shipper":
                    yield pytest.param(words[1:], id=" ".join(words))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if path.startswith(("https://", "http://")):
            continue
        to = (page.parent / path) if path else page
        if not to.exists() or (anchor and anchor not in anchors(to)):
            broken.append(target)
    assert broken == []


def anchors(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in re.findall(r"(?m)^#+ (.+)$", text)
    }


@pytest.mark.parametrize("words", list(commands()))
def test_commands_exist_with_their_options(words):
    """Parsed by click itself, so that an option, an argument or a choice that does not exist fails."""
    command, context = main, click.Context(main, info_name="shipper", **main.context_settings)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]
    command.make_context(command.name, list(words), parent=context)


@pytest.mark.parametrize("text", list(blocks("yaml")))
def test_settings_are_good(text, monkeypatch):
    monkeypatch.setenv("ES_API_KEY", "id:key")
    data = yaml.safe_load(text)
    data.setdefault("inputs", [{"paths": ["/logs/*.log"]}])
    assert len(from_mapping(data).inputs) == len(data["inputs"])


def test_scripts_that_are_named_can_be_run():
    named = {
        script for page in PAGES for script in re.findall(r"scripts/\w+(?:\.py)?", page.read_text(encoding="utf-8"))
    }
    assert "scripts/demo" in named
    assert [script for script in sorted(named) if not os.access(ROOT / script, os.X_OK)] == []


def test_the_reference_is_the_codes_own():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == module.reference(), "run scripts/reference"


@pytest.mark.parametrize("words", [["ship"], ["ship", "x.log", "--no-such-option"], ["search", "-o", "xml"]])
def test_a_wrong_command_would_be_seen(words):
    with pytest.raises(click.UsageError):
        test_commands_exist_with_their_options(words)
