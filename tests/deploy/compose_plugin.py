"""Docker Compose v2: the machine's own, or one that is built from its Go module (two minutes, once; kept in the cache)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.engine import locked
from elasticsearch_node.node import CannotRunError, cache

VERSION = "2.40.3"
MODULE = "github.com/docker/compose/v2"
# A build tag that nobody sets: the module is wanted for its command, not to be linked to.
SOURCE = f'//go:build tools\n\npackage tools\n\nimport _ "{MODULE}/cmd"\n'


def compose() -> list[str]:
    """The command, such as ``["docker", "compose"]``. Raises ``CannotRunError``."""
    own = ["docker", "compose"]
    if shutil.which("docker") and not subprocess.run([*own, "version"], check=False, capture_output=True).returncode:
        return own
    program = cache() / f"docker-compose-{VERSION}"
    program.parent.mkdir(parents=True, exist_ok=True)
    with program.with_suffix(".lock").open("w") as lock, locked(lock):
        if not program.is_file():
            build(program)
    return [str(program)]


def build(program: Path) -> None:
    """Build the command from its module. Raises ``CannotRunError`` with the compiler's last words."""
    if not shutil.which("go"):
        raise CannotRunError("no Docker Compose v2, and no Go to build it with")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tools.go").write_text(SOURCE)
        made = Path(folder, "docker-compose")
        for command in (
            ["go", "mod", "init", "tools"],
            ["go", "get", f"{MODULE}@v{VERSION}"],
            ["go", "build", "-o", str(made), f"{MODULE}/cmd"],
        ):
            done = subprocess.run(
                command,
                check=False,
                cwd=folder,
                capture_output=True,
                text=True,
                env={**os.environ, "GOFLAGS": "-mod=mod"},
            )
            if done.returncode:
                words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise CannotRunError(f"Docker Compose cannot be built: {' '.join(command[:2])}: {words}")
        partial = program.with_name(f"{program.name}.{os.getpid()}")
        shutil.copy(made, partial)
        partial.rename(program)
