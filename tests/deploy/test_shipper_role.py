"""The agent's role and playbook, on a real host, with a real Elasticsearch that wants TLS and a password."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import trustme
from deploy.playbook import PLAYBOOKS, Result, run_playbook, sockets, write_cases, write_inventory
from deploy.site import publish, serving
from deploy.wheel import other_version

if TYPE_CHECKING:
    from deploy.hosts import Host

pytestmark = [pytest.mark.integration, pytest.mark.slow]

INDEX = "deployed-orders"
LINE = "2026-03-01T10:15:30.123+01:00  INFO 4242 --- [orders] [main] c.acme.Orders : order {} accepted\n"


@dataclass
class Agent:
    """A host that the agent is deployed to, and the variables that it is deployed with."""

    host: Host
    inventory: Path
    variables: dict[str, object]
    server: object
    env: dict[str, str] = field(default_factory=dict)

    def converge(self, *arguments: str, env: dict[str, str] | None = None, **changes: object) -> Result:
        variables = {name: value for name, value in {**self.variables, **changes}.items() if value is not None}
        return run_playbook(
            "playbook-shipper.yml", self.inventory, *arguments, variables=variables, env=env or self.env
        )

    def restarts(self) -> int:
        return self.host.starts("shipper")

    def release(self) -> str:
        """The folder of the release that is switched to."""
        return self.host.run(
            f"dirname $(dirname $(readlink {self.variables.get('shipper_home', '/opt/shipper')}/bin/shipper))"
        ).strip()

    def log(self, *numbers: int) -> None:
        lines = "".join(LINE.format(number) for number in numbers)
        self.host.run("cat >> /var/log/orders/orders.log", stdin=lines)

    def indexed(self, number: int, seconds: float = 180) -> dict:
        """The document of one line, as soon as it can be found."""
        end = time.monotonic() + seconds
        body = {"query": {"match_phrase": {"message": f"order {number} accepted"}}}
        while True:
            found = self._search(body)
            if found or time.monotonic() > end:
                assert len(found) == 1, (found, self.host.run("journalctl -u shipper --no-pager -n 20"))
                return found[0]["_source"]
            time.sleep(0.3)

    def _search(self, body: dict) -> list[dict]:
        server = self.server
        pair = base64.b64encode(f"{server.username}:{server.password}".encode()).decode()
        request = urllib.request.Request(
            f"{server.url}/{INDEX}/_search?ignore_unavailable=true",
            json.dumps(body).encode(),
            {"content-type": "application/json", "authorization": f"Basic {pair}"},
        )
        context = ssl.create_default_context(cadata=server.authority)
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return json.loads(answer.read())["hits"]["hits"]
        except urllib.error.HTTPError as error:
            if error.code != 503:  # which it is while the index is being made
                raise
            return []


@pytest.fixture(scope="module")
def files(tmp_path_factory, secured_elasticsearch):
    """Certificates that are brought along: the server's authority, and a client's of another."""
    folder = tmp_path_factory.mktemp("certificates")
    client = trustme.CA().issue_cert("web")
    (folder / "ca.crt").write_text(secured_elasticsearch.authority)
    (folder / "web.crt").write_bytes(client.cert_chain_pems[0].bytes())
    (folder / "web.key").write_bytes(client.private_key_pem.bytes())
    return {
        "authority": str(folder / "ca.crt"),
        "certificate": str(folder / "web.crt"),
        "private_key": str(folder / "web.key"),
    }


@pytest.fixture(scope="module")
def web(boot, work, wheel, secured_elasticsearch, files):
    """A host with logs that reaches the server; nothing is installed on it yet."""
    host = boot("web")
    host.run("install -d -g adm -m 0750 /var/log/orders && install -g adm -m 0640 /dev/null /var/log/orders/orders.log")
    folder = work / "web"
    folder.mkdir()
    port = urlsplit(secured_elasticsearch.url).port
    variables = {
        "HOST": host.name,
        "shipper_package": str(wheel),
        "shipper_inputs": [{"paths": ["/var/log/orders/*.log"], "pipeline": "spring-boot"}],
        "shipper_output": {
            "elasticsearch": {
                "hosts": [f"https://127.0.0.1:{port}"],
                "username": secured_elasticsearch.username,
                "password": "${ES_PASSWORD}",
                "index": INDEX,
                "ssl": {"certificate_authorities": ["/etc/shipper/certs/ca.crt"]},
            }
        },
        "shipper_environment": {"ES_PASSWORD": secured_elasticsearch.password},
        "shipper_tls": "client",
        "shipper_certificates_own": files,
    }
    agent = Agent(host, write_inventory(folder / "hosts.json", [host]), variables, secured_elasticsearch)
    with host.reaches(port):
        yield agent


@pytest.fixture(scope="module")
def converged(web):
    """The agent runs there with the variables as they are."""
    fresh = web.converge("--check").succeeded()
    assert "shipper : Say what would be done" in fresh.changed
    assert not web.host.succeeds("id shipper || ls /opt/shipper || ls /etc/shipper")
    web.converge().succeeded()
    assert web.restarts() == 1
    return web


def test_what_is_logged_is_found_in_elasticsearch(converged):
    converged.log(1, 2)
    first = converged.indexed(1)
    assert first["log"]["level"] == "INFO"
    assert first["service"]["name"] == "orders"
    assert first["host"]["name"] == "web"
    assert converged.indexed(2)["message"] == "order 2 accepted"


def test_again_changes_nothing(converged):
    before = converged.restarts()
    again = converged.converge().succeeded()
    assert (again.changes, again.changed) == (0, [])
    checked = converged.converge("--check").succeeded()
    assert (checked.changes, checked.changed) == (0, [])
    assert converged.restarts() == before


def test_modes(converged):
    host = converged.host
    expected = {
        "/etc/shipper": "750 root shipper",
        "/etc/shipper/shipper.yml": "640 root shipper",
        "/etc/shipper/environment": "600 root root",
        "/etc/shipper/certs/shipper.key": "640 root shipper",
        "/etc/shipper/certs/ca.crt": "644 root shipper",
        "/etc/systemd/system/shipper.service": "644 root root",
        f"{converged.release()}/pip.conf": "600 root root",
        "/opt/shipper": "755 root root",
        "/var/lib/shipper": "750 shipper shipper",
    }
    assert {path: host.stat(path) for path in expected} == expected
    secret = converged.server.password
    assert host.run(f"grep -rlF '{secret}' /etc /var/lib/shipper /opt/shipper || true").split() == [
        "/etc/shipper/environment"
    ]


def test_the_service_is_confined(converged):
    host = converged.host
    pid = host.property("shipper", "MainPID")
    status = host.read(f"/proc/{pid}/status")
    uid = host.run("id -u shipper").strip()
    assert f"Uid:\t{uid}\t{uid}" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert host.property("shipper", "MemoryMax") == str(256 << 20)
    # What is mounted how for the service alone: everything read-only, but its own state.
    mounts = {line.split()[4]: line.split()[5].split(",") for line in host.read(f"/proc/{pid}/mountinfo").splitlines()}
    assert "ro" in mounts["/"]
    assert "rw" in mounts["/var/lib/shipper"]
    assert not {"/var/log", "/opt"} & mounts.keys()
    assert host.property("shipper", "Type") == "notify"
    assert host.property("shipper", "WatchdogUSec") == "1min"


def test_one_variable_restarts_it_once_and_nothing_else(converged):
    before = converged.restarts()
    units = "systemctl list-units --type=service --state=running --no-legend --plain | awk '{print $1}' | xargs systemctl show -p Id,InvocationID"
    others = converged.host.run(units)
    done = converged.converge(shipper_settings={"tags": ["blue"]}).succeeded()
    stale = "repository : See whether the service is older than its files"
    assert done.changed == ["shipper : Write the settings", stale, "shipper : Restart shipper"]
    assert converged.restarts() == before + 1
    now = converged.host.run(units)
    gone = [each for each in others.split("\n\n") if each not in now]
    assert [each for each in gone if "shipper" not in each] == []
    assert converged.converge("--tags", "configuration").succeeded().changed[-1] == "shipper : Restart shipper"


MISTAKES: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "typo": (
        {"shipper_inputs": [{"paths": ["/var/log/x.log"], "pipelin": "spring-boot"}]},
        ("inputs[0].pipelin: is not a setting: did you mean pipeline?",),
    ),
    "plain": (
        {"shipper_output": {"elasticsearch": {"hosts": ["http://127.0.0.1:9"], "username": "x", "password": "plain"}}},
        ("shipper_output holds a secret as plain text (password)",),
    ),
    "list": ({"shipper_inputs": "/var/log/x.log"}, ("Validation of arguments failed", "shipper_inputs")),
    "number": ({"shipper_watchdog": "soon"}, ("Validation of arguments failed", "shipper_watchdog")),
    "choice": ({"shipper_tls": "maybe"}, ("value of shipper_tls must be one of: none, authority, client",)),
    "name": ({"shipper_settings_source": {"buckett": "x"}}, ("Validation of arguments failed", "buckett")),
    "nothing": ({"shipper_inputs": [], "shipper_output": {}}, ("Nothing says which logs", "Set shipper_inputs")),
}


def test_mistakes_are_told_and_replace_nothing(converged, work, s3):
    before, settings = converged.restarts(), converged.host.read("/etc/shipper/shipper.yml")
    cases = {name: {**converged.variables, **given} for name, (given, _) in MISTAKES.items()}
    source = {"shipper_inputs": [], "shipper_output": {}, "shipper_settings_source": s3.source, "ENV": "nowhere"}
    cases["nowhere"] = {**converged.variables, **source}
    mistakes = {
        **MISTAKES,
        "nowhere": ({}, ("s3://settings/shipper.conf-nowhere.yml could not be read", "credentials")),
    }
    inventory = write_cases(work / "mistakes" / "hosts.json", converged.host, cases)
    done = run_playbook("playbook-shipper.yml", inventory, variables={"HOST": "all"}, env=s3.env)
    for name, (_, told) in mistakes.items():
        for words in told:
            assert words in done.told(name), name
        assert (done.recap[name]["failed"], done.recap[name]["changed"]) == (1, 0)
    assert converged.host.read("/etc/shipper/shipper.yml") == settings
    assert converged.restarts() == before


def test_a_wrong_password_is_told_and_no_secret_is(converged):
    wrong = 'quite "wrong" $ecret`s\\'
    done = converged.converge("-vvv", "--diff", shipper_environment={"ES_PASSWORD": wrong})
    assert done.code != 0
    assert "its output does not take documents" in done.output
    assert "shipper_environment" in done.output
    for secret in (wrong, json.dumps(wrong)[1:-1], "quite", converged.server.password):
        assert secret not in done.output
    assert "BEGIN PRIVATE KEY" not in done.output
    before = converged.restarts()
    converged.log(3)
    mended = converged.converge("-vvv", "--diff").succeeded()
    assert converged.server.password not in mended.output
    assert converged.restarts() == before + 1
    assert converged.indexed(3)


def into_the_former_layout(agent: Agent) -> None:
    """As the role left a host before there were releases: the environment is shipper_home itself."""
    release = agent.release()
    agent.host.run(
        f"set -e; cd /opt/shipper; rm -r bin; cp -a {release}/. .; rm -r releases; mkdir packages; mv *.whl packages"
        f"; sed -i 's,{release}/bin,/opt/shipper/bin,' $(grep -lI {release}/bin bin/*); systemctl restart shipper"
    )


def changed(wheel: Path, folder: Path, name: str, old: str, new: str) -> Path:
    """Another build of the same version: only the content of one file differs."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(folder / wheel.name, "w", zipfile.ZIP_DEFLATED) as target:
        for each in source.namelist():
            text = source.read(each)
            assert each != name or old.encode() in text
            target.writestr(each, text.replace(old.encode(), new.encode()) if each == name else text)
    return folder / wheel.name


