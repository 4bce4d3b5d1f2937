"""Field names: the short ones, and how each field is kept in the store."""

from __future__ import annotations

ALIASES = {
    "time": "@timestamp",
    "timestamp": "@timestamp",
    "level": "log.level",
    "logger": "log.logger",
    "file": "log.file.path",
    "service": "service.name",
    "host": "host.name",
    "thread": "process.thread.name",
    "pid": "process.pid",
    "trace": "trace.id",
    "span": "span.id",
    "exception": "error.type",
    "tag": "tags",
    "dataset": "event.dataset",
}
"""Short names for use in queries and as CSV columns."""

TEXT = {"message": "message", "error.message": "error_message", "error.stack_trace": "stack_trace"}
"""Analysed fields, and their columns in the full-text index: words match, whatever their case."""

WORDS_OF = {"log.logger": "logger", "trace.id": "trace", "error.type": "error_type"}
"""Keyword fields whose words are in the index too: bare words find them, and exact matches are found through it."""

COLUMNS = {"log.level": "level", "service.name": "service", "log.logger": "logger"}
"""Fields kept as numbers of ``terms``, and their columns."""

SEVERITIES = (
    ("TRACE", "FINEST", "FINER"),
    ("DEBUG", "FINE", "CONFIG"),
    ("INFO", "INFORMATION", "NOTICE"),
    ("WARN", "WARNING"),
    ("ERROR", "ERR", "SEVERE"),
    ("FATAL", "CRITICAL", "CRIT", "ALERT", "EMERG", "EMERGENCY", "OFF"),
)
"""Levels by severity, those of one severity together."""


def resolve(name: str) -> str:
    """The full name of a field."""
    return ALIASES.get(name, name)


def severity(level: str) -> int | None:
    """Position in ``SEVERITIES``, whatever the case; ``None`` for a level that is in none."""
    wanted = level.upper()
    return next((rank for rank, names in enumerate(SEVERITIES) if wanted in names), None)
