"""The ingest export without a cluster: what is written, and what is refused. tests/integration holds the documents equal."""

from __future__ import annotations

import json
import re

import pytest

from parser import Pipeline, PipelineConfigError
from parser.errors import DialectError
from parser.grok import Dictionary, compile_expression
from parser.grok.references import Expanded
from parser.ingest import export, runtime, templates
from parser.ingest.expressions import first_of, java_regex, java_replacement, rename

CLEANING = {"remove": {"field": ["@metadata", "_parser"], "ignore_missing": True}}


def processors(config, **options):
    return export(Pipeline.parse(f"filter {{ {config} }}", env={}, **options))["processors"]


def kinds(config):
    return [next(iter(each)) for each in processors(config)]


def scripts(definition):
    return [each["script"]["source"] for each in definition["processors"] if "script" in each]


# ---- the whole


@pytest.mark.parametrize("name", Pipeline.bundled())
def test_bundled_pipelines_are_exported(name):
    definition = export(Pipeline.load(name, env={}))
    assert json.loads(json.dumps(definition)) == definition
    assert definition["description"] == f"{name}.conf, as Logstash runs it"
    assert definition["processors"][-1] == CLEANING
    assert definition["on_failure"] == [
        {"append": {"field": "tags", "value": ["_filtererror"], "allow_duplicates": False}},
        CLEANING,
    ]
    # A cluster takes no longer ones (script.max_size_in_bytes).
    assert max(len(source.encode()) for source in scripts(definition)) < 65_535
    assert len(json.dumps(definition)) < 200_000


def test_neighbours_share_a_script():
    config = """
        mutate { rename => { "a" => "b" } }
        if [b] { date { match => ["b", "ISO8601"] } } else if [c] { mutate { add_tag => ["c"] } }
        dissect { mapping => { "d" => "%{e} %{f}" } }"""
    assert kinds(config) == ["script", "script", "remove"]


def test_an_arm_with_a_grok_asks_for_the_verdict():
    config = 'if [a] { grok { match => { "a" => "(?<b>.)" } } drop { } } else { mutate { add_tag => ["no"] } }'
    made = processors(config)
    assert [next(iter(each)) for each in made] == [
        "set", "script", "script", "script", "foreach", "script", "drop", "script", "remove",
    ]  # fmt: skip
    verdict = re.search(r"ctx\._parser\.c\d+", made[2]["script"]["source"])[0]
    assert [each.get("if") for step in made[3:8] for each in step.values()] == [f"{verdict} == 0"] * 4 + [
        f"{verdict} == 1"
    ]


def test_processors_say_where_they_come_from():
    config = '\n\n  grok { match => { "a" => "b" } }\n  mutate { add_tag => ["x"] }'
    made = processors(config, name="my.conf")
    told = [each["description"] for step in made for each in step.values() if "description" in each]
    assert told[0] == "my.conf: grok (line 3)"
    assert told[-1] == "my.conf: grok (line 3), mutate (line 4)"


def test_long_pipelines_become_several_scripts():
    config = "".join(f'mutate {{ rename => {{ "field{n}" => "[a][field{n}]" }} }}\n' for n in range(500))
    definition = export(Pipeline.parse(f"filter {{ {config} }}", env={}))
    assert len(scripts(definition)) > 3
    assert max(map(len, scripts(definition))) < 30_000


def test_a_description_can_be_given():
    assert export(Pipeline.parse("filter { }", env={}), description="mine")["description"] == "mine"


# ---- what has no equivalent


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('mutate { gsub => ["a", "%{b}+", ""] }', "mutate: 'gsub' has a pattern or a replacement that depends on the event"),
        ('mutate { gsub => ["a", "(?<x>a)(?~b)\\k<x>", ""] }', "mutate: 'gsub' has the pattern"),
        ('mutate { rename => { "a" => "_id" } }', "mutate: the field '_id' is metadata of a document"),
        ('if [a] { grok { match => { "a" => "(?<_index>.)" } } }', "grok: the field '_index' is metadata"),
        ("kv { recursive => true }", "kv: 'recursive'"),
        ('kv { trim_value => "\\n" }', "kv: 'trim_value' trims newlines"),
        ('grok { match => { "a" => "(?<x>a\\g<0>?)" } }', "grok: 'match' has an expression with"),
    ],
)  # fmt: skip
def test_what_has_no_equivalent_is_named(config, message):
    with pytest.raises(PipelineConfigError) as caught:
        processors(f"\n {config}", name="my.conf")
    assert str(caught.value).startswith("my.conf:2: ")
    assert message in str(caught.value)
    assert "this has no equivalent in an ingest pipeline" in str(caught.value)


# ---- expressions


def renamed(source, definitions=None, **patterns):
    found = compile_expression(source, dictionary=Dictionary(patterns)) if patterns else None
    return rename(found.expanded if found else Expanded(source), "g", {} if definitions is None else definitions)


def test_definitions_without_captures_are_references_again():
    definitions = {}
    made = renamed(
        "%{DATE} %{DATE:d} %{BOTH} %{ONE} %{DATE=other definition}",
        definitions,
        DATE=r"\d{4}(?:-\d\d){2}%\{",
        BOTH="%{DATE}(?<b>.)",
        ONE="x",
    )
    assert definitions == {"LOGSTASH_DATE": r"\d{4}(?:-\d\d){2}%\{"}
    assert made.text == (
        "%{LOGSTASH_DATE} (?<g1>%{LOGSTASH_DATE}) (?:%{LOGSTASH_DATE}(?<g2>.)) (?:x) (?:other definition)"
    )
    assert made.groups == {"DATE:d": ("g1",), "b": ("g2",)}


