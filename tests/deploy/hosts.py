"""Hosts with systemd and SSH for a test, and what a test looks at on them."""

from __future__ import annotations

import shlex
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deploy.engine import install
from elasticsearch_node.node import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 60


@dataclass
class Host:
    """One container that boots systemd. ``run`` is root on it, through Docker; Ansible comes over SSH."""

    name: str
    port: int
    key: Path
    env: dict[str, str] = field(repr=False)

    @property
    def inventory(self) -> dict[str, object]:
        """Its variables in an inventory."""
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "deploy",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": options,
        }

    @property
    def address(self) -> str:
        """Its address on the bridge, for other hosts."""
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self._docker("inspect", "--format", template, self.name).strip()

    def run(self, command: str, *, check: bool = True, stdin: str = "") -> str:
        """Standard output and error of a shell command; an ``AssertionError`` when it fails, unless ``check`` is off."""
        done = subprocess.run(
            ["docker", "exec", "-i", self.name, "sh", "-c", command],
            check=False,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.env,
        )
        assert not check or done.returncode == 0, f"{self.name}: {command}: {done.stdout}"
        return done.stdout

    def succeeds(self, command: str) -> bool:
        """Whether a shell command ends with 0."""
        return self.run(f"({command}) >/dev/null 2>&1 && echo yes", check=False).strip() == "yes"

    def read(self, path: str) -> str:
        """A file's text."""
        return self.run(f"cat {shlex.quote(path)}")

    def write(self, path: str, text: str) -> None:
        """Make or replace a file."""
        self.run(f"cat > {shlex.quote(path)}", stdin=text)

    def stat(self, path: str) -> str:
        """``mode user group`` of a file, as in ``640 root shipper``."""
        return self.run(f"stat -c '%a %U %G' {shlex.quote(path)}").strip()

    def starts(self, unit: str) -> int:
        """How often systemd has started a unit since the host booted, whoever wanted it."""
        # Not `-b`: a container keeps the kernel's boot id.
        since = "$(systemctl show --value -p UserspaceTimestamp)"
        journal = self.run(f'journalctl --since "{since}" -u {unit} -o cat --no-pager', check=False)
        return journal.count("\nStarted ") + journal.startswith("Started ")

    def property(self, unit: str, name: str) -> str:
        """One property of a unit, as ``systemctl show`` says it."""
        return self.run(f"systemctl show --value -p {name} {unit}").strip()

    def wait(self, command: str, seconds: float = 180) -> None:
        """Until a shell command succeeds; an ``AssertionError`` with its output when it does not."""
        end = time.monotonic() + seconds
        while not self.succeeds(command):
            assert time.monotonic() < end, f"{self.name}: {command}: {self.run(command, check=False)}"
            time.sleep(0.3)

    def reboot(self) -> None:
        """Restart it, and wait until SSH answers."""
        self._docker("restart", self.name)
        self.wait_for_boot()

    def stop(self) -> None:
        """Take it off the network, as a host that is down."""
        self._docker("stop", "-t", "5", self.name)

    def start(self) -> None:
        """Boot it again after ``stop``."""
        self._docker("start", self.name)
        self.wait_for_boot()

    def wait_for_boot(self) -> None:
        """Until SSH lets the tests' key in and every unit has started, or has failed."""
        command = [*self.ssh(), "systemctl is-system-running"]
        end = time.monotonic() + START_SECONDS
        while True:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=START_SECONDS)
            if done.stdout.strip() in {"running", "degraded"}:
                return
            assert time.monotonic() < end, f"{self.name} does not boot: {done.stdout}{done.stderr}"
            time.sleep(0.2)

    def ssh(self, *options: str) -> list[str]:
        """The command that comes before a remote one."""
        fixed = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
        pairs = [part for each in fixed for part in ("-o", each)]
        return ["ssh", *pairs, "-i", str(self.key), "-p", str(self.port), *options, "deploy@127.0.0.1"]

    @contextmanager
    def reaches(self, port: int, at: int | None = None) -> Iterator[int]:
        """Let the host reach a server on *this* machine's loopback, as ``127.0.0.1:at`` of its own (default: the same port)."""
        at = at or port
        options = ("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{at}:127.0.0.1:{port}")
        tunnel = subprocess.Popen(self.ssh(*options), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.wait(f"ss -ltn | grep -q '127.0.0.1:{at} '")
            yield at
        finally:
            tunnel.terminate()
            tunnel.wait()

    def remove(self) -> None:
        """For good."""
        self._docker("rm", "-f", "-v", self.name)

    def _docker(self, *arguments: str) -> str:
        done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True, env=self.env)
        assert done.returncode == 0, f"docker {arguments[0]}: {done.stderr}"
        return done.stdout


def make_key(folder: Path) -> Path:
    """A fresh SSH key; gives the private one's path."""
    import shutil  # noqa: PLC0415 - only here

    if not shutil.which("ssh-keygen"):
        install("openssh-client")
    key = folder / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", str(key)], check=True)
    return key


@contextmanager
def network(name: str, env: dict[str, str]) -> Iterator[str]:
    """A bridge for the hosts of one process: nobody else takes a host's address while it reboots."""
    made = ["docker", "network", "create", "--label", "elk-shipper-test", name]
    done = subprocess.run(made, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    try:
        yield name
    finally:
        subprocess.run(["docker", "network", "rm", name], check=False, capture_output=True, env=env)


def start(name: str, image: str, key: Path, env: dict[str, str], options: tuple[str, ...] = ()) -> Host:
    """Boot a host. ``name`` is also its host name; ``options`` go to ``docker run``."""
    host = Host(name, free_port(), key, env)
    short = name.rsplit("_", 1)[-1]
    host._docker(
        *("run", "--detach", "--name", name, "--hostname", short, "--label", "elk-shipper-test"),
        *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN"),
        *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
        *("--stop-signal", "SIGRTMIN+3"),  # how systemd is told to shut down
        *("--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
        *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec,mode=1777"),
        *("--env", "container=docker", "--publish", f"127.0.0.1:{host.port}:22"),
        *options,
        image,
    )
    try:
        public = key.with_suffix(".pub").read_text()
        host.run(
            "umask 077; cat > /home/deploy/.ssh/authorized_keys; chown 1000:1000 /home/deploy/.ssh/authorized_keys",
            stdin=public,
        )
        host.wait_for_boot()
    except BaseException:
        host.remove()
        raise
    return host
