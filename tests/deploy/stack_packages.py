"""Debian packages of the stack for test hosts, built here: nothing of Elastic's can be downloaded on the test machine.

``elasticsearch`` is the real server (``elasticsearch_node``) with a Java runtime, laid out as Elastic's package lays it out.
``logstash`` and ``kibana`` are stand-ins (``stand_ins/``), and their descriptions say so. The folder that ``packages()`` gives
is what ``elastic_mirror`` takes: packages under Elastic's names, each with its ``.sha512``.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

from elasticsearch_node.node import VERSION, CannotRunError, assemble, cache, find_java

NEXT = "9.4.4"
"""A version to upgrade to. The server in it is the same under another number, which it gives when it is asked."""
OLD_SECONDS = 86400
ROOT = Path(__file__).parents[2]
STAND_INS = Path(__file__).with_name("stand_ins")

UNIT = """\
[Unit]
Description={title}
Documentation=https://www.elastic.co
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User={name}
Group={name}
Environment=ES_HOME=/usr/share/elasticsearch ES_PATH_CONF=/etc/elasticsearch
WorkingDirectory=/usr/share/{name}
ExecStart={command}
LimitNOFILE=65535
LimitNPROC=4096
LimitAS=infinity
LimitFSIZE=infinity
TimeoutStopSec=60
SuccessExitStatus=143

[Install]
WantedBy=multi-user.target
"""

WRAPPER = """\
#!/bin/bash
# What Elastic's script does, as far as the service needs it.
cd /usr/share/elasticsearch
export ES_HOME=$PWD ES_PATH_CONF=/etc/elasticsearch ES_TMPDIR=${ES_TMPDIR:-/tmp} ES_DISTRIBUTION_TYPE=deb
export ES_JAVA_HOME=${ES_JAVA_HOME:-$PWD/jdk} JAVA_TYPE=bundled HOME=$PWD LANG=C.UTF-8
export JAVA=$ES_JAVA_HOME/bin/java
if [ "$(basename "$0")" = elasticsearch ]; then
  exec "$JAVA" -Xms4m -Xmx64m -XX:+UseSerialGC -cp 'lib/tools/server-launcher/*' org.elasticsearch.server.launcher.ServerLauncher
fi
umask 0007
exec "$JAVA" -Xms4m -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dcli.name= -Dcli.script="$0" -Dcli.libs=lib/tools/keystore-cli \\
  -Des.path.home="$ES_HOME" -Des.path.conf="$ES_PATH_CONF" -Des.distribution.type=deb -Des.java.type=bundled \\
  -cp 'lib/*:lib/cli-launcher/*' org.elasticsearch.launcher.CliToolLauncher "$@"
