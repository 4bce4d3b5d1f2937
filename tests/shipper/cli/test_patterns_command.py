"""``shipper patterns import``: which cluster is asked, and how."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from shipper.cli import main

URL = "https://es:9200"


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Runs the command beside a cluster that gives one pattern; the settings of its output, and what was said."""
    asked = []

    class Cluster:
        version = "9.4.0"

        def __init__(self, settings):
            asked.append(settings)

        def close(self):
            pass

    monkeypatch.setattr("shipper.outputs.elasticsearch.ElasticsearchOutput", Cluster)
    monkeypatch.setattr("shipper.elastic.patterns.fetch", lambda _, __: {"SHOUT": "[A-Z]+"})
    monkeypatch.chdir(tmp_path)

    def run(*arguments, typed="", **env):
        asked.clear()
        names = {"ELASTICSEARCH_PASSWORD": None, "ELASTICSEARCH_API_KEY": None, **env}
        result = CliRunner().invoke(main, ["patterns", "import", *arguments], input=typed, env=names)
        return (asked or [None])[0], result

    return run


def test_a_cluster_without_credentials(cluster, tmp_path):
    settings, result = cluster("--from-elasticsearch", URL)
    assert (settings.hosts, settings.username, settings.api_key) == ((URL,), None, None)
    assert result.exit_code == 0, result.output
    assert "SHOUT [A-Z]+\n" in (tmp_path / "patterns/elasticsearch").read_text()


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("0123", "0123"),
        ("1e3", "1e3"),
        ("yes", "yes"),
        ("@secret", "@secret"),
        ("%x#y", "%x#y"),
        ("${GIVEN}", "from there"),
        ("$${GIVEN}", "${GIVEN}"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "output.elasticsearch."])
def test_an_option_is_read_as_in_every_other_command(cluster, value, meant, prefix):
    options = ["-E", f"{prefix}username=u", "-E", f"{prefix}password={value}"]
    settings, result = cluster("--from-elasticsearch", URL, *options, GIVEN="from there")
    assert result.exit_code == 0, result.output
    assert (settings.username, settings.password.get_secret_value()) == ("u", meant)


@pytest.mark.parametrize("secret", ["0123", "@secret", "${GIVEN}", "a: b", "' #", '"\\', "null", "{a}"])
def test_a_secret_that_is_typed_or_in_the_environment_is_taken_as_it_is(cluster, secret):
    user = ("--from-elasticsearch", URL, "--username", "${GIVEN}")
    for settings, result in (cluster(*user, typed=f"{secret}\n"), cluster(*user, ELASTICSEARCH_PASSWORD=secret)):
        assert result.exit_code == 0, result.output
        assert (settings.username, settings.password.get_secret_value()) == ("${GIVEN}", secret)
    settings, _ = cluster("--from-elasticsearch", URL, ELASTICSEARCH_API_KEY=secret)
    assert settings.api_key.get_secret_value() == secret


def test_an_option_goes_over_the_others(cluster):
    options = ("-E", "output.elasticsearch.api_key=mine", "-E", "hosts=http://other")
    settings, result = cluster("--from-elasticsearch", URL, *options, ELASTICSEARCH_API_KEY="theirs")
    assert result.exit_code == 0, result.output
    assert (settings.api_key.get_secret_value(), settings.hosts) == ("mine", ("http://other:9200",))
    settings, result = cluster("--from-elasticsearch", URL, "--username", "u", "-E", "password=p")
    assert (settings.password.get_secret_value(), "password" in result.output) == ("p", False), "it is not asked for"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say which cluster"),
        (("-c", "shipper.yml", "--username", "u"), "leave out the other options"),
        (("--from-elasticsearch", URL, "-E", "zebra"), "zebra: is not KEY=VALUE"),
        (("--from-elasticsearch", URL, "-E", "zebra=@1"), "-E output.elasticsearch.zebra: is not a setting"),
        (("--from-elasticsearch", URL, "-E", "api_key=${NOWHERE}"), "the environment variable NOWHERE is not set"),
        (("--from-elasticsearch", "ftp://es"), "ftp"),
    ],
)
def test_mistakes(cluster, arguments, message):
    settings, result = cluster(*arguments)
    assert (settings, result.exit_code, message in result.output) == (None, 2, True), result.output
