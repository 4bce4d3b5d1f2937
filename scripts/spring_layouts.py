"""The layouts of Spring Boot's logs, 1.5 to 3.5, and the truth about each line: what a correct reader makes of it.

Written from logback's ``defaults.xml`` (and log4j2's ``log4j2-file.xml``) in Spring Boot and from its structured formats, and from
nothing of ``parser/``: tests hold the two against each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable


class Failure(NamedTuple):
    """A throwable as logged: ``stack_trace`` whole, from the class name to the last frame, without a final newline."""

    type: str
    message: str | None
    stack_trace: str


class Record(NamedTuple):
    """What a service had to say, before any layout. ``at`` is microseconds since 1970 UTC."""

    at: int
    level: str
    logger: str
    thread: str
    message: str
    failure: Failure | None
    trace: tuple[str, str] | None


@dataclass(frozen=True)
class Service:
    """Who speaks. ``zone`` is where its clock is shown; ``group`` and ``tracing`` show from Boot 3.4 and 3.2 on."""

    name: str = "orders"
    group: str = ""
    pid: int = 4242
    zone: str = "UTC"
    tracing: bool = True
    named: bool = True
    """Whether ``spring.application.name`` is set."""


def abbreviated(logger: str, width: int = 39) -> str:
    """Logback's ``%logger{39}``: leading packages become one letter each until it fits; the last part stays whole."""
    parts = logger.split(".")
    for at in range(len(parts) - 1):
        if sum(map(len, parts)) + len(parts) - 1 <= width:
            break
        parts[at] = parts[at][:1]
    return ".".join(parts)


class Shown(NamedTuple):
    """A record in a layout: its text without the final newline, and what the text lets a reader know beyond the record."""

    text: str
    logger: str
    thread: str
    named: bool
    pid: bool
    trace: bool
    group: bool = False


def clock(zone: str, pattern: str, *, offset: bool = False) -> Callable[[int], str]:
    """A function from microseconds to local wall-clock time with milliseconds, and the offset (``Z`` when it is zero)."""
    place, seconds = ZoneInfo(zone), dict[int, tuple[str, str]]()

    def show(at: int) -> str:
        second, rest = divmod(at, 1_000_000)
        known = seconds.get(second)
        if known is None:
            local = datetime.fromtimestamp(second, place)
            shift = f"{local:%z}" if offset else ""
            shift = "Z" if shift == "+0000" else shift[:3] + shift[3:].rjust(3, ":") if shift else ""
            seconds.clear()
            known = seconds[second] = (local.strftime(pattern), shift)
        return f"{known[0]}.{rest // 1000:03d}{known[1]}"

    return show


def pattern_layout(
    service: Service, *, boot: tuple[int, int], console: bool, ansi: bool = False, log4j: bool = False
) -> Callable[[Record], Shown]:
    """The text layouts of Boot ``boot``. ``console`` cuts and pads the thread to 15 characters; files print it whole."""
    show = (
        clock(service.zone, "%Y-%m-%dT%H:%M:%S", offset=True)
        if boot >= (3, 0)
        else clock(service.zone, "%Y-%m-%d %H:%M:%S")
    )
    named = boot >= (3, 2) and service.named
    names = f"[{service.name}] " if named else ""
    grouped = boot >= (3, 4) and bool(service.group)
    if grouped:
        names += f"[{service.group}] "
    correlated, pid = boot >= (3, 2) and service.tracing, service.pid
    short: dict[str, str] = {}
    colours = {"ERROR": "31", "WARN": "33"}

    def render(record: Record) -> Shown:
        logger = short.get(record.logger)
        if logger is None:
            whole = record.logger
            logger = (
                ".".join([*(part[:1] for part in whole.split(".")[:-1]), whole.split(".")[-1]])
                if log4j
                else abbreviated(whole)
            )
            logger = short[whole] = logger[-40:]
        thread = record.thread[-15:] if console else record.thread
        bracket = f"[{thread:>15}]" if console else f"[{thread}]"
        correlation = ""
        if correlated:
            correlation = f"[{record.trace[0]}-{record.trace[1]}] " if record.trace else f"[{'':49}] "
        if ansi:
            colour = colours.get(record.level, "32")
            head = (
                f"\x1b[2m{show(record.at)}\x1b[0;39m \x1b[{colour}m{record.level:>5}\x1b[0;39m \x1b[35m{pid}\x1b[0;39m \x1b[2m---\x1b[0;39m "
                f"\x1b[2m{names}{bracket}\x1b[0;39m \x1b[2m{correlation}\x1b[0;39m\x1b[36m{logger:<40}\x1b[0;39m \x1b[2m:\x1b[0;39m "
            )
        else:
            head = f"{show(record.at)} {record.level:>5} {pid} --- {names}{bracket} {correlation}{logger:<40} : "
        trace = (
            f"\n\n{record.failure.stack_trace}\n" if record.failure else ""
        )  # %wEx has an empty line before and after
        return Shown(head + record.message + trace, logger, thread, named, pid=True, trace=correlated, group=grouped)

    return render


