"""What the roles decide before they touch anything: which node is first, which version is refused, what is missing here.

No host is needed: facts are made up, and the roles' own variables looked at.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from deploy.playbook import PLAYBOOKS, run_playbook

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.undeployed, pytest.mark.slow]
NODES = {  # what is known of it: its turn
    "down": ({"elasticsearch_active": False, "elasticsearch_node_roles": ["master"]}, "0"),
    "left": ({"elasticsearch_away": True}, "0"),
    "frozen": ({"elasticsearch_node_roles": ["data_frozen"]}, "1"),
    "cold": ({"elasticsearch_node_roles": ["data_cold"]}, "2"),
    "warm": ({"elasticsearch_settings": {"node.roles": ["data_warm"]}}, "3"),
    "hot": ({"elasticsearch_node_roles": ["data_hot", "data_content", "ingest"]}, "4"),
    "ingest": ({"elasticsearch_node_roles": ["ingest"]}, "5"),
    "usual": ({}, "6"),
    "eligible": ({"elasticsearch_node_roles": ["master", "data_hot"]}, "6"),
    "master": ({"elasticsearch_master": {"json": [{"node": "master"}]}}, "7"),
}
STEPS = {  # installed, wanted: where to go first
    ("", "9.4.3"): "",
    ("9.4.3", "9.9.0"): "",
    ("9.4.3", "10.0.0"): "",
    ("9.4.3", "11.0.0"): "a version of 10",
    ("8.19.2", "9.4.3"): "",
    ("8.18.9", "9.4.3"): "the last 8.19",
    ("8.19.2", "10.0.0"): "a version of 9",
    ("7.10.2", "8.19.0"): "the last 7.17",
}


def expect(folder: Path, role: str, found: str, hosts: dict[str, dict], **variables) -> None:
    """That ``found``, of the role's variables, is for each host what it expects."""
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(PLAYBOOKS / f"roles/{role}/vars/main.yml")],
        "tasks": [
            {
                "ansible.builtin.assert": {
                    "that": f"{found} | trim == expected",
                    "fail_msg": f"{{{{ {found} | string }}}}",
                }
            }
        ],
    }
    path, inventory = folder / "play.json", folder / "hosts.json"
    path.write_text(json.dumps([play]))
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": {"ansible_connection": "local", **variables}}}))
    run_playbook(path, inventory).succeeded()


def test_those_that_are_down_are_first_and_the_master_is_last(tmp_path, ansible_collections):
    hosts = {name: {**known, "expected": turn} for name, (known, turn) in NODES.items()}
    expect(
        *(tmp_path, "elasticsearch", "elasticsearch_turn_now", hosts),
        elasticsearch_active=True,
        elasticsearch_away=False,
        elasticsearch_master={"status": 200},
        elasticsearch_node_name="{{ inventory_hostname }}",
        elasticsearch_node_roles=[],
        elasticsearch_settings={},
    )


def test_a_major_version_is_not_left_out(tmp_path, ansible_collections):
    hosts = {
        f"from-{installed}-to-{wanted}": {
            "repository_installed": installed,
            "repository_version": wanted,
            "expected": step,
        }
        for (installed, wanted), step in STEPS.items()
    }
    expect(tmp_path, "repository", "repository_step", hosts)


def test_certificates_without_their_collection_say_how_to_get_it(tmp_path, ansible_collections):
    role = {"ansible.builtin.include_role": {"name": str(PLAYBOOKS / "roles/certificates")}}
    play = [{"hosts": "all", "gather_facts": False, "tasks": [role]}]
    path, inventory = tmp_path / "play.json", tmp_path / "hosts.json"
    path.write_text(json.dumps(play))
    variables = {"ansible_connection": "local", "certificates_directory": str(tmp_path / "certs")}
    inventory.write_text(json.dumps({"all": {"hosts": {"here": variables}}}))
    roles = str(PLAYBOOKS / "roles")
    result = run_playbook(
        path, inventory, env={"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "none"), "ANSIBLE_ROLES_PATH": roles}
    )
    assert "The Ansible collection community.crypto is not installed on the controller" in result.told("here")
    assert "ansible-galaxy collection install -r playbooks/requirements.yml" in result.told("here")
    assert not (tmp_path / "certs").exists()
