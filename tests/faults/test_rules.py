"""Each fault with the rule that guards against it: with the rule it holds, and without the rule the oracle says that it does not.

A fault test that cannot fail proves nothing. The rules are switched off by ``launcher.RULES``.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from launcher import RULES
from oracle import Verdict, judge, rejected
from scripted import Act, ScriptedElasticsearch
from shipping import Shipper
from waiting import wait_for
from writer import Log

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def killed_before_the_answer(folder: Path, off: str) -> Verdict:
    """Killed when an answer came, before anything was acknowledged by the rules."""
    with ScriptedElasticsearch(latency=0.1) as server:
        shipper = Shipper(folder, server.output(), read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(2_000)
        assert shipper.once(off=off, kill=["response", 4]) == -signal.SIGKILL
        shipper.once(off=off)
        return judge(log.events, server.documents())


def killed_after_the_answer(folder: Path, off: str) -> Verdict:
    """The server has it, and the agent dies before it could note that."""
    with ScriptedElasticsearch() as server:
        shipper = Shipper(folder, server.output(), read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(1_000)
        assert shipper.once(off=off, kill=["response", 1]) == -signal.SIGKILL
        shipper.once(off=off)
        return judge(log.events, server.documents())


def answers_out_of_order(folder: Path, off: str) -> Verdict:
    """Of several requests in flight a later one is answered first; then the agent dies."""
    with ScriptedElasticsearch() as server:
        shipper = Shipper(folder, server.output(worker=2), read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(1_000)
        server.script.append(Act("lost on the way", lambda _: False, wait=1.5, wire="reset after"))
        with shipper.following(off=off) as process:
            shipper.wait_for(log.events[:300])
            time.sleep(0.5)  # some checkpoints
            process.kill()
            process.wait()
        shipper.once(off=off)
        return judge(log.events, server.documents())


def half_failed(folder: Path, off: str) -> Verdict:
    """Half of a request is refused with 429, with status 200 over all."""
    with ScriptedElasticsearch() as server:
        shipper = Shipper(folder, server.output(), read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(500)
        server.script.extend([Act("half failed", lambda position: position % 2 == 0)] * 2)
        shipper.inside_once(off=off)
        return judge(log.events, server.documents())


def identical_files(folder: Path, off: str) -> Verdict:
    """Two services write the same."""
    shipper = Shipper(folder)
    logs = [Log(shipper.logs / f"app.log.{name}", "twin") for name in "ab"]
    for log in logs:
        log.write(50)
    shipper.inside_once(off=off)
    return judge([event for log in logs for event in log.events], shipper.documents())


def truncated_and_grown(folder: Path, off: str) -> Verdict:
    """Truncated while the agent does not run, and longer than before when it comes back."""
    shipper = Shipper(folder)
    log = Log(shipper.logs / "app.log")
    log.write(200)
    shipper.inside_once(off=off)
    log.regrow(300)
    shipper.inside_once(off=off)
    return judge(log.events, shipper.documents())


def killed_after_a_timeout_decided(folder: Path, off: str) -> Verdict:
    """A trace of which more came only after it was sent; the agent died before it could note that it was."""
    with ScriptedElasticsearch() as server:
        shipper = Shipper(folder, server.output(), read=server.documents)
        path = shipper.logs / "app.log"
        path.write_text("00000000 begins\n\tat one\n")
        with shipper.following(off=off, kill=["acknowledge", 1]) as process:
            assert process.wait(30) == -signal.SIGKILL
        assert len(server.documents()) == 1
        with path.open("a") as log:
            log.write("\tat two\n00000001 next\n")
        shipper.once(off=off)
        return judge(["00000000 begins", "\tat one", "\tat two", "00000001 next"], server.documents())


def never_acceptable(folder: Path, off: str) -> Verdict:
    """Documents with a mapping conflict."""
    with ScriptedElasticsearch(rejects=lambda document: "3 " in document["message"]) as server:
        shipper = Shipper(folder, server.output(), read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(100)
        shipper.inside_once(off=off)
        return judge(log.events, server.documents() + [document for _, _, document in rejected(shipper.home)])


def idle_while_the_output_is_slow(folder: Path, off: str) -> Verdict:
    """A file goes idle before the output has taken what was read of it; it is opened again, and the agent restarts."""
    with ScriptedElasticsearch() as server:
        shipper = Shipper(folder, server.output(), read=server.documents, **{"close.on_state_change.inactive": "300ms"})
        log = Log(shipper.logs / "app.log")
        log.write(100)
        server.script.extend([Act("503", lambda _: False, 503)] * 1_000)
        with shipper.following(off=off) as process:
            wait_for(lambda: server.requests > 3, "some attempts")
            time.sleep(1.5)
            log.write(20)
            time.sleep(0.5)
            process.kill()
            process.wait()
        server.script.clear()
        shipper.once(off=off)
        return judge(log.events, server.documents())


def rotated_away_while_the_queue_is_full(folder: Path, off: str) -> Verdict:
    """During an outage the log is renamed out of sight, several times."""
    with ScriptedElasticsearch() as server:
        shipper = Shipper(folder, server.output(), paths="app.log", read=server.documents)
        log = Log(shipper.logs / "app.log")
        log.write(1)
        with shipper.inside(off=off):
            shipper.wait_for(log.events[:1])
            server.stop()
            for _ in range(3):
                log.write(2_000)
                time.sleep(1.0)
                log.rename()
            time.sleep(1.0)
            server.start()
            log.write(10)
            end = time.monotonic() + 8
            while time.monotonic() < end and judge(log.events, server.documents()).missing:
                threading.Event().wait(0.1)
        return judge(log.events, server.documents())


@dataclass(frozen=True)
class Fault:
    """What happens, the rule that guards against the harm, and the harm that comes when the rule is switched off."""

    happens: Callable[[Path, str], Verdict]
    rule: str
    harm: str

    def __str__(self) -> str:
        return f"{self.happens.__name__}-{self.rule}"


FAULTS = (
    Fault(killed_before_the_answer, "output first, registry after", "missing"),
    Fault(killed_after_the_answer, "ids are made of content and place", "twice"),
    Fault(answers_out_of_order, "acknowledged is contiguous", "missing"),
    Fault(half_failed, "an outcome belongs to one document", "missing"),
    Fault(half_failed, "the answer is looked at", "missing"),
    Fault(identical_files, "files with one key have salts", "missing"),
    Fault(truncated_and_grown, "a file is told by its content", "missing"),
    Fault(killed_after_a_timeout_decided, "cuts are durable", "twice"),
    Fault(never_acceptable, "rejects are kept", "missing"),
    Fault(idle_while_the_output_is_slow, "closed only when acknowledged", "missing"),
    Fault(rotated_away_while_the_queue_is_full, "looked at while the queue is full", "missing"),
)


@pytest.mark.parametrize(
    "fault", dict.fromkeys(fault.happens for fault in FAULTS), ids=lambda happens: happens.__name__
)
def test_holds(fault, tmp_path):
    verdict = fault(tmp_path, "")
    assert not verdict, str(verdict)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_is_seen_to_fail_without_its_rule(fault, tmp_path):
    verdict = fault.happens(tmp_path, fault.rule)
    assert getattr(verdict, fault.harm), f"nobody would notice that this is off: {fault.rule}"


def test_every_rule_has_a_fault():
    assert {fault.rule for fault in FAULTS} == set(RULES)
