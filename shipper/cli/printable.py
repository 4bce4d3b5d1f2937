"""Text that others chose, such as a file's name, for a line of a log or a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` on one line, without what colours a terminal or moves its cursor: such characters are escaped as in Python.

    A byte of a path that is no UTF-8 is shown as its number.
    """
    return text if text.isprintable() else "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    byte = char.encode("utf-8", "surrogateescape") if "\udc80" <= char <= "\udcff" else b""
    return f"\\x{byte[0]:02x}" if byte else char.encode("unicode_escape").decode("ascii")
