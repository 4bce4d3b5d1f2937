"""``shipper receive``, as far as it can be seen without clients; ``tests/interop`` has those."""

import pytest
from click.testing import CliRunner

from shipper.cli import main
from shipper.settings import from_mapping


def shipper(*words):
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("SHIPPER_HOME", str(tmp_path / "state"))

    def write(text):
        path = tmp_path / "shipper.yml"
        path.write_text(text)
        return str(path)

    return write


def test_the_section_is_checked_with_its_pipeline(settings):
    path = settings("receive: {host: 127.0.0.1, pipeline: spring-boot}\n")
    result = shipper("test", "config", "-c", path)
    assert result.exit_code == 0, result.output
    assert "receive: 127.0.0.1:5043, no TLS · pipeline spring-boot" in result.output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("receive: {host: 127.0.0.1, pipeline: sprong}", "receive.pipeline: "),
        ("receive: {ssl.certificate: /no/such.pem}", "receive.ssl.certificate: /no/such.pem: No such file"),
        ("receive: {}", ":1: receive: ssl.certificate is missing"),
        ("receive: {host: 127.0.0.1, pipelin: x}", "did you mean pipeline?"),
    ],
)
def test_mistakes_are_named(settings, text, why):
    result = shipper("test", "config", "-c", settings(text + "\n"))
    assert result.exit_code == 2
    assert why in result.output


@pytest.mark.parametrize(
    ("command", "text", "why"),
    [
        ("receive", "inputs: [{paths: [/x]}]", "receive is missing"),
        ("run", "receive: {host: 127.0.0.1}", "inputs is missing"),
    ],
)
def test_a_file_for_the_other_command(settings, command, text, why):
    once = ["--once"] if command == "run" else []
    result = shipper(command, *once, "-c", settings(text + "\n"))
    assert result.exit_code == 2
    assert why in result.output


def test_the_passphrase_of_the_receivers_key_is_a_secret(tmp_path):
    own = {"host": "127.0.0.1:0", "ssl": {"certificate": "a.crt", "key": "a.key", "key_passphrase": "canary-771"}}
    assert "canary-771" in from_mapping({"receive": own, "path.data": str(tmp_path)}).secrets
