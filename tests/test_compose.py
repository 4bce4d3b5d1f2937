"""What docker-compose.yml promises, as far as the file itself shows it. tests/deploy brings it up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
ONE_SHOTS = {"certificates", "setup"}
EXAMPLE = dict(
    line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")
)


def volumes(service: str) -> dict[str, str]:
    return {each.split(":")[0]: each.split(":", 1)[1] for each in SERVICES[service].get("volumes", [])}


def test_the_one_shots_wait_for_their_profile():
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["setup"]} == ONE_SHOTS


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_on_loopback_and_memory_is_limited(name):
    service = SERVICES[name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["mem_limit"]
    assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOTS))
def test_services_have_health_checks_and_wait_for_healthy_ones(name):
    assert SERVICES[name]["healthcheck"]["test"]
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] == ("service_completed_successfully" if needed in ONE_SHOTS else "service_healthy")


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"certificates"}))
def test_a_service_sees_its_own_key_only(name):
    assert {each for each in volumes(name) if each.startswith(("own-", "authority"))} <= {f"own-{name}"}
    assert all(how.endswith(":ro") for each, how in volumes(name).items() if each.startswith("own-"))


@pytest.mark.parametrize("name", ["shipper", "sample", "setup"])
def test_our_own_image_runs_read_only_and_as_nobody_special(name):
    assert SERVICES[name]["read_only"] is True
    assert "USER 10001" in (ROOT / "Dockerfile").read_text()
    assert "user" not in SERVICES[name]


def test_one_version_for_the_stack_and_no_start_without_it():
    images = [SERVICES[name]["image"] for name in ("elasticsearch", "logstash", "kibana")]
    assert all(re.search(r":\$\{STACK_VERSION:\?.+\}$", image) for image in images)
    assert re.fullmatch(r"9\.\d+\.\d+", EXAMPLE["STACK_VERSION"])


def test_the_example_environment_has_every_variable_and_no_password():
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    assert used == set(EXAMPLE)
    assert not [name for name in EXAMPLE if re.search("PASS|SECRET|KEY|TOKEN", name)]


def test_no_secret_stands_in_the_file():
    assert not re.findall(r"(?im)^\s*\w*(?:password|secret|token)\w*:\s*(?!/)\S+", TEXT)
    assert "changeme" not in TEXT
