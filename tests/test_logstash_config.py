"""logstash/config is what Logstash is started with. It cannot run here: its files are read as it would read them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from parser import Pipeline
from parser.logstash.grammar import parse

ROOT = Path(__file__).parents[1] / "logstash"
PIPELINES = yaml.safe_load((ROOT / "config/pipelines.yml").read_text(encoding="utf-8"))
SETTINGS = yaml.safe_load((ROOT / "config/logstash.yml").read_text(encoding="utf-8"))


def files(path_config: str) -> list[Path]:
    """What the glob of a pipeline finds, the image's folder replaced by ours; braces as Ruby's ``Dir.glob`` has them."""
    pattern = re.sub(r"\$\{STACK_PIPELINES:[^}]*\}/", "", path_config)
    before, _, rest = pattern.partition("{")
    inner, _, after = rest.partition("}")
    names = [before + each + after for each in inner.split(",")] if rest else [pattern]
    found = [path for name in names for path in ROOT.glob(name)]
    assert len(found) == len(names), f"{path_config} names files that are not there"
    return found


def texts(pipeline_id: str) -> str:
    found = next(each for each in PIPELINES if each["pipeline.id"] == pipeline_id)
    return "\n".join(path.read_text(encoding="utf-8") for path in files(found["path.config"]))


@pytest.mark.parametrize("pipeline", [each["pipeline.id"] for each in PIPELINES])
def test_every_pipeline_is_found_and_parses(pipeline):
    text = texts(pipeline)
    assert len(re.findall(r"(?m)^input \{", text)) == len(re.findall(r"(?m)^output \{", text)) == 1
    assert parse(text)
    Pipeline.parse(text)


def test_every_address_has_its_pipeline():
    everything = "\n".join(texts(each["pipeline.id"]) for each in PIPELINES)
    sent = set(re.findall(r'send_to => \["([\w-]+)"\]', everything))
    assert sent == set(re.findall(r'address => "([\w-]+)"', everything)) == {"spring-boot", "elasticsearch"}


def test_what_is_acknowledged_is_kept():
    assert SETTINGS["queue.type"] == "persisted"
    assert SETTINGS["dead_letter_queue.enable"] is True


def test_beats_are_taken_over_tls_and_documents_have_our_ids():
    assert re.search(r"port => .*5043", texts("beats"))
    assert "ssl_enabled => true" in texts("beats")
    output = texts("elasticsearch")
    assert 'document_id => "%{[@metadata][_id]}"' in output
    assert 'action => "create"' in output


def test_no_password_stands_in_a_file():
    everything = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "config").rglob("*") if path.is_file())
    assert set(re.findall(r'password => "([^"]*)"', everything)) == {"${LOGSTASH_WRITER_PASSWORD}"}