def test_another_wheel_restarts_it_once(converged, wheel, tmp_path):
    """Once it has accepted the settings; until then what was there runs on, here in the layout that the role made formerly."""
    host = converged.host
    into_the_former_layout(converged)
    version, before = host.run("/opt/shipper/bin/shipper --version"), converged.restarts()
    sums = "cd /opt/shipper && find bin lib -type f ! -name '*.pyc' -exec md5sum {} + | sort"
    files = host.run(sums)
    newer = other_version(wheel, "99.0.0", tmp_path / "newer")
    fewer = "shipper/settings/model.py", 'Literal["v8", "v1", "disabled"]', 'Literal["v8", "v1"]'
    package = str(changed(newer, tmp_path / "changed", *fewer))
    inputs = [{**each, "ecs_compatibility": "disabled"} for each in converged.variables["shipper_inputs"]]
    new = {"shipper_inputs": inputs, "shipper_environment": {"ES_PASSWORD": "of tomorrow"}}
    refused = converged.converge(shipper_package=package, **new)
    told = refused.told(host.name)
    for words in ("inputs[0].ecs_compatibility: ", f"{package} does not take", "what ran before still runs"):
        assert words in told
    assert "\n" not in told
    assert converged.restarts() == before
    assert host.run(sums) == files
    host.run("systemctl restart shipper")
    converged.log(7)
    assert converged.indexed(7)
    assert host.run("/opt/shipper/bin/shipper --version") == version

    mended = converged.converge(shipper_package=package).succeeded()
    assert "shipper : Install it and what it needs" not in mended.changed  # it lies there
    assert host.run("/opt/shipper/bin/shipper --version").split()[-1] == "99.0.0"
    assert converged.restarts() == before + 2
    release = converged.release()
    assert f"{release}/bin/python" in host.read(f"/proc/{host.property('shipper', 'MainPID')}/cmdline")
    assert host.run("cd /opt/shipper && ls -dA * bin/* releases/*").split() == [
        *("bin", "bin/shipper", "releases", str(Path(release).relative_to("/opt/shipper")))
    ]
    converged.variables["shipper_package"] = package
    # Another build of the same version is another release.
    checked = converged.converge("--check", shipper_package=str(newer)).succeeded()
    assert checked.changed == ["shipper : Say what would be done"]


