"""What the direct way takes, what it leaves to the general one, and where the two could come apart."""

from __future__ import annotations

import re

import orjson
import pytest

from parser import Pipeline
from parser.direct import compile_direct
from parser.direct.compiler import _Compiler
from parser.direct.output import Memory
from parser.grok.values import to_float, to_integer


def parse(text, **options):
    return Pipeline.parse(f"filter {{ {text} }}", env={"LETTER": "a"}, **options)


def grok(pattern, options=""):
    return f"grok {{ match => {{ \"message\" => '{pattern}' }} {options} }}"


def replace(name, value):
    return f'mutate {{ replace => {{ "{name}" => "{value}" }} }}'


AB = grok(r"\A(?<a>a)?(?<b>b)?", "tag_on_failure => []")

TAKEN = {
    "nothing": ("", ["x", b"\xff\xfe", "ü\n"]),
    "certain captures": (grok(r"(?<a>\w+) (?<[n][m]>\d+)"), ["a 1"]),
    "optional captures": (grok(r"\A(?<a>a)?(?<[n][b]>b)?(?<c>c)"), ["ac", "abc", "bc", "c"]),
    "optional captures of one hash": (grok(r"\A(?<[n][a]>a)?(?<[n][b]>b)?(?<c>c)"), ["ac", "abc", "bc", "c"]),
    "optional captures deep below": (
        grok(r"\A(?<[n][m][o]>a)?(?<[p][q][r]>b)?(?<[p][q][s]>c)?"),
        ["x", "a", "b", "bc", "abc"],
    ),
    "optional captures beside and below": (
        grok(r"\A(?<[n][m][o]>a)?(?<[n][p]>b)?(?<[n][q]>c)?"),
        ["x", "a", "b", "abc"],
    ),
    "names with signs": (
        grok(r"\A(?<a%b>a)?(?<[%d][%(x)s]>b)?(?<[%d][%%]>c)?(?<[é][p%]>d)?(?<p%c>.)"),
        ["ax", "bx", "bcx", "x", "abcdx"],
    ),
    "captures under @metadata": (grok(r"(?<[@metadata][x]>a)(?<b>b)?"), ["ab", "a"]),
    "overwriting": (grok(r"\A(?<message>\w+) ", 'overwrite => ["message"]'), ["a b"]),
    "a target": (grok(r"(?<a>a)(?<[b][c]>b)?", 'target => "[t][u]"'), ["a", "ab"]),
    "numbers": (grok("%{INT:a:int} %{NUMBER:b:float}"), ["1 2", "-7 2.5", "0 0.0"]),
    "no tag where nothing matches": (grok("(?<a>a)", "tag_on_failure => []"), ["a", "b"]),
    "expressions of which none matches": (
        'grok { match => { message => ["(?<a>a)", "b"] } tag_on_failure => [] }',
        ["a", "c"],
    ),
    "a pattern without case": (
        grok("(?i)(?<a>[ab]+) x") + ' if [a] =~ /(?i)AB/ { mutate { remove_field => "a" } }',
        ["AB X", "b x"],
    ),
    "a date": (
        grok(r"\A(?<t>\S+)") + ' date { match => ["t", "ISO8601"] remove_field => "t" }',
        ["2024-01-02T03:04:05.678Z"] * 2,
    ),
    "a date that is not remembered": (
        grok(r"\A(?<t>\S+)")
        + ' date { match => ["t", "yyyy", "UNIX"] target => "[n][t]" timezone => "Europe/Berlin" }',
        ["2024", "1700000000"],
    ),
    "a date of a field that is not there": ('date { match => ["t", "ISO8601"] }', ["x"]),
    "a date of a removed field": (
        grok(r"\A(?<t>\S+)") + ' mutate { remove_field => "t" } date { match => ["t", "ISO8601"] }',
        ["2024-01-02T03:04:05.678Z"],
    ),
    "rename, replace, copy": (
        grok(r"(?<a>\w+) (?<b>x)?")
        + ' mutate { rename => { "a" => "[n][a]" "b" => "[n][b]" } replace => { "c" => "100% %(x)s" } copy => { "n" => "m" } }',
        ["a x", "a "],
    ),
    "a copy is of its own": (
        grok(r"(?<[n][a]>\w+)") + ' mutate { copy => { "n" => "m" } } mutate { replace => { "[n][b]" => "x" } }',
        ["a"],
    ),
    "a text from a field": (grok(r"(?<a>\w+)") + ' mutate { replace => { "b" => "%{a}" "c" => "%{[a]}" } }', ["a"]),
    "a hash that ends empty": (grok(r"(?<[n][a]>\w+)") + ' mutate { remove_field => "[n][a]" }', ["a"]),
    "conditions of what is known": (
        'if "t" in [tags] and [k] == "v" and [zero] and ![none] and [n][m] != 1 and "x" not in [k] { mutate { replace => { "y" => "1" } } }',
        ["a"],
    ),
    "conditions of the text": (
        AB + 'if [a] and ([message] =~ /z/ or ![b]) { mutate { replace => { "y" => "1" } } }'
        'else if [b] !~ /q/ { mutate { replace => { "y" => "2" } } } else { mutate { replace => { "y" => "3" } } }',
        ["a", "az", "abz", "ab", "b", "x"],
    ),
    "what is known where a text is there": (
        AB + 'if [a] { mutate { replace => { "y" => "%{[a]}" } } mutate { rename => { "a" => "k" } } }',
        ["a", "b"],
    ),
    "an item of a list": (
        grok("a(?<k>b)?") + ' if [k][1] { mutate { replace => { "k" => "%{[k][0]}" } } }',
        ["a", "ab"],
    ),
}
FIELDS = {"tags": ["t"], "k": "v", "zero": 0, "none": None, "n": {"m": 1.0}}


