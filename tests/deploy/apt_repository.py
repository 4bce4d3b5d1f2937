"""A signed repository of Debian packages, as Elastic's is laid out: what ``elastic_mirror`` names by its URL."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING

from deploy.engine import install

if TYPE_CHECKING:
    from pathlib import Path


def publish(folder: Path, packages: list[Path]) -> str:
    """Fill ``folder`` with ``packages/9.x/apt`` and the key that signs it; gives the key's fingerprint."""
    for program, package in (("gpg", "gnupg"), ("dpkg-deb", "dpkg")):
        if not shutil.which(program):
            install(package)
    apt = folder / "packages/9.x/apt"
    stanzas = []
    for package in packages:
        target = apt / "pool" / package.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package, target)
        control = _output("dpkg-deb", "--field", str(package)).strip()
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        size = package.stat().st_size
        stanzas.append(f"{control}\nFilename: pool/{package.name}\nSize: {size}\nSHA256: {digest}\n")
    architecture = packages[0].stem.rsplit("-", 1)[1]
    index = f"main/binary-{architecture}/Packages"
    listed = apt / "dists/stable" / index
    listed.parent.mkdir(parents=True)
    listed.write_text("\n".join(stanzas))
    release = apt / "dists/stable/Release"
    digest = hashlib.sha256(listed.read_bytes()).hexdigest()
    release.write_text(
        f"Origin: tests\nSuite: stable\nCodename: stable\nArchitectures: {architecture}\nComponents: main\n"
        f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {digest} {listed.stat().st_size} {index}\n"
    )
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
    _output(*gpg, "--quick-generate-key", "tests <tests@localhost>", "ed25519", "sign", "never")
    _output(*gpg, "--clearsign", "--output", str(release.with_name("InRelease")), str(release))
    (folder / "GPG-KEY-elasticsearch").write_text(_output(*gpg, "--armor", "--export"))
    keys = _output(*gpg, "--list-keys", "--with-colons").splitlines()
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
    return next(line for line in keys if line.startswith("fpr:")).split(":")[9]


def _output(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
