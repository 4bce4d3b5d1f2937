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
