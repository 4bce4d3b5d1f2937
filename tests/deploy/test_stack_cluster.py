"""``cluster.yml`` on three machines with real Elasticsearch nodes, and ``upgrade.yml`` over them while documents are written.

Three servers on one machine take more time than CI has: it runs where ``DEPLOY_CLUSTER=1`` is set. Where fewer open files are
allowed than Elasticsearch's bootstrap checks ask of each node, ``open_files.py`` stands in for them.
"""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, NamedTuple

import pytest
from deploy.open_files import WANTED, allowed, compile_library, preload
from deploy.playbook import Result, run_playbook, write_inventory
from deploy.stack_packages import NEXT, VERSION, packages
from elasticsearch_node.node import CannotRunError

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.hosts import Host

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("DEPLOY_CLUSTER") != "1",
        reason="cluster.yml and upgrade.yml over three real nodes ARE NOT TESTED here: ten minutes on two cores "
        "(converge 4:02, again 1:02, upgrade 2:39, a node down 1:10); set DEPLOY_CLUSTER=1",
    ),
    pytest.mark.timeout(1800),
]
CURL = "curl -sS --cacert /etc/elasticsearch/certs/ca.crt -u elastic:elastic-pw"
SECRETS = {
    "ELASTIC_PASSWORD": "elastic-pw",
    "KIBANA_SYSTEM_PASSWORD": "kibana-pw",
    "LOGSTASH_WRITER_PASSWORD": "writer-pw",
}
TRICKLE = """
import base64, itertools, json, pathlib, ssl, sys, time, urllib.error, urllib.request

context = ssl.create_default_context(cafile="/etc/elasticsearch/certs/ca.crt")
authorization = "Basic " + base64.b64encode(b"logstash_writer:writer-pw").decode()
nodes = itertools.cycle(sys.argv[1:])
for number in itertools.count(1):
    body = json.dumps({"@timestamp": "2026-01-01T00:00:00Z", "message": f"number {number}"}).encode()
    while True:  # until it is acknowledged, by whichever node
        request = urllib.request.Request(f"https://{next(nodes)}:9200/logs-trickle-default/_create/{number}", body, method="PUT")
        request.add_header("content-type", "application/json")
        request.add_header("authorization", authorization)
        try:
            urllib.request.urlopen(request, context=context, timeout=10).close()
            break
        except urllib.error.HTTPError as error:
            if error.code == 409:  # the answer to the one before was lost
                break
        except OSError:
            pass
        time.sleep(0.1)
    pathlib.Path("/root/acknowledged.new").write_text(str(number))
    pathlib.Path("/root/acknowledged.new").rename("/root/acknowledged")
    time.sleep(0.05)
"""


class Cluster(NamedTuple):
    hosts: list[Host]
    inventory: Path

    def play(self, playbook: str, *arguments: str, **variables) -> Result:
        return run_playbook(playbook, self.inventory, *arguments, variables=variables, env=SECRETS, timeout=1500)

    def ask(self, path: str, *options: str) -> dict:
        """The first node's answer, asked there as ``elastic``."""
        return json.loads(self.hosts[0].run(f"{CURL} {shlex.join(options)} 'https://127.0.0.1:9200{path}'"))

    def starts(self) -> list[int]:
        return [each.starts("elasticsearch") for each in self.hosts]


