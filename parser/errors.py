"""Every error that ``parser`` raises for a mistake of its user.

::

    ParserError                    something given to the parser cannot be used
    ├── GrokError                  a grok expression does not compile; carries the pattern's name and position
    │   ├── UnknownPatternError    %{NAME} is in no dictionary
    │   ├── CircularPatternError   a pattern's definition leads back to itself
    │   └── DialectError           regular-expression syntax that cannot be translated, or that Logstash rejects too
    └── PipelineError              a pipeline configuration cannot be used; carries file, line and column
        ├── PipelineSyntaxError    the text is not in the configuration language
        └── PipelineConfigError    a plugin, an option or a value that is unknown or not supported
"""

from __future__ import annotations


class ParserError(Exception):
    """The root of the tree above. ``str()`` is a message for a person: what is wrong, where, and what to do."""


class GrokError(ParserError):
    """A grok expression does not compile.

    ``pattern`` is the name of the dictionary entry at fault, or ``None`` for the expression itself; ``position`` is
    the 0-based character offset of the fault in that definition, or ``None`` where it has none.
    """

    def __init__(self, message: str, *, pattern: str | None = None, position: int | None = None) -> None:
        where = f"in pattern {pattern}" if pattern else "in the expression"
        at = "" if position is None else f", at character {position + 1}"
        super().__init__(f"{where}{at}: {message}")
        self.message = message
        self.pattern = pattern
        self.position = position


class UnknownPatternError(GrokError):
    """``%{NAME}`` is in no dictionary."""


class CircularPatternError(GrokError):
    """A pattern's definition leads back to itself."""


class DialectError(GrokError):
    """Regular-expression syntax that cannot be translated to Python, or that Logstash rejects too."""


class PipelineError(ParserError):
    """A pipeline configuration cannot be used.

    ``file`` is the configuration's name as given; ``line`` and ``column`` are 1-based, 0 where unknown.
    """

    def __init__(self, message: str, *, file: str = "<pipeline>", line: int = 0, column: int = 0) -> None:
        where = ":".join(str(part) for part in (file, line, column) if part)
        super().__init__(f"{where}: {message}")
        self.message = message
        self.file = file
        self.line = line
        self.column = column


class PipelineSyntaxError(PipelineError):
    """The text is not in the configuration language: the message says what was expected and what stood there."""


class PipelineConfigError(PipelineError):
    """A plugin, an option or a value that is unknown or not supported; it is named, never ignored."""
