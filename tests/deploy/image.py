"""A systemd host as a Docker image, made of Debian packages by mmdebstrap: nothing is pulled.

The packages come from where this machine's own come from (its apt sources, its certificates, its pip settings); nothing
of that is in the repository. An image is known by the hash of what it is made from, and kept as an archive in the cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.engine import install
from elasticsearch_node.node import CannotRunError, cache

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo"),
    *("python3", "python3-venv", "python3-packaging", "python3-apt"),
    *("ca-certificates", "gnupg", "iproute2", "procps", "curl", "logrotate"),
)
"""What a Debian server has that Ansible is used on, and the tests' own curl."""
MASKED = ("systemd-udevd.service", "systemd-logind.service", "getty@.service", "console-getty.service")
CUSTOMISE = """\
set -eu
root=$1
chroot "$root" useradd --create-home --shell /bin/bash deploy
echo 'deploy ALL=(ALL) NOPASSWD: ALL' > "$root/etc/sudoers.d/deploy"
chmod 0440 "$root/etc/sudoers.d/deploy"
install -d -m 0700 -o 1000 -g 1000 "$root/home/deploy/.ssh"
chroot "$root" systemctl enable ssh
chroot "$root" update-ca-certificates >/dev/null 2>&1
rm -f "$root/etc/machine-id" && touch "$root/etc/machine-id"
rm -rf "$root"/var/cache/apt/archives/*.deb
"""


def image(env: dict[str, str], release: str = "bookworm") -> str:
    """The name of an image of the Debian ``release``, made on first use (a minute). Raises ``CannotRunError``."""
    sources = apt_sources(release)
    pip = pip_settings()
    authorities = own_authorities()
    parts = [
        repr(PACKAGES),
        repr(MASKED),
        CUSTOMISE,
        sources,
        pip,
        *(f"{each.name}{each.read_text()}" for each in authorities),
    ]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    name = f"elk-shipper-host:{release}-{key}"
    if succeeds(["docker", "image", "inspect", name], env):
        return name
    archive = cache() / f"host-{release}-{key}.tar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with archive.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process builds, the others wait for it
        if not archive.is_file():
            build(archive, release, sources, pip, authorities)
    with archive.open("rb") as content:
        done = subprocess.run(
            ["docker", "import", "--change", 'CMD ["/lib/systemd/systemd"]', "-", name],
            check=False,
            stdin=content,
            capture_output=True,
            text=True,
            env=env,
        )
    if done.returncode:
        raise CannotRunError(f"docker import: {done.stderr.strip()}")
    return name


def succeeds(command: list[str], env: dict[str, str]) -> bool:
    """Whether a command ends with 0."""
    return subprocess.run(command, check=False, capture_output=True, env=env).returncode == 0


def apt_sources(release: str) -> str:
    """This machine's own Debian sources, for another release where that is asked for. Raises ``CannotRunError``."""
    folder = Path("/etc/apt")
    for each in (*sorted((folder / "sources.list.d").glob("*.sources")), folder / "sources.list"):
        text = each.read_text() if each.is_file() else ""
        if "debian" in text.lower() and (own := re.search(r"\b(bullseye|bookworm|trixie|forky|sid)\b", text)):
            return re.sub(rf"\b{own[0]}\b", release, text)
    raise CannotRunError("the sources of apt name no Debian release, which the hosts are made of")


def pip_settings() -> str:
    """Where pip finds packages on this machine, as the text of a ``pip.conf``."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=False, capture_output=True, text=True
    ).stdout
    wanted = {"index-url", "extra-index-url", "trusted-host"}
    lines = ["[global]", "cert = /etc/ssl/certs/ca-certificates.crt"]
    for name, value in re.findall(r"^(?:global|:env:)\.(\S+?)='(.*)'$", done, re.MULTILINE):
        if name in wanted:
            lines.append(f"{name} = {value}")
    return "\n".join(lines) + "\n"


def own_authorities() -> list[Path]:
    """The certificates that this machine trusts beside the public ones."""
    return sorted(Path("/usr/local/share/ca-certificates").glob("**/*.crt"))


def build(archive: Path, release: str, sources: str, pip: str, authorities: list[Path]) -> None:
    """Make the archive of a host's files. Raises ``CannotRunError`` with what mmdebstrap says."""
    if os.geteuid() != 0:
        raise CannotRunError("only root can make the image of a host")
    if not shutil.which("mmdebstrap"):
        install("mmdebstrap")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        scratch = Path(folder)
        (scratch / "apt.sources").write_text(sources)
        (scratch / "pip.conf").write_text(pip)
        (scratch / "customise").write_text(CUSTOMISE)
        hooks = [f'copy-in "{scratch}/pip.conf" /etc/']
        if authorities:
            hooks += [f'copy-in "{each}" /usr/local/share/ca-certificates/' for each in authorities]
        hooks.append(f'sh "{scratch}/customise" "$1"')
        hooks += [f'chroot "$1" systemctl mask {shlex.quote(each)}' for each in MASKED]
        partial = archive.with_name(f"{archive.name}.{os.getpid()}")
        done = subprocess.run(
            [
                *("mmdebstrap", "--variant=apt", "--mode=root", "--format=tar", "--dpkgopt=force-unsafe-io"),
                f"--include={','.join(PACKAGES)}",
                *(f"--customize-hook={each}" for each in hooks),
                *(release, str(partial), str(scratch / "apt.sources")),
            ],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": folder},
        )
        if done.returncode:
            partial.unlink(missing_ok=True)
            words = [line for line in done.stderr.splitlines() if line.startswith("E:")]
            raise CannotRunError(f"mmdebstrap: {'; '.join(words) or done.stderr[-500:]}")
        partial.rename(archive)
