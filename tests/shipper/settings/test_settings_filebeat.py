"""Files in the shapes that Filebeat's versions have had, each with what became of its names over the years."""

from __future__ import annotations

import logging

import pytest

from shipper.errors import SettingsError
from shipper.settings import load

FIVE = r"""
filebeat.prospectors:
- input_type: log
  paths:
    - /var/log/orders/*.log
    - /var/log/orders/archive/**/*.log
  document_type: orders
  exclude_files: ['\.gz$']
  scan_frequency: 30s
  close_inactive: 10m
  close_removed: true
  clean_inactive: 72h
  harvester_buffer_size: 16384
  multiline.pattern: '^[[:space:]]'
  multiline.negate: false
  multiline.match: after
- input_type: log
  paths: ["/var/log/payments.log"]
  document_type: payments
  fields:
    level: debug
  fields_under_root: true
filebeat.registry_file: /var/lib/filebeat/registry
filebeat.spool_size: 2048
name: web-1
tags: ["service-x", "web-tier"]
output.elasticsearch:
  hosts: ["es1:9200", "http://es2"]
  protocol: "https"
  path: "/search"
  username: "writer"
  password: "${ES_PASSWORD}"
  worker: 2
  template.enabled: true
  bulk_max_size: 50
logging.level: warning
logging.to_files: true
"""
SIX = """
filebeat.inputs:
- type: log
  enabled: true
  paths: [/var/log/*.log]
  fields:
    env: staging
- type: docker
  enabled: false
  containers.ids: ['*']
filebeat.config.modules:
  path: ${path.config}/modules.d/*.yml
  reload.enabled: false
setup.template.settings:
  index.number_of_shards: 3
setup.kibana:
output.logstash:
  hosts: ["ls1:5044", "ls2:5044"]
  loadbalance: true
  ssl.certificate_authorities: ["/etc/pki/tls/ca.pem"]
xpack.monitoring.enabled: false
queue.mem:
  events: 4096
  flush.min_events: 512
"""
SEVEN = """
filebeat:
  inputs:
    - type: log
      paths: [/srv/app/app.log]
      max_bytes: 1048576
      tail_files: false
      multiline: {type: pattern, pattern: '^\\d{4}-', negate: true, match: after, max_lines: 200, timeout: 3s}
  shutdown_timeout: 5s
  modules: []
path.home: /usr/share/filebeat
path.logs: /var/log/filebeat
processors:
  - add_host_metadata: ~
  - add_cloud_metadata: ~
  - add_docker_metadata: ~
monitoring.enabled: false
output:
  elasticsearch:
    hosts: "https://es.example:9200"
    api_key: "id:${ES_KEY}"
    max_retries: 3
    ssl.verification_mode: strict
"""
NINE = """
filebeat.inputs:
  - type: filestream
    id: orders
    enabled: true
    paths: [/var/log/orders/*.log]
    prospector.scanner.exclude_files: ['debug']
    prospector.scanner.check_interval: 20s
    prospector.scanner.fingerprint.enabled: true
    file_identity.fingerprint: ~
    close.on_state_change.inactive: 2m
    close.reader.on_eof: false
    take_over.enabled: true
    parsers:
      - multiline: {type: pattern, pattern: '^\\s', match: after}
filebeat.config.modules: {path: "${path.config}/modules.d/*.yml", reload.enabled: false}
path.data: /srv/state
http.enabled: false
output.elasticsearch:
  hosts: ["localhost:9200"]
  preset: balanced
"""


@pytest.fixture
def settings(tmp_path, caplog):
    def read(text, **env):
        path = tmp_path / "filebeat.yml"
        path.write_text(text)
        caplog.set_level(logging.WARNING, "shipper")
        return load(path, {"SHIPPER_HOME": str(tmp_path), **env})

    return read


@pytest.fixture
def mistakes(settings):
    def read(text, **env):
        with pytest.raises(SettingsError) as caught:
            settings(text, **env)
        return str(caught.value)

    return read


def test_prospectors_of_5(settings, caplog):
    found = settings(FIVE, ES_PASSWORD="open sesame")
    first, second = found.inputs
    assert first.paths == ("/var/log/orders/*.log", "/var/log/orders/archive/**/*.log")
    assert (first.fields, first.fields_under_root) == ({"type": "orders"}, True)
    assert (first.check_interval, first.close_inactive) == (30, 600)
    assert (first.multiline.pattern, first.multiline.match) == (r"^[\t\n\v\f\r ]", "after")
    assert second.fields == {"level": "debug", "type": "payments"}
    assert (found.name, found.tags) == ("web-1", ("service-x", "web-tier"))
    assert found.output.hosts == ("https://es1:9200/search", "http://es2:9200/search")
    assert found.output.password.get_secret_value() == "open sesame"
    assert found.output.worker == 2
    told = caplog.text
    assert "filebeat.yml:11: filebeat.prospectors[0].close_removed: is ignored" in told
    assert "filebeat.registry_file: is ignored: positions are kept in path.data" in told
    assert "logging: is ignored" in told
    assert "open sesame" not in told


