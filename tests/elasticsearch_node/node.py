"""A real Elasticsearch 9 or 8 on this machine, assembled from a Maven artifact (see pom.xml beside this file).

    python tests/elasticsearch_node/node.py --port 9200 [--major 8] [--data DIR] [--heap 512m] [--c2]

runs one in the foreground until Ctrl-C. The tests use the class ``Node``. Needs ``mvn`` once, for the download of about
900 MB, and a JDK: of 21 or later for 9, of 17 to 23 for 8. The assembled home is kept in a cache folder outside of the
repository. Several nodes make one cluster when each is told of all: ``peers``.
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple


class Release(NamedTuple):
    """An Elasticsearch, and where it comes from."""

    version: str
    carrier: str
    """The version of SonarQube Community Build that carries it."""
    java: tuple[int, int]
    """The first and the last JDK that it runs on."""


RELEASES = {
    9: Release("9.4.3", "26.9.0.129388", (21, 99)),
    8: Release("8.16.6", "25.9.0.112764", (17, 23)),  # it needs a security manager, which 24 has no more
}
VERSION = RELEASES[9].version
POM = Path(__file__).with_name("pom.xml")
NOBODY = 65534  # Elasticsearch does not run as root: it runs as nobody then
PR_SET_PDEATHSIG = 1


class CannotRunError(Exception):
    """This machine has not what the node needs; says what is missing."""


def find_java(minimum: int = 21, maximum: int = 99) -> str:
    """The home of a JDK, from ES_JAVA_HOME, JAVA_HOME or /usr/lib/jvm, newest name first."""
    named = [os.environ.get(name) for name in ("ES_JAVA_HOME", "JAVA_HOME")]
    for home in [*named, *sorted(map(str, Path("/usr/lib/jvm").glob("*")), reverse=True)]:
        release = Path(home or "/nonexistent", "release")
        version = release.is_file() and re.search(r'JAVA_VERSION="(\d+)', release.read_text())
        if version and minimum <= int(version[1]) <= maximum and os.access(f"{home}/bin/java", os.X_OK):
            return str(home)
    wanted = f"{minimum} or later" if maximum == 99 else f"{minimum} to {maximum}"
    raise CannotRunError(f"no JDK of {wanted} in ES_JAVA_HOME, JAVA_HOME or /usr/lib/jvm")


def open_to_nobody(folder: Path) -> bool:
    """Whether uid nobody gets to ``folder``; its missing parts would be made with mode 755."""
    return all(not each.exists() or each.stat().st_mode & 1 for each in (folder, *folder.parents))


def cache() -> Path:
    """Where the assembled home is kept."""
    named = os.environ.get("XDG_CACHE_HOME")
    choices = [Path(named)] if named else []
    choices += [Path("/var/cache"), Path("/var/tmp")] if os.geteuid() == 0 else [Path.home() / ".cache"]
    usable = (each / "elk-shipper" for each in choices if os.geteuid() != 0 or open_to_nobody(each / "elk-shipper"))
    return next(usable, Path(tempfile.gettempdir()) / "elk-shipper")


def assemble(major: int = 9) -> Path:
    """The home of the assembled distribution; downloaded on first use. Raises ``CannotRunError``."""
    release = RELEASES[major]
    home = cache() / f"elasticsearch-{release.version}"
    if home.is_dir():
        return home
    if not shutil.which("mvn"):
        raise CannotRunError("mvn is not installed, and the node is not in the cache")
    home.parent.mkdir(parents=True, exist_ok=True)
    partial = home.with_name(f"{home.name}.{os.getpid()}")  # renamed when whole: a half-made home is never used
    extra = os.environ.get("ES_MVN_ARGS", "").split()
    carrier = f"-Dsonarqube.version={release.carrier}"
    command = ["mvn", "-B", "-q", *extra, "-f", str(POM), carrier, f"-Dhome={partial}", "dependency:unpack"]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        raise CannotRunError(
            "mvn could not download it: " + (done.stdout.strip().splitlines() or ["no reason given"])[0]
        )
    for empty in ("bin", "plugins"):  # 8 makes them where they are missing, and may not
        (partial / empty).mkdir(exist_ok=True)
    try:
        partial.rename(home)
    except OSError:  # another process was quicker
        shutil.rmtree(partial, ignore_errors=True)
    return home


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Node:
    """One node on 127.0.0.1, a cluster of its own; or, with ``peers``, a part of one.

    ``major``: 9 or 8. ``peers``: {name: transport port} of every node of the cluster, this one too, and ``name`` is which it
    is; start them with ``launch`` all, then ``wait`` for each. ``users``: {name: password}, all of them superusers; turns security on. ``certificate`` and ``key``: PEM texts for HTTPS,
    ``authority`` the PEM text to trust. ``jvm``: C1 only by default, which halves the CPU of a start; ``()`` to measure speed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        major: int = 9,
        name: str = "node-1",
        peers: dict[str, int] | None = None,
        heap: str = "512m",
        settings: dict | None = None,
        users: dict[str, str] | None = None,
        certificate: str = "",
        key: str = "",
        authority: str = "",
        jvm: tuple[str, ...] = ("-XX:TieredStopAtLevel=1",),
    ) -> None:
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.major = major
        self.users = users or {}
        self.authority = authority
        self._pem = {"http.crt": certificate, "http.key": key} if certificate else {}
        self._jvm = [f"-Xms{heap}", f"-Xmx{heap}", *jvm]
        self._process: subprocess.Popen | None = None
        self._settings = {
            "cluster.name": "test-" + "-".join(map(str, (peers or {}).values() or [self.port])),
            "node.name": name,
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": peers[name] if peers else free_port(),
            **(
                {
                    "discovery.seed_hosts": [f"127.0.0.1:{each}" for each in peers.values()],
                    "cluster.initial_master_nodes": list(peers),
                }
                if peers
                else {"discovery.type": "single-node"}
            ),
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            "cluster.routing.allocation.disk.threshold_enabled": False,  # a nearly full disk must not block the tests
            "xpack.security.enabled": bool(users),
            **({"xpack.security.authc.api_key.enabled": True} if users else {}),
            **(
                {
                    "xpack.security.http.ssl.enabled": True,
                    "xpack.security.http.ssl.certificate": "http.crt",
                    "xpack.security.http.ssl.key": "http.key",
                }
                if certificate
                else {}
            ),
            **(settings or {}),
        }

    def start(self, timeout: float = 240) -> Node:
        """Start it and wait until it answers. Raises ``CannotRunError``, or ``RuntimeError`` with the end of its log."""
        self.launch()
        self.wait(timeout)
        return self

    def launch(self) -> None:
        """Start its process. Raises ``CannotRunError``."""
        home, java = assemble(self.major), find_java(*RELEASES[self.major].java)
        config = self.folder / "config"
        for each in (config, self.folder / "data", self.folder / "logs", self.folder / "tmp"):
            each.mkdir(parents=True, exist_ok=True)
        self._configure(home, config)
        identity = {}
        if os.geteuid() == 0:
            if not open_to_nobody(self.folder.parent):
                raise CannotRunError(f"{self.folder.parent} cannot be entered by uid {NOBODY}: use tempfile.mkdtemp()")
            for each in (self.folder, *self.folder.rglob("*")):
                os.chown(each, NOBODY, NOBODY)
            identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        environment = {  # what bin/elasticsearch exports
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "JAVA": f"{java}/bin/java",
            "JAVA_TYPE": "ES_JAVA_HOME",
            "ES_JAVA_HOME": java,
            "ES_HOME": str(home),
            "ES_PATH_CONF": str(config),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "ES_DISTRIBUTION_TYPE": "zip",
        }
        launcher = [f"{java}/bin/java", "-Xms4m", "-Xmx64m", "-XX:+UseSerialGC"]
        if self.major == 8:
            launcher += ["-Dcli.name=server", "-Dcli.script=bin/elasticsearch", "-Dcli.libs=lib/tools/server-cli"]
            launcher += [f"-Des.path.home={home}", f"-Des.path.conf={config}", "-Des.distribution.type=zip"]
            launcher += ["-cp", f"{home}/lib/*:{home}/lib/cli-launcher/*", "org.elasticsearch.launcher.CliToolLauncher"]
        else:
            launcher += ["-cp", f"{home}/lib/tools/server-launcher/*"]
            launcher += ["org.elasticsearch.server.launcher.ServerLauncher"]
        with (self.folder / "start.log").open("wb") as log:
            self._process = subprocess.Popen(
                launcher,
                env=environment,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it calls prctl and nothing else
                **identity,
            )

    def stop(self, timeout: float = 30) -> None:
        """End it, and wait for its end."""
        if self._process is None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, sign)
                self._process.wait(timeout)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()
        self._process = None

    def request(self, method: str, path: str, body: object = None, *, timeout: float = 60) -> dict:
        """One JSON request as the first user; ``urllib.error.HTTPError`` for statuses above 299."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        for user, password in list(self.users.items())[:1]:
            pair = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_header("authorization", f"Basic {pair}")
        context = ssl.create_default_context(cadata=self.authority) if self.authority else None
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
            return json.loads(answer.read() or b"{}")

    def _configure(self, home: Path, config: Path) -> None:
        shutil.copy(home / "config/log4j2.properties", config)
        unwanted = r"#|-Xlog:|-XX:\+HeapDump|.*incubator"
        options = [
            line
            for line in (home / "config/jvm.options").read_text().splitlines()
            if line and not re.match(unwanted, line)
        ]
        (config / "jvm.options").write_text("\n".join([*options, *self._jvm]) + "\n")
        (config / "elasticsearch.yml").write_text(
            "".join(f"{key}: {json.dumps(value)}\n" for key, value in self._settings.items())
        )
        for name, text in self._pem.items():
            (config / name).write_text(text)
            (config / name).chmod(0o600)
        if self.users:  # the file realm
            (config / "users").write_text(
                "".join(f"{user}:{_pbkdf2(password)}\n" for user, password in self.users.items())
            )
            (config / "users_roles").write_text(f"superuser:{','.join(self.users)}\n")

    def wait(self, timeout: float = 240) -> None:
        """Until it answers. Raises ``RuntimeError`` with the end of its log."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and self._process.poll() is None:
            try:
                self.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=5s", timeout=10)
            except OSError:  # not yet
                time.sleep(0.25)
            else:
                return
        self.stop()
        raise RuntimeError("Elasticsearch did not start: " + (self.folder / "start.log").read_text()[-3000:])


