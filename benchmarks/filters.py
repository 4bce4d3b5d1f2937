#!/usr/bin/env python3
"""How fast each filter is, and grok beside pygrok: events per second of CPU, the best of five passes in one process.

.venv/bin/python benchmarks/filters.py [--events N]
"""

from __future__ import annotations

import argparse
import gc
import time
import warnings
from typing import TYPE_CHECKING

from parser import Grok, Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 64
SPRING = "2024-11-21T10:15:30.123Z  INFO 4242 --- [nio-8080-exec-1] c.acme.orders.web.OrderController        : order {} accepted"
HTTPD = '203.0.113.7 - - [21/Nov/2024:10:15:30 +0000] "GET /orders/{} HTTP/1.1" 200 512 "-" "curl/8.5"'
GROK = r"%{TIMESTAMP_ISO8601:time} +%{LOGLEVEL:level} %{POSINT:pid} --- \[%{DATA:thread}\] %{NOTSPACE:logger} *: %{GREEDYDATA:text}"
FILTERS = {
    "grok": (SPRING, f'grok {{ match => {{ "message" => "{GROK}" }} }}'),
    "grok, httpd": (HTTPD, 'grok { match => { "message" => "%{COMBINEDAPACHELOG}" } }'),
    "dissect": (
        SPRING,
        'dissect { mapping => { "message" => "%{time} %{level} %{pid} --- [%{thread}] %{logger} : %{text}" } }',
    ),
    "date": ("2024-11-21T10:15:30.{:03}Z", 'date { match => ["message", "ISO8601"] }'),
    "kv": ("order={} state=accepted total=12.50 customer=77 currency=EUR", "kv { }"),
    "json": ('{{"order":{},"state":"accepted","customer":{{"id":77}}}}', 'json { source => "message" }'),
    "mutate": (
        "order {}",
        'mutate { add_field => { "a" => "%{message}" } rename => { "a" => "b" } uppercase => ["b"] }',
    ),
    "drop": ("order {}", "if [message] =~ /^order/ { drop { } }"),
}


def rate(events: int, run: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        run()
        best = min(best, time.process_time() - started)
    return events / best


def through(pipeline: Pipeline, messages: list[str]) -> None:
    for begin in range(0, len(messages), CHUNK):
        pipeline.transform([{"message": message} for message in messages[begin : begin + CHUNK]])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=50_000)
    events = arguments.parse_args().events
    gc.disable()
    print(f"{'':24}{'events/CPU-s':>14}")
    for name, (line, text) in FILTERS.items():
        messages = [line.format(n % 1000) for n in range(events)]
        pipeline = Pipeline.parse(f"filter {{ {text} }}", ecs_compatibility="disabled")
        print(f"{name:24}{rate(events, lambda p=pipeline, m=messages: through(p, m)):14,.0f}")
    messages = [SPRING.format(n) for n in range(events)]
    spring = Pipeline.load("spring-boot", env={})
    print(f"{'spring-boot, the whole':24}{rate(events, lambda: through(spring, messages)):14,.0f}")
    ours = Grok(GROK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own: escapes in its source
        from pygrok import Grok as PyGrok  # noqa: PLC0415 - the peer, only here

        theirs = PyGrok(GROK)
    mine = rate(events, lambda: [ours.match(message) for message in messages])
    peer = rate(events, lambda: [theirs.match(message) for message in messages])
    print(f"{'Grok.match':24}{mine:14,.0f}   {mine / peer:.1f} times pygrok's {peer:,.0f}")


if __name__ == "__main__":
    main()