def test_a_process_that_hangs_is_started_again(converged):
    """By systemd's watchdog; its minute is shortened here."""
    host = converged.host
    quick = "/run/systemd/system/shipper.service.d/quick.conf"
    host.run(f"mkdir -p $(dirname {quick})")
    host.write(quick, "[Service]\nWatchdogSec=8\nRestartSec=0\n")
    host.run("systemctl daemon-reload && systemctl restart shipper")
    pid = host.property("shipper", "MainPID")
    host.run(f"kill -STOP {pid}")
    host.wait(f"test $(systemctl show --value -p MainPID shipper) != {pid} && systemctl is-active shipper")
    assert "Watchdog timeout" in host.run("journalctl -u shipper --no-pager -n 50")
    converged.log(6)
    assert converged.indexed(6)
    host.run(f"rm {quick} && systemctl daemon-reload && systemctl restart shipper")


def test_settings_out_of_a_bucket_in_filebeats_shape(converged, s3):
    port = urlsplit(converged.server.url).port
    text = f"""
filebeat.inputs:
- type: log
  paths: [/var/log/orders/*.log]
  pipeline: spring-boot
output.elasticsearch:
  hosts: ["127.0.0.1:{port}"]
  protocol: https
  username: {converged.server.username}
  password: "${{ES_PASSWORD}}"
  index: {INDEX}
  ssl.certificate_authorities: [/etc/shipper/certs/ca.crt]
logging.level: info
"""
    s3.put("shipper.conf-staging.yml", text)
    changes = {
        **dict.fromkeys(("shipper_inputs", "shipper_output")),
        "ENV": "staging",
        "shipper_settings_source": s3.source,
    }
    before = converged.restarts()
    done = converged.converge("-vvv", env=s3.env, **changes).succeeded()
    assert s3.env["AWS_SECRET_ACCESS_KEY"] not in done.output
    assert converged.host.read("/etc/shipper/shipper.yml") == text
    assert converged.restarts() == before + 1
    converged.log(4)
    assert converged.indexed(4)["service"]["name"] == "orders"
    for name in ("shipper_inputs", "shipper_output"):
        del converged.variables[name]
    converged.variables.update({"shipper_settings_source": s3.source, "ENV": "staging"})
    converged.env = s3.env


