"""Lines of every Spring Boot layout, and the whole document that each becomes."""

from __future__ import annotations

import json
import re

import pytest

from parser import Pipeline
from parser.bundled import bundled
from parser.grok.dictionary import read_patterns

TRACE, SPAN = "0123456789abcdef0123456789abcdef", "0123456789abcdef"
BLANK = " " * 49
FRAMES = "\n\tat com.example.Foo.bar(Foo.java:12)\n\tat java.base/java.lang.Thread.run(Thread.java:840)"


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline.load("spring-boot", env={})


def document(pipeline, message, **event):
    (found,) = pipeline.run([{"message": message, **event}])
    found.pop("@metadata", None)
    return found


def expected(time, level, pid, thread, logger, message, **more):  # noqa: PLR0917 - in the order of a line
    process = {} if pid is None else {"pid": pid}
    if thread is not None:
        process["thread"] = {"name": thread}
    return {
        "@timestamp": time,
        "message": message,
        "log": {"level": level, "logger": logger},
        **({"process": process} if process else {}),
        **more,
    }


SERVICE = {"service": {"name": "orders"}}
TRACED = {"trace": {"id": TRACE}, "span": {"id": SPAN}}

LINES = {
    "2.x file": (
        "2017-07-04 11:11:37.921  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET DATA",
        expected("2017-07-04T11:11:37.921Z", "INFO", 60820, "pool-3-thread-1", "br.com.service.ContaService", "GET DATA"),
    ),
    "a message that begins with a blank": (
        "2017-07-04 11:11:37.952  INFO 60820 --- [pool-3-thread-1] br.com.ContaServiceLog           :  CALL SOMEthing",
        expected("2017-07-04T11:11:37.952Z", "INFO", 60820, "pool-3-thread-1", "br.com.ContaServiceLog", " CALL SOMEthing"),
    ),
    "a message with a colon": (
        "2017-07-04 11:11:37.954  INFO 60820 --- [pool-3-thread-1] br.com.ContaServiceLog           : http://some : x",
        expected("2017-07-04T11:11:37.954Z", "INFO", 60820, "pool-3-thread-1", "br.com.ContaServiceLog", "http://some : x"),
    ),
    "1.5 console, a logger with brackets and a slash": (
        "2014-03-05 10:57:51.253  INFO 45469 --- [ost-startStop-1] o.a.c.c.C.[Tomcat].[localhost].[/]       : Initializing",
        expected(
            "2014-03-05T10:57:51.253Z", "INFO", 45469, "ost-startStop-1", "o.a.c.c.C.[Tomcat].[localhost].[/]", "Initializing"
        ),
    ),
    "a logger with letters beyond ASCII": (
        "2017-07-04 11:11:37.921 DEBUG 1 --- [main] br.com.Ação : olá",
        expected("2017-07-04T11:11:37.921Z", "DEBUG", 1, "main", "br.com.Ação", "olá"),
    ),
    "3.0 console": (
        "2023-01-15T09:00:00.001Z  WARN 1 --- [           main] c.e.Demo                                 : careful",
        expected("2023-01-15T09:00:00.001Z", "WARN", 1, "main", "c.e.Demo", "careful"),
    ),
    "3.2 console with an application": (
        "2024-05-06T16:22:03.177+08:00  INFO 26040 --- [orders] [           main] com.example.RunApplication               : Starting",
        expected("2024-05-06T08:22:03.177Z", "INFO", 26040, "main", "com.example.RunApplication", "Starting", **SERVICE),
    ),
    "3.2 file with an application of 15 characters": (
        "2024-05-06T16:22:03.177+08:00  INFO 26040 --- [order-processor] [main] com.example.RunApplication : Starting",
        expected(
            "2024-05-06T08:22:03.177Z", "INFO", 26040, "main", "com.example.RunApplication", "Starting",
            service={"name": "order-processor"},
        ),
    ),
    "3.2 with an application and a correlation": (
        (f"2024-11-21T10:15:30.123+01:00  INFO 4242 --- [orders] [nio-8080-exec-1] [{TRACE}-{SPAN}] "
        "o.s.b.w.embedded.tomcat.TomcatWebServer  : Started"),
        expected(
            "2024-11-21T09:15:30.123Z", "INFO", 4242, "nio-8080-exec-1", "o.s.b.w.embedded.tomcat.TomcatWebServer", "Started",
            **SERVICE, **TRACED,
        ),
    ),
    "3.2 without an application, with a correlation": (
        f"2024-11-21T10:15:30.123-03:00  INFO 4242 --- [main] [{TRACE}-{SPAN}] c.e.Foo : x",
        expected("2024-11-21T13:15:30.123Z", "INFO", 4242, "main", "c.e.Foo", "x", **TRACED),
    ),
    "3.2 with a blank correlation": (
        f"2024-11-21T10:15:30.123Z  INFO 4242 --- [           main] [{BLANK}] c.e.Foo : x",
        expected("2024-11-21T10:15:30.123Z", "INFO", 4242, "main", "c.e.Foo", "x"),
    ),
    "3.4 with a group": (
        "2024-11-21T10:15:30.123Z  INFO 4242 --- [orders] [shop] [           main] c.e.Foo : x",
        expected(
            "2024-11-21T10:15:30.123Z", "INFO", 4242, "main", "c.e.Foo", "x", **SERVICE, labels={"application_group": "shop"}
        ),
    ),
    "3.4 with all of them": (
        f"2024-11-21T10:15:30.123Z  INFO 4242 --- [orders] [shop] [           main] [{TRACE}-{SPAN}] c.e.Foo : x",
        expected(
            "2024-11-21T10:15:30.123Z", "INFO", 4242, "main", "c.e.Foo", "x",
            **SERVICE, **TRACED, labels={"application_group": "shop"},
        ),
    ),
    "a correlation in Sleuth's form, as the documentation has it": (
        f"2024-11-21T10:15:30.123Z  INFO 4242 --- [           main] [orders,{TRACE},{SPAN}] c.e.Foo : x",
        expected("2024-11-21T10:15:30.123Z", "INFO", 4242, "main", "c.e.Foo", "x", **TRACED),
    ),
    "a correlation of one's own after a padded thread": (
        "2024-11-21T10:15:30.123Z  INFO 4242 --- [           main] [req-17] c.e.Foo : x",
        expected("2024-11-21T10:15:30.123Z", "INFO", 4242, "main", "c.e.Foo", "x", labels={"correlation": "req-17"}),
    ),
    "a logger that is one pair of brackets": (
        "2024-11-21T10:15:30.123Z  INFO 4242 --- [           main] [audit]                                  : x",
        expected("2024-11-21T10:15:30.123Z", "INFO", 4242, "main", "[audit]", "x"),
    ),
    "a virtual thread has no name": (
        "2024-11-21T10:15:30.123Z  INFO 4242 --- [               ] c.e.Foo : x",
        expected("2024-11-21T10:15:30.123Z", "INFO", 4242, None, "c.e.Foo", "x"),
    ),
    "a thread with a bracket in its name": (
        "2024-11-21T10:15:30.123Z  INFO 4242 --- [pool[1]-worker] c.e.Foo : x",
        expected("2024-11-21T10:15:30.123Z", "INFO", 4242, "pool[1]-worker", "c.e.Foo", "x"),
    ),
    "no process id": (
        "2017-07-04 11:11:37.921  INFO   --- [main] c.e.Foo : x",
        expected("2017-07-04T11:11:37.921Z", "INFO", None, "main", "c.e.Foo", "x"),
    ),
    "Sleuth 1 and 2": (
        "2018-01-01 10:00:00.000  INFO [orders,5e8eeed4a3a8ab0e,5e8eeed4a3a8ab0f,true] 7 --- [           main] c.e.Foo : x",
        expected(
            "2018-01-01T10:00:00.000Z", "INFO", 7, "main", "c.e.Foo", "x",
            **SERVICE, trace={"id": "5e8eeed4a3a8ab0e"}, span={"id": "5e8eeed4a3a8ab0f"},
        ),
    ),
    "Sleuth 3": (
        f"2021-01-01 10:00:00.000  INFO [orders,{TRACE},{SPAN}] 7 --- [           main] c.e.Foo : x",
        expected("2021-01-01T10:00:00.000Z", "INFO", 7, "main", "c.e.Foo", "x", **SERVICE, **TRACED),
    ),
    "Sleuth without a request": (
        "2018-01-01 10:00:00.000  INFO [-,,,] 7 --- [           main] c.e.Foo : x",
        expected("2018-01-01T10:00:00.000Z", "INFO", 7, "main", "c.e.Foo", "x"),
    ),
    "Log4j2 behind Spring, a comma before the fraction": (
        "2017-07-04 11:11:37,921 ERROR 12 --- [           main] c.e.Foo                                  : x",
        expected("2017-07-04T11:11:37.921Z", "ERROR", 12, "main", "c.e.Foo", "x"),
    ),
    "Log4j2's own layout with a date": (
        "2017-07-04 11:11:37,921 [main] WARN  a.b.C - x",
        {
            "@timestamp": "2017-07-04T11:11:37.921Z", "message": "x",
            "log": {"level": "WARN", "logger": "a.b.C"}, "process": {"thread": {"name": "main"}},
        },
    ),
    "colours around every part": (
        ("\x1b[2m2024-05-06T16:22:03.177+08:00\x1b[0;39m \x1b[32m INFO\x1b[0;39m \x1b[35m26040\x1b[0;39m \x1b[2m---\x1b[0;39m "
        "\x1b[2m[orders] [           main]\x1b[0;39m \x1b[2m\x1b[0;39m\x1b[36mcom.example.RunApplication              \x1b[0;39m "
        "\x1b[2m:\x1b[0;39m Starting"),
        expected("2024-05-06T08:22:03.177Z", "INFO", 26040, "main", "com.example.RunApplication", "Starting", **SERVICE),
    ),
    "a message of several lines": (
        "2017-07-04 11:11:37.921  INFO 1 --- [main] c.e.Foo : first\nsecond: x.y\n  third",
        expected("2017-07-04T11:11:37.921Z", "INFO", 1, "main", "c.e.Foo", "first\nsecond: x.y\n  third"),
    ),
    "an empty message": (
        "2017-07-04 11:11:37.921  INFO 1 --- [main] c.e.Foo : ",
        expected("2017-07-04T11:11:37.921Z", "INFO", 1, "main", "c.e.Foo", ""),
    ),
    "an empty message, its blank cut away": (
        "2017-07-04 11:11:37.921  INFO 1 --- [main] c.e.Foo :",
        expected("2017-07-04T11:11:37.921Z", "INFO", 1, "main", "c.e.Foo", ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "whole"), LINES.values(), ids=LINES)
def test_line(pipeline, line, whole):
    assert document(pipeline, line) == whole


TRACES = {
    "a cause": (
        f"boom\njava.lang.IllegalStateException: it broke{FRAMES}\nCaused by: java.io.IOException: disk\n\t... 23 common frames omitted",
        "boom", "java.lang.IllegalStateException", "it broke",
    ),
    "Spring's blank lines around a trace": (
        f"boom\n\njava.lang.IllegalStateException: it broke{FRAMES}\n\n", "boom", "java.lang.IllegalStateException", "it broke",
    ),
    "a suppressed exception": (
        f"boom\na.b.OuterException: x{FRAMES}\n\tSuppressed: a.b.InnerException: y\n\t\tat a.B.c(B.java:1)",
        "boom", "a.b.OuterException", "x",
    ),
    "no message": (f"boom\njava.lang.NullPointerException{FRAMES}", "boom", "java.lang.NullPointerException", None),
    "a message of several lines before and in the exception": (
        f"one\ntwo: three\na.b.C: could not\n  execute: statement\nx.y: z{FRAMES}", "one\ntwo: three", "a.b.C",
        "could not\n  execute: statement\nx.y: z",
    ),
    "nested and Kotlin classes": (
        f"boom\ncom.example.MainKt$run$1$Failure: x{FRAMES}", "boom", "com.example.MainKt$run$1$Failure", "x",
    ),
    "no frames": ("boom\njava.lang.NullPointerException: null", "boom", "java.lang.NullPointerException", "null"),
    "an empty log message": (f"\njava.lang.NullPointerException{FRAMES}", "", "java.lang.NullPointerException", None),
    "lines of Windows": (
        "boom\r\na.b.CException: x\r\n\tat a.B.c(B.java:1)\r\n", "boom", "a.b.CException", "x",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message", "kind", "reason"), TRACES.values(), ids=TRACES)
def test_stack_trace(pipeline, text, message, kind, reason):
    found = document(pipeline, f"2024-11-21T10:15:30.123Z ERROR 1 --- [main] c.e.Foo : {text}")
    trace = text[text.index(kind) :].rstrip()
    assert found == expected(
        "2024-11-21T10:15:30.123Z", "ERROR", 1, "main", "c.e.Foo", message,
        error={"type": kind, "stack_trace": trace, **({} if reason is None else {"message": reason})},
    )  # fmt: skip


JSON_LINES = {
    "ecs 3.4": (
        {
            "@timestamp": "2024-01-01T10:15:00.067462556Z", "log.level": "INFO", "process.pid": 39599,
            "process.thread.name": "main", "service.name": "simple", "log.logger": "org.example.Application",
            "message": "No active profile set", "ecs.version": "8.11", "userId": "7", "traceId": TRACE, "spanId": SPAN,
        },
        expected(
            "2024-01-01T10:15:00.067Z", "INFO", 39599, "main", "org.example.Application", "No active profile set",
            service={"name": "simple"}, ecs={"version": "8.11"}, labels={"userId": "7"}, **TRACED,
        ),
    ),
    "ecs 3.5": (
        {
            "@timestamp": "2025-01-01T10:15:00.067462556Z", "log": {"level": "ERROR", "logger": "org.example.Application"},
            "process": {"pid": 39599, "thread": {"name": "main"}}, "service": {"name": "simple", "version": "1"},
            "message": "No", "ecs": {"version": "8.11"}, "tags": ["billing"],
            "error": {"type": "a.B", "message": "x", "stack_trace": "a.B: x\n\tat c.D"},
        },
        expected(
            "2025-01-01T10:15:00.067Z", "ERROR", 39599, "main", "org.example.Application", "No",
            service={"name": "simple", "version": "1"}, ecs={"version": "8.11"}, tags=["billing"],
            error={"type": "a.B", "message": "x", "stack_trace": "a.B: x\n\tat c.D"},
        ),
    ),
    "logstash": (
        {
            "@timestamp": "2024-01-01T10:15:00.111037681+02:00", "@version": "1", "message": "boom",
            "logger_name": "org.example.Application", "thread_name": "main", "level": "ERROR", "level_value": 40000,
            "tags": ["billing"], "userId": "7", "stack_trace": "java.lang.Exc: a\nb\n\tat b.C(D.java:1)\n",
        },
        expected(
            "2024-01-01T08:15:00.111Z", "ERROR", None, "main", "org.example.Application", "boom", tags=["billing"],
            labels={"userId": "7"},
            error={"type": "java.lang.Exc", "message": "a\nb", "stack_trace": "java.lang.Exc: a\nb\n\tat b.C(D.java:1)\n"},
        ),
    ),
    "gelf": (
        {
            "version": "1.1", "short_message": "No active", "timestamp": 1725958035.857, "level": 6, "_level_name": "INFO",
            "_process_pid": 47649, "_process_thread_name": "main", "host": "spring", "_log_logger": "org.example.Application",
            "_userId": "7",
        },
        expected(
            "2024-09-10T08:47:15.857Z", "INFO", 47649, "main", "org.example.Application", "No active",
            service={"name": "spring"}, labels={"_userId": "7"},
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "whole"), JSON_LINES.values(), ids=JSON_LINES)
def test_structured_line(pipeline, line, whole):
    assert document(pipeline, json.dumps(line)) == whole


def test_structured_ecs_keeps_what_the_shipper_knows(pipeline):
    line = json.dumps(
        {"@timestamp": "2025-01-01T00:00:00Z", "log": {"level": "INFO"}, "service": {"name": "a", "version": "1"}}
    )
    found = document(pipeline, line, log={"file": {"path": "/x"}}, service={"name": "agent"}, labels={"k": "v"})
    assert found["log"] == {"file": {"path": "/x"}, "level": "INFO"}
    assert found["service"] == {"name": "agent", "version": "1"}
    assert found["labels"] == {"k": "v"}


@pytest.mark.parametrize(
    "line", ["", "  .   ____          _  ", "2017-07-04 11:11:37.921 nothing of ours", '{"foo": 1}', "at a.b.C"]
)
def test_a_line_of_no_layout_is_kept_whole(pipeline, line):
    assert document(pipeline, line) == {"message": line, "tags": ["_grokparsefailure"]}


def test_broken_json_is_kept_whole(pipeline):
    found = document(pipeline, '{"foo')
    assert found == {"message": '{"foo', "tags": ["_jsonparsefailure", "_grokparsefailure"]}


def test_the_service_name_of_the_event_wins(pipeline):
    line = "2024-05-06T16:22:03.177+08:00  INFO 26040 --- [orders] [           main] c.e.Foo : x"
    found = document(pipeline, line, service={"name": "from-the-agent"}, log={"file": {"path": "/x"}, "offset": 12})
    assert found["service"] == {"name": "from-the-agent"}
    assert found["log"] == {"file": {"path": "/x"}, "offset": 12, "level": "INFO", "logger": "c.e.Foo"}


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("2017-07-04 11:11:37.921", "2017-07-04T14:11:37.921Z"),
        ("2017-07-04 11:11:37.007", "2017-07-04T14:11:37.007Z"),  # the same second again
        ("2018-02-17 23:30:00.000", "2018-02-18T01:30:00.000Z"),  # an hour that comes twice: the earlier one
    ],
)
def test_zone_of_lines_without_one(local, instant):
    pipeline = Pipeline.load("spring-boot", env={"LOG_TIMEZONE": "America/Sao_Paulo"})
    line = f"{local}  INFO 1 --- [main] c.e.Foo : x"
    assert [document(pipeline, line)["@timestamp"] for _ in range(2)] == [instant, instant]


def test_an_hour_that_a_clock_change_skipped_is_a_failure(pipeline):
    pipeline = Pipeline.load("spring-boot", env={"LOG_TIMEZONE": "America/Sao_Paulo"})
    found = document(pipeline, "2017-10-15 00:30:00.000  INFO 1 --- [main] c.e.Foo : x")
    assert found["tags"] == ["_dateparsefailure"]
    assert found["timestamp"] == "2017-10-15 00:30:00.000"


def test_the_pattern_file_says_what_the_pipeline_says():
    conf = bundled("pipeline", "spring-boot.conf").read_text(encoding="utf-8")
    inside = dict(re.findall(r'^\s+"(SPRING_\w+)" => "(.*)"$', conf, re.MULTILINE))
    assert read_patterns(bundled("patterns", "spring")) == inside
