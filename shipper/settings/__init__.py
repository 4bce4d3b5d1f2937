"""``shipper.yml`` as typed settings. Every mistake is found at once and named with its line.

Dotted and nested keys mean the same, ``${VAR}`` and ``${VAR:default}`` come from the environment, relative paths are
relative to the folder of the file, durations are ``500ms``, ``5s``, ``1m30s``, sizes ``10MiB``, ``2mb`` or plain bytes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipper.errors import SettingsError
from shipper.settings.binding import Binder
from shipper.settings.home import data_folder
from shipper.settings.model import InputSettings, MultilineSettings, Settings
from shipper.settings.nodes import Node, Problem, Reader
from shipper.settings.outputs import (
    BackoffSettings,
    ConsoleOutputSettings,
    DataStreamSettings,
    ElasticsearchOutputSettings,
    FileOutputSettings,
    OutputSettings,
    SslSettings,
    StoreOutputSettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BackoffSettings",
    "ConsoleOutputSettings",
    "DataStreamSettings",
    "ElasticsearchOutputSettings",
    "FileOutputSettings",
    "InputSettings",
    "MultilineSettings",
    "OutputSettings",
    "Settings",
    "SslSettings",
    "StoreOutputSettings",
    "data_folder",
    "from_mapping",
    "load",
]


def load(path: Path, env: Mapping[str, str] = os.environ) -> Settings:
    """The settings in the YAML file ``path``, ``${VAR}`` taken from ``env``.

    Raises ``SettingsError`` with every mistake, one line each, in the order of the file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not a text file in UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    reader = Reader(env)
    root = reader.from_yaml(text)
    if root is None and not reader.problems:
        raise SettingsError(f"{path}: is empty: it needs inputs with paths, at least")
    if root is None:
        raise SettingsError(_lines(str(path), reader.problems))
    return _settings(root, reader, str(path), env, path.absolute().parent)


def from_mapping(
    data: Mapping[str, Any],
    name: str = "<command line>",
    *,
    env: Mapping[str, str] = os.environ,
    base: Path | None = None,
) -> Settings:
    """The settings in ``data``, with the file's names as keys, dotted or nested; ``name`` stands for the file in messages.

    ``env`` gives ``SHIPPER_HOME`` and the XDG folders only, ``${VAR}`` is not replaced. Relative paths are relative to
    ``base``, the working folder by default. Raises ``SettingsError``.
    """
    reader = Reader(env)
    return _settings(reader.from_python(data), reader, name, env, base or Path.cwd())


def _settings(root: Node, reader: Reader, name: str, env: Mapping[str, str], base: Path) -> Settings:
    binder = Binder(base, reader.problems)
    configured = root.walk("path.data")
    moved = env.get("SHIPPER_HOME") or configured is None or configured.value is None
    settings = binder.settings(root, str(data_folder(env)) if moved else None)
    if settings is None:
        raise SettingsError(_lines(name, reader.problems))
    return settings


def _lines(name: str, problems: list[Problem]) -> list[str]:
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem.line)
    return [
        ": ".join(part for part in (f"{name}:{line}" if line else name, setting, text) if part)
        for line, setting, text in ordered
    ]
