"""Text in, documents out: grok, framing of lines into events, and Logstash's filter configurations, compiled."""

from __future__ import annotations

from parser.errors import (
    CircularPatternError,
    DialectError,
    GrokError,
    ParserError,
    PipelineConfigError,
    PipelineError,
    PipelineSyntaxError,
    UnknownPatternError,
)
from parser.grok import Grok
from parser.multiline_codec import Multiline
from parser.pipeline import Pipeline

__all__ = [
    "CircularPatternError",
    "DialectError",
    "Grok",
    "GrokError",
    "Multiline",
    "ParserError",
    "Pipeline",
    "PipelineConfigError",
    "PipelineError",
    "PipelineSyntaxError",
    "UnknownPatternError",
]