def json_layout(service: Service, form: str) -> Callable[[Record], Shown]:
    """Boot's structured formats: ``ecs-3.4`` (dotted keys), ``ecs-3.5`` (nested), ``logstash``, ``gelf``."""
    zone = ZoneInfo(service.zone)
    severity = {"TRACE": (5000, 7), "DEBUG": (10000, 7), "INFO": (20000, 6), "WARN": (30000, 4), "ERROR": (40000, 3)}
    name = service.name if service.named else None

    def mdc(record: Record, prefix: str = "") -> dict[str, str]:
        return {prefix + "traceId": record.trace[0], prefix + "spanId": record.trace[1]} if record.trace else {}

    def ecs(record: Record) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "@timestamp": datetime.fromtimestamp(record.at / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "log.level": record.level,
            "process.pid": service.pid,
            "process.thread.name": record.thread,
            **({"service.name": name} if name else {}),
            "log.logger": record.logger,
            "message": record.message,
            **mdc(record),
        }
        if record.failure:
            fields["error.type"] = record.failure.type
            if record.failure.message is not None:
                fields["error.message"] = record.failure.message
            fields["error.stack_trace"] = record.failure.stack_trace + "\n"
        fields["ecs.version"] = "8.11"
        return fields if form == "ecs-3.4" else nested(fields)

    def logstash(record: Record) -> dict[str, Any]:
        return {
            "@timestamp": datetime.fromtimestamp(record.at / 1_000_000, zone)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
            "@version": "1",
            "message": record.message,
            "logger_name": record.logger,
            "thread_name": record.thread,
            "level": record.level,
            "level_value": severity[record.level][0],
            **mdc(record),
            **({"stack_trace": record.failure.stack_trace + "\n"} if record.failure else {}),
        }

    def gelf(record: Record) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "version": "1.1",
            "short_message": record.message,
            "timestamp": record.at // 1000 / 1000,
            "level": severity[record.level][1],
            "_level_name": record.level,
            "_process_pid": service.pid,
            "_process_thread_name": record.thread,
            **({"host": name} if name else {}),
            "_log_logger": record.logger,
            **mdc(record, "_"),
        }
        if record.failure:
            trace = record.failure.stack_trace + "\n"
            fields |= {
                "full_message": f"{record.message}\n\n{trace}",
                "_error_type": record.failure.type,
                "_error_stack_trace": trace,
            }
            if record.failure.message is not None:
                fields["_error_message"] = record.failure.message
        return fields

    make = {"ecs-3.4": ecs, "ecs-3.5": ecs, "logstash": logstash, "gelf": gelf}[form]
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    return lambda record: Shown(
        encode(make(record)),
        record.logger,
        record.thread,
        form != "logstash" and bool(name),
        form != "logstash",
        trace=True,
    )


def nested(dotted: dict[str, Any]) -> dict[str, Any]:
    """``{"log.level": …}`` as ``{"log": {"level": …}}``."""
    tree: dict[str, Any] = {}
    for key, value in dotted.items():
        *way, last = key.split(".")
        at = tree
        for step in way:
            at = at.setdefault(step, {})
        at[last] = value
    return tree


LAYOUTS: dict[str, Callable[[Service], Callable[[Record], Shown]]] = {
    "boot-1.5-file": lambda s: pattern_layout(s, boot=(1, 5), console=False),
    "boot-1.5-console": lambda s: pattern_layout(s, boot=(1, 5), console=True),
    "boot-2.7-file": lambda s: pattern_layout(s, boot=(2, 7), console=False),
    "boot-2.7-console": lambda s: pattern_layout(s, boot=(2, 7), console=True),
    "boot-2.7-ansi": lambda s: pattern_layout(s, boot=(2, 7), console=True, ansi=True),
    "boot-3.0-file": lambda s: pattern_layout(s, boot=(3, 0), console=False),
    "boot-3.1-console": lambda s: pattern_layout(s, boot=(3, 1), console=True),
    "boot-3.2-file": lambda s: pattern_layout(s, boot=(3, 2), console=False),
    "boot-3.2-console": lambda s: pattern_layout(s, boot=(3, 2), console=True),
    "boot-3.4-file": lambda s: pattern_layout(s, boot=(3, 4), console=False),
    "boot-3.4-console": lambda s: pattern_layout(s, boot=(3, 4), console=True),
    "boot-3.4-ansi": lambda s: pattern_layout(s, boot=(3, 4), console=True, ansi=True),
    "boot-3.4-log4j2": lambda s: pattern_layout(s, boot=(3, 4), console=False, log4j=True),
    "ecs-3.4": lambda s: json_layout(s, "ecs-3.4"),
    "ecs-3.5": lambda s: json_layout(s, "ecs-3.5"),
    "logstash": lambda s: json_layout(s, "logstash"),
    "gelf": lambda s: json_layout(s, "gelf"),
}


def truth(record: Record, shown: Shown, service: Service) -> dict[str, Any]:
    """The ECS document that a correct reader of ``shown.text`` ends with: what the text does not have is not in it."""
    moment = datetime.fromtimestamp(record.at // 1_000_000, UTC)
    fields: dict[str, Any] = {
        "@timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{record.at % 1_000_000 // 1000:03d}Z",
        "message": record.message,
        "log": {"level": record.level, "logger": shown.logger},
        "process": {"thread": {"name": shown.thread}},
    }
    if shown.pid:
        fields["process"]["pid"] = service.pid
    if shown.named:
        fields["service"] = {"name": service.name}
    if shown.group:
        fields["labels"] = {"application_group": service.group}
    if record.failure:
        fields["error"] = {"type": record.failure.type, "stack_trace": record.failure.stack_trace}
        if record.failure.message is not None:
            fields["error"]["message"] = record.failure.message
    if record.trace and shown.trace:
        fields["trace"], fields["span"] = {"id": record.trace[0]}, {"id": record.trace[1]}
    return fields
