"""Other settings for a running agent: read and tried first, used only where they are good, told either way.

The life of a reload: it is *asked* for by a flag, as from a signal handler; ``read`` finds the settings good, or *refuses*
them, and those that run go on; settings with the same target and queue are *staged* and taken over between two rounds of
reading; others are the *successor*, with which the agent begins anew once what it has read is delivered.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from parser.errors import ParserError
from shipper.errors import SettingsError, ShipperError
from shipper.handover import plan
from shipper.outputs.target import target

if TYPE_CHECKING:
    from collections.abc import Callable

    from shipper.handover import Plan
    from shipper.settings import Settings

log = logging.getLogger(__name__)


class Reloading:
    """Used by the agent's main thread only, but for ``asked``."""

    def __init__(
        self, loader: Callable[[], Settings] | None = None, told: Callable[[Settings], None] | None = None
    ) -> None:
        """As of ``Agent``: what reads the settings again, and who is told which are in use after that."""
        self.asked = False
        self.staged: Plan | None = None
        self.successor: Plan | None = None
        self.refused = ""
        """What was wrong with the settings at the last reload; empty when they are in use."""
        self.count = 0
        """How often other settings were taken over."""
        self._loader = loader
        self._told = told

    def read(self, current: Settings) -> Plan | None:
        """The settings as they are now, where they can be used: ``staged``, or the ``successor``."""
        self.asked = False
        if self._loader is None:
            return None
        try:
            new = plan(self._loader())
            if new.settings.path_data != current.path_data:
                raise SettingsError(f"path.data: {new.settings.path_data} is another folder: that needs a restart")
        except (ShipperError, ParserError, OSError) as error:
            self.refuse(error)
            self.tell(current)
            return None
        self.refused = ""
        if same_way(current, new.settings):
            self.staged = new
        else:
            log.info("reload: what was read goes to the output there was, then the new one begins")
            self.successor = new
        return new

    def refuse(self, error: Exception) -> None:
        """The new settings cannot be used."""
        lines = str(error).splitlines()
        self.refused = lines[0]
        for line in lines:
            log.error("reload: %s", line)
        log.error("reload: the settings that were in use before go on")

    def taken_over(self, settings: Settings) -> None:
        """The new settings are in use."""
        self.count += 1
        log.info("reload: the new settings are in use")
        self.tell(settings)

    def tell(self, settings: Settings) -> None:
        """Let those who asked know which settings are in use."""
        if self._told:
            self._told(settings)


def same_way(before: Settings, after: Settings) -> bool:
    """Whether what is on its way can go on: to the same target, through the same queue."""
    queues = [(each.queue_max_bytes, each.queue_disk, each.spool_path) for each in (before, after)]
    return target(before) == target(after) and queues[0] == queues[1]
