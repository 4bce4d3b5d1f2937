from __future__ import annotations

import orjson
import pytest
from click.testing import CliRunner

from shipper.cli import main
from shipper.errors import UnavailableError
from shipper.outputs.batch import Outcomes, Rejection
from shipper.outputs.file import FileOutput
from shipper.state.lock import Lock
from shipper.state.rejects import Rejects

DASHED = "-" + "d" * 19


@pytest.fixture
def shipper(tmp_path, monkeypatch):
    """Run ``shipper rejects``; the agent's lock is held meanwhile, as by one that runs."""
    monkeypatch.setenv("SHIPPER_HOME", str(tmp_path / "home"))
    settings = tmp_path / "shipper.yml"
    settings.write_text(f"inputs: [{{type: filestream, paths: [/a]}}]\noutput.file.path: {tmp_path}/out\n")
    lock = Lock(tmp_path / "home")

    def run(*arguments, code=0, stdin=None):
        more = ["-c", str(settings)] if arguments[0] == "replay" else []
        result = CliRunner().invoke(main, ["rejects", *map(str, arguments), *more], input=stdin)
        assert result.exit_code == code, result.output
        return result

    yield run
    lock.release()


@pytest.fixture
def kept(tmp_path, shipper):
    rejects = Rejects(tmp_path / "home/state.db")
    documents = [("a" * 20, b'{"message":"one \\u001b[31m red"}'), (DASHED, b'{"message":"two","log":{"offset":7}}')]
    rejects.add(
        "elasticsearch at http://es:9200",
        [(name, 400, "document_parsing_exception: failed", document) for name, document in documents],
    )
    yield rejects
    rejects.close()


def lines(result):
    return [orjson.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("kept")
def test_list_shows_them_without_moving_the_cursor(shipper):
    result = shipper("list")
    first, second = result.stdout.splitlines()
    assert "document_parsing_exception" in first
    assert "one ·[31m red" in first
    assert DASHED in second
    assert "2 of 2 rejects, which take" in result.stderr
    assert [each["message"] for each in lines(shipper("list", "--json"))] == ["one \x1b[31m red", "two"]
    assert {name for each in lines(shipper("list", "--json")) for name in each} == {
        "id", "message", "number", "output", "reason", "status", "time",
    }  # fmt: skip


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--since", "1h"], 2),
        (["--since", "2999-01-01"], 0),
        (["--status", "400"], 2),
        (["--status", "413"], 0),
        (["--output", "es:9200"], 2),
        (["--output", "store"], 0),
    ],
)
def test_list_filters(shipper, filters, found):
    assert len(shipper("list", *filters).stdout.splitlines()) == found


@pytest.mark.usefixtures("kept")
def test_show_takes_an_id_or_a_number(shipper):
    by_id = orjson.loads(shipper("show", DASHED).stdout)
    assert by_id["document"] == {"message": "two", "log": {"offset": 7}}
    assert by_id["reason"] == "document_parsing_exception: failed"
    assert orjson.loads(shipper("show", by_id["number"]).stdout) == by_id
    assert "there is no reject" in shipper("show", "999", code=1).stderr


@pytest.mark.usefixtures("kept")
def test_replay_sends_again_and_removes_what_is_taken(shipper, tmp_path):
    assert "1 delivered" in shipper("replay", DASHED).stdout
    assert "1 delivered" in shipper("replay", "--all").stdout
    written = (tmp_path / "out/shipper.ndjson").read_bytes().splitlines()
    assert [orjson.loads(line)["message"] for line in written] == ["two", "one \x1b[31m red"]
    assert shipper("list").stdout == ""
    assert "nothing to send" in shipper("replay", "--all").stdout


def test_replay_that_is_refused_again_ends_with_1_and_keeps_the_new_reason(shipper, kept, monkeypatch):
    monkeypatch.setattr(FileOutput, "send", lambda *_: Outcomes(rejected=[Rejection(1, 403, "still not")]))
    result = shipper("replay", "--all", code=1)
    assert "1 delivered, 1 rejected again, 0 not sent" in result.stdout
    assert "rejected again" in result.stderr
    assert [kept.get(number).reason for number in kept.numbers()] == ["still not"]


def test_replay_to_an_output_that_is_down_ends_with_1_and_keeps_them(shipper, kept, monkeypatch):
    def down(*_):
        raise UnavailableError("down")

    monkeypatch.setattr(FileOutput, "send", down)
    result = shipper("replay", "--all", "--patience", "0", code=1)
    assert "2 not sent" in result.stdout
    assert "down" in result.stderr
    assert len(kept.numbers()) == 2


def test_drop_asks_first(shipper, kept):
    shipper("drop", "--all", stdin="n\n", code=1)
    assert len(kept.numbers()) == 2
    assert "1 dropped" in shipper("drop", "a" * 20, stdin="y\n").stdout
    assert len(kept.numbers()) == 1
    assert "1 dropped" in shipper("drop", "--all", "--yes").stdout
    assert kept.numbers() == []


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("command", ["drop", "replay"])
def test_which_ones_has_to_be_said(shipper, command):
    assert "--all" in shipper(command, code=2).stderr
    assert "not both" in shipper(command, "1", "--all", code=2).stderr


def test_without_a_state_it_says_where_it_looked(shipper, tmp_path):
    assert "is not there" in shipper("list", "--home", tmp_path / "nowhere", code=1).stderr
    assert not (tmp_path / "nowhere").exists()
