"""An agent that runs beside the test, and what to wait for then."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from shipper.agent import Agent


@contextmanager
def following(settings):
    """An agent that runs in a thread until the block ends, then drains."""
    with Agent(settings) as agent:
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            yield agent
        finally:
            agent.stop()
            thread.join(30)
            assert not thread.is_alive()


def wait_for(condition, seconds=20.0):
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come about")
