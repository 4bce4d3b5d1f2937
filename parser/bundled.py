"""Where the files of ``logstash/`` are: inside the wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def bundled(*parts: str) -> Path:
    """The path of a bundled file or directory, ``bundled("patterns", "legacy")``.

    A wheel carries ``logstash/`` as ``parser/_bundled``; a checkout has it beside ``parser/``. The path need not exist.
    """
    inside = _PACKAGE / "_bundled"
    root = inside if inside.is_dir() else _PACKAGE.parent / "logstash"
    return root.joinpath(*parts)
