"""``shipper grok``: match, explain, suggest."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from parser.grok import Grok
from parser.grok.explain import explain
from shipper.cli import grok as command
from shipper.cli import main
from shipper.cli.explaining import lines
from shipper.errors import InputError

SPRING = r"\A%{TIMESTAMP_ISO8601:ts} %{LOGLEVEL:level} %{INT:pid:int} --- %{GREEDYDATA:m}"
LINE = "2017-07-04 11:11:37.921 INFO 60820 --- hi"


@pytest.fixture
def shipper():
    def run(*arguments, lines=""):
        return CliRunner().invoke(main, ["grok", *map(str, arguments)], input=lines)

    return run


def told(source, text, width=160):
    return [click.unstyle(line) for line in lines(explain(source, text), width)]


def test_lines_are_matched(shipper):
    result = shipper("match", "%{INT:n:int}", "a 1", "b 22")
    assert (result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]) == (0, [{"n": 1}, {"n": 22}])


def test_standard_input_is_matched_line_by_line(shipper):
    result = shipper("match", "%{INT:n:int}", lines="1\nx\n")
    assert result.stdout.splitlines() == ['{"n":1}', "null"]
    assert (result.exit_code, "1 line does not match" in result.stderr) == (1, True)


def test_modes_definitions_and_directories(shipper, tmp_path):
    (tmp_path / "own").write_text("SHOUT [A-Z]+\n")
    options = ["--patterns-dir", tmp_path, "--define", "END=!{2}"]
    assert json.loads(shipper("match", "%{SHOUT:a}%{END:b}", "HEY!!", *options).stdout) == {"a": "HEY", "b": "!!"}
    assert json.loads(shipper("match", "%{SYSLOGPROG}", "cron").stdout) == {"process": {"name": "cron"}}
    assert json.loads(shipper("match", "%{SYSLOGPROG}", "cron", "--ecs-compatibility", "disabled").stdout) == {
        "program": "cron"
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["match", "%{INTT}", "1"], "did you mean INT?"),
        (["explain", "(", "1"], "end pattern with unmatched parenthesis"),
        (["match", "x", "x", "--define", "x"], "--define x: is not NAME=PATTERN"),
        (["suggest", "--define", "a=b"], "--define is for match and explain"),
    ],
)
def test_mistakes(shipper, arguments, message):
    result = shipper(*arguments)
    assert (result.exit_code, message in result.stderr) == (2, True), result.output


def test_the_expression_and_the_line_are_marked():
    assert told(SPRING, LINE.replace("60820", "abc")) == [
        "the expression does not match",
        f"  {SPRING}",
        "  ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~^^^^^^^^^^^^^^",
        "",
        "  2017-07-04 11:11:37.921 INFO abc --- hi",
        "  ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~^",
        "",
        'captured  {"ts":"2017-07-04 11:11:37.921","level":"INFO"}',
        "wanted    %{INT:pid:int}: an integer",
        "          INT is (?:[+-]?(?:[0-9]+))",
        "stood     “abc --- hi” (character 30)",
    ]


@pytest.mark.parametrize(
    ("source", "text", "line"),
    [
        (SPRING, LINE.replace("07-04", "13-04"), "          it took “2017-1” and then wanted [0-2] of MONTHNUM (a month's number, 1 to 12), or -"),
        (SPRING, LINE.replace("INFO", "  INFO"), "hint      there are 2 characters of white space before it that the expression does not have: %{SPACE} takes any number of them"),
        (SPRING, f"x {LINE}", "hint      only the anchor at its beginning is in the way: it would match from character 3"),
        ("%{INT:a}$", "1 x", "wanted    $: the end; all before it matches"),
        ("%{INT:a}$", "1 x", "stood     “ x” (2 more characters)"),
        ("a b", "a", "stood     the end of the line (character 2)"),
        ("a b", "ax", "wanted    “ b”"),
        ("%{INT:[a}", "1", "the field [a cannot be set: it is no field reference, or leads through what is no object"),
        ("a", "", "captured  nothing: its first part is nowhere in the line"),
    ],
)  # fmt: skip
def test_what_is_told(source, text, line):
    assert line in told(source, text)


def test_an_optional_part_is_told():
    (*_, hint) = [line for line in told(r"\A(?:\[%{INT}\] )?%{WORD}", "[12a] x") if line.startswith("hint")]
    assert hint.startswith(
        r"hint      the optional part (?:\[%{INT}\] )? was left out: it got to character 4, “a] x”, and wanted"
    )


def test_a_long_line_is_cut_around_the_place():
    found = told(f"{'x' * 300}y", f"{'x' * 300}z", 80)
    assert max(map(len, (line for line in found if not line.startswith(("wanted", "stood"))))) <= 80
    assert found[4].index("z") == found[5].index("^")
    found = told(r"%{INT:a}\t漢字 x", "1\t漢字 \n")
    assert found[4:6] == ["  1→漢字 ↵", "  ~~~~~~~^"]


def test_the_exit_code_of_explain(shipper):
    assert shipper("explain", "a", "a").exit_code == 0
    result = shipper("explain", "a", "b")
    assert (result.exit_code, result.stderr) == (1, "")


def test_suggestions(shipper, tmp_path):
    result = shipper("suggest", "-n", "2", lines=f"{LINE}\n\n{LINE}\n")
    assert result.exit_code == 0
    first, _ = result.stdout.splitlines()
    assert first.startswith(r"\A%{TIMESTAMP_ISO8601:timestamp} %{LOGLEVEL:[log][level]} %{INT:[process][pid]:int} --- ")
    file = tmp_path / "lines"
    file.write_text(f"{LINE}\n")
    assert shipper("suggest", file).stdout.splitlines()[0] == shipper("suggest", lines=LINE).stdout.splitlines()[0]
    result = shipper("suggest", lines="\n")
    assert (result.exit_code, "no line" in result.stderr) == (1, True)


def test_a_suggested_filter_is_a_pipeline(shipper, tmp_path):
    text = shipper("suggest", "--filter", lines='2017-07-04T11:11:37Z "a" some more of it\n').stdout
    (tmp_path / "p.conf").write_text(text)
    line = '2017-07-05T11:11:37Z "b c" and other words'
    result = CliRunner().invoke(main, ["pipeline", "run", str(tmp_path / "p.conf")], input=line)
    found = json.loads(result.stdout)
    assert (found["timestamp"], found["message"]) == ("2017-07-05T11:11:37Z", 'b c" and other words')


def test_an_expression_that_runs_away_is_stopped():
    grok = Grok(r"\A(?:a\w?|\w)+!")
    with pytest.raises(InputError, match=r"was still at line 7 after 0\.2 s"), command.patience("line 7", 0.2):
        grok.match("a" * 60)