def test_it_comes_back_after_a_reboot(converged):
    converged.host.reboot()  # the server cannot be reached yet: that does not hold up the boot
    assert converged.host.property("shipper", "ActiveState") == "active"
    assert converged.restarts() == 1
    with converged.host.reaches(urlsplit(converged.server.url).port):
        converged.log(5)
        converged.indexed(5)
        assert converged.converge().succeeded().changes == 0  # with the settings out of the bucket, too
        # Nothing was sent again under another id.
        assert len(converged._search({"query": {"match_phrase": {"message": "order 1 accepted"}}})) == 1


def uninstall(agent: Agent, **variables: object) -> Result:
    play = {
        "hosts": "all",
        "become": True,
        "tasks": [{"ansible.builtin.include_role": {"name": "shipper", "tasks_from": "uninstall"}}],
    }
    path = agent.inventory.with_name("uninstall.json")
    path.write_text(json.dumps([play]))
    roles = {"ANSIBLE_ROLES_PATH": str(PLAYBOOKS / "roles")}
    return run_playbook(path, agent.inventory, variables=variables, env=roles).succeeded()


def test_uninstalling_keeps_the_data_unless_told(converged):
    host = converged.host
    uninstall(converged)
    assert not host.succeeds("systemctl is-active shipper || systemctl cat shipper || ls /opt/shipper")
    assert host.succeeds("ls /var/lib/shipper/state.db /etc/shipper/shipper.yml && id shipper")
    assert uninstall(converged).changes == 0
    uninstall(converged, shipper_remove_data=True)
    assert not host.succeeds("ls /var/lib/shipper || ls /etc/shipper || id shipper")