@pytest.mark.parametrize(("text", "lines"), TAKEN.values(), ids=TAKEN)
def test_what_is_direct(ways, text, lines):
    assert None not in ways(parse(text), FIELDS if "condition" in text or "[k]" in text else {}).check(*lines)


BAILS = {
    "a pattern that does not match": (grok("(?<a>a)"), "b"),
    "the second expression": ('grok { match => { message => ["(?<a>a)", "(?<b>b)"] } }', "b"),
    "a text that is no date": (grok("(?<t>.*)") + 'date { match => ["t", "ISO8601"] }', "x"),
    "an optional date": (grok("(?<t>2024)?") + 'date { match => ["t", "yyyy"] }', "x"),
    "an optional capture that overwrites": (grok("(?<message>a)?", 'overwrite => ["message"]'), "x"),
    "an arm with another filter": ("if [message] =~ /b/ { drop { } }", "b"),
    "an arm that adds": ('if [message] =~ /b/ { mutate { add_tag => "x" } }', "b"),
    "a number beyond 64 bits": (grok("%{INT:n:int}"), "9" * 30),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line"), BAILS.values(), ids=BAILS)
def test_what_is_left_to_the_general_way(ways, text, line):
    both = ways(parse(text))
    assert both.function is not None
    assert both.check(line) == [None]


NEVER = {
    "drop": "drop { }",
    "json": 'json { source => "message" }',
    "convert": 'mutate { convert => { "a" => "integer" } }',
    "add_field": 'mutate { add_field => { "a" => "b" } }',
    "add_tag": grok("a", 'add_tag => "t"'),
    "remove_tag": 'mutate { remove_tag => "t" }',
    "tags replaced": replace("tags", "x"),
    "an item of tags": replace("[tags][0]", "x"),
    "tags captured": grok("(?<tags>a)"),
    "tags as a target": grok("(?<a>a)", 'target => "tags"'),
    "tags removed": 'mutate { remove_field => "tags" }',
    "@timestamp replaced": replace("@timestamp", "x"),
    "@timestamp captured": grok("(?<@timestamp>a)"),
    "@timestamp as a target": grok("(?<a>a)", 'target => "[@timestamp]"'),
    "@timestamp renamed": 'mutate { rename => { "@timestamp" => "t" } }',
    "a date below @timestamp": 'date { match => ["message", "ISO8601"] target => "[@timestamp][x]" }',
    "a date below a text": 'date { match => ["message", "ISO8601"] target => "[message][x]" }',
    "a date whose zone is a field's": 'date { match => ["message", "ISO8601"] timezone => "%{a}" }',
    "a number that may be missing": grok("(?:%{INT:a:int})?"),
    "a number of an expression of the regex module": grok(r"\X%{INT:a:int}"),
    "a group in a lookahead as a number": grok("(?=%{INT:a:int})"),
    "one name twice": grok("(?<a>a)|(?<a>b)"),
    "a name that is none": grok("(?<[a>a)"),
    "two captures that stay a list": grok("(?<a>a)") + grok("(?<a>m)"),
    "a capture beside a number": grok("(?<one>a)"),
    "a capture below a text": grok("(?<[k][x]>a)"),
    "a capture on a hash": grok("(?<n>a)"),
    "all expressions": grok("(?<a>a)", "break_on_match => false"),
    "empty captures": grok("(?<a>a)", "keep_empty_captures => true"),
    "two fields": 'grok { match => { "message" => "a" "k" => "v" } }',
    "grok of a constant": 'grok { match => { "k" => "v" } }',
    "grok of an optional field": grok("(?<a>a)?") + 'grok { match => { "a" => "a" } }',
    "a name from a field": replace("x%{message}", "1").replace("replace", "rename"),
    "text and a field": replace("x", "%{message}!"),
    "text behind a field": replace("x", "%{[message]}]}"),
    "a date in a text": replace("x", "%{+yyyy}"),
    "an optional field as a text": grok("(?<a>a)?") + replace("x", "%{a}"),
    "a missing field as a text": replace("x", "%{nothing}"),
    "a captured text compared": 'if [message] == "a" { }',
    "a text in a captured text": 'if "a" in [message] { }',
    "xor": "if [k] xor [one] { }",
    "greater": "if [one] > 0 { }",
    "two fields compared": "if [k] == [one] { }",
    "a field in a list": 'if [k] in ["v", "w"] { }',
    "a variable": 'if [k] == "${LETTER}" { }',
    "a variable in a field": 'if "${LETTER}" in [k] { }',
    "a timestamp and a pattern": "if [@timestamp] =~ /2/ { }",
    "an item of a constant list": "if [items][0] { }",
    "an item of a list that may be none": grok("a(?<k>b)?") + "if [k][0] { }",
    "an item that may have moved": grok("(?<a>a)?(?<b>b)(?<c>c)?") + grok("(?<a>m)") + "if [a][1] { }",
    "a hash that comes and goes": grok(r"(?<[h][a]>a)?(?<[h][b]>b)?") + "if [h] { }",
    "a hash that may stay behind empty": grok("(?<[h][a]>a)?") + 'mutate { remove_field => "[h][a]" }',
    "a hash of which only what is optional is left": grok("(?<[h][a]>a)(?<[h][b]>b)?")
    + 'mutate { remove_field => "[h][a]" }',
    "an optional field in an empty hash": grok("(?<[e][a]>a)?"),
    "an optional field renamed over another": grok("(?<a>a)?") + 'mutate { rename => { "a" => "k" } }',
    "an optional field copied over another": grok("(?<a>a)?") + 'mutate { copy => { "a" => "k" } }',
}


@pytest.mark.parametrize("text", NEVER.values(), ids=NEVER)
def test_what_does_not_compile(ways, text):
    """Should some of it compile one day, the documents must be the same."""
    fields = {"k": "v", "one": 1, "n": {}, "e": {}, "items": [1]}
    if text == NEVER["a capture on a hash"]:
        fields["n"] = {"x": 1}
    both = ways(parse(text), fields)
    both.check("a", "b", "ab", "bc", "abc", "m", "abm", "1", "2024", "x")
    assert both.function is None


@pytest.mark.parametrize("value", [10**30, "\ud800", {1, 2}, float, {"\ud800": 1}])
def test_fields_that_orjson_does_not_write(value):
    assert compile_direct((), {"a": {"b": value}}) is None
    assert compile_direct((), {"a": {"b": 2**63}}) is not None


SAME = {
    "else, where the arm before changes nothing": AB
    + 'if [a] { mutate { } } else { mutate { replace => { "x" => "1" } } }',
    "else if, where the arm before changes nothing": AB
    + 'if [a] { mutate { remove_field => "a" } } else if [b] { mutate { remove_field => "b" } }',
    "a copy of null": 'mutate { copy => { "none" => "c" } } mutate { copy => { "none" => "k" } }',
    "null renamed": 'mutate { rename => { "none" => "c" } }',
    "one and true": AB + 'if [a] { mutate { copy => { "one" => "true" } remove_field => "a" } }',
    "a hash removed whole": grok("(?<[h][a]>a)?(?<[h][b]>b)?") + 'mutate { remove_field => "h" }',
    "a hash copied whole": grok("(?<[h][a]>a)?(?<[h][b]>b)?")
    + 'mutate { copy => { "h" => "[i][j]" } rename => { "h" => "[i][k]" } }',
    "a removed text in an arm": AB
    + 'if [a] { mutate { remove_field => "a" } } if ![a] { mutate { replace => { "x" => "1" } } }',
    "an optional member removed where it is there": grok("(?<[h][a]>a)?")
    + 'if [h][a] { mutate { remove_field => "[h][a]" } }',
    "an index that is no digit": grok("a(?<k>b)?")
    + 'if [k][²] { drop { } } else { mutate { replace => { "k" => "1" } } }',
    "all fields removed but the time": 'mutate { remove_field => ["message", "log", "k", "one", "true", "none"] }',
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_both_ways_agree(ways, text):
    ways(parse(text), {"k": "v", "one": 1, "true": True, "none": None}).check("a", "b", "ab", "x", "c")


@pytest.mark.parametrize("value", [0, 0.0, False, True, None, "", "a", [], {}, [0]])
def test_the_truth_of_constants(ways, value):
    both = ways(
        parse('if [v] { mutate { replace => { "x" => "yes" } } } else { mutate { replace => { "x" => "no" } } }'),
        {"v": value},
    )
    assert both.check("a")[0]["x"] == ("no" if value is None or value is False or value == "" else "yes")


@pytest.mark.parametrize("value", ["a", "", 1, 0, 1.0, True, None, [], ["a"], {}, {"b": "a"}, {"b": {"c": 1}}])
@pytest.mark.parametrize(
    "capture", ["(?<v>a)", "(?<v>a)?", "(?<[v][b]>a)", "(?<[v][b]>a)?", "(?<[v][b][c]>a)?", "%{WORD:v:int}"]
)
@pytest.mark.parametrize("options", ["", 'overwrite => ["v"]', 'overwrite => ["[v][b]"]', 'target => "v"'])
def test_captures_that_land_on_constants(ways, value, capture, options):
    ways(parse(grok(rf"\A{capture}", options)), {"v": value}).check("a", "b", "1")


def test_nothing_but_constants(ways):
    text = 'mutate { remove_field => ["message", "log"] }'
    assert ways(parse(text), {"@timestamp": "t"}).check("x") == [{"@timestamp": "t"}]


def test_as_many_ways_as_are_worth_it():
    """Each condition doubles them: beyond a bound they end in a bail-out, and the source stays small."""
    arms = "".join(f'if [message] =~ /{n}/ {{ mutate {{ replace => {{ "x{n}" => "1" }} }} }}' for n in range(40))
    direct = compile_direct(parse(arms).statements, {})
    first, last = direct([b"none", b"39 38"], [0, 1], b'"p"', b'"t"')
    assert orjson.loads(first)["message"] == "none"
    assert last is None or "x39" in orjson.loads(last)


def test_one_event_does_not_disturb_the_next(ways):
    """A name that one event has set is not there for the next."""
    both = ways(parse(grok("(?<a>a)?(?<[n][b]>b)?") + "if [message] =~ /!/ { drop { } }"))  # fmt: skip
    assert [found and sorted(found) for found in both.check("ab", "x", "a!", "b")] == [
        ["@timestamp", "a", "log", "message", "n"],
        ["@timestamp", "log", "message"],
        None,
        ["@timestamp", "log", "message", "n"],
    ]


# --- Memory ---------------------------------------------------------------------------------------------------------


def test_memory_writes_json_once_into_its_layout():
    memory = Memory(b',"a%%b":%b')
    assert memory['"é'] == ',"a%b":"\\"é"'.encode()
    assert memory['"é'] is memory['"é']
    assert memory[None] == memory[""] == b""


@pytest.mark.parametrize(
    ("convert", "text", "json"), [(to_integer, "007", b"7"), (to_float, "1", b"1.0"), (to_float, "1e999", b"null")]
)
def test_memory_converts(convert, text, json):
    assert Memory(convert=convert)[text] == json


def test_memory_is_bounded():
    memory = Memory()
    for n in range(10_000):
        assert memory[str(n)] == b'"%d"' % n
        assert len(memory) <= 4096
    assert memory[None] == b""
    before = len(memory)
    assert memory["x" * 1000] == b'"%b"' % (b"x" * 1000)
    assert len(memory) == before


def test_memory_of_a_name_is_shared_by_all_forks():
    text = grok(r"(?<a>\w+) (?<b>.*)") + 'if [b] =~ /x/ { mutate { replace => { "c" => "1" } } }'
    pipeline = parse(text)
    compiler = _Compiler({})
    compiler.compile(pipeline.statements)
    assert len([value for value in compiler.code.namespace.values() if isinstance(value, Memory)]) == 1
    assert len(re.findall(r"append\(b'", compiler.code.source)) == 2
