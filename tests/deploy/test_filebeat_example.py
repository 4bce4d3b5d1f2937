"""The ``filebeat.yml`` that the role ships: the agent takes it, and it joins lines as the pipeline's own preset does."""

from __future__ import annotations

import itertools

import pytest
import yaml
from deploy.playbook import PLAYBOOKS

from parser.multiline import PRESETS, framer
from shipper.settings import load

pytestmark = pytest.mark.undeployed

ROLE = PLAYBOOKS / "roles/filebeat"
EXAMPLE = ROLE / "files/filebeat.conf-example.yml"
LINES = [
    "2026-03-01T10:15:30.123+01:00  INFO 4242 --- [orders] [main] c.acme.Orders : accepted",
    "\x1b[2m2026-03-01 10:15:30.123\x1b[0;39m \x1b[32m INFO\x1b[0;39m",
    "java.lang.IllegalStateException: no {stock}",
    "\tat c.acme.Orders.accept(Orders.java:42)",
    "",
    " 2026-03-01 10:15:30 is in a message",
    '{"@timestamp":"2026-03-01T10:15:30Z","message":"accepted"}',
    '{"message":"a } and a \\"timestamp\\"","timestamp" : "2026-03-01T10:15:30Z"}  ',
    '{"body":"no time at all"}',
    '{"message":"\\"timestamp\\": 1"}',
    '{"timestamp":"2026-03-01T10:15:30Z", "cut',
    '{ "timestamp": 1 }',
    "{",
    '"timestamp": 1 }',
]


def multiline() -> dict:
    return yaml.safe_load(EXAMPLE.read_text())["filebeat.inputs"][0]["parsers"][0]["multiline"]


def test_every_two_lines_are_framed_as_by_the_preset():
    given = multiline()
    made = framer(given["pattern"], negate=given["negate"], match=given["match"])
    starts = 0
    for pair in itertools.product(LINES, LINES):
        block = "".join(f"{line}\n" for line in pair).encode()
        assert made.cuts(block) == PRESETS["spring-boot"].cuts(block), pair
        starts += bool(made.cuts(block))
    assert 0 < starts < len(LINES) ** 2


def test_go_knows_the_pattern():
    """Filebeat's regular expressions are RE2's: there is nothing that looks ahead or back, and no reference back."""
    pattern = multiline()["pattern"]
    assert not any(each in pattern for each in ("(?=", "(?!", "(?<", "(?>", "(?P=", "\\1"))


def test_the_role_offers_the_same():
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert defaults["filebeat_multiline"] == {"spring-boot": multiline()}


def test_the_agent_takes_the_file(tmp_path):
    path = tmp_path / "filebeat.yml"
    text = EXAMPLE.read_text().replace("  ssl.certificate_authorities: [/etc/filebeat/certs/ca.crt]\n", "")
    path.write_text(text)
    settings = load(path)
    assert settings.inputs[0].paths == ("/var/log/orders/*.log",)
    assert settings.output.kind == "logstash"
