"""The corpus cases that are not met, and why. A case here must fail: one that is met after all breaks the build."""

from __future__ import annotations

GROK_ENGINE = {
    "s0219": "whether `tags` takes a plain string is the event's business: the grok filter's test has it",
    "s0261": "whether `tags` takes a number is the event's business: the grok filter's test has it",
}
