"""``site.yml`` on one machine with systemd: a real Elasticsearch, and stand-ins for Logstash and Kibana that say so.

One host for the whole file, and tests that follow each other on it, as a machine's life does.
"""

from __future__ import annotations

import json
import re
import shlex
import time
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
    "LOGSTASH_WRITER_PASSWORD": 'writer-p"w`3\\y',
}
PORT = 9201
"""Not the usual one: whoever uses Elasticsearch has to follow ``elasticsearch_http_port``."""
SERVICES = ("elasticsearch", "logstash", "kibana", "shipper")
LINE = "2026-03-01T10:15:30.123+01:00  INFO 4242 --- [orders] [main] c.acme.Orders : order {} accepted\n"


class Stack(NamedTuple):
    """``variables``: what the tests have set so far, as an operator edits one inventory after the other."""

    host: Host
    inventory: Path
    variables: dict[str, object]

    def play(
        self, playbook: str = "site.yml", *arguments: str, env: dict[str, str] | None = None, **variables
    ) -> Result:
        given = {**self.variables, **variables}
        return run_playbook(playbook, self.inventory, *arguments, variables=given, env={**SECRETS, **(env or {})})

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
        answer = self.host.run(shlex.join([*command, *options, f"https://127.0.0.1:{PORT}{path}"]))
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
def stack(boot, work, wheel) -> Stack:
    try:
        mirror = packages()
    except CannotRunError as error:
        pytest.skip(f"no packages of the stack: {error}")
    host = boot("stack")
    host.run("install -d -g adm -m 0750 /var/log/orders && install -g adm -m 0640 /dev/null /var/log/orders/orders.log")
    host.run("cat >> /var/log/orders/orders.log", stdin="".join(LINE.format(number) for number in range(3)))
    folder = work / "stack"
    folder.mkdir()
    inventory = write_inventory(
        folder / "inventory.json",
        [host],
        {"stack": [host]},
        elastic_mirror=str(mirror),
        elasticsearch_heap_mb=512,
        elasticsearch_http_port=PORT,
        shipper_package=str(wheel),
        shipper_inputs=[{"paths": ["/var/log/orders/*.log"], "pipeline": "spring-boot"}],
    )
    return Stack(host, inventory, {})


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
    assert not converged.host.succeeds(f"curl -sS http://127.0.0.1:{PORT}/")


def test_the_writer_adds_logs_and_may_nothing_else(converged):
    ask, writer = converged.ask, SECRETS["LOGSTASH_WRITER_PASSWORD"]
    post = ("-H", "content-type: application/json", "-d", '{"@timestamp": "2026-01-01T00:00:00Z", "message": "x"}')
    status, answer = ask("logstash_writer", writer, "/logs-test-default/_create/1", "-X", "PUT", *post)
    assert status in {200, 201}, answer
    assert ask("logstash_writer", writer, "/logs-test-default/_search")[0] == 403
    assert ask("logstash_writer", writer, "/other/_create/1", "-X", "PUT", *post)[0] == 403
    assert ask("logstash_writer", writer, "/logs-test-default", "-X", "DELETE")[0] == 403


def test_kibana_and_logstash_have_tls_of_the_same_authority(converged):
    host = converged.host
    status = host.run("curl -sS --cacert /etc/elasticsearch/certs/ca.crt https://127.0.0.1:5601/api/status")
    assert json.loads(status) == {"stand-in": True, "status": {"overall": {"level": "available"}}}
    shake = 'echo | timeout 10 python3 -c \'import socket,ssl;c=ssl.create_default_context(cafile="/etc/elasticsearch/certs/ca.crt");'
    host.run(
        shake
        + 'print(c.wrap_socket(socket.create_connection(("127.0.0.1",5043)),server_hostname="localhost").version())\''
    )


def test_the_agent_on_the_host_ships_its_log(converged):
    def found() -> int:
        status, answer = converged.ask("elastic", SECRETS["ELASTIC_PASSWORD"], "/logs-*/_search?q=message:accepted")
        assert status == 200, answer
        return answer["hits"]["total"]["value"]

    end = time.monotonic() + 180
    while found() < 3:
        assert time.monotonic() < end, converged.host.run("journalctl -u shipper --no-pager -n 20")
        time.sleep(0.3)
    assert found() == 3


