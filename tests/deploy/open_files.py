"""Hosts whose Elasticsearch believes that the machine allows 65535 open files: ``open_files.c``, preloaded by its unit.

Nodes that talk to each other refuse to start with fewer, and a container cannot raise what its machine allows. That many
are not needed by three small nodes.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from elasticsearch_node.node import CannotRunError

if TYPE_CHECKING:
    from deploy.hosts import Host

WANTED = 65535
"""What Elasticsearch's bootstrap check asks for."""
SOURCE = Path(__file__).with_suffix(".c")
LIBRARY = "/usr/local/lib/open_files.so"
DROP_IN = "/etc/systemd/system/elasticsearch.service.d/limits.conf"


def allowed(host: Host) -> int:
    """How many files a process on the host may open at most."""
    said = host.run("ulimit -Hn").strip()
    return WANTED if said == "unlimited" else int(said)


def compile_library(folder: Path) -> Path:
    """The library, made in ``folder``. Raises ``CannotRunError`` where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise CannotRunError(
            f"Elasticsearch wants {WANTED} open files, and there is no C compiler for what stands in for them"
        )
    library = folder / "open_files.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise CannotRunError(f"{compiler} failed: {done.stderr[:300]}")
    return library


def preload(host: Host, library: Path) -> None:
    """Put it on a host, before Elasticsearch is there."""
    subprocess.run(["docker", "cp", "-q", str(library), f"{host.name}:{LIBRARY}"], check=True, env=host.env)
    host.run(f"chmod 755 {LIBRARY}; mkdir -p {Path(DROP_IN).parent}")
    host.write(DROP_IN, f"[Service]\nEnvironment=LD_PRELOAD={LIBRARY}\n")
