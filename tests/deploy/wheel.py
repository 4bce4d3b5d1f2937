"""Wheels of the agent, built as a user builds them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = ("parser", "shipper", "logstash", "kibana", "pyproject.toml", "README.md", "LICENSE", "NOTICE")


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel of the checkout ``source``, in ``folder``."""
    copy = folder / "source"  # a build writes beside what it builds
    for name in SOURCES:
        each = source / name
        if each.is_dir():
            shutil.copytree(each, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif each.is_file():
            shutil.copy(each, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(copy)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def download(wheel: Path, folder: Path) -> Path:
    """``folder``, with the wheel and all that it needs, as the role's ``shipper_mirror`` takes it."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "-w", str(folder), str(wheel)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def other_version(wheel: Path, version: str, folder: Path) -> Path:
    """The same agent under another version: what a wheel says of itself is changed, and nothing else."""
    import base64  # noqa: PLC0415 - only here
    import hashlib  # noqa: PLC0415 - only here
    import zipfile  # noqa: PLC0415 - only here

    old = wheel.name.split("-")[1]
    made = folder / wheel.name.replace(f"-{old}-", f"-{version}-")
    folder.mkdir(parents=True, exist_ok=True)
    record = []
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".dist-info/METADATA"):
                content = content.replace(f"\nVersion: {old}\n".encode(), f"\nVersion: {version}\n".encode())
            if name == "shipper/__init__.py":
                content = content.replace(f'"{old}"'.encode(), f'"{version}"'.encode())
            name = name.replace(f"-{old}.dist-info/", f"-{version}.dist-info/")  # noqa: PLW2901 - its new name
            if name.endswith(".dist-info/RECORD"):
                continue
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}")
            target.writestr(name, content)
        listed = next(each for each in source.namelist() if each.endswith("RECORD")).replace(f"-{old}.", f"-{version}.")
        target.writestr(listed, "\n".join([*record, f"{listed},,"]) + "\n")
    return made
