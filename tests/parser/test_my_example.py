"""The mission's pipeline: its file, its expressions, and what Logstash makes of the sample lines."""

from __future__ import annotations

import pytest

from parser import Pipeline
from parser.bundled import bundled

FIRST = (
    r"\A%{TIMESTAMP_ISO8601}%{SPACE}%{LOGLEVEL}%{SPACE}%{INT}%{SPACE}%{SYSLOGPROG}%{SPACE}%{SYSLOG5424SD}%{SPACE}"
    r"%{JAVACLASS:service}%{SPACE}%{NOTSPACE}%{SPACE}%{JAVALOGMESSAGE:java_message}"
)
SECOND = (
    r"\A%{TIMESTAMP_ISO8601}%{SPACE}%{SYSLOG5424SD}%{CRON_ACTION}%{JAVACLASS:servico}%{CRON_ACTION}%{SYSLOG5424SD}%{SPACE}"
    r"%{JAVALOGMESSAGE:java_message}"
)
SAMPLES = [
    (
        "2017-07-04 11:11:37.921  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET DATA",
        "br.com.service.ContaService",
        "GET DATA",
    ),
    (
        "2017-07-04 11:11:37.952  INFO 60820 --- [pool-3-thread-1] br.com.ContaServiceLog           :  CALL SOMEthing",
        "br.com.ContaServiceLog",
        "CALL SOMEthing",
    ),
    (
        "2017-07-04 11:11:37.954  INFO 60820 --- [pool-3-thread-1] br.com.ContaServiceLog           : http://some-service",
        "br.com.ContaServiceLog",
        "http://some-service",
    ),
]


def test_the_file_has_the_expressions_verbatim():
    text = bundled("pipeline", "my-example.conf").read_text(encoding="utf-8")
    assert text.index(f'"{FIRST}"') < text.index(f'"{SECOND}"')
    assert "port => 5043" in text
    assert 'index => "my-example"' in text


@pytest.mark.parametrize(("line", "service", "message"), SAMPLES)
@pytest.mark.parametrize(("ecs", "program"), [("disabled", {"program": "---"}), ("v8", {"process": {"name": "---"}})])
def test_sample_lines(line, service, message, ecs, program):
    found = Pipeline.load("my-example", ecs_compatibility=ecs).run([{"message": line}])
    assert found == [
        {"message": line, "service": service, "java_message": message, "tags": ["_grokparsefailure"], **program}
    ]


def test_the_second_expression_takes_a_layout_of_its_own():
    line = "2017-07-04 11:11:37.921 [pool-3-thread-1] br.com.Foo [id] hello"
    (found,) = Pipeline.load("my-example").run([{"message": line}])
    assert found == {"message": line, "servico": "br.com.Foo", "java_message": "hello", "tags": ["_grokparsefailure"]}
