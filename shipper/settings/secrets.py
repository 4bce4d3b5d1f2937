"""Secrets from files: ``${file:/run/secrets/es_password}``, as Docker, Kubernetes and systemd's credentials hand them out."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

LIMIT = 64 << 10
"""Bytes: what is larger is no secret, but a mistake."""


def read_secret(name: str, env: Mapping[str, str], base: Path | None = None) -> str:
    """The text of a file, without the newline at its end.

    A name without a slash is one of systemd's credentials (``LoadCredential=``), where this process has any; else a path,
    relative to ``base``. Raises ``ValueError`` with what is wrong, never with what the file holds. That everybody on this
    machine may read it is a warning only: in a container, where such files usually are, it means nothing.
    """
    credentials = env.get("CREDENTIALS_DIRECTORY")
    path = (
        Path(credentials) / name if credentials and "/" not in name else (base or Path.cwd()) / Path(name).expanduser()
    )
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError(f"the secret {path} is not a file")
            if status.st_mode & stat.S_IROTH and not path.resolve().is_relative_to("/run/secrets"):
                log.warning("the secret %s can be read by everybody on this machine: chmod o-r %s", path, path)
            data = file.read(LIMIT + 1)
    except OSError as error:
        raise ValueError(f"the secret {path} cannot be read: {(error.strerror or 'it is not there').lower()}") from None
    if len(data) > LIMIT:
        raise ValueError(f"the secret {path} is larger than {LIMIT >> 10} KiB: is it the right file?")
    try:
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"the secret {path} is not text in UTF-8") from None
    if not text:
        raise ValueError(f"the secret {path} is empty")
    return text