@pytest.fixture(scope="module")
def offline(boot, work, wheel):
    """A host that finds no package index by itself (no name server answers), with little room in /opt."""
    host = boot("offline", options=("--tmpfs", "/opt:exec,size=40m,mode=755", "--dns", "127.0.0.1"))
    folder = work / "offline"
    folder.mkdir()
    variables = {
        "HOST": host.name,
        "shipper_package": str(wheel),
        "shipper_inputs": [{"paths": ["/var/log/*.log"]}],
    }
    return Agent(host, write_inventory(folder / "hosts.json", [host]), variables, None)


def test_a_disk_that_is_full_and_packages_that_cannot_be(offline, wheelhouse, work):
    host = offline.host
    cases = {
        host.name: {},
        "absent": {"shipper_package": "dist/none.whl"},
        "other": {"shipper_package_checksum": f"sha256:{'0' * 64}"},
        "unchecked": {"shipper_package": "https://127.0.0.1:9/a.whl"},
    }
    given = {name: {**offline.variables, "shipper_user": f"user-{name}", **case} for name, case in cases.items()}
    inventory = write_cases(work / "packages" / "hosts.json", host, given)
    full = run_playbook("playbook-shipper.yml", inventory, variables={"HOST": "all"})
    told = f"/opt on {host.name} has 40 MB free, the installation wants 300 MB. Make room there, or set shipper_home"
    assert told in full.told(host.name)
    assert "dist/none.whl is not on the controller" in full.told("absent")
    assert "is not the file that shipper_package_checksum says" in full.told("other")
    assert "shipper_package is a URL. Set shipper_package_checksum to sha256:" in full.told("unchecked")
    users = host.read("/etc/passwd")
    assert [name for name in cases if f"user-{name}" in users] == [host.name]

    late = offline.converge(shipper_mirror=str(wheelhouse), shipper_space_mb=1)
    assert late.code != 0
    assert "No space left on device" in late.told(offline.host.name)
    assert "If the disk is full, make room below /opt/shipper" in late.told(offline.host.name)


