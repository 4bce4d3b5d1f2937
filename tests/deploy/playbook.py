"""Ansible as a user runs it, and what it says at the end."""

from __future__ import annotations

import atexit
import fcntl
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from elasticsearch_node.node import CannotRunError, cache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.hosts import Host

ROOT = Path(__file__).parents[2]
PLAYBOOKS = ROOT / "playbooks"
COLLECTIONS = (
    *("amazon/aws", "ansible/posix", "community/crypto"),
    *("community/docker", "community/library_inventory_filtering_v1"),
)
ANSIBLE = "12.3.0"
"""The distribution that the collections are taken out of: an index of Python packages has it, Galaxy is not needed."""


@dataclass
class Result:
    """One run. ``recap``: for each host ok, changed, unreachable, failed, skipped, rescued, ignored."""

    code: int
    output: str
    recap: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def changed(self) -> list[str]:
        """The tasks (and handlers) that changed something, in their order; one entry per host and item."""
        found, name = [], ""
        for line in self.output.splitlines():
            if title := re.match(r"(?:TASK|RUNNING HANDLER) \[(.*)\] \*", line):
                name = title[1]
            elif line.startswith("changed: ["):
                found.append(name)
        return found

    @property
    def changes(self) -> int:
        """Over all hosts."""
        return sum(each["changed"] for each in self.recap.values())

    def told(self, host: str) -> str:
        """What a host's failures say, of a run without ``-v``."""
        return "\n".join(re.findall(rf"^fatal: \[{re.escape(host)}.*$", self.output, re.MULTILINE))

    def succeeded(self) -> Result:
        """Itself; an ``AssertionError`` with the end of the output when it failed."""
        assert self.code == 0, self.output[-6000:]
        return self


def collections() -> Path:
    """The folder for ``ANSIBLE_COLLECTIONS_PATH``, filled on first use. Raises ``CannotRunError``."""
    folder = cache() / f"ansible-collections-{ANSIBLE}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").is_file():
            return folder
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run(
            [*command, "-d", str(folder), f"ansible=={ANSIBLE}"], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise CannotRunError(f"pip download ansible=={ANSIBLE}: {done.stderr.strip()[-300:]}")
        wheel = next(folder.glob("*.whl"))
        wanted = tuple(f"ansible_collections/{each}/" for each in COLLECTIONS)
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder, [each for each in packed.namelist() if each.startswith(wanted)])
        wheel.unlink()
        (folder / "complete").touch()
    return folder


@functools.cache
def sockets() -> Path:
    """A folder with a short path, for SSH's control sockets: theirs may have 107 characters, and a test's own folder has most of them."""
    folder = Path(tempfile.mkdtemp(prefix="cp-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """What Ansible's commands get, from this machine and no configuration of its user's; scratch files in ``folder``."""
    none = folder / "none.cfg"  # not the configuration of whoever runs the tests
    none.touch()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(none),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections()),
        "ANSIBLE_HOST_KEY_CHECKING": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_PYTHON_INTERPRETER": "auto_silent",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets()),
        # Ansible's own, without -C: to compress packages for the way to this machine takes longer than the way.
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
        "LC_ALL": "C.UTF-8",
    }


def write_inventory(path: Path, hosts: list[Host], groups: Mapping[str, list[Host]] | None = None, **variables) -> Path:
    """An inventory in YAML (JSON is that): all ``hosts``, ``groups`` of them, and ``variables`` for all."""
    content: dict[str, object] = {
        "all": {
            "hosts": {each.name: each.inventory for each in hosts},
            "vars": variables,
            "children": {
                name: {"hosts": {each.name: None for each in members}} for name, members in (groups or {}).items()
            },
        }
    }
    path.write_text(json.dumps(content, indent=1))
    return path


def write_cases(path: Path, host: Host, cases: Mapping[str, Mapping[str, object]]) -> Path:
    """An inventory that has one host under several names, each with variables of its own: mistakes that are told in one run.

    All of them run at once on that host: for cases that end before they change anything.
    """
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"all": {"hosts": {name: {**host.inventory, **case} for name, case in cases.items()}}}))
    return path


def run_playbook(
    playbook: str | Path,
    inventory: Path | str,
    *arguments: str,
    variables: Mapping[str, object] | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 900,
) -> Result:
    """Run a playbook of ``playbooks/`` (or a path) from the repository's root.

    ``arguments`` are Ansible's own (``--check``, ``-vvv``, ``--tags``, ``x``); ``variables`` go into a file of extra
    variables, with their types, so that no process list shows them.
    """
    folder = Path(inventory).parent if not str(inventory).endswith(",") else Path(cache())
    extra = []
    if variables:
        path = folder / "extra.json"
        path.write_text(json.dumps(variables))
        path.chmod(0o600)
        extra = ["--extra-vars", f"@{path}"]
    command = ["ansible-playbook", str(PLAYBOOKS / playbook), "--inventory", str(inventory), *extra, *arguments]
    return run_command(command, {**environment(folder), **(env or {})}, timeout)


def run_command(command: list[str], env: Mapping[str, str], timeout: float = 900, *, cwd: Path = ROOT) -> Result:
    """Run Ansible, or what runs it, as it is typed in a folder: the repository's root."""
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env=env,
        timeout=timeout,
    )
    recap = {}
    for host, counts in re.findall(r"^(\S+)\s+: (ok=\d+ .*)$", done.stdout, re.MULTILINE):
        recap[host] = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", counts)}
    return Result(done.returncode, done.stdout, recap)