def _pbkdf2(password: str) -> str:
    salt = os.urandom(32)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 10000, 32)
    return "{PBKDF2}10000$" + base64.b64encode(salt).decode() + "$" + base64.b64encode(digest).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9200)
    parser.add_argument(
        "--data", type=Path, help="keep data and logs there; default: a temporary folder, removed at the end"
    )
    parser.add_argument("--major", type=int, choices=RELEASES, default=9)
    parser.add_argument("--heap", default="512m")
    parser.add_argument("--c2", action="store_true", help="full JIT: starts slower, faster when warm")
    chosen = parser.parse_args()
    folder = chosen.data or Path(tempfile.mkdtemp(prefix="elasticsearch-"))
    if not chosen.data and os.geteuid() == 0:
        folder.chmod(0o711)
    node = Node(folder, port=chosen.port, major=chosen.major, heap=chosen.heap, **({"jvm": ()} if chosen.c2 else {}))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        began = time.monotonic()
        node.start()
        ready = f"{node.url} is ready after {time.monotonic() - began:.1f} s, files in {folder}; Ctrl-C ends it"
        print(ready, flush=True)  # noqa: T201 - a script
        node._process.wait()
    except CannotRunError as error:
        raise SystemExit(f"Elasticsearch cannot run here: {error}") from None
    except KeyboardInterrupt:
        pass
    finally:
        node.stop()
        if not chosen.data:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
