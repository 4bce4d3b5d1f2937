"""``site.yml`` on one machine with systemd: a real Elasticsearch, and stand-ins for Logstash and Kibana that say so.

One host for the whole file, and tests that follow each other on it, as a machine's life does.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

import pytest
from deploy.playbook import Result, run_playbook, write_inventory
from deploy.stack_packages import NEXT, VERSION, packages
from elasticsearch_node.node import CannotRunError

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.hosts import Host

pytestmark = pytest.mark.slow
SECRETS = {  # with what shells, systemd and YAML make something else of
    "ELASTIC_PASSWORD": 'elastic-"pw$1`',
    "KIBANA_SYSTEM_PASSWORD": "kibana-pw\\2$x",
    "LOGS_WRITER_PASSWORD": 'writer-p"w`3\\y',
}
SERVICES = ("elasticsearch", "logstash", "kibana")


class Stack(NamedTuple):
    host: Host
    inventory: Path

    def play(
        self, playbook: str = "site.yml", *arguments: str, env: dict[str, str] | None = None, **variables
    ) -> Result:
        return run_playbook(playbook, self.inventory, *arguments, variables=variables, env={**SECRETS, **(env or {})})

    def starts(self) -> dict[str, int]:
        return {each: self.host.starts(each) for each in SERVICES}

    def ask(self, user: str, password: str, path: str, *options: str) -> tuple[int, dict]:
        """Elasticsearch's answer, asked on the host."""
        command = [
            "curl",
            "-sS",
            "--cacert",
            "/etc/elasticsearch/certs/ca.crt",
            "-w",
            "\n%{http_code}",
            "-u",
            f"{user}:{password}",
        ]
        answer = self.host.run(shlex.join([*command, *options, f"https://127.0.0.1:9200{path}"]))
        body, status = answer.rsplit("\n", 1)
        return int(status), json.loads(body or "{}")

    def fails(self, *arguments: str, env: dict[str, str] | None = None, **variables) -> str:
        """The message that the run ends with."""
        result = self.play("site.yml", *arguments, env=env, **variables)
        assert result.code != 0
        messages = re.findall(r'^fatal: .*?"msg": "(.*?)(?<!\\)"', result.output, re.MULTILINE)
        assert messages, result.output[-3000:]
        return messages[-1]


@pytest.fixture(scope="module")
def stack(boot, work) -> Stack:
    try:
        mirror = packages()
    except CannotRunError as error:
        pytest.skip(f"no packages of the stack: {error}")
    host = boot("stack")
    folder = work / "stack"
    folder.mkdir()
    inventory = write_inventory(
        folder / "inventory.json", [host], {"stack": [host]}, elastic_mirror=str(mirror), elasticsearch_heap_mb=512
    )
    return Stack(host, inventory)


@pytest.fixture(scope="module")
def converged(stack) -> Stack:
    """With the output of the first run looked at: no secret, however much it says."""
    first = stack.play("site.yml", "-vvv").succeeded()
    for name, secret in SECRETS.items():
        assert secret not in first.output, name
        assert json.dumps(secret)[1:-1] not in first.output, name
    assert "PRIVATE KEY" not in first.output
    return stack


def test_a_dry_run_on_a_fresh_host_changes_nothing(stack):
    assert stack.play("site.yml", "--check").succeeded().changes >= 0
    assert not stack.host.succeeds("test -e /usr/share/elasticsearch")


def test_each_service_starts_once(converged):
    assert converged.starts() == dict.fromkeys(SERVICES, 1)


def test_elasticsearch_has_tls_and_passwords(converged):
    status, answer = converged.ask("elastic", SECRETS["ELASTIC_PASSWORD"], "/")
    assert (status, answer["version"]["number"]) == (200, VERSION)
    assert converged.ask("elastic", "another", "/")[0] == 401
    assert converged.ask("kibana_system", SECRETS["KIBANA_SYSTEM_PASSWORD"], "/_security/_authenticate")[0] == 200
    assert not converged.host.succeeds("curl -sS http://127.0.0.1:9200/")


def test_the_writer_adds_logs_and_may_nothing_else(converged):
    ask, writer = converged.ask, SECRETS["LOGS_WRITER_PASSWORD"]
    post = ("-H", "content-type: application/json", "-d", '{"@timestamp": "2026-01-01T00:00:00Z", "message": "x"}')
    status, answer = ask("logs_writer", writer, "/logs-test-default/_create/1", "-X", "PUT", *post)
    assert status in {200, 201}, answer
    assert ask("logs_writer", writer, "/logs-test-default/_search")[0] == 403
    assert ask("logs_writer", writer, "/other/_create/1", "-X", "PUT", *post)[0] == 403
    assert ask("logs_writer", writer, "/logs-test-default", "-X", "DELETE")[0] == 403