@pytest.fixture(scope="module")
def cluster(boot, work, stand_in) -> Cluster:
    try:
        mirror = packages()
    except CannotRunError as error:
        pytest.skip(f"no packages of the stack: {error}")
    hosts = [boot(f"es{number}") for number in (1, 2, 3)]
    folder = work / "cluster"
    folder.mkdir()
    if (files := allowed(hosts[0])) < WANTED:
        try:
            library = compile_library(folder)
        except CannotRunError as error:
            pytest.skip(
                f"cluster.yml and upgrade.yml over real nodes ARE NOT TESTED: {files} open files are allowed here. {error}"
            )
        stand_in(
            f"open files: {files} are allowed here; Elasticsearch's bootstrap check is told {WANTED} (a preloaded library)"
        )
        for each in hosts:
            preload(each, library)
    groups = {"elasticsearch": hosts, "logstash": hosts[:2], "kibana": hosts[2:]}
    inventory = write_inventory(
        folder / "inventory.json", hosts, groups, elastic_mirror=str(mirror), elasticsearch_heap_mb=512
    )
    made = Cluster(hosts, inventory)
    made.play("cluster.yml").succeeded()
    return made


def test_three_nodes_are_one_green_cluster_with_tls(cluster):
    health = cluster.ask("/_cluster/health")
    assert (health["status"], health["number_of_nodes"]) == ("green", 3)
    assert cluster.starts() == [1, 1, 1]
    for host in cluster.hosts:
        assert not host.succeeds(f"curl -sS http://{host.address}:9300")
        assert "initial_master_nodes" not in host.read("/etc/elasticsearch/elasticsearch.yml")


def test_again_changes_nothing(cluster):
    again = cluster.play("cluster.yml").succeeded()
    assert again.changes == 0, again.changed
    assert cluster.starts() == [1, 1, 1]


def test_a_rolling_upgrade_loses_nothing_that_was_acknowledged(cluster):
    writer = cluster.hosts[0]
    writer.write("/root/trickle.py", TRICKLE)
    addresses = " ".join(each.address for each in cluster.hosts)
    writer.run(f"systemd-run --unit trickle python3 /root/trickle.py {addresses}")
    writer.wait("test -s /root/acknowledged")
    cluster.play("upgrade.yml", stack_version=NEXT).succeeded()
    before = int(writer.read("/root/acknowledged"))
    writer.wait(f"test $(cat /root/acknowledged) -gt {before}")  # it still goes on
    writer.run("systemctl stop trickle")
    acknowledged = int(writer.read("/root/acknowledged"))
    cluster.ask("/logs-trickle-default/_refresh", "-X", "POST")
    answer = cluster.ask("/logs-trickle-default/_search?size=10000&_source=false")
    found = {int(each["_id"]) for each in answer["hits"]["hits"]}
    assert acknowledged > len(cluster.hosts)
    assert not set(range(1, acknowledged + 1)) - found
    assert max(found) <= acknowledged + 1  # one may have been under way
    for host in cluster.hosts:
        assert NEXT in host.run("dpkg-query --show elasticsearch")
    assert cluster.starts() == [2, 2, 2]
    health = cluster.ask("/_cluster/health")
    assert (health["status"], health["number_of_nodes"]) == ("green", 3)
    settings = cluster.ask("/_cluster/settings?flat_settings=true")
    assert "cluster.routing.allocation.enable" not in settings["persistent"]


def test_nothing_is_upgraded_while_a_node_is_down(cluster):
    down = cluster.hosts[2]
    # Without shards: the two others are green without it, and have no quorum without one more.
    settings = {"persistent": {"cluster.routing.allocation.exclude._name": down.name}}
    cluster.ask("/_cluster/settings", "-X", "PUT", "-H", "content-type: application/json", "-d", json.dumps(settings))
    cluster.hosts[0].wait(f"! {CURL} 'https://127.0.0.1:9200/_cat/shards?h=node' | grep -q {down.name}")
    down.run("systemctl stop elasticsearch")
    health = cluster.ask("/_cluster/health?wait_for_status=green&wait_for_nodes=2&timeout=60s")
    assert (health["status"], health["number_of_nodes"]) == ("green", 2)
    result = cluster.play("upgrade.yml", stack_version="9.9.9")
    assert result.code != 0
    assert "with 2 of 3 nodes" in result.output
    assert all(NEXT in each.run("dpkg-query --show elasticsearch") for each in cluster.hosts)
    assert VERSION != NEXT
