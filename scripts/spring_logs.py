#!/usr/bin/env python3
"""Write the logs that Spring Boot services write: a seeded generator, and the truth about each event it wrote.

    spring_logs.py --layout boot-3.4-file --events 1000000 --truth truth.ndjson /tmp/logs/orders.log

The layouts are those of logback's ``defaults.xml`` in Spring Boot 1.5 to 3.5 (and its structured formats), rendered here
independently of any parser, so that a test can hold what was shipped against ``--truth``: NDJSON, one ECS document per
event, in the order of writing, with what the line itself says (an abbreviated logger stays abbreviated) and the event's
place (``log.offset`` in its file, ``event.sequence``). Times in it are UTC, cut to the millisecond.

Same arguments, same bytes. About 200,000 events a second without the truth, half of it with.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))  # its modules lie beside it, wherever it is loaded from

from spring_layouts import LAYOUTS, Failure, Record, Service, truth
from spring_vocabulary import BANNER, EXCEPTIONS, FAILURES, FRAMES, MULTILINE, SENTENCES, START, THREADS, USERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spring_vocabulary import Exceptional, Sentence


START_TIME = datetime(2024, 11, 21, 9, tzinfo=UTC)


# --- what is said ---------------------------------------------------------------------------------------------------


def stack_trace(rng: random.Random, what: Exceptional, fill: dict[str, Any]) -> Failure:
    """A throwable as logback's ``%wEx`` prints it: frames with packaging data, causes, what they have in common omitted."""

    def head(kind: str, message: str | None) -> str:
        return kind if message is None else f"{kind}: {message.format_map(fill)}"

    def frames(count: int, indent: str = "\t") -> list[str]:
        first = rng.randrange(len(FRAMES))
        return [indent + "at " + FRAMES[(first + at) % len(FRAMES)].format_map(fill) for at in range(count)]

    lines = [head(what.type, what.message), *frames(rng.randint(8, 30))]
    if what.suppressed:
        lines += ["\tSuppressed: " + head(*what.suppressed), *frames(2, "\t\t"), "\t\t... 12 common frames omitted"]
    if what.cause:
        lines += [
            "Caused by: " + head(*what.cause),
            *frames(rng.randint(1, 8)),
            f"\t... {rng.randint(5, 60)} common frames omitted",
        ]
    message = None if what.message is None else what.message.format_map(fill)
    return Failure(what.type, message, "\n".join(lines))


def records(
    service: Service, *, seed: int, start: datetime, failures: float = 0.02, multiline: float = 0.01, gap_ms: float = 7
) -> Iterator[Record]:
    """An endless stream of what ``service`` logs from ``start`` on, ``gap_ms`` apart on average.

    ``failures`` and ``multiline`` are the shares of events with a stack trace and with a message of several lines.
    """
    rng = random.Random(f"{seed} {service.name}")
    draw, choice, bits = rng.random, rng.choice, rng.getrandbits
    at = int(start.timestamp() * 1_000_000)
    opening: list[Sentence] = list(START)
    while True:
        at += int(draw() * 2000 * gap_ms) + 1
        dice = draw()
        failure = None
        fill: dict[str, Any] = {
            "service": service.name,
            "pid": service.pid,
            "n": bits(22),
            "ms": bits(10),
            "small": 1 + bits(3),
            "user": choice(USERS),
        }
        thread = "main" if opening else choice(THREADS)
        if opening:
            sentence = opening.pop(0)
        elif dice < failures:
            sentence = choice(FAILURES)
            failure = stack_trace(rng, choice(EXCEPTIONS), fill)
        elif dice < failures + multiline:
            sentence = choice(MULTILINE)
        else:
            sentence = choice(SENTENCES)
        trace = (f"{bits(128):032x}", f"{bits(64):016x}") if service.tracing and dice > 0.3 else None
        logger, message = sentence.logger.format_map(fill), sentence.text.format_map(fill)
        yield Record(at, sentence.level, logger, thread, message, failure, trace)


# --- where it goes --------------------------------------------------------------------------------------------------


class Log:
    """A log file that rotates as logback's and logrotate's do: renamed, and a new one begun. Appends to what is there.

    ``numbered``: ``orders.log`` → ``orders.log.1`` → ``orders.log.2``. ``dated``: ``orders.2024-11-21.0.log``, ``.1.log`` ….
    ``keep``: of the numbered ones so many; 0 keeps all.
    """

    def __init__(self, path: Path, style: str = "numbered", keep: int = 0) -> None:
        self.path, self.style, self.keep = path, style, keep
        self.rotations: list[Path] = []
        self._open()

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file: IO[bytes] = self.path.open("ab")
        self.offset = self.file.tell()

    def write(self, data: bytes) -> None:
        """Append."""
        self.file.write(data)
        self.offset += len(data)

    def rotate(self, day: str) -> None:
        """Rename the file that is written, and begin a new one under its name. ``day`` is for the dated style."""
        self.file.close()
        if self.style == "dated":
            index = 0
            while (to := self.path.with_name(f"{self.path.stem}.{day}.{index}{self.path.suffix}")).exists():
                index += 1
        else:
            last = 1
            while self.path.with_name(f"{self.path.name}.{last}").exists():
                last += 1
            if last > self.keep > 0:
                last = self.keep  # the oldest is written over
            for at in range(last, 1, -1):
                self.path.with_name(f"{self.path.name}.{at - 1}").rename(self.path.with_name(f"{self.path.name}.{at}"))
            to = self.path.with_name(f"{self.path.name}.1")
        self.path.rename(to)
        self.rotations.append(to)
        self._open()

    def close(self) -> None:
        """Flush and close."""
        self.file.close()