def test_kibana_and_logstash_have_tls_of_the_same_authority(converged):
    host = converged.host
    status = host.run("curl -sS --cacert /etc/elasticsearch/certs/ca.crt https://127.0.0.1:5601/api/status")
    assert json.loads(status) == {"stand-in": True, "status": {"overall": {"level": "available"}}}
    shake = 'echo | timeout 10 python3 -c \'import socket,ssl;c=ssl.create_default_context(cafile="/etc/elasticsearch/certs/ca.crt");'
    host.run(
        shake
        + 'print(c.wrap_socket(socket.create_connection(("127.0.0.1",5043)),server_hostname="localhost").version())\''
    )


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/etc/elasticsearch/certs/node.key", "640 root elasticsearch"),
        ("/etc/logstash/certs/node.key", "640 root logstash"),
        ("/etc/kibana/certs/node.key", "640 root kibana"),
        ("/etc/logstash/environment", "600 root root"),
        ("/etc/kibana/environment", "600 root root"),
        ("/etc/elasticsearch/elasticsearch.keystore", "660 root elasticsearch"),
        ("/etc/elasticsearch/elasticsearch.yml", "640 root elasticsearch"),
        ("/etc/logstash/conf.d/main.conf", "640 root logstash"),
        ("/etc/kibana/kibana.yml", "640 root kibana"),
    ],
)
def test_modes(converged, path, wanted):
    assert converged.host.stat(path) == wanted


def test_that_no_secret_stands_in_units_or_settings(converged):
    found = converged.host.run(
        "cat /etc/elasticsearch/*.yml /etc/kibana/*.yml /etc/logstash/*.yml /etc/logstash/conf.d/* /etc/systemd/system/*.service.d/*"
    )
    for secret in SECRETS.values():
        assert secret not in found


def test_the_second_run_changes_nothing(converged):
    before = converged.starts()
    again = converged.play().succeeded()
    assert again.changes == 0, again.changed
    dry = converged.play("site.yml", "--check", "--diff").succeeded()
    assert dry.changes == 0, dry.changed
    assert converged.starts() == before


def test_one_variable_restarts_one_service_once(converged):
    before = converged.starts()
    converged.play("site.yml", "--tags", "logstash", logstash_queue_max="2gb").succeeded()
    assert converged.starts() == {**before, "logstash": before["logstash"] + 1}


def test_a_pipeline_that_does_not_hold_replaces_nothing(converged, tmp_path):
    broken = tmp_path / "broken.conf"
    broken.write_text("filter { mutate { add_field => } }\n")
    before, text = converged.starts(), converged.host.read("/etc/logstash/conf.d/main.conf")
    message = converged.fails(
        "--tags", "logstash", logstash_pipelines=[{"id": "main", "filters": [str(broken)]}], logstash_queue_max="2gb"
    )
    assert "failed to validate" in message
    assert converged.host.read("/etc/logstash/conf.d/main.conf") == text
    assert converged.starts() == before


def test_a_certificate_that_ends_soon_is_renewed_and_the_service_restarts(converged):
    before, old = converged.starts(), converged.host.read("/etc/kibana/certs/node.crt")
    converged.play("site.yml", "--tags", "kibana", certificates_renew_days=400).succeeded()
    assert converged.host.read("/etc/kibana/certs/node.crt") != old
    assert converged.starts() == {**before, "kibana": before["kibana"] + 1}


def test_a_wrong_password_says_what_to_do(converged):
    message = converged.fails("--tags", "elasticsearch", env={"ELASTIC_PASSWORD": "not this one"})
    assert "refuses the password of the user `elastic`" in message
    assert "elasticsearch-reset-password" in message


def test_no_password_says_where_to_set_it(converged):
    assert "ELASTIC_PASSWORD in the environment" in converged.fails(
        "--tags", "elasticsearch", env={"ELASTIC_PASSWORD": ""}
    )


def test_a_full_disk_says_what_to_do(converged):
    converged.host.run("mkdir -p /small && mount -t tmpfs -o size=20m tmpfs /small")
    message = converged.fails("--tags", "elasticsearch", elasticsearch_data_path="/small/data")
    assert "is full: 20 MB are free, 2048 MB are needed" in message
    assert "elasticsearch_data_path" in message


def test_a_reboot_brings_everything_back(converged):
    keys = converged.host.read("/etc/kibana/environment")
    converged.host.reboot()
    again = converged.play(logstash_queue_max="2gb").succeeded()  # waits for all of them
    assert again.changes == 0, again.changed
    assert converged.host.read("/etc/kibana/environment") == keys


def test_an_upgrade(converged):
    converged.play("upgrade.yml", stack_version=NEXT, logstash_queue_max="2gb").succeeded()
    installed = converged.host.run(
        "dpkg-query --show --showformat '${Package} ${Version}\n' elasticsearch kibana logstash"
    )
    assert installed.split("\n")[:3] == [f"elasticsearch {NEXT}", f"kibana {NEXT}", f"logstash {NEXT}"]
    assert "its data cannot go back" in converged.fails("--tags", "elasticsearch")


def test_uninstall_keeps_data_unless_told(converged):
    converged.play("uninstall.yml").succeeded()
    host = converged.host
    assert not host.succeeds("systemctl cat elasticsearch || systemctl cat logstash || systemctl cat kibana")
    assert host.succeeds("test -d /var/lib/elasticsearch/_state && test -f /etc/kibana/environment")
    converged.play("uninstall.yml", uninstall_data=True).succeeded()
    assert not host.succeeds(
        "ls -d /var/lib/elasticsearch || ls -d /etc/elasticsearch || ls -d /etc/logstash || ls -d /etc/kibana"
    )


def test_a_host_that_is_down_says_what_to_do(converged):
    converged.host.stop()
    message = converged.fails(reach_seconds=5)
    assert "cannot be reached at 127.0.0.1" in message
    assert "Nothing was changed on it" in message
