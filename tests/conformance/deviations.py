"""The corpus cases that are not met, and why. A case here must fail: one that is met after all breaks the build."""

from __future__ import annotations

GROK_ENGINE = {
    "s0219": "whether `tags` takes a plain string is the event's business: the grok filter's test has it",
    "s0261": "whether `tags` takes a number is the event's business: the grok filter's test has it",
}

_YEARS = "a date beyond the year 9999 is a failure here"
_DECIMAL = "Logstash keeps the decimals of JSON with all their digits (BigDecimal); here they are floats"
_BYTES = "bytes that are no UTF-8 are U+FFFD before an event is made, so that the line is matched like any other"

LOGSTASH = {
    "syntax-1c375691": "a broken regular expression over an empty branch: refused here, Logstash never looks at it",
    "syntax-d6812332": "`[]` alone: an empty list in a condition is harmless here, and an internal error in Logstash",
    "date-e6ae25e0": _YEARS,
    "date-7ab59118": _YEARS,
    "sprintf-9b72ff42": _DECIMAL,
    "sprintf-30b1fd11": _DECIMAL,
    "sprintf-0f6bcbb9": _DECIMAL,
    "grok-3baa0ce3": "an empty target fails every match in Logstash; here it is no target",
    "grok-9495eda5": "HAPROXYHTTP is of a pattern file that is not shipped",
}
"""Whole filters and configurations (corpus/logstash)."""

GROK_EVENTS = {
    "fg0117": "a match without a time limit, which needs 17 s of re: it is run with one, and stopped",
    "s0644": _BYTES,
    "s0646": _BYTES,
    "s0645": "the same, but for how the bytes are written",
    "s0647": _BYTES,
    "s0648": _BYTES,
    "s0651": _BYTES,
    "s0652": _BYTES,
}
"""The grok filter on whole events (corpus/grok)."""
