"""Secrets come from files and the environment, and are shown nowhere; settings of the command line go over those of the file."""

from __future__ import annotations

import logging

import pytest

from shipper.errors import SettingsError
from shipper.settings import load
from shipper.settings.redaction import redacted, shown

SECRET = "s3cret-canary"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "es_password"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def write(tmp_path):
    def make(text):
        path = tmp_path / "shipper.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return make


def with_password(password):
    return f"inputs: [{{paths: [/a.log]}}]\noutput.elasticsearch:\n  hosts: es\n  username: u\n  password: {password}\n"


def problems(path, **more):
    with pytest.raises(SettingsError) as raised:
        load(path, **more)
    return raised.value.problems


@pytest.mark.parametrize("name", ["{path}", "es_password"])
def test_a_secret_comes_from_a_file(write, secret, name):
    settings = load(write(with_password('"${file:%s}"' % name.format(path=secret))))  # noqa: UP031
    assert settings.output.password.get_secret_value() == SECRET


def test_a_name_without_a_folder_is_one_of_systemds_credentials(write, secret, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    secret.rename(tmp_path / "elsewhere/es_password")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path / "elsewhere")}
    assert load(write(with_password("${file:es_password}")), env).output.password.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.unlink(), "cannot be read: no such file or directory"),
        (lambda path: path.write_text("\n"), "is empty"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not text in UTF-8"),
        (lambda path: path.write_bytes(b"x" * 70_000), "is larger than 64 KiB"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read: is a directory"),
    ],
)
def test_a_file_that_is_no_secret_is_named_with_its_setting(write, secret, make, message):
    make(secret)
    [problem] = problems(write(with_password("${file:es_password}")))
    assert problem.startswith(
        f"{write('').parent}/shipper.yml:5: output.elasticsearch.password: the secret {secret} {message}"
    )


def test_a_secret_that_everybody_may_read_is_warned_of(write, secret, caplog):
    secret.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        load(write(with_password("${file:es_password}")))
    assert f"chmod o-r {secret}" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("place", ["hosts", "ssl.verification_mode", "worker", "index", "no_such_setting", "timeout"])
@pytest.mark.parametrize("source", ["file", "variable"])
def test_no_mistake_shows_a_secret(write, secret, place, source):
    text = "${file:es_password}" if source == "file" else "${ES_PASSWORD}"
    path = write(f"inputs: [{{paths: [/a.log]}}]\noutput.elasticsearch:\n  {place}: 'X {text}'\n")
    found = problems(path, env={"ES_PASSWORD": SECRET})
    assert found
    assert SECRET not in "\n".join(found)


@pytest.mark.parametrize(
    "url", ["http://u:s3cret-canary@es", "http://u:s3cret/-canary@es:9200", "https://u:s3cret-canary@es:x/"]
)
def test_a_password_in_an_address_is_not_repeated(write, url):
    found = problems(write(f"inputs: [{{paths: [/a.log]}}]\noutput.elasticsearch.hosts: '{url}'\n"))
    assert "put them into username and password" in found[0]
    assert "canary" not in found[0]


def test_what_is_shown_is_complete_and_holds_no_secret(write, secret):
    text = (
        with_password("${file:es_password}")
        + "fields: {token: '${TOKEN}', plain: '${PLAIN}', nested: {x: ['a ${file:es_password}']}}\n"
    )
    settings = load(write(text), {"TOKEN": "t0ken-canary", "PLAIN": "seen"})
    for each in (shown(settings), repr(settings), str(settings)):
        assert "hidden" not in each
        assert SECRET not in each.replace(repr(settings.fields), "")
    assert "t0ken" not in shown(settings)
    assert "plain: seen" in shown(settings)
    assert "queue.mem.bytes: 4194304" in shown(settings)


def test_what_is_shown_can_be_loaded(write):
    first = load(write("inputs: [{paths: [/a.log], multiline.pattern: x}]\noutput.file.path: /out\npath.data: /data\n"))
    assert load(write(shown(first)), {}) == first


def test_redaction_finds_a_secret_in_its_written_form():
    assert redacted(r"'a\nb' is wrong", {"a\nb"}) == "'********' is wrong"
    assert redacted("at http://u:p@es:9200", ()) == "at http://********@es:9200"


@pytest.mark.parametrize(
    "form",
    [
        "cy9lPz86aw==",  # base64, with padding and without it
        "cy9lPz86aw",
        "s%2Fe%3F%3F%3Ak",  # in an address
        "s%2fe%3f%3f%3ak",
        "cy9lPz86aw%3D%3D",
    ],
)
def test_redaction_finds_a_secret_in_its_encoded_forms(form):
    assert redacted(f"refused: Basic {form}.", {"s/e??:k"}) == "refused: Basic ********."


def test_redaction_finds_a_secret_within_json():
    assert redacted(r'{"reason": "\"x\u00e9 and \"xé"}', {'"xé'}) == '{"reason": "******** and ********"}'


@pytest.mark.parametrize(
    "credentials",
    [
        "username: u\n  password: s3cret-canary",
        "api_key: id:s3cret-canary",
        "api_key: aWQ6czNjcmV0LWNhbmFyeQ==",
    ],
)
def test_the_header_that_is_made_of_a_secret_is_one(write, credentials):
    settings = load(write(f"inputs: [{{paths: [/a.log]}}]\noutput.elasticsearch:\n  hosts: es\n  {credentials}\n"), {})
    header = settings.output.authorization
    assert header.startswith(("Basic dT", "ApiKey aW"))
    assert redacted(f"[{header}]", settings.secrets) == f"[{header.split()[0]} ********]"
    assert redacted(f"{header.rstrip('=')}, {SECRET}", settings.secrets) == f"{header.split()[0]} ********, ********"


def test_options_go_over_the_file(write, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = write(
        "inputs: [{paths: [a.log], tags: [x]}]\nname: file\nqueue.mem.bytes: 1MiB\noutput.file: {path: out, filename: f}\n"
    )
    settings = load(
        path,
        overrides=["name=0123", "queue.mem.bytes=2MiB", "output.file.path=over", "fields={a: 1}", 'tags=[b, "${T}"]'],
        env={"T": "t"},
    )
    assert settings.inputs[0].paths == (f"{tmp_path}/a.log",)
    assert (settings.name, settings.queue_max_bytes, settings.fields) == ("0123", 2 << 20, {"a": 1})
    assert settings.output.path == tmp_path / "here/over"
    assert (settings.output.filename, settings.tags) == ("f", ("b", "t"))


def test_an_output_of_an_option_takes_the_place_of_the_files(write):
    settings = load(
        write("inputs: [{paths: [/a.log]}]\noutput.elasticsearch.hosts: es\n"), overrides=["output.console={}"]
    )
    assert settings.output.kind == "console"


def test_mistakes_are_named_by_the_line_or_by_the_option(write):
    path = write("inputs: [{paths: [/a.log]}]\nzebra: 1\n")
    found = problems(path, overrides=["queue.mem.bytes=lots", "nonsense", "horse=1"])
    assert [each.partition(" is ")[0] for each in found] == [
        "-E nonsense:",
        "-E horse:",
        "-E queue.mem.bytes: 'lots'",
        f"{path}:2: zebra:",
    ]
