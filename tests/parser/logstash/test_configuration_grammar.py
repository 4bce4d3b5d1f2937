"""The configuration language: what it takes, and what it says of what it does not take."""

from __future__ import annotations

import pytest

from parser import PipelineConfigError, PipelineSyntaxError
from parser.logstash import ast
from parser.logstash.grammar import parse
from parser.pipeline import Pipeline


def condition(text):
    (section,) = parse(f"filter {{ if {text} {{ }} }}")
    return section.body[0].branches[0].condition


def truth(name):
    return ast.Truth(ast.Field(f"[{name}]", 1, 0))


def shape(node):
    """A condition as nested tuples of operators and field names."""
    match node:
        case ast.Boolean(operator, left, right):
            return (operator, shape(left), shape(right))
        case ast.Not(inner):
            return ("!", shape(inner))
        case ast.Truth(ast.Field(reference)):
            return reference
        case _:
            return type(node).__name__


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("[a] or [b] and [c]", ("or", "[a]", ("and", "[b]", "[c]"))),
        ("[a] and [b] or [c]", ("or", ("and", "[a]", "[b]"), "[c]")),
        ("([a] or [b]) and [c]", ("and", ("or", "[a]", "[b]"), "[c]")),
        ("!([a] and [b])", ("!", ("and", "[a]", "[b]"))),
        ("![a] xor [b]", ("xor", ("!", "[a]"), "[b]")),
        ("[a] nand [b]", ("nand", "[a]", "[b]")),
        ("[a]==1and[b]", ("and", "Compare", "[b]")),
        ("[a] not in [b] or [a] =~ /x/", ("or", "Membership", "Match")),
    ],
)
def test_precedence(text, tree):
    assert shape(condition(text)) == tree


@pytest.mark.parametrize("operator", ["==", "!=", "<", ">", "<=", ">="])
def test_comparison(operator):
    found = condition(f'[a][b] {operator} "x"')
    assert found == ast.Compare(operator, ast.Field("[a][b]", 1, 13), ast.Literal("x"))


def test_brackets_are_a_field_or_a_list():
    assert condition('[a] in ["x"]').right == ast.Field('["x"]', 1, 20)
    assert condition('[a] in ["x", 1.5]').right == ast.ListLiteral(("x", 1.5))


def test_values_and_comments():
    (section,) = parse(
        """
        # a comment
        filter { grok { # another
          "match" => { "a" => ["x", 'y'] 12 => 007 word => bare } flag => true codec => json { x => -1.5 }
        } }"""
    )
    (plugin,) = section.body
    values = {attribute.name: attribute.value for attribute in plugin.attributes}
    assert values["match"] == ast.Hash((("a", ast.Array(("x", "y"))), (12, 7), ("word", "bare")))
    assert values["flag"] == "true"
    assert values["codec"].attributes[0].value == -1.5
    assert (plugin.line, plugin.column) == (3, 18)


def test_strings_keep_their_backslashes_unless_told_otherwise():
    text = r"""filter { x { a => "q\"\n" } }"""
    assert parse(text)[0].body[0].attributes[0].value == r"q\"\n"
    assert parse(text, support_escapes=True)[0].body[0].attributes[0].value == 'q"\n'


MISTAKES = {
    "filter {\n  mutate {\n": ("file.conf:3:1: ", "but the text ends here"),
    "filter { mutate { add_tag => [ 'a' 'b' ] } }": ("file.conf:1:36: ", "expected ',' or ']'"),
    "filter { mutate { add_tag } }": ("file.conf:1:27: ", "expected '=>'"),
    "filters { }": ("file.conf:1:1: ", "expected 'input', 'filter' or 'output'"),
    "filter { if [a] = 1 { } }": ("file.conf:1:17: ", "found '='"),
    "filter { if [a] xor [b] xor [c] { } }": ("file.conf:1:17: ", "cannot be chained"),
    "filter { if [a] == /x/ { } }": ("file.conf:1:17: ", "use =~"),
    "filter { if random() { } }": ("file.conf:1:13: ", "no methods"),
    "filter { x { a => 5. } }": ("file.conf:1:19: ", "not a number"),
    'filter { x { a => "open } }': ("file.conf:1:19: ", "expected"),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.items(), ids=MISTAKES)
def test_syntax_error_tells_where_and_what(text, said):
    where, what = said
    with pytest.raises(PipelineSyntaxError) as caught:
        parse(text, file="file.conf")
    assert str(caught.value).startswith(where)
    assert what in str(caught.value)


WRONG = {
    "filter {\n ruby { } }": (2, "the filter 'ruby' is unknown or not supported"),
    "filter { 'grok' { } }": (1, "'grok' is unknown"),
    "filter { mutate {\n\n colour => 1 } }": (3, "the option 'colour' is unknown"),
    "filter { grok { match => { 'a' => '%{NOPE}' } } }": (1, "NOPE"),
    "filter { grok { break_on_match => 1 } }": (1, "must be true or false"),
    "filter { mutate { id => 'a' id => 'b' } }": (1, "given 2 times"),
    "filter { mutate { add_tag => ['${NOT_SET}'] } }": (1, "NOT_SET"),
    "filter { mutate { gsub => ['a', 'b'] } }": (1, "field, pattern, replacement"),
    "filter { mutate { gsub => ['a', '(', 'b'] } }": (1, "'('"),
    "filter { mutate { convert => { 'a' => 'whole' } } }": (1, "'whole'"),
    "filter { date { match => ['a'] } }": (1, "at least one pattern"),
    "filter { date { match => ['a', 'XXX'] } }": (1, "XXX"),
    "filter { date { match => ['a', 'ISO8601'] timezone => 'Mars/Base' } }": (1, "no time zone"),
    "filter { json { } }": (1, "'source' is missing"),
    "filter { drop { percentage => 'x' } }": (1, "must be a number"),
    "filter {\n if [a] =~ /(/ { drop { } } }": (2, "/(/"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.items(), ids=WRONG)
def test_configuration_error_names_the_thing_and_its_line(text, said):
    line, what = said
    with pytest.raises(PipelineConfigError) as caught:
        Pipeline.parse(text, env={}, name="file.conf")
    assert caught.value.line == line
    assert str(caught.value).startswith(f"file.conf:{line}:")
    assert what in str(caught.value)
