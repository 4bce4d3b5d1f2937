"""The expected way of an event, from its bytes to its JSON, compiled without the event in between.

Most lines of a log are alike: the first pattern takes them, and what the conditions ask about them has the usual
answer. For those, building nested dicts only to write them as JSON is half of the work. So the statements of a pipeline
are run once, at compile time, on a *symbolic* event, whose values are constants or names of local variables; what comes
out is one format string and the few expressions that fill it. Wherever an answer depends on the text, the unusual one
ends in a *bail-out*: nothing was changed yet, and the event takes the general way (``Pipeline.transform``) instead.
Both ways give the same document, and the tests hold them to it.
"""

from __future__ import annotations

from parser.direct.compiler import compile_direct

__all__ = ["compile_direct"]
