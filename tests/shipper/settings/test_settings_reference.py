"""The generated reference."""

from __future__ import annotations

import re

import pytest

from shipper.settings import ElasticsearchOutputSettings, InputSettings, Settings, SslSettings
from shipper.settings.reference import markdown


@pytest.fixture(scope="module")
def rows():
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in markdown().splitlines() if line.startswith("| `")]
    return {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in cells}


@pytest.mark.parametrize("model", [Settings, InputSettings, ElasticsearchOutputSettings, SslSettings])
def test_every_field_is_described(model):
    missing = [name for name, info in model.model_fields.items() if not info.description and name != "kind"]
    assert missing == []


@pytest.mark.parametrize(
    ("setting", "kind", "default"),
    [
        ("paths", "list of globs", "required"),
        ("close_inactive", "duration", "`5m`"),
        ("queue.mem.bytes", "size", "`4MiB`"),
        ("prospector.scanner.check_interval", "duration", "`5s`"),
        ("multiline.flush_pattern", "regular expression", ""),
        ("output.elasticsearch.ssl.verification_mode", "full, certificate or none", "`full`"),
        ("output.elasticsearch.data_stream.dataset", "text", "`generic`"),
        ("output.file.path", "path", "required"),
        ("fields_under_root", "true or false", "`false`"),
    ],
)
def test_a_row_says_kind_and_default(rows, setting, kind, default):
    assert rows[setting][:2] == [kind, default]


def test_every_row_has_a_kind_for_people(rows):
    assert [name for name, (kind, *_) in rows.items() if not kind or "[" in kind or "class" in kind] == []
