"""What a settings file means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shipper.errors import SettingsError
from shipper.settings import from_mapping, load
from shipper.settings.units import python_regex, seconds, size

ISSUE = """\
inputs:
  - type: filestream
    paths: ["/logs/service1/*.log"]
    pipeline: spring-boot            # a name from logstash/pipeline/, or a file; none ships the lines whole
    fields: {service.name: service1}
    fields_under_root: true
output.elasticsearch:
  hosts: ["http://localhost:9200"]
path.data: /var/lib/shipper
"""
INPUT = "inputs: [{paths: [/a.log]}]\n"


@pytest.fixture
def read(tmp_path):
    def read(text, env=()):
        path = tmp_path / "shipper.yml"
        path.write_text(text, encoding="utf-8")
        return load(path, dict(env))

    return read


def test_the_example_of_the_readme(read):
    settings = read(ISSUE)
    (source,) = settings.inputs
    assert source.paths == ("/logs/service1/*.log",)
    assert source.pipeline == "spring-boot"
    assert source.fields == {"service": {"name": "service1"}}
    assert source.fields_under_root is True
    assert settings.output.kind == "elasticsearch"
    assert settings.output.hosts == ("http://localhost:9200",)
    assert settings.output.target == "logs-generic-default"
    assert settings.path_data == Path("/var/lib/shipper")


def test_defaults(read):
    settings = read(INPUT)
    (source,) = settings.inputs
    assert settings.output.kind == "store"
    assert settings.queue_max_bytes == 4 << 20
    assert settings.batch_max_bytes == 2 << 20
    assert settings.store_path == settings.path_data / "store"
    assert (source.type, source.ecs_compatibility, source.multiline, source.timezone) == (
        "filestream",
        "v8",
        None,
        None,
    )
    assert (source.message_max_bytes, source.close_inactive, source.check_interval) == (10 << 20, 300.0, 5.0)


@pytest.mark.parametrize(
    "text",
    [
        "output.file.path: /o\noutput.file.pretty_name: x\n",
        "output: {file: {path: /o}, file.pretty_name: x}\n",
        "output.file: {path: /o}\noutput: {file.pretty_name: x}\n",
    ],
)
def test_dotted_and_nested_keys_are_the_same(read, text):
    settings = read(INPUT + text.replace("pretty_name", "filename"))
    assert (settings.output.path, settings.output.filename) == (Path("/o"), "x")


def test_anchors_and_merge_keys(read):
    text = "x: &x\n  a: 1\ninputs:\n  - &base {paths: [/a], tags: [t], fields: {k: v}}\n  - {<<: *base, paths: [/b], fields: {l: w}}\n"
    settings = read(text.replace("x: &x\n  a: 1\n", ""))
    assert settings.inputs[1].paths == ("/b",)
    assert settings.inputs[1].tags == ("t",)
    assert settings.inputs[1].fields == {"k": "v", "l": "w"}


def test_free_fields_keep_what_yaml_says(read):
    text = """inputs: [{paths: [/a], fields: {n: 12, f: 1.5, t: true, q: "12", nothing: , list: [1, a], day: 2024-01-02}}]"""
    fields = read(text).inputs[0].fields
    assert fields == {"n": 12, "f": 1.5, "t": True, "q": "12", "nothing": None, "list": [1, "a"], "day": "2024-01-02"}


def test_text_settings_keep_what_was_written(read):
    settings = read(INPUT + "output.elasticsearch: {hosts: es, username: 0123, password: 1e5}\n")
    assert settings.output.username == "0123"
    assert settings.output.password.get_secret_value() == "1e5"


def test_one_value_where_a_list_is_wanted(read):
    settings = read("inputs: [{paths: /a.log, tags: x, exclude_files: '[.]gz$'}]")
    assert (settings.inputs[0].paths, settings.inputs[0].tags) == (("/a.log",), ("x",))
    assert settings.inputs[0].exclude_files == ("[.]gz$",)


def test_variables(read):
    text = (
        INPUT
        + "name: ${HOST}-${N:7}\nhost.id: '$${literal}'\noutput.elasticsearch.hosts: ${HOSTS}\nqueue.mem.bytes: ${Q}\n"
    )
    settings = read(text, {"HOST": "web", "HOSTS": "a:1,https://b", "Q": "1MiB"})
    assert settings.name == "web-7"
    assert settings.host_id == "${literal}"
    assert settings.output.hosts == ("http://a:1", "https://b:9200")
    assert settings.queue_max_bytes == 1 << 20


def test_multiline_under_parsers_and_flat(read):
    text = "inputs:\n - {paths: /a, parsers: [{multiline: {type: pattern, pattern: '^\\d', negate: true, match: after}}]}\n"
    nested = read(text).inputs[0].multiline
    flat = read("inputs:\n - {paths: /a, multiline.pattern: '^\\d', multiline.negate: true}\n").inputs[0].multiline
    assert nested.model_dump() == flat.model_dump()
    assert (nested.negate, nested.match, nested.max_lines, nested.timeout) == (True, "after", None, 5.0)


def test_the_other_names_of_filebeat(read):
    text = "inputs: [{paths: /a, prospector.scanner.exclude_files: x, close.on_state_change.inactive: 1m, max_bytes: 2KiB, scan_frequency: 2s}]"
    source = read(text).inputs[0]
    assert (source.exclude_files, source.close_inactive, source.message_max_bytes, source.check_interval) == (
        ("x",),
        60,
        2048,
        2,
    )


def test_relative_paths_are_relative_to_the_file(read, tmp_path):
    settings = read("inputs: [{paths: [logs/*.log], pipeline: my/p.conf}]\npath.data: data\noutput.store.path: ../st\n")
    assert settings.inputs[0].paths == (f"{tmp_path}/logs/*.log",)
    assert settings.inputs[0].pipeline == f"{tmp_path}/my/p.conf"
    assert settings.path_data == tmp_path / "data"
    assert settings.store_path == tmp_path.parent / "st"


def test_home_is_moved_by_the_environment(read, tmp_path):
    text = INPUT + "path.data: /var/lib/shipper\n"
    assert read(text, {"SHIPPER_HOME": str(tmp_path)}).path_data == tmp_path
    assert read(INPUT, {"SHIPPER_HOME": str(tmp_path)}).store_path == tmp_path / "store"


@pytest.mark.parametrize(
    ("uid", "env", "expected"),
    [
        (0, {"XDG_STATE_HOME": "/x"}, "/var/lib/shipper"),
        (1000, {"XDG_STATE_HOME": "/x"}, "/x/elk-shipper"),
        (1000, {"XDG_STATE_HOME": "relative"}, "/home/u/.local/state/elk-shipper"),
        (1000, {}, "/home/u/.local/state/elk-shipper"),
    ],
)
def test_home_by_default(monkeypatch, uid, env, expected):
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setenv("HOME", "/home/u")
    assert str(from_mapping({"inputs": [{"paths": ["/a"]}]}, env=env).path_data) == expected


def test_settings_from_the_command_line(tmp_path):
    data = {
        "inputs": [{"paths": [tmp_path / "a.log"], "close_inactive": 2}],
        "output.console.pretty": True,
        "queue": {"mem.bytes": 1 << 20},
    }
    settings = from_mapping(data, env={}, base=tmp_path)
    assert settings.inputs[0].paths == (f"{tmp_path}/a.log",)
    assert (settings.output.kind, settings.output.pretty, settings.queue_max_bytes) == ("console", True, 1 << 20)
    with pytest.raises(SettingsError, match=r"^<command line>: inputs\[0\].paths: is missing"):
        from_mapping({"inputs": [{}]}, env={})


@pytest.mark.parametrize(
    ("hosts", "level", "expected"),
    [
        (["localhost", "127.0.0.1:1", "[::1]:2"], None, 0),
        (["localhost", "es.example.com"], None, 1),
        (["es.example.com"], 0, 0),
        (["localhost"], 5, 5),
    ],
)
def test_compression_is_for_the_network(hosts, level, expected):
    chosen = {} if level is None else {"compression_level": level}
    settings = from_mapping({"inputs": [{"paths": "/a"}], "output.elasticsearch": {"hosts": hosts, **chosen}})
    assert settings.output.gzip_level == expected


@pytest.mark.parametrize(("given", "sent"), [("id:key", "aWQ6a2V5"), ("aWQ6a2V5", "aWQ6a2V5")])
def test_an_api_key_in_both_forms(given, sent):
    settings = from_mapping({"inputs": [{"paths": "/a"}], "output.elasticsearch": {"hosts": "es", "api_key": given}})
    assert settings.output.encoded_api_key == sent


def test_secrets_are_not_shown(read):
    settings = read(
        INPUT + "output.elasticsearch: {hosts: es, username: u, password: geheim, ssl.key_passphrase: geheim}\n"
    )
    assert "geheim" not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5s", 5),
        ("500ms", 0.5),
        ("1m30s", 90),
        ("1h", 3600),
        ("2d", 172800),
        ("1.5s", 1.5),
        ("7", 7),
        ("0", 0),
        (3, 3),
        (0.5, 0.5),
    ],
)
def test_durations(text, expected):
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "s", "5 parsecs", "-1s", "5s!", "nan", "inf", True, None, [5]])
def test_what_is_not_a_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10MiB", 10 << 20),
        ("2mb", 2_000_000),
        ("2m", 2_000_000),
        ("1Ki", 1024),
        ("1.5 GiB", 3 << 29),
        ("7", 7),
        ("7b", 7),
        (9, 9),
    ],
)
def test_sizes(text, expected):
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "MiB", "10 potatoes", "-1", -1, True, 1.5, None])
def test_what_is_not_a_size(text):
    with pytest.raises(ValueError, match="is not a size"):
        size(text)


@pytest.mark.parametrize(
    ("source", "text", "matches"),
    [
        (r"^[[:space:]]+(at|\.{3})[[:space:]]+\b|^Caused by:", "\tat com.example.A", True),
        (r"^[[:space:]]+(at|\.{3})[[:space:]]+\b|^Caused by:", "Caused by: x", True),
        (r"^[^[:digit:]]", "2024", False),
        (r"a\z", "a\n", False),
    ],
)
def test_regular_expressions_of_filebeat(source, text, matches):
    assert bool(re.search(python_regex(source), text)) is matches
