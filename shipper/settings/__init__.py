"""``shipper.yml`` as typed settings. Every mistake is found at once and named with its line.

Dotted and nested keys mean the same, ``${VAR}`` and ``${VAR:default}`` come from the environment, ``${file:PATH}`` from a
file, relative paths are relative to the folder of the file, durations are ``500ms``, ``5s``, ``1m30s``, sizes ``10MiB``, ``2mb`` or plain bytes.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipper.errors import SettingsError
from shipper.settings.binding import Binder
from shipper.settings.filebeat import is_filebeat, looks_like_filebeat, translate, variables
from shipper.settings.home import data_folder
from shipper.settings.model import InputSettings, MultilineSettings, Settings
from shipper.settings.nodes import Node, Reader
from shipper.settings.options import LINE, with_options
from shipper.settings.outputs import (
    BackoffSettings,
    ConsoleOutputSettings,
    DataStreamSettings,
    ElasticsearchOutputSettings,
    FileOutputSettings,
    LogstashOutputSettings,
    OutputSettings,
    SslSettings,
    StoreOutputSettings,
)
from shipper.settings.receive import ReceiveSettings
from shipper.settings.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "BackoffSettings",
    "ConsoleOutputSettings",
    "DataStreamSettings",
    "ElasticsearchOutputSettings",
    "FileOutputSettings",
    "InputSettings",
    "LogstashOutputSettings",
    "MultilineSettings",
    "OutputSettings",
    "ReceiveSettings",
    "Settings",
    "SslSettings",
    "StoreOutputSettings",
    "data_folder",
    "from_mapping",
    "load",
]

_log = logging.getLogger("shipper")


def load(
    path: Path | None,
    env: Mapping[str, str] = os.environ,
    *,
    inputs: list[Any] | None = None,
    overrides: Sequence[str] = (),
) -> Settings:
    """The settings in the YAML file ``path`` (or those of the command line alone), ``${VAR}`` taken from ``env``.

    ``inputs`` take the place of the file's; ``overrides`` are ``KEY=VALUE``, over what the file says, and the values are
    written as in it. In messages both are ``-E``; relative paths in them are relative to the working folder.

    A ``filebeat.yml`` is taken too (see ``filebeat``); what is ignored of it is logged.

    Raises ``SettingsError`` with every mistake, one line each, in the order of the file, those of ``-E`` first.
    """
    reader = Reader(env, path.absolute().parent if path else None)
    root = _read(path, reader) if path else Node({})
    if root is None and not reader.problems and inputs is None and not overrides:
        raise SettingsError(f"{path}: is empty: it needs inputs with paths, at least")
    if root is None and reader.problems:
        raise SettingsError(_lines(str(path), reader))
    root = root or Node({})
    ignored = translate(root, reader.problems) if is_filebeat(root) else []
    if inputs is not None or overrides:
        root = with_options(root, reader, inputs, overrides)
    settings = _settings(root, reader, str(path or "-E"), env, path.absolute().parent if path else Path.cwd())
    for line, setting, why in ignored:
        _log.warning("%s:%d: %s: %s", path, line, setting, why)
    return settings


def _read(path: Path, reader: Reader) -> Node | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not a text file in UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    if looks_like_filebeat(text):
        reader.env = variables(path, reader.env)
    return reader.from_yaml(text)


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
        raise SettingsError(_lines(name, reader))
    return settings.hiding(reader.secrets)


def _lines(name: str, reader: Reader) -> list[str]:
    ordered = sorted(dict.fromkeys(reader.problems), key=lambda problem: problem.line)
    lines = [
        f"-E {setting}: {text}"
        if line == LINE
        else ": ".join(part for part in (f"{name}:{line}" if line else name, setting, text) if part)
        for line, setting, text in ordered
    ]
    return [redacted(line, reader.secrets) for line in lines]