def test_a_host_that_answers_and_cannot_be_worked_on(offline):
    """Its SSH is well: what is in the way is this machine's path for sockets, or a full disk where Ansible's files go."""
    folder = "/home/deploy/.ansible"
    offline.host.run(
        f"install -d -o deploy {folder} && mount -t tmpfs -o size=4k,uid=1000 tmpfs {folder} && touch {folder}/full"
    )
    offline.host.run(f"head -c 4096 /dev/zero > {folder}/full", check=False)
    long = f"{sockets()}/{'x' * 70}"  # too long with what SSH adds to it for a moment; with 20 more, by itself
    cases = (
        ({"ANSIBLE_SSH_CONTROL_PATH_DIR": long}, "set ANSIBLE_SSH_CONTROL_PATH_DIR to a short folder"),
        ({"ANSIBLE_SSH_CONTROL_PATH_DIR": f"{long}{'x' * 20}"}, "set ANSIBLE_SSH_CONTROL_PATH_DIR to a short folder"),
        ({"ANSIBLE_PIPELINING": "0"}, "make room there, or set ANSIBLE_REMOTE_TEMP to a folder on another file system"),
    )
    try:
        for env, told in cases:
            done = offline.converge(env=env, reach_seconds=1)
            assert done.code != 0, told
            assert told in done.told(offline.host.name)
            assert "when that is mended" in done.told(offline.host.name)
    finally:
        offline.host.run(f"umount {folder}")


def test_a_host_without_internet(offline, wheel, wheelhouse):
    host = offline.host
    offline.variables["shipper_home"] = "/srv/shipper"
    host.write("/etc/pip.conf", "[global]\nretries = 0\n")  # pip's own five take a minute
    unreached = offline.converge()
    assert unreached.code != 0
    assert f"pip could not install {wheel} on {host.name}" in unreached.output
    assert "set shipper_mirror" in unreached.output
    assert host.run("ls -A /srv/shipper/releases") == ""

    offline.converge(shipper_mirror=str(wheelhouse)).succeeded()
    assert host.run("systemctl is-active shipper").strip() == "active"
    assert not host.succeeds("ls -d /srv/shipper/releases/*/wheels")


def damaged(wheel: Path, folder: Path) -> Path:
    """One that says what it is and what it needs, and cannot be unpacked to its end."""
    made = folder / wheel.name
    made.parent.mkdir()
    data = bytearray(wheel.read_bytes())
    with zipfile.ZipFile(wheel) as packed:
        last = next(each for each in reversed(packed.infolist()) if each.filename.startswith("shipper/"))
    at = last.header_offset + 30 + len(last.filename)
    data[at : at + last.compress_size] = bytes(last.compress_size)
    made.write_bytes(data)
    return made


def test_a_package_of_an_index_and_one_of_a_url(offline, wheel, wheelhouse, tmp_path):
    newer = other_version(wheel, "99.0.0", tmp_path / "newer")
    site = tmp_path / "site"
    publish(site, [*(each for each in wheelhouse.iterdir() if each.name != wheel.name), newer])
    with serving(site) as port, offline.host.reaches(port):
        address = f"http://127.0.0.1:{port}"
        before = offline.restarts()
        by_index = {"shipper_package": "elk-shipper==99.0.0", "shipper_mirror": f"{address}/simple/"}
        offline.converge(**by_index).succeeded()
        assert offline.host.run("/srv/shipper/bin/shipper --version").split()[-1] == "99.0.0"
        assert offline.restarts() == before + 1
        assert offline.converge(**by_index).succeeded().changes == 0

        digest = hashlib.sha256(newer.read_bytes()).hexdigest()
        url = f"{address}/packages/{newer.name}"
        case = {**offline.variables, **by_index, "shipper_package": url}
        cases = {
            "other": {**case, "shipper_package_checksum": f"sha256:{'0' * 64}"},
            "damaged": {**case, "shipper_package": str(damaged(newer, tmp_path / "damaged"))},
        }
        listing = "find /srv/shipper ! -name '*.pyc' ! -name __pycache__ | sort"
        files = offline.host.run(listing)
        inventory = write_cases(tmp_path / "cases" / "hosts.json", offline.host, cases)
        done = run_playbook("playbook-shipper.yml", inventory, variables={"HOST": "all"})
        for name, words in (("other", "did not match"), ("damaged", "pip could not install")):
            assert words in done.told(name)
            assert "\n" not in done.told(name)
        assert offline.host.run(listing) == files
        assert offline.restarts() == before + 1
        checked = {**by_index, "shipper_package": url, "shipper_package_checksum": f"sha256:{digest}"}
        offline.converge(**checked).succeeded()
        assert offline.restarts() == before + 2
        assert offline.converge("--check", **checked).succeeded().changes == 0