"""

PREINST = """\
#!/bin/sh
set -e
getent group {name} >/dev/null || groupadd --system {name}
id {name} >/dev/null 2>&1 || useradd --system --gid {name} --no-create-home --home-dir /nonexistent --shell /bin/false {name}
"""

POSTINST = """\
#!/bin/sh
set -e
chown -R root:{name} /etc/{name}
chmod 2750 /etc/{name}
install -d -o {name} -g {name} -m 2750 /var/lib/{name} /var/log/{name}
[ ! -x /usr/share/{name}/bin/elasticsearch-keystore ] || [ -f /etc/{name}/elasticsearch.keystore ] || /usr/share/{name}/bin/elasticsearch-keystore create
[ ! -d /run/systemd/system ] || systemctl daemon-reload
"""

PRERM = """\
#!/bin/sh
set -e
[ "$1" != remove ] || [ ! -d /run/systemd/system ] || systemctl --no-reload disable --now {name} || true
"""


def packages() -> Path:
    """A folder with all packages, made on first use (half a minute). Raises ``CannotRunError``."""
    if not shutil.which("dpkg-deb"):
        raise CannotRunError("dpkg-deb is not installed, which makes the packages of the stack")
    home, java = assemble(), find_java()
    sources = [Path(__file__), *sorted(STAND_INS.glob("*.py")), *sorted((ROOT / "parser/logstash").glob("*.py"))]
    key = hashlib.sha256(java.encode() + b"".join(each.read_bytes() for each in sources)).hexdigest()[:16]
    folder = cache() / f"packages-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").is_file():
            for each in folder.parent.glob("packages-*/complete"):  # half a gigabyte each
                if time.time() - each.stat().st_mtime > OLD_SECONDS:
                    shutil.rmtree(each.parent)
            folder.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                tree = elasticsearch(Path(scratch), home, java)
                for version in (VERSION, NEXT):
                    if version == NEXT:
                        renumber(tree / "usr/share/elasticsearch")
                    build(folder, tree, "elasticsearch", version, "the real server, trimmed, as a package of tests")
                    for name in ("logstash", "kibana"):
                        stand_in = stand_in_tree(Path(scratch), name)
                        build(folder, stand_in, name, version, f"a stand-in for tests; this is not {name.title()}")
            (folder / "complete").touch()
    return folder


def elasticsearch(scratch: Path, home: Path, java: str) -> Path:
    """The files of the package, below a folder."""
    tree = scratch / "elasticsearch"
    share = tree / "usr/share/elasticsearch"
    shutil.copytree(home, share, ignore=lambda folder, names: ["config", ".markers"] if Path(folder) == home else [])
    (share / "plugins").mkdir()
    (share / "bin").mkdir()
    for name in ("elasticsearch", "elasticsearch-keystore"):
        script(share / "bin" / name, WRAPPER)
    shutil.copytree(home / "config", tree / "etc/elasticsearch")
    (tree / "etc/elasticsearch/jvm.options.d").mkdir()
    # As the tests' own node: C1 only, which halves the CPU of a start.
    with (tree / "etc/elasticsearch/jvm.options").open("a") as options:
        options.write("\n-XX:TieredStopAtLevel=1\n")
    # All of it: the server asks for modules, jdk.jlink among them, that a runtime linked from a JDK without jmods cannot have.
    shutil.copytree(
        java, share / "jdk", ignore=shutil.ignore_patterns("src.zip", "jmods", "man", "demo", "include", "legal")
    )
    unit(tree, "elasticsearch", "Elasticsearch", "/usr/share/elasticsearch/bin/elasticsearch")
    return tree


def renumber(share: Path) -> None:
    """Let the server, and its modules, which it compares with itself, take themselves for ``NEXT``."""
    jar = share / f"lib/elasticsearch-{VERSION}.jar"
    renamed = jar.with_suffix(".new")
    with zipfile.ZipFile(jar) as old, zipfile.ZipFile(renamed, "w") as new:
        for each in old.infolist():
            content = old.read(each)
            if each.filename == "META-INF/MANIFEST.MF":
                content = content.replace(
                    b"Elasticsearch-Version: " + VERSION.encode(), b"Elasticsearch-Version: " + NEXT.encode()
                )
            new.writestr(each, content)
    renamed.rename(jar)
    for path in share.glob("modules/*/plugin-descriptor.properties"):
        path.write_text(path.read_text().replace(f"version={VERSION}", f"version={NEXT}"))


def stand_in_tree(scratch: Path, name: str) -> Path:
    """The files of a stand-in: its script, and the Python modules that it needs."""
    tree = scratch / name
    if tree.is_dir():
        return tree
    share = tree / "usr/share" / name
    script(share / "bin" / name, (STAND_INS / f"{name}.py").read_text())
    modules = share / "stand-in"
    for module in ("yaml", "lark"):
        found = importlib.util.find_spec(module)
        assert found is not None
        assert found.origin is not None
        shutil.copytree(
            Path(found.origin).parent, modules / module, ignore=shutil.ignore_patterns("*.so", "__pycache__")
        )
    shutil.copytree(ROOT / "parser", modules / "parser", ignore=shutil.ignore_patterns("__pycache__", "_bundled"))
    (modules / "parser/__init__.py").write_text("")  # the grammar alone: the rest needs more modules
    (modules / "parser/logstash/__init__.py").write_text("")
    settings = tree / "etc" / name / f"{name}.yml"
    settings.parent.mkdir(parents=True)
    settings.write_text("# the package's own\n")
    arguments = " --path.settings /etc/logstash" if name == "logstash" else ""
    unit(tree, name, f"A stand-in for {name.title()}", f"/usr/share/{name}/bin/{name}{arguments}")
    return tree


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def unit(tree: Path, name: str, title: str, command: str) -> None:
    path = tree / f"usr/lib/systemd/system/{name}.service"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(UNIT.format(name=name, title=title, command=command))


def build(folder: Path, tree: Path, name: str, version: str, description: str) -> None:
    """One ``.deb`` with its ``.sha512``. Raises ``CannotRunError`` with what dpkg-deb says."""
    machine = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout.strip()
    control = tree / "DEBIAN"
    control.mkdir(exist_ok=True)
    (control / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {machine}\nMaintainer: tests <tests@localhost>\nDescription: {description}\n"
    )
    kept = [f"/{each.relative_to(tree)}" for each in sorted((tree / "etc").rglob("*")) if each.is_file()]
    (control / "conffiles").write_text("\n".join(kept) + "\n")
    for each, text in (("preinst", PREINST), ("postinst", POSTINST), ("prerm", PRERM)):
        script(control / each, text.format(name=name))
    package = folder / f"{name}-{version}-{machine}.deb"
    command = ["dpkg-deb", "-Zzstd", "-z1", "--root-owner-group", "--build", str(tree), str(package)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise CannotRunError(f"dpkg-deb: {done.stderr.strip()[-300:]}")
    digest = hashlib.sha512(package.read_bytes()).hexdigest()
    package.with_name(f"{package.name}.sha512").write_text(f"{digest}  {package.name}\n")
