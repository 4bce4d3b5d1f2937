"""What the agent says on standard error, and how signals end it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SAY = """if True:
    import logging
    from shipper.cli.running import logging_to_stderr
    logging_to_stderr(logging.INFO)
    log = logging.getLogger("shipper.x")
    log.debug("not said"), log.info("started"), log.warning("trouble"), log.error("broken")
    logging.getLogger("urllib3.connectionpool").info("not said: not ours")"""

STOP = """if True:
    import os, signal
    from shipper.cli.running import stopping_on_signals
    with stopping_on_signals(lambda: print("stopping", flush=True)) as came:
        os.kill(os.getpid(), signal.SIGTERM)
        assert came == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGTERM)
        print("not reached", flush=True)"""

SECRETS = """if True:
    import logging
    from shipper.cli.running import hide_in_log, logging_to_stderr
    logging_to_stderr(logging.INFO)
    hide_in_log({"in-use"})
    hide_in_log({"of-settings-that-are-refused"})
    logging.getLogger("shipper.x").warning("%s and %s", "in-use", "of-settings-that-are-refused")"""

NAMES = """if True:
    import logging
    from shipper.cli.running import logging_to_stderr
    logging_to_stderr(logging.INFO)
    log = logging.getLogger("shipper.x")
    log.warning("%s cannot be read", "/logs/a\\n2026-11-23T00:00:00+0000 ERROR forged\\x1b[31m\\x9b\\udce9.log")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("a fault")"""


def said(journal):
    """What a process with its standard error in a pipe says; ``journal`` names the pipe that is the journal, if any."""
    read, write = os.pipe()
    status = os.fstat(write)
    named = {"JOURNAL_STREAM": journal.format(dev=status.st_dev, ino=status.st_ino)} if journal else {}
    rest = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
    subprocess.run([sys.executable, "-c", SAY], stderr=write, env=rest | named, check=True)
    os.close(write)
    with open(read, encoding="utf-8") as pipe:
        return pipe.read().splitlines()


@pytest.mark.parametrize("journal", [None, "1:1"])
def test_a_line_has_its_time_and_level(journal):
    lines = said(journal)
    assert [line.partition(" ")[2] for line in lines] == ["INFO started", "WARNING trouble", "ERROR broken"]
    assert all(line[:4].isdigit() for line in lines)


def test_the_journal_gets_priorities_and_no_time():
    assert said("{dev}:{ino}") == ["<6>INFO started", "<4>WARNING trouble", "<3>ERROR broken"]


def test_the_first_signal_stops_and_the_second_one_kills():
    done = subprocess.run([sys.executable, "-c", STOP], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-15, "stopping\n", "")


def test_what_was_to_be_hidden_stays_hidden_when_more_is():
    done = subprocess.run([sys.executable, "-c", SECRETS], capture_output=True, text=True, check=True)
    assert done.stderr.partition(" WARNING ")[2] == "******** and ********\n"


def test_a_files_name_makes_no_line_of_its_own_and_colours_nothing():
    done = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True, check=True)
    first, second, *traceback = done.stderr.splitlines()
    forged = r"/logs/a\n2026-11-23T00:00:00+0000 ERROR forged\x1b[31m\x9b\xe9.log"
    assert first.partition(" ")[2] == f"WARNING {forged} cannot be read"
    assert second.endswith("ERROR a fault")
    assert traceback[-1] == "ZeroDivisionError: division by zero"
