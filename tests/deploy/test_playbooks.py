"""What can be said of the playbooks without a host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from deploy.playbook import PLAYBOOKS, ROOT, environment, run_command, run_playbook, write_inventory

MOLECULE = "DEPLOY_MOLECULE"


@pytest.mark.undeployed
@pytest.mark.slow
def test_ansible_lint_finds_nothing_in_the_profile_production(tmp_path, ansible_collections):
    lint = shutil.which("ansible-lint", path=environment(tmp_path)["PATH"])
    assert lint, "ansible-lint is in the dev requirements"
    command = [lint, "--offline", "--nocolor", "--config-file", str(ROOT / ".ansible-lint"), str(PLAYBOOKS)]
    done = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=environment(tmp_path),
    )
    assert done.returncode == 0, done.stdout
    assert "Profile 'production' was required, and it passed" in done.stdout


FAMILIES = [
    # os_family, distribution, version, the system's Python will do, what is installed
    ("RedHat", "RedHat", "9.4", False, ["python3.11"]),
    ("RedHat", "Rocky", "10.0", False, ["python3"]),
    ("Debian", "Debian", "12", False, ["python3-venv"]),
    ("Debian", "Ubuntu", "22.04", False, ["python3.11-venv"]),
    ("RedHat", "RedHat", "10.0", True, []),
    ("Debian", "Debian", "12", True, []),
]


@pytest.mark.undeployed
@pytest.mark.slow
def test_which_python_a_distribution_gets(work, ansible_collections):
    """No Red Hat host can be had on the test machine: its facts are made up here, and its variables looked at."""
    folder = work / "families"
    folder.mkdir()
    hosts = {}
    for family, distribution, version, enough, packages in FAMILIES:
        hosts[f"{distribution}-{version}-{'enough' if enough else 'old'}"] = {
            "ansible_connection": "local",
            "family": family,
            "distribution": distribution,
            "version": version,
            "expected": {"packages": packages, "interpreter": "/usr/bin/python3" if enough else ""},
            "shipper_python_found": {"rc": 0 if enough else 1, "stdout_lines": ["/usr/bin/python3"] if enough else []},
            "shipper_packaging": {"rc": 0},
        }
    facts = {
        "os_family": "{{ family }}",
        "distribution": "{{ distribution }}",
        "distribution_version": "{{ version }}",
        "distribution_major_version": "{{ version.split('.')[0] }}",
        "cacheable": True,
    }
    found = "{'packages': shipper_python_packages | list, 'interpreter': shipper_interpreter}"
    play = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.set_fact": facts},
            {"ansible.builtin.include_vars": str(PLAYBOOKS / "roles/shipper/defaults/main.yml")},
            {"ansible.builtin.include_vars": str(PLAYBOOKS / "roles/shipper/vars/main.yml")},
            {"ansible.builtin.assert": {"that": f"{found} == expected", "fail_msg": f"{{{{ {found} | string }}}}"}},
        ],
    }
    path, inventory = folder / "families.json", folder / "hosts.json"
    path.write_text(json.dumps([play]))
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    run_playbook(path, inventory).succeeded()


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get(MOLECULE) != "1",
    reason=f"Molecule's scenario takes two minutes and repeats what test_shipper_role does: {MOLECULE}=1 runs it",
)
def test_molecules_scenario(boot, work, wheel):
    host = boot("agent")
    folder = work / "molecule"
    folder.mkdir()
    env = {
        **environment(folder),
        "MOLECULE_HOST": host.name,
        "MOLECULE_HOSTS": str(write_inventory(folder / "hosts.json", [host])),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(folder / "scratch"),
        "SHIPPER_PACKAGE": str(wheel),
        "HOME": str(folder),
        "NO_COLOR": "1",
    }
    molecule = shutil.which("molecule", path=env["PATH"])
    assert molecule, "molecule is in the dev requirements"
    host.run("echo 'a line' > /var/log/molecule.log && chgrp adm /var/log/molecule.log")
    done = run_command([molecule, "test"], env, cwd=PLAYBOOKS)
    assert done.code == 0, done.output[-6000:]
    assert host.run("systemctl is-active shipper").strip() == "active"