def test_groups_get_names_of_their_own():
    made = renamed(r"(?<INT:a:int>\d)(?:-(?<a>x)|(y))[(?<]\(?<q>\k<a>")
    assert made.text == r"(?<g1>\d)(?:-(?<g2>x)|(y))[(?<]\(?<q>(?:\k<g2>)"
    assert made.groups == {"INT:a:int": ("g1",), "a": ("g2",)}


def test_numbered_groups_are_named_where_no_other_is():
    assert renamed(r"(a)(?:b)\2\1(c)").text == r"(?<g1>a)(?:b)(?:\k<g2>)(?:\k<g1>)(?<g2>c)"


def test_a_name_of_several_groups_means_any_of_them():
    made = renamed(r"(?<n>a)(?<n>b)\k<n>(?(<n>)c|d)")
    assert made.text == r"(?<g1>a)(?<g2>b)(?:\k<g2>|\k<g1>)(?(<g2>)c|d)"
    assert made.groups == {"n": ("g1", "g2")}


def test_what_the_processor_would_read_otherwise_is_escaped():
    assert renamed(r"%{a}\u{1F600}\u{2e}\\u{41}").text == "%\\{a}\U0001f600\\x2e\\\\u{41}"


def test_branches_are_searched_one_after_the_other():
    assert first_of([("a", "m0", True), ("b", "m1", False)]) == r"\A(?:(?m:a)(?<m0>)|(?m:.*?)(?m:b)(?<m1>)|)"
    assert first_of([("a", "m", False)], dotall=False) == r"\A(?:(?m:.*?)(?-m:a)(?<m>)|)"


@pytest.mark.parametrize(
    ("ruby", "java"),
    [
        ("a.b", r"a[^\x{a}]b"),
        (r"\d+?", r"[0-9]{1,}?"),
        ("(?i)k", "[Kk\\x{212a}]"),
        (r"(?>a|b)*+", "(?>a|b){0,}+"),
        (r"(?<x>a)(b)\k<x>", r"(a)(?:b)(?:\1)"),
        (r"^(?!a)(?<=b)$\b", "^(?!(?<=\\n)\\z)(?!a)(?<=b)$\\b"),
        ("[[:alpha:]&&[a-c]]|x", "[a-c]|x"),
    ],
)
def test_gsub_gets_a_pattern_of_java(ruby, java):
    assert java_regex(ruby) == f"(?dmU){java}"


def test_java_has_no_conditionals():
    with pytest.raises(DialectError):
        java_regex("(a)?(?(1)b|c)")


@pytest.mark.parametrize(
    ("text", "pattern", "java"),
    [
        (r"\1-\0-\&", "(a)", "$1-$0-$0"),
        (r"\k<n>1", "(?<n>a)", r"$1\1"),
        (r"$1\\ \7", "(a)", r"\$\1\\ "),
        (r"\2", "(?<n>a)(b)", ""),
    ],
)
def test_gsub_gets_a_replacement_of_java(text, pattern, java):
    assert java_replacement(text, pattern) == java


# ---- Painless


@pytest.mark.parametrize(
    ("value", "literal"),
    [("it's \\", r"'it\'s \\'"), (10, "10L"), (-1, "-1L"), (2**63, f"new BigInteger('{2**63}')"), (1.5, "1.5d")],
)
def test_constants(value, literal):
    assert runtime.constant(value) == literal


def test_a_script_has_the_functions_that_it_calls_and_no_other():
    script = runtime.with_functions("rename(ctx, ['a'], ['b']);")
    defined = re.findall(r"^\w+ (\w+)\(.*\) \{$", script, re.MULTILINE)
    assert {"rename", "has", "put", "take", "dig"} <= set(defined)
    assert not {"render", "assemble", "mergeJson"} & set(defined)
    assert script.endswith("\nrename(ctx, ['a'], ['b']);")
    assert runtime.with_functions("int a = 0;") == "int a = 0;"


def test_every_function_of_the_runtime_is_found():
    text = (runtime.Path(runtime.__file__).with_name("runtime.painless")).read_text(encoding="utf-8")
    known = runtime.functions()
    assert len(known) == len(re.findall(r"^\w[\w\[\]]* \w+\(.*\) \{$", text, re.MULTILINE))
    calls = set(re.findall(r"(?<![.\w])([a-z]\w*)\(", "\n".join(known.values())))
    assert calls - known.keys() <= {"if", "for", "while", "return", "catch"}


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("plain", [("text", "plain")]),
        ("", [("text", "")]),
        ("a%{b}c", [("text", "a"), ("field", "%{b}"), ("text", "c")]),
        ("%{[a][b]}%{+yyyy}", [("field", "%{[a][b]}"), ("field", "%{+yyyy}")]),
        ("%{{yyyy}}", [("field", "%{{yyyy}}")]),
        ("100%{", [("text", "100%{")]),
    ],
)
def test_templates_are_taken_apart(source, parts):
    assert templates.split(source) == parts
