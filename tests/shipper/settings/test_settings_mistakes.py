"""Every mistake is found at once, and named with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipper.errors import SettingsError
from shipper.settings import load

INPUT = "inputs: [{paths: [/a.log]}]\n"
ES = "output.elasticsearch:\n  hosts: [es]\n"


@pytest.fixture
def problems(tmp_path):
    """The problems of a text, without the name of the file."""

    def problems(text, env=()):
        path = tmp_path / "shipper.yml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError) as caught:
            load(path, dict(env))
        assert all(each.startswith(f"{path}:") for each in caught.value.problems)
        return [each.removeprefix(f"{path}:") for each in caught.value.problems]

    return problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inputs:\n  - path: [/a]\n", "2: inputs[0].path: is not a setting: did you mean paths?"),
        (INPUT + "queue.mem.bites: 1\n", "2: queue.mem.bites: is not a setting: did you mean queue.mem.bytes?"),
        (INPUT + "zebra: 1\n", "2: zebra: is not a setting: see `shipper config reference` for those there are"),
        (INPUT + ES + "  pasword: x\n", "4: output.elasticsearch.pasword: is not a setting: did you mean password?"),
        (INPUT + ES + "  protocol: https\n", "write the scheme into hosts"),
        (INPUT + ES + "  verification_mode: none\n", "did you mean ssl.verification_mode?"),
        (
            INPUT + "output.kafka.hosts: x\n",
            "2: output.kafka: is not an output: use one of store, elasticsearch, logstash, file, console",
        ),
        (INPUT + "output.flie.path: /x\n", "2: output.flie: is not an output: did you mean file?"),
        (INPUT + "output: elasticsearch\n", "2: output: must be a mapping, not 'elasticsearch'"),
        (INPUT + "output.file: /x\n", "2: output.file: must be a mapping of settings, not '/x'"),
        (INPUT + "output.file:\n  filename: x\n", "2: output.file.path: is missing, and it is required"),
        (
            INPUT + "output.file: {path: /x, filename: a/b}\n",
            "2: output.file.filename: 'a/b' is not the name of a file",
        ),
        (
            INPUT + "output.console:\noutput.file.path: /x\n",
            "only one output can be used, here are console (line 2) and file (line 3)",
        ),
        (INPUT + "output.console.enabled: false\n", "2: output: every output is disabled"),
        ("output.console:\n", "1: inputs: is missing, and it is required"),
        ("inputs: []\n", "1: inputs: is empty: name at least one"),
        ("inputs: {paths: /a}\n", "1: inputs: must be a list: begin each entry with a dash"),
        ("inputs:\n  - /a.log\n", "2: inputs[0]: must be a mapping of settings, not '/a.log'"),
        ("inputs:\n  - {}\n", "2: inputs[0].paths: is missing, and it is required"),
        ("inputs: [{paths: []}]\n", "1: inputs[0].paths: is empty: name at least one"),
        ("inputs: [{paths: [/a], enabled: false}]\n", "1: inputs: every input is disabled"),
        ("inputs: [{paths: [/a], enabled: 5}]\n", "1: inputs[0].enabled: must be true or false, not '5'"),
        ("inputs: [{paths: {a: b}}]\n", "1: inputs[0].paths: must be a list, not a mapping"),
        ("inputs:\n - paths:\n   - /a\n   - [b]\n", "4: inputs[0].paths[1]: must be text, not a list"),
        (
            "inputs: [{paths: /a, type: filestraem}]\n",
            "must be 'filestream' or 'log', not 'filestraem': did you mean filestream?",
        ),
        ("inputs: [{paths: /a, ecs_compatibility: v9}]\n", "must be 'v8', 'v1' or 'disabled', not 'v9'"),
        ("inputs: [{paths: /a, close_inactive: 5 parsecs}]\n", "'5 parsecs' is not a duration"),
        ("inputs: [{paths: /a, message_max_bytes: 1x}]\n", "'1x' is not a size"),
        ("inputs: [{paths: /a, message_max_bytes: 3}]\n", "message_max_bytes: must be at least 1024"),
        (
            "inputs: [{paths: /a, timezone: Europe/Berln}]\n",
            "'Europe/Berln' is not a time zone: did you mean Europe/Berlin?",
        ),
        (
            "inputs:\n- paths: /a\n  encoding: lattin1\n",
            "3: inputs[0].encoding: 'lattin1' is not an encoding: did you mean latin1?; known are utf-8 (or plain), utf-16",
        ),
        ("inputs: [{paths: /a, encoding: utf-32}]\n", "'utf-32' cannot be read line by line"),
        (
            "inputs: [{paths: /a, exclude_files: ['(']}]\n",
            "inputs[0].exclude_files[0]: '(' is not a regular expression: missing )",
        ),
        ("inputs: [{paths: /a, multiline.pattern: '[[:nix:]]'}]\n", "[:nix:] is not a class of characters"),
        ("inputs: [{paths: /a, multiline.pattern: '[[]'}]\n", "is ambiguous"),
        ("inputs: [{paths: /a, multiline.negate: true}]\n", "inputs[0].multiline: pattern is missing: give one"),
        ("inputs: [{paths: /a, multiline.preset: nginx}]\n", "framings: spring-boot, my-example"),
        ("inputs: [{paths: /a, multiline: {preset: spring-boot, negate: true}}]\n", "preset and negate are both set"),
        (
            "inputs: [{paths: /a, multiline: {type: count, pattern: x}}]\n",
            "multiline.type: must be 'pattern', not 'count'",
        ),
        (
            "inputs: [{paths: /a, parsers: [{ndjson: {}}]}]\n",
            "inputs[0].parsers[0].ndjson: is not supported: only multiline is",
        ),
        ("inputs: [{paths: /a, parsers: 5}]\n", "inputs[0].parsers: must be a list"),
        ("inputs: [{paths: /a, fields: x}]\n", "inputs[0].fields: must be a mapping, not 'x'"),
        (
            "inputs: [{paths: /a, max_bytes: 2000,\n  message_max_bytes: 2000}]\n",
            "means the same as message_max_bytes, on line 2: keep one",
        ),
        (
            "inputs:\n - {paths: /a, id: x}\n - {paths: /b, id: x}\n",
            "3: inputs[1].id: 'x' is the id of inputs[0] already",
        ),
        (INPUT + "path: 7\n", "2: path: must be a mapping of settings, not '7'"),
        (INPUT + "name: a\nname: b\n", "3: name: is set twice, the first time on line 2: remove one"),
        (
            INPUT + "output.file.path: /a\noutput: {file: {path: /b}}\n",
            "3: output.file.path: is set twice, the first time on line 2",
        ),
        (INPUT + "output:\n  console:\noutput:\n  console:\n", "4: output: is set twice, the first time on line 2"),
        (INPUT + "name: x\nname.y: z\n", "3: name.y: name has a plain value already, on line 2"),
        (INPUT + "a..b: 1\n", "2: a..b: a dotted name must not begin or end with a dot"),
        (
            INPUT + "name: ${NOPE}\n",
            "2: name: the environment variable NOPE is not set: set it, or give a default: ${NOPE:value}",
        ),
        (
            INPUT + "name: ${NOPE:?the host, please}\n",
            "2: name: the environment variable NOPE is not set: the host, please",
        ),
        (INPUT + "name: ${my-var}\n", "2: name: ${my-var} is not the name of a variable"),
        ("inputs:\n\t- paths: /a\n", "2: not valid YAML: a tab stands where YAML wants spaces"),
        ("inputs:\n  - paths: [/a\noutput: x\n", "3: not valid YAML: "),
        ("a: b: c\n", "1: not valid YAML: mapping values are not allowed here: check the indentation"),
        ("a: \x01\n", "1: not valid YAML: the character"),
        ("a: &a [*a]\n", "an alias that contains itself"),
        ("a: *nope\n", "1: not valid YAML: found undefined alias"),
        ("a: 1\n---\nb: 2\n", "not valid YAML: but found another document"),
        ("- a\n", "1: must be a mapping of settings, not a list"),
        ("? [a]\n: b\n", "1: a key must be a name"),
    ],
)
def test_a_mistake_is_named_with_its_line(problems, text, expected):
    found = problems(text)
    assert any(expected in each for each in found), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hosts: []", "output.elasticsearch.hosts: is empty"),
        ("hosts: ['ftp://es']", "'ftp://es' is not the address of an Elasticsearch"),
        ("hosts: ['http://es:port']", "'http://es:port' is not the address of an Elasticsearch"),
        ("hosts: ['http://es:99999']", "is not the address of an Elasticsearch"),
        ("hosts: ['http://']", "'http://' is not the address of an Elasticsearch"),
        ("{hosts: es, data_stream.dataset: My-App}", "'My-App' cannot be part of a data stream's name"),
        ("{hosts: es, index: Upper}", "'Upper' is not the name of an index"),
        ("{hosts: es, index: 'logs-%{+yyyy}'}", "holds a pattern, which is not supported: use a data stream"),
        ("{hosts: es, index: a, data_stream.dataset: b}", "index and data_stream are both set"),
        ("{hosts: es, api_key: 'a:b', username: u, password: p}", "api_key and username are both set"),
        ("{hosts: es, username: u}", "username and password go together"),
        ("{hosts: es, compression_level: 10}", "compression_level: must be at most 9"),
        ("{hosts: es, worker: 1.5}", "worker: must be a whole number, not '1.5'"),
        ("{hosts: es, timeout: 0}", "timeout: must be more than 0"),
        (
            "{hosts: es, ssl.verification_mode: strict}",
            "must be 'full', 'certificate' or 'none', not 'strict'",
        ),
        ("{hosts: es, ssl.key: /k}", "output.elasticsearch.ssl: key is set without certificate"),
        ("{hosts: es, ssl.ca_trusted_fingerprint: abc}", "is not a SHA-256 fingerprint"),
    ],
)
def test_mistakes_about_elasticsearch(problems, text, expected):
    found = problems(f"{INPUT}output.elasticsearch:\n  {text}\n")
    assert any(expected in each for each in found), found


def test_all_mistakes_at_once_in_the_order_of_the_file(problems):
    text = "inputs:\n  - pats: /a\n    enabled: maybe\n    close_inactive: x\nnam: b\noutput.file.path: ${NOPE}\n"
    lines = [int(each.partition(":")[0]) for each in problems(text)]
    assert lines == [2, 2, 3, 4, 5, 6]


def test_a_password_is_never_part_of_a_message(problems):
    text = f"{INPUT}output.elasticsearch:\n  hosts: ['http://u:geheim@es']\n  password: [geheim]\n  api_key: {{geheim: x}}\n"
    found = problems(text)
    assert "put them into username and password" in " ".join(found)
    assert "geheim" not in " ".join(found)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Path.absolute, "cannot be read: No such file or directory"),
        (Path.mkdir, "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b"a: \xff\n"), "is not a text file in UTF-8 (byte 3)"),
        (lambda path: path.write_bytes(b""), "is empty: it needs inputs with paths"),
        (lambda path: path.write_bytes(b"# nothing\n"), "is empty: it needs inputs with paths"),
    ],
)
def test_a_file_that_is_none(tmp_path, make, expected):
    path = tmp_path / "shipper.yml"
    make(path)
    with pytest.raises(SettingsError) as caught:
        load(path, {})
    assert str(caught.value).startswith(f"{path}: {expected}")
