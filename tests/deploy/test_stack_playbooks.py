"""The playbooks of the stack as texts: no engine is needed."""

from __future__ import annotations

import subprocess

import pytest
import yaml
from deploy.playbook import PLAYBOOKS, ROOT, environment

ROLES = ("repository", "java", "certificates", "elasticsearch", "logstash", "kibana")


@pytest.mark.slow
@pytest.mark.parametrize("playbook", ["site.yml", "cluster.yml", "upgrade.yml", "uninstall.yml"])
def test_that_ansible_reads_the_playbook(playbook, tmp_path, ansible_collections):
    inventory = PLAYBOOKS / "inventory" / ("single.example.yml" if playbook == "site.yml" else "cluster.example.yml")
    done = subprocess.run(
        ["ansible-playbook", "--syntax-check", "-i", str(inventory), str(PLAYBOOKS / playbook)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(tmp_path),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("role", ROLES)
def test_that_each_default_has_a_specified_type(role):
    folder = PLAYBOOKS / "roles" / role
    specified = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]
    described = {name: each for entry in specified.values() for name, each in entry["options"].items()}
    defaults = yaml.safe_load((folder / "defaults/main.yml").read_text())
    assert set(defaults) <= set(described)
    assert all(each["type"] and each["description"] for each in described.values())
    assert all(name.startswith(f"{role}_") for name in described)


@pytest.mark.parametrize("role", ["elasticsearch", "logstash", "kibana"])
def test_that_secrets_are_marked_and_have_no_value(role):
    folder = PLAYBOOKS / "roles" / role
    options = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((folder / "defaults/main.yml").read_text())
    secrets = {name for name in options if name.endswith(("_password", "_secrets", "_keys"))}
    assert secrets
    for name in secrets:
        assert options[name].get("no_log") is True, name
        assert not defaults[name] or "lookup('ansible.builtin.env'" in defaults[name], name
