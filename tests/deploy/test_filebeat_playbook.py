"""``playbook-filebeat.yml`` as people call it, on a real host; S3 is moto's server, and Filebeat's package a stand-in (``filebeat_package``)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from deploy.apt_repository import publish
from deploy.filebeat_package import build
from deploy.playbook import (
    PLAYBOOKS,
    Result,
    environment,
    run_command,
    run_playbook,
    write_cases,
    write_inventory,
)
from deploy.site import serving
from elasticsearch_node.node import CannotRunError, free_port

if TYPE_CHECKING:
    from deploy.hosts import Host
    from deploy.s3 import S3

pytestmark = pytest.mark.slow

OLD, NEW = "9.4.3", "9.4.4"
WORD = "the-password-that-is-in-the-file"
SETTINGS = f"""\
filebeat.inputs:
- type: filestream
  id: orders
  paths: [/var/log/orders/*.log]
output.elasticsearch:
  hosts: ["https://es.example:9200"]
  username: writer
  password: "{WORD}"
"""


@dataclass
class Beat:
    """A host and where its Filebeat comes from."""

    host: Host
    inventory: Path
    packages: Path
    s3: S3

    @property
    def variables(self) -> dict[str, object]:
        """What it is run with."""
        return {
            "HOST": self.host.name,
            "ENV": "prod",
            "stack_version": OLD,
            "elastic_mirror": str(self.packages),
            "filebeat_settings_source": self.s3.source,
        }

    def run(self, *arguments: str, env: dict[str, str] | None = None, **changes: object) -> Result:
        given = {name: value for name, value in {**self.variables, **changes}.items() if value is not None}
        environment = {**self.s3.env, **(env or {})}
        return run_playbook("playbook-filebeat.yml", self.inventory, *arguments, variables=given, env=environment)

    def started(self) -> list[str]:
        """One line for each start, written by the stand-in."""
        return self.host.run("cat /var/log/filebeat/started 2>/dev/null || true").splitlines()


@pytest.fixture(scope="module")
def beat(boot, work, s3, tmp_path_factory):
    packages = tmp_path_factory.mktemp("packages")
    try:
        for version in (OLD, NEW):
            build(packages, version)
    except CannotRunError as error:
        pytest.skip(str(error))
    s3.put("filebeat.conf-prod.yml", SETTINGS)
    host = boot("beat")
    folder = work / "beat"
    folder.mkdir()
    return Beat(host, write_inventory(folder / "hosts.json", [host]), packages, s3)


def as_typed(beat: Beat, *arguments: str) -> Result:
    """The command that people know, in the repository's root: with no inventory, and a host's address for its name.

    What the test adds is a user, and a mirror in the place of Elastic's, which cannot be reached here.
    """
    command = ["ansible-playbook", "playbooks/playbook-filebeat.yml", "--private-key", str(beat.host.key)]
    command += ["-e", f"HOST={beat.host.address}", "-e", "ENV=prod"]
    command += ["-u", "deploy", "-e", f"elastic_mirror={beat.packages}", "-e", f"stack_version={OLD}"]
    source = beat.s3.source
    bucket = {
        "FILEBEAT_BUCKET": source["bucket"],
        "AWS_REGION": source["region"],
        "AWS_ENDPOINT_URL": source["endpoint"],
    }
    env = {**environment(beat.inventory.parent), **beat.s3.env, **bucket}
    del env["ANSIBLE_CONFIG"]
    return run_command([*command, *arguments], env)


@pytest.fixture(scope="module")
def running(beat):
    """Filebeat runs with the settings of the bucket."""
    beat.run("--check").succeeded()
    assert not beat.host.succeeds("test -e /etc/filebeat")
    first = as_typed(beat, "-vvv").succeeded()
    for secret in (WORD, beat.s3.env["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in first.output
    assert len(beat.started()) == 1
    return beat


def test_settings_are_those_of_the_bucket(running):
    host = running.host
    assert host.read("/etc/filebeat/filebeat.yml") == SETTINGS
    assert host.stat("/etc/filebeat/filebeat.yml") == "600 root root"
    assert host.stat("/etc/filebeat/environment") == "600 root root"
    assert host.run("systemctl is-active filebeat").strip() == "active"
    assert host.run("systemctl is-enabled filebeat").strip() == "enabled"
    assert host.run("dpkg-query -W -f '${Version}' filebeat") == OLD


def test_again_changes_nothing(running):
    before = running.started()
    again = running.run().succeeded()
    assert (again.changes, again.changed) == (0, [])
    assert running.run("--check").succeeded().changes == 0
    assert running.started() == before


def test_other_settings_restart_it_once(running):
    before = running.started()
    running.s3.put("filebeat.conf-staging.yml", SETTINGS.replace("orders", "payments"))
    done = running.run("--tags", "configuration", ENV="staging").succeeded()
    assert "payments" in running.host.read("/etc/filebeat/filebeat.yml")
    assert [each for each in done.changed if "Restart" in each] == ["filebeat : Restart filebeat"]
    assert len(running.started()) == len(before) + 1


def test_settings_that_filebeat_refuses_replace_nothing(running):
    before, settings = running.started(), running.host.read("/etc/filebeat/filebeat.yml")
    running.s3.put("filebeat.conf-broken.yml", SETTINGS.replace("output.elasticsearch:", "outputs:"))
    done = running.run(ENV="broken")
    assert done.code != 0
    assert "Exiting: no outputs are defined" in done.output
    assert running.host.read("/etc/filebeat/filebeat.yml") == settings
    assert running.started() == before


def test_a_new_version_out_of_a_signed_repository(running, tmp_path):
    host, before = running.host, running.started()
    fingerprint = publish(tmp_path, [each for each in running.packages.glob("*.deb") if NEW in each.name])
    with serving(tmp_path) as port, host.reaches(port):
        mirror = {"elastic_mirror": f"http://127.0.0.1:{port}", "repository_key_fingerprint": fingerprint}
        for name, changes, told in (
            ("key", {"stack_version": NEW, "repository_key_fingerprint": "0" * 40}, f"is {fingerprint}, not 0000"),
            ("version", {"stack_version": "9.9.9"}, "filebeat 9.9.9 could not be downloaded"),
        ):
            refused = running.run(**{**mirror, **changes})
            assert refused.code != 0, name
            assert told in refused.output
        assert running.started() == before
        done = running.run(stack_version=NEW, **mirror).succeeded()
    assert host.run("dpkg-query -W -f '${Version}' filebeat") == NEW
    order = [each for each in done.changed if any(word in each for word in ("Stop", "Install", "Restart"))]
    assert "Stop the service" in order[0]
    assert order[-1] == "filebeat : Restart filebeat"
    assert len(running.started()) == len(before) + 1


def test_settings_from_variables_and_a_wrong_password(running):
    changes = {
        "stack_version": NEW,
        "filebeat_settings_source": None,
        "filebeat_inputs": [{"type": "filestream", "id": "x", "paths": ["/var/log/x.log"]}],
        "filebeat_output": {
            "elasticsearch": {"hosts": ["https://127.0.0.1:1"], "username": "x", "password": "${WORD}"}
        },
        "filebeat_environment": {"WORD": WORD},
        "filebeat_test_output": True,
    }
    done = running.run("-vvv", "--diff", **changes)
    assert done.code != 0
    assert "its output does not take events" in done.output
    assert "Mend the output's hosts or the secret in filebeat_environment" in done.output
    assert WORD not in done.output
    assert WORD not in running.host.read("/etc/filebeat/filebeat.yml")


MISSING: dict[str, tuple[dict[str, object], str]] = {
    "object": ({"ENV": "nowhere"}, "s3://settings/filebeat.conf-nowhere.yml could not be read"),
    "bucket": ({"bucket": "nobodys"}, "s3://nobodys/filebeat.conf-prod.yml could not be read"),
    "source": ({"filebeat_settings_source": {}}, "Name the S3 bucket that has filebeat.conf-prod.yml"),
    "version": ({"stack_version": "9.9.9"}, "is not on the controller. Put the package and its .sha512 file there"),
    "older": ({"stack_version": OLD}, f"Set stack_version to {NEW} or later"),
    "type": ({"filebeat_inputs": "x"}, "Validation of arguments failed"),
    "secret": (
        {
            "filebeat_settings_source": {},
            "filebeat_inputs": [{"type": "filestream", "id": "x", "paths": ["/var/log/x.log"]}],
            "filebeat_output": {"elasticsearch": {"hosts": ["https://127.0.0.1:1"], "password": WORD}},
        },
        "filebeat_output holds a secret as plain text (password)",
    ),
}


def test_what_is_missing_is_told_and_it_runs_on(running, work):
    before = running.started()
    cases = {}
    for name, (changes, _) in MISSING.items():
        cases[name] = {**running.variables, "stack_version": NEW, **changes}
        if bucket := cases[name].pop("bucket", None):
            cases[name]["filebeat_settings_source"] = {**running.s3.source, "bucket": bucket}
    inventory = write_cases(work / "missing" / "hosts.json", running.host, cases)
    done = run_playbook("playbook-filebeat.yml", inventory, variables={"HOST": "all"}, env=running.s3.env)
    for name, (_, told) in MISSING.items():
        assert told in done.told(name), name
        assert done.recap[name]["changed"] == 0, name
    assert running.started() == before
    assert running.host.run("systemctl is-active filebeat").strip() == "active"


def test_a_collection_that_is_missing_is_told(running):
    done = running.run("--tags", "configuration", stack_version=NEW, env={"ANSIBLE_COLLECTIONS_PATH": "/nonexistent"})
    assert done.code != 0
    assert "The Ansible collection amazon.aws is not installed on the controller" in done.told(running.host.name)
    assert "ansible-galaxy collection install -r playbooks/requirements.yml" in done.told(running.host.name)


def test_it_comes_back_after_a_reboot(running):
    running.host.reboot()
    running.host.wait("systemctl is-active filebeat")


def test_uninstalling_keeps_the_data_unless_told(running):
    def uninstall(**variables: object) -> Result:
        tasks = [{"ansible.builtin.include_role": {"name": "filebeat", "tasks_from": "uninstall"}}]
        path = running.inventory.with_name("uninstall.json")
        path.write_text(json.dumps([{"hosts": "all", "become": True, "tasks": tasks}]))
        roles = {"ANSIBLE_ROLES_PATH": str(PLAYBOOKS / "roles")}
        return run_playbook(path, running.inventory, variables=variables, env=roles).succeeded()

    host = running.host
    uninstall()
    assert not host.succeeds("systemctl is-active filebeat || systemctl cat filebeat || test -e /usr/bin/filebeat")
    assert host.succeeds("test -e /etc/filebeat/filebeat.yml")
    assert uninstall().changes == 0
    uninstall(filebeat_remove_data=True)
    assert not host.succeeds("test -e /etc/filebeat || test -e /var/lib/filebeat")


@pytest.mark.parametrize("playbook", ["playbook-filebeat.yml", "playbook-shipper.yml"])
def test_without_a_host_it_says_so(work, ansible_collections, playbook):
    (work / "none").mkdir(exist_ok=True)
    inventory = write_inventory(work / "none" / "hosts.json", [])
    done = run_playbook(playbook, inventory, env={"HOST": ""})
    assert done.code != 0
    assert 'No HOST was given. Name the host (or a group of your inventory): -e "HOST=my.service.host"' in done.output


@pytest.mark.parametrize("playbook", ["playbook-filebeat.yml", "playbook-shipper.yml"])
def test_a_host_that_is_down_is_told_with_what_to_do(work, ansible_collections, playbook):
    (work / "down").mkdir(exist_ok=True)
    inventory = write_inventory(work / "down" / "hosts.json", [])
    variables = {"ansible_port": free_port(), "reach_seconds": 3, "filebeat_inputs": [{}], "shipper_inputs": [{}]}
    # The host is in no inventory (127.0.0.1 would be this machine, without SSH), and its name comes from the environment.
    done = run_playbook(playbook, inventory, variables=variables, env={"HOST": "127.0.0.2"})
    assert done.code != 0
    assert "127.0.0.2 cannot be reached at 127.0.0.2, port" in done.output
    assert "Check that it runs, that its name resolves, that SSH is open to this machine" in done.output