def write(
    log: Log,
    service: Service,
    layout: str,
    *,
    events: int = 0,
    size: int = 0,
    seed: int = 0,
    start: datetime = START_TIME,
    rotate_every: int = 0,
    rate: float = 0,
    numbered: bool = False,
    banner: bool = False,
    to: IO[str] | None = None,
    **shares: float,
) -> int:
    """Write until ``events`` or ``size`` bytes are reached, whichever is first (0: no such limit; one is needed).

    ``rotate_every`` events the log rotates; ``rate`` is events per second (0: as fast as it goes); ``numbered`` begins
    each message with ``#<sequence> ``; ``to`` takes the truth; ``shares`` are those of ``records``. Returns the events written.
    """
    render = LAYOUTS[layout](service)
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    if banner:
        log.write(BANNER.encode())
    written, sequence, began = 0, 0, time.monotonic()
    for record in records(service, seed=seed, start=start, **shares):
        if (events and sequence >= events) or (size and written >= size):
            break
        if rotate_every and sequence and sequence % rotate_every == 0:
            log.rotate(datetime.fromtimestamp(record.at / 1_000_000, UTC).strftime("%Y-%m-%d"))
        if rate and (ahead := sequence / rate - (time.monotonic() - began)) > 0:
            log.file.flush()
            time.sleep(ahead)
        said = record._replace(message=f"#{sequence} {record.message}") if numbered else record
        shown = render(said)
        if to is not None:
            fields = truth(said, shown, service)
            fields["log"]["offset"], fields["event"] = log.offset, {"sequence": sequence}
            to.write(encode(fields) + "\n")
        data = shown.text.encode() + b"\n"
        log.write(data)
        written += len(data)
        sequence += 1
    log.file.flush()
    return sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Write the log of a Spring Boot service.")
    add = parser.add_argument
    add("path", type=Path, help="the log file; it is appended to")
    add("--layout", choices=sorted(LAYOUTS), default="boot-3.4-file")
    add("--events", type=int, default=0, help="stop after so many (default 10000, unless --bytes is given)")
    add("--bytes", type=int, default=0, dest="size", help="stop after about so many bytes")
    add("--service", default="orders")
    add("--group", default="", help="application group (Boot 3.4 on)")
    add("--no-name", action="store_true", help="as if spring.application.name were not set")
    add("--no-tracing", action="store_true", help="as if Micrometer Tracing were not there")
    add("--pid", type=int, default=4242)
    add("--zone", default="UTC", help="the service's time zone, as Europe/Berlin")
    add(
        "--start",
        type=lambda text: datetime.now(UTC) if text == "now" else datetime.fromisoformat(text),
        default=START_TIME,
        help="time of the first event (ISO 8601, or now)",
    )
    add("--gap-ms", type=float, default=7, help="mean time between events")
    add("--seed", type=int, default=0)
    add("--failures", type=float, default=0.02, help="share of events with a stack trace")
    add("--multiline", type=float, default=0.01, help="share of messages of several lines")
    add("--numbered", action="store_true", help="begin each message with #<sequence>")
    add("--banner", action="store_true", help="begin with Spring's banner (it is in no truth)")
    add("--rotate-every", type=int, default=0, help="rotate after so many events, again and again")
    add(
        "--rotate-to",
        choices=["numbered", "dated"],
        default="numbered",
        help="orders.log.1, or orders.2024-11-21.0.log",
    )
    add("--keep", type=int, default=0, help="of the numbered files so many (default: all)")
    add("--rate", type=float, default=0, help="events per second (default: as fast as it goes)")
    add("--truth", type=Path, help="write what each event should be read as, NDJSON")
    options = parser.parse_args(arguments)
    start = options.start if options.start.tzinfo else options.start.replace(tzinfo=UTC)
    service = Service(
        options.service, options.group, options.pid, options.zone, not options.no_tracing, not options.no_name
    )
    log = Log(options.path, options.rotate_to, options.keep)
    to = options.truth.open("w", encoding="utf-8") if options.truth else None
    try:
        write(
            log,
            service,
            options.layout,
            events=options.events or (0 if options.size else 10_000),
            size=options.size,
            seed=options.seed,
            start=start,
            rotate_every=options.rotate_every,
            rate=options.rate,
            numbered=options.numbered,
            banner=options.banner,
            to=to,
            failures=options.failures,
            multiline=options.multiline,
            gap_ms=options.gap_ms,
        )
    finally:
        log.close()
        if to is not None:
            to.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