def test_inputs_of_6(settings, caplog):
    found = settings(SIX)
    (only,) = found.inputs  # the other is disabled
    assert (only.fields, only.fields_under_root) == ({"env": "staging"}, False)
    assert found.output.kind == "logstash"
    assert len(found.output.hosts) == 2
    assert "setup: is ignored" in caplog.text
    assert "queue.mem.events: is ignored" in caplog.text


def test_nested_keys_of_7(settings, caplog):
    found = settings(SEVEN, ES_KEY="key")
    (only,) = found.inputs
    assert only.message_max_bytes == 1048576
    assert (only.multiline.max_lines, only.multiline.timeout) == (200, 3)
    assert found.output.ssl.verification_mode == "full"
    assert "processors[0].add_host_metadata: is ignored" in caplog.text
    assert "tail_files" not in caplog.text  # it is off


def test_filestream_of_9(settings):
    found = settings(NINE)
    (only,) = found.inputs
    assert (only.id, only.exclude_files, only.check_interval, only.close_inactive) == ("orders", ("debug",), 20, 120)
    assert only.multiline.pattern == r"^\s"


def test_the_data_folder_of_the_file_counts_where_nothing_else_is_said(tmp_path):
    path = tmp_path / "filebeat.yml"
    path.write_text(NINE)
    assert str(load(path, {}).path_data) == "/srv/state"


INPUT = "filebeat.inputs:\n- type: log\n  paths: [/x]\n  "


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            INPUT + "exclude_lines: ['^DBG']\n",
            ":4: filebeat.inputs[0].exclude_lines: is not supported: write it as a filter",
        ),
        (INPUT + "include_lines: ['^ERR']\n", "filebeat.inputs[0].include_lines: is not supported"),
        (INPUT + "json.keys_under_root: true\n", "filebeat.inputs[0].json: is not supported"),
        (
            INPUT + "tail_files: true\n",
            "filebeat.inputs[0].tail_files: is not supported: files are read from their start",
        ),
        (
            INPUT + "processors:\n    - drop_event: {}\n",
            "filebeat.inputs[0].processors[0].drop_event: is not supported",
        ),
        (INPUT + "unheard_of: 1\n", "inputs[0].unheard_of: is not a setting"),
        ("filebeat.inputs:\n- type: container\n  paths: [/x]\n", "must be 'filestream' or 'log', not 'container'"),
        (INPUT + "delete.enabled: true\n", "filebeat.inputs[0].delete: is not supported: write on_complete: delete"),
        ("filebeat.modules:\n- module: nginx\n", ":1: filebeat.modules: is not supported: name the logs as inputs"),
        ("filebeat.autodiscover:\n  providers: [{type: docker}]\n", "filebeat.autodiscover: is not supported"),
        (
            INPUT + "tags: [a]\nfilebeat.prospectors: []\n",
            ":5: filebeat.prospectors: is the old name of filebeat.inputs, on line 1",
        ),
        (
            INPUT + "tags: [a]\nprocessors:\n- drop_fields.fields: [x]\n",
            ":6: processors[0].drop_fields: is not supported",
        ),
        (INPUT + "tags: [a]\noutput.kafka.hosts: [k]\n", ":5: output.kafka: is not an output"),
        (
            INPUT + "tags: [a]\noutput.elasticsearch: {hosts: [e], index: 'f-%{+yyyy}'}\n",
            "holds a pattern, which is not supported",
        ),
        (INPUT + "tags: [a]\ncloud.id: abc\n", ":5: cloud: is not supported: write the cluster's address"),
        (INPUT + "tags: [a]\ninputs: []\n", ":5: inputs: stands beside filebeat"),
        ("filebeat: 3\n", "filebeat: must be a mapping with inputs"),
        ("filebeat.inputs: {type: log}\n", "must be a list"),
        (INPUT + "input_type: log\n", "filebeat.inputs[0].input_type: means the same as type, on line 2"),
    ],
)
def test_what_is_not_supported_is_named_with_its_line(mistakes, text, told):
    assert told in mistakes(text)


def test_what_is_not_supported_may_be_there_switched_off(settings):
    assert settings(INPUT + "delete: {enabled: false, grace_period: 5m}\n").inputs


def test_files_of_modules_are_a_problem_only_when_there_are_some(settings, mistakes, tmp_path):
    text = INPUT + "tags: [a]\nfilebeat.config.modules.path: ${path.config}/modules.d/*.yml\n"
    assert settings(text).inputs
    (tmp_path / "modules.d").mkdir()
    (tmp_path / "modules.d/nginx.yml").write_text("- module: nginx\n")
    assert f"filebeat.config.modules: is not supported, {tmp_path}/modules.d/nginx.yml is not read" in mistakes(text)
    assert settings(text + "filebeat.config.modules.enabled: false\n").inputs


def test_a_file_of_ours_knows_no_variables_of_filebeats(mistakes):
    assert "the environment variable path.config is not set" in mistakes("inputs:\n- paths: ['${path.config}/x']\n")
