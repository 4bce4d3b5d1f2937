"""docker-compose.yml, by Compose itself: validated, and brought up around a real Elasticsearch.

Where the images of Logstash and Kibana cannot be pulled, stand-ins go by their names; the run's summary says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from deploy.compose_plugin import compose
from deploy.elasticsearch_image import NAME, elasticsearch_image
from deploy.image import image
from deploy.stack_images import stand_ins
from elasticsearch_node.node import CannotRunError, free_port

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def composed():
    """``composed(*arguments)``: Compose on a copy of what a user has."""
    try:
        command = compose()
    except CannotRunError as error:
        pytest.skip(f"no Compose: {error}")

    def run(folder, *arguments, env=None):
        return subprocess.run(
            [*command, *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, **(env or {})},
        )

    return run


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The parts of the repository that the compose file mounts, with a ``.env`` as its comment tells to make it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("compose", "logstash", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(ROOT / name, folder)
    text = (folder / ".env.example").read_text()
    for port in ("ELASTICSEARCH_PORT", "LOGSTASH_PORT", "KIBANA_PORT"):
        text += f"{port}={free_port()}\n"
    (folder / ".env").write_text(text)
    return folder


def test_the_file_is_valid(composed, checkout):
    for profile in ((), ("--profile", "setup")):
        done = composed(checkout, *profile, "config", "--quiet")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_without_the_environment_it_says_what_to_do(composed, checkout):
    done = composed(checkout, "--env-file", "/dev/null", "config", "--quiet")
    assert done.returncode != 0
    assert "copy .env.example to .env" in done.stderr


@pytest.fixture(scope="module")
def stack(composed, checkout, docker_env, stand_in):
    """The stack, brought up as the file's comment says; taken down with its volumes at the end."""
    try:
        host = image(docker_env)
        elasticsearch_image(docker_env)
        local = [
            "docker",
            "build",
            "--quiet",
            "--tag",
            "elk-shipper:local",
            f"--build-arg=PYTHON_IMAGE={host}",
            str(ROOT),
        ]
        subprocess.run(local, check=True, capture_output=True, env={**docker_env, "DOCKER_BUILDKIT": "0"})
        hidden = stand_ins(host, "elk-shipper:local", docker_env)
    except CannotRunError as error:
        pytest.skip(f"no images: {error}")
    stand_in(f"{NAME}: an image that is built here, around the real server")
    for name, what in hidden.items():
        stand_in(f"{name}: {what}")
    # Nothing is pulled, and what is built was built above, with Debian's Python; who waits for whom looks each second.
    often = {"healthcheck": {"interval": "1s", "retries": 300}}
    services = {name: {**often, "pull_policy": "never"} for name in ("elasticsearch", "logstash", "kibana")}
    services.update(dict.fromkeys(("shipper", "sample"), often))
    (checkout / "docker-compose.override.yml").write_text(json.dumps({"services": services}))

    def run(*arguments):
        done = composed(checkout, "--project-name", f"elk{os.getpid()}", *arguments, env=docker_env)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}\n{logs()}"
        return done.stdout + done.stderr

    def logs():
        return composed(checkout, "--project-name", f"elk{os.getpid()}", "logs", "--tail", "15", env=docker_env).stdout

    try:
        run("--profile", "setup", "run", "--rm", "setup")
        run("up", "--detach", "--wait", "--wait-timeout", "300", "--no-build")
        yield run
    finally:
        run("--profile", "setup", "down", "--volumes", "--remove-orphans", "--timeout", "5")


def inside(stack, path, *more):
    """Elasticsearch's answer, asked from within its container as the user ``elastic``."""
    command = f"curl --silent --cacert config/own/ca.crt --user elastic:$(cat config/own/password) {' '.join(more)} 'https://localhost:9200{path}'"
    return json.loads(stack("exec", "-T", "elasticsearch", "bash", "-c", command).splitlines()[-1])


def test_the_sample_service_is_found_in_elasticsearch(stack):
    for _ in range(200):  # it writes five events a second; to ask takes a while, too
        answer = inside(stack, "/logs-*/_search?size=1&allow_no_indices=true")
        if answer.get("hits", {}).get("total", {}).get("value", 0) >= 20:
            break
    source = answer["hits"]["hits"][0]["_source"]
    assert source["service"]["name"] == "orders"
    assert source["log"]["level"]
    assert len(answer["hits"]["hits"][0]["_id"]) == 20


def test_a_second_setup_changes_nothing(stack):
    assert "unchanged" in stack("--profile", "setup", "run", "--rm", "setup")


def test_dashboards_are_imported(stack):
    command = "curl --silent --cacert config/own/ca.crt https://localhost:5601/objects"
    assert any(
        each.startswith("dashboard:") for each in json.loads(stack("exec", "-T", "kibana", "bash", "-c", command))
    )


@pytest.mark.parametrize("service", ["elasticsearch", "logstash", "kibana", "shipper", "sample"])
def test_no_password_is_in_the_environment_that_docker_shows(stack, docker_env, service):
    container = stack("ps", "--quiet", service).split()[-1]
    shown = subprocess.run(
        ["docker", "inspect", container], check=True, capture_output=True, text=True, env=docker_env
    ).stdout
    config = json.loads(shown)[0]
    assert not [each for each in config["Config"]["Env"] if "PASSWORD=" in each]
    bindings = [each for ports in (config["NetworkSettings"]["Ports"] or {}).values() for each in ports or []]
    assert all(each["HostIp"] == "127.0.0.1" for each in bindings)


def test_the_shipper_can_write_to_its_state_only(stack):
    assert "Read-only" in stack("exec", "-T", "shipper", "sh", "-c", "touch /opt/x 2>&1; touch /etc/x 2>&1; id -u")
    assert stack("exec", "-T", "shipper", "sh", "-c", "touch /logs/x 2>&1 || id -u").splitlines()[-1] == "10001"
