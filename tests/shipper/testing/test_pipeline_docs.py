"""What docs/pipelines.md shows is what the commands print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "pipelines.md").read_text(encoding="utf-8")
CONF = r"""filter {
  grok {
    match => { "message" => "\A%{TIMESTAMP_ISO8601:time} %{LOGLEVEL:[log][level]} \[%{DATA:[process][thread][name]}\] %{GREEDYDATA:message}" }
    overwrite => ["message"]
  }
  date { match => ["time", "ISO8601"] timezone => "${LOG_TIMEZONE:UTC}" remove_field => ["time"] }
}
"""
LINES = "2017-07-04 11:11:37,921 INFO [main] shop is open\n2017-07-04 11:11:38,002 WARN [main] till is slow\n"
FRAME = "\tat com.example.Till.sell(Till.java:12)\n"
EXAMPLES = [
    example.partition("\n")
    for block in re.findall(r"(?ms)^```console\n(.*?)^```$", PAGE)
    for example in re.split(r"(?m)^\$ ", block)[1:]
]


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "shop.conf").write_text(CONF)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "shop.yml").write_text(re.search(r"(?ms)^```yml\n(.*?)^```$", PAGE)[1])
    return tmp_path


@pytest.mark.parametrize(
    ("command", "output"), [(each[0], each[2]) for each in EXAMPLES], ids=[each[0][:40] for each in EXAMPLES]
)
def test_example(shop, command, output):
    (shop / "shop.log").write_text(LINES + (FRAME if "pipeline run" in command else ""))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=shop, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == output
