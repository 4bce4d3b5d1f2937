"""A Debian package called ``filebeat`` for test hosts. It is a stand-in: Elastic's cannot be downloaded on the test machine.

It has the unit and the commands that the role uses. Its ``filebeat`` is a Python script that reads the settings (the few names
that the tests use), keeps a log of what it was started with, and runs until it is stopped; it ships nothing.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from elasticsearch_node.node import CannotRunError

PROGRAM = r'''#!/usr/bin/python3
"""A stand-in for Filebeat, for tests."""
import base64, os, re, signal, ssl, sys, time, urllib.error, urllib.request

def settings(path):
    """``key: value`` lines by their last name; enough for tests."""
    text = open(path).read()
    missing = [each for each in re.findall(r"[$][{](\w+)[}]", text) if each not in os.environ]
    if missing:
        sys.exit(f"Exiting: error loading config file: missing field accessing '{missing[0]}' (source:'{path}')")
    text = re.sub(r"[$][{](\w+)[}]", lambda found: os.environ[found[1]], text)
    if "\t" in text or not re.search(r"^filebeat[.:]", text, re.M):
        sys.exit(f"Exiting: error loading config file: yaml: line 1: found what cannot start any token in {path}")
    if not re.search(r"^output[.:]", text, re.M):
        sys.exit("Exiting: no outputs are defined, please define one under the output section")
    return text

arguments = [each for each in sys.argv[1:]]
path = arguments[arguments.index("-c") + 1] if "-c" in arguments else "/etc/filebeat/filebeat.yml"
text = settings(path)
if arguments[:2] == ["test", "config"]:
    print("Config OK")
elif arguments[:2] == ["test", "output"]:
    host = re.search(r"https?://[^\s\"',\]]+", text)[0]
    name, word = (re.search(rf"{key}: *[\"']?([^\s\"']+)", text) for key in ("username", "password"))
    request = urllib.request.Request(host)
    if name and word:
        pair = base64.b64encode(f"{name[1]}:{word[1]}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
    try:
        urllib.request.urlopen(request, timeout=10, context=ssl._create_unverified_context())
    except OSError as error:
        sys.exit(f"{host}... ERROR {error}")
    print(f"{host}... OK")
else:
    with open("/var/log/filebeat/started", "a") as log:
        print(f"{time.time():.0f} pid {os.getpid()}", file=log)
    signal.signal(signal.SIGTERM, lambda *rest: sys.exit(0))
    while True:
        signal.pause()
'''
UNIT = """\
[Unit]
Description=Filebeat (a stand-in for tests)
After=network-online.target

[Service]
ExecStart=/usr/bin/filebeat run
Restart=always

[Install]
WantedBy=multi-user.target
"""
POSTINST = """\
#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
"""
PRERM = """\
#!/bin/sh
set -e
[ "$1" != remove ] || [ ! -d /run/systemd/system ] || systemctl --no-reload disable --now filebeat || true
"""


def build(folder: Path, version: str) -> Path:
    """``filebeat-<version>-<architecture>.deb`` with its ``.sha512`` in ``folder``, as ``elastic_mirror`` takes them."""
    tree = folder / f"tree-{version}"
    files = {
        "usr/bin/filebeat": (PROGRAM, 0o755),
        "usr/lib/systemd/system/filebeat.service": (UNIT, 0o644),
        "etc/filebeat/filebeat.yml": ("filebeat.inputs: []\noutput.console: {}\n", 0o600),
        "var/lib/filebeat/.keep": ("", 0o644),
        "var/log/filebeat/.keep": ("", 0o644),
        "DEBIAN/postinst": (POSTINST, 0o755),
        "DEBIAN/prerm": (PRERM, 0o755),
        "DEBIAN/conffiles": ("/etc/filebeat/filebeat.yml\n", 0o644),
    }
    try:
        machine = subprocess.run(
            ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
        ).stdout.strip()
    except FileNotFoundError:
        raise CannotRunError("dpkg is not installed, which makes the package of the stand-in") from None
    control = (
        f"Package: filebeat\nVersion: {version}\nArchitecture: {machine}\nMaintainer: tests <tests@localhost>\n"
        "Depends: python3\nDescription: a stand-in for tests; this is not Filebeat\n"
    )
    files["DEBIAN/control"] = (control, 0o644)
    for name, (text, mode) in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    package = folder / f"filebeat-{version}-{machine}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(package)], check=True, capture_output=True
    )
    digest = hashlib.sha512(package.read_bytes()).hexdigest()
    package.with_name(f"{package.name}.sha512").write_text(f"{digest}  {package.name}\n")
    return package
