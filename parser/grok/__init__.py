"""Grok: named patterns compiled to Python regular expressions, with Logstash's exact meaning.

``dictionary`` names the patterns, ``references`` puts them together, ``dialect_parser`` and ``dialect`` turn Oniguruma's
expressions into Python's, ``expression`` compiles, ``matcher`` matches.
"""

from __future__ import annotations

from parser.grok.dialect import translate
from parser.grok.dictionary import Dictionary, load_dictionary
from parser.grok.expression import Capture, Expression, compile_expression
from parser.grok.matcher import Grok

__all__ = ["Capture", "Dictionary", "Expression", "Grok", "compile_expression", "load_dictionary", "translate"]
