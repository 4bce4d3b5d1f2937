"""The agent: tails log files, parses them with ``parser``, and delivers every event once."""

__version__ = "0.1.0"
