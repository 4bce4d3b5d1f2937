"""What docs/deploy.md promises of the playbooks, as far as it can be seen on the controller alone, without a host."""

from __future__ import annotations

import json
import os
import pwd
import re
import sys
from typing import TYPE_CHECKING

import pytest
import trustme
import yaml
from deploy.playbook import PLAYBOOKS, environment, run_command
from elasticsearch_node.node import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.undeployed, pytest.mark.slow]
LOCAL = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}


@pytest.fixture
def play(tmp_path, ansible_collections) -> Callable[..., tuple[int, str]]:
    """``play(tasks, hosts={...}, arguments=(), **env)``: tasks of the roles, run in ``tmp_path``; the code and what is said."""

    def run(tasks: list[dict], hosts: dict | None = None, arguments: tuple[str, ...] = (), **env: str):
        book, inventory = tmp_path / "play.json", tmp_path / "hosts.json"
        book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        inventory.write_text(json.dumps({"all": {"hosts": hosts or {"here": LOCAL}}}))
        return ansible("ansible-playbook", str(book), "--inventory", str(inventory), *arguments, **env)

    def ansible(*command: str, **env: str) -> tuple[int, str]:
        given = {**environment(tmp_path), "ANSIBLE_ROLES_PATH": str(PLAYBOOKS / "roles"), **env}
        done = run_command(list(command), given, timeout=120, cwd=tmp_path)
        return done.code, done.output

    run.ansible = ansible
    return run


def role(name: str, tasks: str = "main", **variables: object) -> dict:
    return {"ansible.builtin.include_role": {"name": name, "tasks_from": tasks}, "vars": variables}


def told(output: str) -> list[str]:
    """All failures that a run shows, each with its host."""
    return re.findall(r"^(?:fatal|failed): \[(.*)$", output, re.MULTILINE)


def test_a_relative_path_begins_where_ansible_runs(play, tmp_path):
    """As it does for every other command; Ansible's modules would begin beside the playbook."""
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/agent-1.whl").write_text("a wheel")
    issued = trustme.CA().issue_cert("web")
    own = {"authority": "dist/ca.crt", "certificate": "dist/web.crt", "private_key": "dist/web.key"}
    for name, pem in zip(own.values(), (issued.cert_chain_pems[0],) * 2 + (issued.private_key_pem,), strict=True):
        (tmp_path / name).write_bytes(pem.bytes())
    other = tmp_path / "elsewhere"  # where the playbook is
    other.mkdir()
    found = {
        "ansible.builtin.assert": {"that": ["shipper_package_path == wanted", "shipper_mirror_path == wanted_mirror"]}
    }
    found["vars"] = {
        "shipper_package": "dist/agent-1.whl",
        "shipper_mirror": "dist",
        "wanted": str(tmp_path / "dist/agent-1.whl"),
        "wanted_mirror": str(tmp_path / "dist"),
    }
    user = pwd.getpwuid(os.getuid()).pw_name
    put = role(
        "certificates",
        certificates_own=own,
        certificates_directory=str(tmp_path / "certs"),
        certificates_owner=user,
        certificates_group=str(os.getgid()),
    )
    book = other / "play.json"
    tasks = [{"ansible.builtin.include_vars": str(PLAYBOOKS / "roles/shipper/vars/main.yml")}, found, put]
    book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    code, output = play.ansible("ansible-playbook", str(book))
    assert code == 0, output[-3000:]
    assert (tmp_path / "certs/node.key").read_bytes().strip() == issued.private_key_pem.bytes().strip()


def test_a_certificate_made_elsewhere_that_is_not_there_is_named(play, tmp_path):
    own = {"authority": "no/ca.crt", "certificate": "no/web.crt", "private_key": "no/web.key"}
    code, output = play([role("certificates", certificates_own=own, certificates_directory=str(tmp_path / "certs"))])
    assert code != 0
    assert f"{tmp_path}/no/web.key is not on the controller" in told(output)[0]


def test_an_agent_gets_the_authority_of_the_servers_or_none(play, tmp_path):
    """A new one would be trusted by nobody, and found out much later."""
    variables = {"certificates_only_authority": True, "certificates_directory": str(tmp_path / "certs")}
    code, output = play([role("certificates", stack_certificates_folder="pki", **variables)])
    assert code != 0
    (only,) = told(output)
    assert f"There is no ca.crt in {tmp_path}/pki" in only
    assert "stack_certificates_folder" in only
    assert not (tmp_path / "pki").exists()


def test_a_missing_collection_or_library_is_named_with_the_command_for_it(play, tmp_path):
    none = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "none")}
    for book in ("site.yml", "cluster.yml", "upgrade.yml"):
        code, output = play.ansible(
            "ansible-playbook", str(PLAYBOOKS / book), "--inventory", "localhost,", "--syntax-check", **none
        )
        assert code == 0, output
    code, output = play([role("certificates", certificates_directory=str(tmp_path / "certs"))], **none)
    assert code != 0
    (only,) = told(output)
    assert "collection community.crypto is not installed" in only
    assert "ansible-galaxy collection install -r playbooks/requirements.yml" in only
    variables = {"repository_collection": "community.crypto", "repository_library": "no_such_library"}
    code, output = play([role("repository", "collection", **variables)])
    assert code != 0
    assert "-m pip install no_such_library" in told(output)[0]


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_a_host_that_is_down_is_told_once_and_the_others_go_on(play, arguments):
    down = {"ansible_host": "127.0.0.1", "ansible_port": free_port(), "ansible_user": "deploy", "reach_seconds": 2}
    after = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} goes on"}}
    reach = {"ansible.builtin.import_tasks": str(PLAYBOOKS / "tasks/reach.yml")}
    _, output = play([reach, after], {"down": down, "up": LOCAL}, arguments)
    (only,) = (each for each in told(output) if each.startswith("down]"))
    assert "cannot be reached at 127.0.0.1" in only
    assert "run this again when it is up" in only
    assert "UNREACHABLE" not in output
    if not any(each.startswith("up]") for each in told(output)):  # this machine may have no systemd
        assert "up goes on" in output
    site = yaml.safe_load((PLAYBOOKS / "site.yml").read_text())
    assert not any(each.get("any_errors_fatal") for each in site)


def test_a_host_without_a_python_for_ansible_is_told_so(play):
    here = {**LOCAL, "ansible_python_interpreter": "/no/python3.7", "reach_seconds": 2}
    _, output = play([{"ansible.builtin.import_tasks": str(PLAYBOOKS / "tasks/reach.yml")}], {"old": here})
    (only,) = told(output)
    assert "no Python that this Ansible can use" in only


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "s3://settings/filebeat.conf-stage.yml could not be read: Key filebeat.conf-stage.yml does not exist"),
        ({"bucket": "none"}, "Bucket 'none' not found"),
        ({"endpoint": "http://127.0.0.1:9"}, "Failed while looking up bucket 'settings'"),
    ],
    ids=["object", "bucket", "endpoint"],
)
def test_settings_that_cannot_be_read_are_told_with_the_reason(play, s3, changes, words):
    given = {
        "bucket": s3.bucket,
        "object": "filebeat.conf-stage.yml",
        "region": "eu-central-1",
        "endpoint": s3.endpoint,
    }
    variables = {f"s3_settings_{name}": value for name, value in {**given, **changes}.items()}
    code, output = play([role("s3_settings", **variables)], **s3.env)
    assert code != 0
    assert words in told(output)[-1]
    assert s3.env["AWS_SECRET_ACCESS_KEY"] not in output
