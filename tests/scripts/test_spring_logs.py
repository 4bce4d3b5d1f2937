"""The generator is what other tests are held against, so it is held against what Spring Boot is known to write."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The lines of FACTS.md that show each layout, as patterns of this test's own.
TIME_2 = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
TIME_3 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|[+-]\d\d:\d\d)"
LEVEL_PID = r" (?:TRACE|DEBUG| INFO| WARN|ERROR) 4242 --- "
CONSOLE, FILE = r"\[.{15}\] ", r"\[[^\]]+\] "
CORRELATION = r"\[(?:[0-9a-f]{32}-[0-9a-f]{16}| {49})\] "
LOGGER = r"\S{40}|\S[^ ]* +"
LAYOUTS = {
    "boot-1.5-file": TIME_2 + LEVEL_PID + FILE,
    "boot-1.5-console": TIME_2 + LEVEL_PID + CONSOLE,
    "boot-2.7-file": TIME_2 + LEVEL_PID + FILE,
    "boot-2.7-console": TIME_2 + LEVEL_PID + CONSOLE,
    "boot-3.0-file": TIME_3 + LEVEL_PID + FILE,
    "boot-3.1-console": TIME_3 + LEVEL_PID + CONSOLE,
    "boot-3.2-file": TIME_3 + LEVEL_PID + r"\[orders\] " + FILE + CORRELATION,
    "boot-3.2-console": TIME_3 + LEVEL_PID + r"\[orders\] " + CONSOLE + CORRELATION,
    "boot-3.4-file": TIME_3 + LEVEL_PID + r"\[orders\] \[shop\] " + FILE + CORRELATION,
    "boot-3.4-console": TIME_3 + LEVEL_PID + r"\[orders\] \[shop\] " + CONSOLE + CORRELATION,
    "boot-3.4-log4j2": TIME_3 + LEVEL_PID + r"\[orders\] \[shop\] " + FILE + CORRELATION,
}


@pytest.fixture
def generate(spring_logs, tmp_path):
    def run(layout="boot-3.4-file", *arguments, name="orders.log"):
        log, truth = tmp_path / name, tmp_path / f"{name}.truth"
        spring_logs.main([str(log), "--layout", layout, "--truth", str(truth), *arguments])
        return log, [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]

    return run


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_springs_own(generate, layout):
    log, truth = generate(layout, "--events", "300", "--group", "shop", "--zone", "Europe/Berlin")
    head = re.compile(rf"(?m)^{LAYOUTS[layout]}(?:{LOGGER}) : ".replace(r"\S{40}|\S[^ ]* +", r"(?=.{40} : )\S+ *"))
    assert len(head.findall(log.read_text(encoding="utf-8"))) == len(truth) == 300


@pytest.mark.parametrize("layout", ["boot-2.7-ansi", "boot-3.4-ansi"])
def test_ansi_stripped_is_the_console_layout(generate, layout):
    coloured, _ = generate(layout, "--events", "200", name="coloured.log")
    plain, _ = generate(layout.replace("ansi", "console"), "--events", "200", name="plain.log")
    text = coloured.read_text(encoding="utf-8")
    assert "\x1b[31mERROR\x1b[0;39m" in text
    assert re.sub(r"\x1b\[[\d;]*m", "", text) == plain.read_text(encoding="utf-8")


@pytest.mark.parametrize("layout", ["boot-2.7-file", "boot-3.4-log4j2", "ecs-3.4", "ecs-3.5", "logstash", "gelf"])
def test_the_truth_points_at_each_event(generate, layout):
    """Each offset is where a record begins, and the text from there to the next one says what the truth says."""
    log, truth = generate(layout, "--events", "400", "--failures", "0.2", "--multiline", "0.1")
    data = log.read_bytes()
    ends = [fields["log"]["offset"] for fields in truth[1:]] + [len(data)]
    for fields, end in zip(truth, ends, strict=True):
        text = data[fields["log"]["offset"] : end].decode()
        said = "\n".join(_strings(json.loads(text))) if text.startswith("{") else text
        assert text.endswith("\n")
        assert fields["message"] in said
        assert fields["log"]["level"] in said
        assert fields["process"]["thread"]["name"] in said
        if error := fields.get("error"):
            assert error["stack_trace"] in said
            assert error["stack_trace"].startswith(
                f"{error['type']}: {error['message']}" if "message" in error else error["type"] + "\n"
            )
        else:
            assert "\tat " not in said


def _strings(value):
    if isinstance(value, dict):
        return [found for inner in value.values() for found in _strings(inner)]
    return [str(value)]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Shanghai"])
@pytest.mark.parametrize("layout", ["boot-3.0-file", "logstash", "ecs-3.4"])
def test_printed_times_are_the_true_instants(generate, layout, zone):
    log, truth = generate(layout, "--events", "50", "--zone", zone, "--failures", "0", "--multiline", "0")
    for line, fields in zip(log.read_text(encoding="utf-8").splitlines()[6:], truth[6:], strict=True):
        printed = json.loads(line)["@timestamp"] if line.startswith("{") else line.split(" ", 1)[0]
        instant = datetime.fromisoformat(printed).astimezone(UTC)
        assert f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z" == fields["@timestamp"]


def test_a_zone_without_an_offset_is_local_time(generate):
    log, truth = generate(
        "boot-2.7-file", "--events", "1", "--zone", "Europe/Berlin", "--start", "2024-03-31T01:30:00Z"
    )
    assert log.read_text(encoding="utf-8").startswith("2024-03-31 03:30:00.")
    assert truth[0]["@timestamp"].startswith("2024-03-31T01:30:00.")


@pytest.mark.parametrize(
    ("logger", "shown"),
    [  # logback's documented examples of %logger{n}, and FACTS.md's
        ("org.springframework.boot.web.embedded.tomcat.TomcatWebServer", "o.s.b.w.embedded.tomcat.TomcatWebServer"),
        ("org.apache.catalina.core.ContainerBase.[Tomcat].[localhost].[/]", "o.a.c.c.C.[Tomcat].[localhost].[/]"),
        ("br.com.service.ContaService", "br.com.service.ContaService"),
        ("com.example.RunApplication", "com.example.RunApplication"),
    ],
)
def test_loggers_are_abbreviated_as_logback_does(spring_logs, logger, shown):
    assert sys.modules["spring_layouts"].abbreviated(logger) == shown


def test_the_same_seed_gives_the_same_bytes(generate):
    one, _ = generate("boot-3.4-file", "--events", "500", "--seed", "7", name="one.log")
    same, _ = generate("boot-3.4-file", "--events", "500", "--seed", "7", name="same.log")
    other, _ = generate("boot-3.4-file", "--events", "500", "--seed", "8", name="other.log")
    assert one.read_bytes() == same.read_bytes() != other.read_bytes()


def test_bytes_end_it_too(generate):
    log, truth = generate("boot-3.4-file", "--bytes", "100000")
    assert 100_000 <= log.stat().st_size < 110_000
    assert len(truth) < 1000


def test_what_is_hard_is_in_it(generate):
    log, truth = generate("boot-3.4-file", "--events", "5000")
    text = log.read_text(encoding="utf-8")
    for part in (
        "\nCaused by: ",
        "common frames omitted",
        "\tSuppressed: ",
        "<init>",
        "Native Method",
        "Operação",
        "订单",
        "🎉",
        "o.a.c.c.C.[.[.[/].[dispatcherServlet]",
    ):
        assert part in text, part
    assert any(fields["message"].startswith(" ") for fields in truth)
    assert any("\n" in fields["message"] for fields in truth)
    assert {fields["log"]["level"] for fields in truth} == {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"}


@pytest.mark.parametrize(
    ("style", "names"),
    [
        ("numbered", ["orders.log.2", "orders.log.1", "orders.log"]),
        ("dated", ["orders.2024-11-21.0.log", "orders.2024-11-21.1.log", "orders.log"]),
    ],
)
def test_rotation_keeps_every_event_in_its_order(generate, tmp_path, style, names):
    whole, _ = generate("boot-2.7-file", "--events", "250", name="whole.log")
    whole.rename(tmp_path / "whole")
    log, truth = generate("boot-2.7-file", "--events", "250", "--rotate-every", "100", "--rotate-to", style)
    parts = [log.with_name(name) for name in names]
    assert {each.name for each in tmp_path.iterdir()} == {*names, "orders.log.truth", "whole", "whole.log.truth"}
    assert b"".join(part.read_bytes() for part in parts) == (tmp_path / "whole").read_bytes()
    assert [fields["event"]["sequence"] for fields in truth if not fields["log"]["offset"]] == [0, 100, 200]


def test_it_goes_on_where_a_file_ends(generate):
    log, _ = generate("boot-2.7-file", "--events", "10")
    size = log.stat().st_size
    again, truth = generate("boot-2.7-file", "--events", "10", "--start", "2024-11-21T10:00:00")
    assert truth[0]["log"]["offset"] == size
    assert again.read_bytes()[size:].startswith(b"2024-11-21 10:00:00.")


def test_numbered_messages_count(generate):
    _, truth = generate("boot-3.4-file", "--events", "20", "--numbered", "--no-name", "--no-tracing")
    assert [fields["message"].split(" ", 1)[0] for fields in truth] == [f"#{n}" for n in range(20)]
    assert not any("service" in fields or "trace" in fields for fields in truth)


def test_it_is_a_command(tmp_path):
    command = [
        sys.executable,
        ROOT / "scripts" / "spring_logs.py",
        tmp_path / "a" / "b.log",
        "--events",
        "3",
        "--banner",
    ]
    subprocess.run(command, check=True)
    text = (tmp_path / "a" / "b.log").read_text(encoding="utf-8")
    assert ":: Spring Boot ::" in text
    assert text.count(" --- [orders] ") == 3


def test_so_many_rotated_files_are_kept(spring_logs, tmp_path):
    log = spring_logs.Log(tmp_path / "orders.log", keep=2)
    for text in (b"1\n", b"2\n", b"3\n", b"4\n"):
        log.write(text)
        log.rotate("2024-11-21")
    log.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "orders.log": b"",
        "orders.log.1": b"4\n",
        "orders.log.2": b"3\n",
    }