def test_kibana_has_the_dashboards_and_elasticsearch_the_template(converged):
    objects = converged.host.run("curl -sS --cacert /etc/elasticsearch/certs/ca.crt https://127.0.0.1:5601/objects")
    assert any(each.startswith("dashboard:") for each in json.loads(objects))
    assert converged.ask("elastic", SECRETS["ELASTIC_PASSWORD"], "/_index_template/logs-generic")[0] == 200


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
        ("/etc/logstash/config/pipelines/beats.conf", "640 root logstash"),
        ("/etc/shipper/environment", "600 root root"),
        ("/etc/shipper/shipper.yml", "640 root shipper"),
        ("/etc/kibana/kibana.yml", "640 root kibana"),
    ],
)
def test_modes(converged, path, wanted):
    assert converged.host.stat(path) == wanted


def test_that_no_secret_stands_in_units_or_settings(converged):
    found = converged.host.run(
        "cat /etc/elasticsearch/*.yml /etc/kibana/*.yml /etc/logstash/*.yml /etc/logstash/config/pipelines/* /etc/shipper/*.yml"
        " /etc/systemd/system/*.service.d/* /etc/systemd/system/*.service"
    )
    for secret in SECRETS.values():
        assert secret not in found


def test_after_a_reboot_one_variable_restarts_one_service_once_and_changes_nothing_else(converged):
    keys = converged.host.read("/etc/kibana/environment")
    converged.host.reboot()  # brings everything back
    before = converged.starts()
    assert before == dict.fromkeys(SERVICES, 1)
    converged.variables["logstash_queue_max"] = "2gb"
    again = converged.play().succeeded()  # waits for all of them
    assert converged.host.read("/etc/kibana/environment") == keys
    assert set(again.changed) == {
        "logstash : Lay out the secrets and variables",
        "logstash : Test it, and put it in the place of the old one",
        "repository : See whether the service is older than its files",
        "logstash : Restart it",
    }
    assert converged.starts() == {**before, "logstash": before["logstash"] + 1}


def test_a_pipeline_that_does_not_hold_replaces_nothing(converged, tmp_path):
    broken = tmp_path / "broken.conf"
    broken.write_text("filter { mutate { add_field => } }\n")
    before, text = converged.starts(), converged.host.read("/etc/logstash/pipelines.yml")
    more = {"id": "more", "inputs": [{"plugin": "beats", "options": {"port": 5044}}], "filters": [str(broken)]}
    message = converged.fails("--tags", "logstash", logstash_pipelines=[more])
    assert "goes on with the old one" in message
    assert "more.conf" in message
    assert converged.host.read("/etc/logstash/pipelines.yml") == text
    assert converged.starts() == before


def test_a_mended_pipeline_is_taken_and_a_restart_that_was_missed_is_made_up_for(converged):
    more = {"id": "more", "inputs": [{"plugin": "beats", "options": {"port": 5044}}]}
    converged.variables["logstash_pipelines"] = [more]
    before = converged.starts()
    converged.host.run("touch /etc/kibana/kibana.yml")  # a run broke off between this and the restart
    converged.play("site.yml", "--tags", "logstash,kibana").succeeded()
    converged.host.wait("ss -ltn | grep -q ':5044 '")
    assert converged.starts() == {**before, "logstash": before["logstash"] + 1, "kibana": before["kibana"] + 1}


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


def test_a_dry_run_changes_nothing(converged):
    dry = converged.play("site.yml", "--check", "--diff").succeeded()
    assert dry.changes == 0, dry.changed
    for name, secret in SECRETS.items():
        assert secret not in dry.output, name


def test_an_upgrade(converged):
    converged.play("upgrade.yml", stack_version=NEXT).succeeded()
    installed = converged.host.run(
        "dpkg-query --show --showformat '${Package} ${Version}\n' elasticsearch kibana logstash"
    )
    assert installed.split("\n")[:3] == [f"elasticsearch {NEXT}", f"kibana {NEXT}", f"logstash {NEXT}"]
    assert "its data cannot go back" in converged.fails("--tags", "elasticsearch")


def test_uninstall_keeps_data_unless_told(converged):
    converged.play("uninstall.yml").succeeded()
    host = converged.host
    assert not any(host.succeeds(f"systemctl cat {each}") for each in SERVICES)
    assert host.succeeds(
        "test -d /var/lib/elasticsearch/_state && test -f /etc/kibana/environment && test -d /var/lib/shipper"
    )
    converged.play("uninstall.yml", uninstall_data=True).succeeded()
    assert not host.succeeds(
        "ls -d /var/lib/elasticsearch || ls -d /etc/elasticsearch || ls -d /etc/logstash || ls -d /etc/kibana || ls -d /etc/shipper"
    )


def test_a_host_that_is_down_says_what_to_do(converged):
    converged.host.stop()
    message = converged.fails(reach_seconds=5)
    assert "cannot be reached at 127.0.0.1" in message
    assert "Nothing was changed on it" in message
