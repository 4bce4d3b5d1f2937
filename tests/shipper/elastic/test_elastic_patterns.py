"""A cluster's patterns in Logstash's notation, and the command that writes them. Elasticsearch's own are in tests/integration."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from parser.grok import Grok
from parser.grok.dictionary import read_patterns
from shipper.cli import main
from shipper.elastic.patterns import in_logstash, pattern_file

PATTERNS = {"INT": "wrong here", "MINE": "%{INT:my.number:long} (?<my.word>\\w+)", "FLAT": "%{WORD:flat}", "BAD": "("}


@pytest.fixture
def cluster():
    """The address of something that answers as Elasticsearch does, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append((self.path, self.headers.get("authorization")))
            forbidden = self.headers.get("authorization") == "ApiKey bm9ib2R5Ong="
            answer = {"version": {"number": "9.4.3"}} if self.path == "/" else {"patterns": PATTERNS}
            status = 403 if forbidden and self.path != "/" else 200
            if status == 403:
                answer = {"error": {"type": "security_exception", "reason": "no"}, "status": 403}
            body = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (("content-type", "application/json"), ("x-elastic-product", "Elasticsearch")):
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def take(cluster, tmp_path):
    def take(*arguments, **environment):
        folder = tmp_path / "patterns"
        command = ["patterns", "import", "--from-elasticsearch", cluster[0], "-o", str(folder), *arguments]
        return CliRunner().invoke(main, command, env=environment), folder

    return take


@pytest.mark.parametrize(
    ("elasticsearch", "logstash"),
    [
        ("%{IP:source.ip}", "%{IP:[source][ip]}"),
        ("%{INT:a.b:long} %{NUMBER:c:double}", "%{INT:[a][b]:int} %{NUMBER:c:float}"),
        ("%{WORD:timestamp} %{WORD}", "%{WORD:timestamp} %{WORD}"),
        ("(?<a.b>x) (?<c>y) (?<=z) (?<!z)", "(?<[a][b]>x) (?<c>y) (?<=z) (?<!z)"),
        ("%{DATA:@metadata.a.b}", "%{DATA:[@metadata][a][b]}"),
        ("%{IP:[source][ip]}", "%{IP:[source][ip]}"),
        (r"\%{DATA:[@metadata.a}, %{DATA:@metadata.b}\]", r"\[%{DATA:[@metadata][a]}, %{DATA:[@metadata][b]}\]"),
        (r"\\s*%{DATA:[a.b}\s*\] drop", r"\[\s*%{DATA:[a][b]}\s*\] drop"),
        (r"\%{HTTPDATE:timestamp}\ (?:-)", r"\[%{HTTPDATE:timestamp}\] (?:-)"),
        ("(?::A-Fa-f0-9{2})", "(?::[A-Fa-f0-9]{2})"),
        ("[A-Fa-f0-9]{2}", "[A-Fa-f0-9]{2}"),
        (r"(?:\s,%{IP})+", r"(?:[\s,]%{IP})+"),
    ],
)
def test_notation(elasticsearch, logstash):
    assert in_logstash(elasticsearch) == logstash
    assert in_logstash(logstash) == logstash


def test_a_pattern_file_reads_back(tmp_path):
    file = tmp_path / "file"
    file.write_text(pattern_file({"B": "# %{A}", "A": r"\d+ x"}, origin="here", ecs_compatibility="v1"))
    assert read_patterns(file) == {"A": r"\d+ x", "B": "# %{A}"}


def test_what_is_not_shipped_is_written(take, cluster):
    result, folder = take()
    assert result.exit_code == 0, result.output
    assert read_patterns(folder / "elasticsearch").keys() == {"MINE", "FLAT", "BAD"}
    assert "3 patterns" in result.stdout
    assert "BAD cannot be used" in result.stderr
    assert Grok("%{MINE}", patterns_dir=[folder]).match("5 x") == {"my": {"number": 5, "word": "x"}}
    assert cluster[1][-1][0] == "/_ingest/processor/grok?s=true&ecs_compatibility=v1"


def test_all_of_them(take):
    result, folder = take("--all", "--ecs", "disabled")
    assert (result.exit_code, read_patterns(folder / "elasticsearch")["INT"]) == (0, "wrong here")


@pytest.mark.parametrize(
    ("arguments", "environment", "header"),
    [
        ((), {}, None),
        (("-E", "api_key=id:key"), {}, "ApiKey aWQ6a2V5"),
        ((), {"ELASTICSEARCH_API_KEY": "id:key"}, "ApiKey aWQ6a2V5"),
        (("--username", "u"), {"ELASTICSEARCH_PASSWORD": "p"}, "Basic dTpw"),
    ],
)
def test_credentials(take, cluster, arguments, environment, header):
    assert take(*arguments, **environment)[0].exit_code == 0
    assert {authorization for _, authorization in cluster[1]} == {header}


def test_a_settings_file_says_which_cluster(cluster, tmp_path):
    file = tmp_path / "shipper.yml"
    file.write_text(f"inputs: [{{paths: [/x]}}]\noutput.elasticsearch: {{hosts: [{cluster[0]}], api_key: 'id:key'}}\n")
    result = CliRunner().invoke(main, ["patterns", "import", "-c", str(file), "-o", str(tmp_path)])
    assert (result.exit_code, cluster[1][0][1]) == (0, "ApiKey aWQ6a2V5")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "say which cluster"),
        (("--from-elasticsearch", "ftp://x"), 2, "is not the address of an Elasticsearch"),
        (("--from-elasticsearch", "http://127.0.0.1:1"), 1, "connection refused"),
        (("--from-elasticsearch", "http://es", "-E", "api_key"), 2, "api_key: is not KEY=VALUE"),
        (("--from-elasticsearch", "http://es", "-E", "api_kye=x"), 2, "api_kye"),
        (("-c", "x.yml", "--username", "u"), 2, "leave out the other options"),
    ],
)
def test_mistakes(tmp_path, arguments, code, message):
    result = CliRunner().invoke(main, ["patterns", "import", "-o", str(tmp_path), *arguments])
    assert (result.exit_code, message in result.stderr) == (code, True), result.output


def test_a_key_that_may_not_ask(take):
    result, _ = take("-E", "api_key=nobody:x")
    assert (result.exit_code, "may not ask for /_ingest/processor/grok" in result.stderr) == (1, True), result.output


def test_the_list():
    result = CliRunner().invoke(main, ["patterns", "list", "loglevel"])
    assert (result.exit_code, result.stdout) == (0, "LOGLEVEL  a level, INFO or warning\n")
    result = CliRunner().invoke(main, ["patterns", "list", "nothing-like-this"])
    assert (result.exit_code, "no pattern's name contains" in result.stderr) == (1, True)


def test_a_definition_with_what_it_uses():
    result = CliRunner().invoke(main, ["patterns", "show", "%{SYSLOGPROG:x}"])
    assert result.stdout.splitlines() == [
        "# a program's name, perhaps with its process id in brackets",
        r"SYSLOGPROG %{PROG:[process][name]}(?:\[%{POSINT:[process][pid]:int}\])?",
        r"POSINT \b(?:[1-9][0-9]*)\b",
        r"PROG [\x21-\x5a\x5c\x5e-\x7e]+",
        "# fields: [process][name], [process][pid]",
    ]
    result = CliRunner().invoke(main, ["patterns", "show", "SYSLOGPRO"])
    assert (result.exit_code, "did you mean SYSLOGPROG?" in result.stderr) == (1, True)
