"""Patterns that run away, and what becomes of the events beside them."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from parser import Pipeline
from parser.direct import compile_direct
from parser.watchdog import COMPILED, MatchTimeoutError, Watchdog

RUNAWAYS = {
    r"^(?<x>(.*?,){12}P)": ",".join(map(str, range(60))),
    r"(.*a){30}(?<x>!)": "a" * 64,
    r"\A(?:(\w+) ?)+(?<x>!)\z": "w" * 40,
    r"(?<x>(a|aa)+)c": "a" * 60,
    r"(?<n>a|aa)(?<x>\g<n>+)c": "a" * 60,  # needs the regex module
}
LIMIT = 0.05


def grok(pattern, **options):
    return Pipeline.build([("grok", {"match": {"message": pattern}, **options})])


@pytest.mark.parametrize("pattern", RUNAWAYS)
def test_only_the_event_at_fault_is_tagged(pattern):
    texts = ["x!", "0P", "bbc", "", "a b!"] * 3
    wanted = grok(pattern).transform([{"message": text} for text in texts])
    events = [{"message": text} for text in texts]
    events[7:7] = [{"message": RUNAWAYS[pattern], "tags": ["t"]}]
    got = grok(pattern).transform_guarded(events, LIMIT)
    assert got.pop(7) == {"message": RUNAWAYS[pattern], "tags": ["t", "_groktimeout"]}
    assert got == wanted


def test_every_event_at_fault_is_tagged_and_the_pipeline_goes_on_after_the_filter():
    pipeline = Pipeline.parse(
        r"""filter {
          grok { match => { "message" => "(.*a){30}(?<x>!)" } add_tag => "never" tag_on_timeout => "slow" }
          grok { match => { "message" => "(?<first>.)" } }
          if "slow" in [tags] { mutate { add_field => { "seen" => "yes" } } }
        }"""
    )
    events = [{"message": "a" * 64}, {"message": "b"}, {"message": "a" * 64}]
    slow = {"message": "a" * 64, "tags": ["slow"], "first": "a", "seen": "yes"}
    parsed = {"message": "b", "tags": ["_grokparsefailure"], "first": "b"}
    assert pipeline.transform_guarded(events, LIMIT) == [slow, parsed, slow]


def test_a_pattern_outside_of_grok_is_stopped_too():
    pipeline = Pipeline.parse(
        r"""filter {
          if [message] =~ /(.*a){30}!/ { drop { } }
          mutate { gsub => ["message", "(.*b){30}!", ""] add_field => { "done" => "yes" } }
        }"""
    )
    texts = ["a" * 64, "x", "b" * 64]
    got = pipeline.transform_guarded([{"message": text} for text in texts], LIMIT)
    assert got == [
        {"message": "a" * 64, "tags": ["_groktimeout"]},
        {"message": "x", "done": "yes"},
        {"message": "b" * 64, "tags": ["_groktimeout"]},
    ]


def test_a_kv_filter_has_a_tag_of_its_own():
    pipeline = Pipeline.build(
        [("kv", {"field_split_pattern": "(?:(?:.*a){30}!)", "timeout_millis": 50}), ("mutate", {"add_tag": "next"})]
    )
    assert pipeline.timeout == 0.05
    got = pipeline.transform_guarded([{"message": "k=" + "a" * 64}, {"message": "k=v"}])
    assert got == [
        {"message": "k=" + "a" * 64, "tags": ["_kv_filter_timeout", "next"]},
        {"message": "k=v", "k": "v", "tags": ["next"]},
    ]


def test_a_slow_batch_is_no_slow_event():
    pipeline = grok("(?:.*a){5}(?<x>!)")
    text = "a" * 30
    begin = time.thread_time()
    count = 0
    while time.thread_time() - begin < 4 * LIMIT:
        pipeline.transform([{"message": text}])
        count += 1
    with Watchdog(LIMIT) as watchdog:
        together = pipeline.transform([{"message": text} for _ in range(count)])
        apart = [pipeline.transform([{"message": text}])[0] for _ in range(count)]
    assert watchdog.stopped == 0
    assert {event["tags"][0] for event in together + apart} == {"_grokparsefailure"}


def test_the_limit_is_the_least_of_the_filters():
    assert grok("x").timeout == 1
    assert grok("x", timeout_millis=300).timeout == 0.3
    assert grok("x", timeout_millis=30000).timeout == 30
    assert grok("x", timeout_millis=0).timeout is None
    assert Pipeline.build([("mutate", {})]).timeout == 1
    conditional = (
        'filter { if [a] { grok { match => { "m" => "x" } timeout_millis => 20 } } grok { match => { "m" => "x" } } }'
    )
    assert Pipeline.parse(conditional).timeout == 0.02


def test_what_is_no_pipeline_is_never_stopped():
    with Watchdog(0.01) as watchdog:
        begin = time.thread_time()
        while time.thread_time() - begin < 0.1:
            pass
    assert watchdog.stopped == 0


def test_compiled_functions_are_known_by_their_names():
    pipeline = grok("x")
    for function in (pipeline.transform, compile_direct(pipeline.statements, {})):
        assert function.__code__.co_filename.startswith(COMPILED)
        assert "out" in function.__code__.co_varnames


def test_signals_are_as_before_afterwards():
    def handler(_number, _frame):
        raise AssertionError

    before = signal.signal(signal.SIGVTALRM, handler)
    try:
        with Watchdog(5):
            with Watchdog(0.001):
                assert signal.getitimer(signal.ITIMER_VIRTUAL)[1] > 1, "the inner one does nothing"
            assert signal.getitimer(signal.ITIMER_VIRTUAL)[1] > 1, "and ends nothing"
        assert signal.getsignal(signal.SIGVTALRM) is handler
        assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
    finally:
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("begin", [None, 50])
def test_a_limit_may_come_later(begin):
    pipeline = grok(r"^(?:x+x+)+y")
    with Watchdog(begin) as watchdog:
        watchdog.limit(LIMIT)
        armed = signal.getitimer(signal.ITIMER_VIRTUAL)[1]
        assert armed == pytest.approx(LIMIT / 4, abs=0.005)
        assert pipeline.transform([{"message": "x" * 40}])[0]["tags"] == ["_groktimeout"]
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


def test_a_limit_may_go():
    before = signal.getsignal(signal.SIGVTALRM)
    with Watchdog(LIMIT) as watchdog:
        watchdog.limit(None)
        assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
        assert signal.getsignal(signal.SIGVTALRM) is before
        with Watchdog(LIMIT):
            assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0), "no limit is not overruled from inside"
        watchdog.limit(LIMIT)
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[1] > 0
    watchdog.limit(LIMIT)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0), "nothing ticks outside of the `with`"
    assert signal.getsignal(signal.SIGVTALRM) is before


def test_another_thread_runs_unguarded():
    got = []
    pipeline = grok("(?<x>.)")
    thread = threading.Thread(target=lambda: got.extend(pipeline.transform_guarded([{"message": "m"}], 0.001)))
    thread.start()
    thread.join()
    assert got == [{"message": "m", "x": "m"}]


def test_a_stop_between_two_events_loses_none():
    """The exception may come anywhere in the event's way, outside of its ``try`` too."""
    pipeline = Pipeline.build([("mutate", {"add_field": {"f": "1"}})])

    class Stops(list):
        def __getitem__(self, key):
            part = super().__getitem__(key)
            if isinstance(key, slice) and key.start == 0:
                return stopping(part)
            return part

    def stopping(part):
        yield part[0]
        raise MatchTimeoutError

    got = pipeline.transform(Stops([{"n": 0}, {"n": 1}, {"n": 2}]))
    assert got == [{"n": 0, "f": "1"}, {"n": 1, "tags": ["_groktimeout"]}, {"n": 2, "f": "1"}]
