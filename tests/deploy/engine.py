"""A Docker engine for the tests that ask for one: the machine's own where it answers, else one that is started here.

::

    with engine() as env:                       # env: a copy of os.environ, with DOCKER_HOST
        subprocess.run(["docker", "info"], env=env)

The engine that is started here keeps its images in the cache folder, publishes ports on 127.0.0.1 only, and is shared by
the test processes of one machine: each holds a shared lock on ``users`` while it works, and the last one stops it, by its
process id. Raises ``CannotRunError`` where there is none and none can be started.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from elasticsearch_node.node import CannotRunError, cache

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("docker.io", "iproute2", "iptables")
START_SECONDS = 60
SWITCH = "DEPLOY_DOCKER"
"""In the environment, ``0``: use no engine, and start none."""
STARTED: list[subprocess.Popen[bytes]] = []
"""What this process started: kept, because an engine outlives its Popen, which would warn of that."""


@contextmanager
def engine() -> Iterator[dict[str, str]]:
    """The environment that the ``docker`` command needs. Raises ``CannotRunError``, which says what is missing."""
    if os.environ.get(SWITCH) == "0":
        raise CannotRunError(f"{SWITCH}=0 leaves the Docker engine out")
    given = dict(os.environ)
    folder = cache() / "engine"
    host = f"unix://{folder}/docker.sock"
    if given.get("DOCKER_HOST") != host and answers(given):
        yield given
        return
    folder.mkdir(parents=True, exist_ok=True)
    env = {**given, "DOCKER_HOST": host}
    with (folder / "starting").open("w") as starting, (folder / "users").open("w") as users:
        with locked(starting):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not answers(env):
                start(folder, env)
        try:
            yield env
        finally:
            with locked(starting):
                fcntl.flock(users, fcntl.LOCK_UN)
                if alone(users):
                    stop(folder)


def answers(env: dict[str, str]) -> bool:
    """Whether there is an engine that this process may use."""
    if not shutil.which("docker"):
        return False
    # The server's version: `docker info` alone ends with 0 where only the client is there.
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(command, check=False, capture_output=True, env=env, timeout=START_SECONDS).returncode == 0


def install(*packages: str) -> None:
    """Debian packages that the tests need on this machine, where they may be installed. Raises ``CannotRunError``."""
    named = " ".join(packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CannotRunError(f"{named}: not installed, and only root on Debian or Ubuntu can do that here")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "apt.lock").open("w") as lock, locked(lock):  # apt itself does not wait for another one
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        ):
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    if done.returncode:
        raise CannotRunError(f"apt-get install {named}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")


def start(folder: Path, env: dict[str, str]) -> None:
    """Start ``dockerd`` in the background and wait until it answers. Raises ``CannotRunError`` with its last words."""
    if os.geteuid() != 0:
        raise CannotRunError("no Docker engine answers, and only root can start one")
    if not (shutil.which("dockerd") and shutil.which("docker") and shutil.which("iptables")):
        install(*PACKAGES)
    log = folder / "dockerd.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *("dockerd", "--host", env["DOCKER_HOST"], "--ip", "127.0.0.1"),
                *("--data-root", str(folder / "data"), "--exec-root", "/run/elk-shipper-docker"),
                *("--pidfile", str(folder / "dockerd.pid")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # other test processes use it too: it outlives this one
        )
    STARTED.append(process)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if answers(env):
            return
        time.sleep(0.2)
    process.terminate()
    process.wait()
    words = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    raise CannotRunError(f"dockerd does not start here: {(words or ['no reason given'])[-1]}")


def stop(folder: Path) -> None:
    """End the engine that was started in ``folder``, and wait for its end."""
    try:
        pid = int((folder / "dockerd.pid").read_text())
        if not runs(pid):
            return
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):  # ended by itself
        return
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and runs(pid):
        for process in STARTED:
            process.poll()  # a child that nobody waits for would stay, as a zombie
        time.sleep(0.1)


def runs(pid: int) -> bool:
    """Whether it is an engine. A zombie's command is empty: that of another test process, which does not wait for it."""
    try:
        return "dockerd" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


@contextmanager
def locked(file) -> Iterator[None]:
    """One process at a time."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def alone(users) -> bool:
    """Whether no other process holds a lock on ``users``."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(users, fcntl.LOCK_UN)
    return True
