from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.errors import QueryError
from shipper.query.kql import parse
from shipper.query.tree import And, Compare, Everything, Exists, Match, Not, Or, Pattern

A, B, C = (Match(None, letter) for letter in "abc")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", Everything()),
        ("  \n", Everything()),
        ("*", Everything()),
        ("*:*", Everything()),
        ("a", A),
        ("a b", And((A, B))),
        ("a and b AND c", And((A, B, C))),
        ("a b or c", Or((And((A, B)), C))),
        ("a Or b and c", Or((A, And((B, C))))),
        ("(a or b) c", And((Or((A, B)), C))),
        ("not a b", And((Not(A), B))),
        ("NOT (a or not b)", Not(Or((A, Not(B))))),
        ("not(a)", Not(A)),
        ("android nothing order", And((Match(None, "android"), Match(None, "nothing"), Match(None, "order")))),
        ('"a b"', Match(None, "a b", phrase=True)),
        ('"say \\"hi\\" and \\\\"', Match(None, 'say "hi" and \\', phrase=True)),
        ("\\and", Match(None, "and")),
        ('"or"', Match(None, "or", phrase=True)),
        ("Conta*", Pattern(None, ("Conta", ""))),
        ("*a**b", Pattern(None, ("", "a", "b"))),
        ("a\\*b", Match(None, "a*b")),
        ('"a*"', Match(None, "a*", phrase=True)),
        ("com.example.Foo", Match(None, "com.example.Foo")),
        ("C.[Tomcat].[localhost].[/]", Match(None, "C.[Tomcat].[localhost].[/]")),
        ("http://host:80/x", Match(None, "http://host:80/x")),
        ("10:15:30", Match(None, "10:15:30")),
        ("key=value", Match(None, "key=value")),
        ("level:ERROR", Match("log.level", "ERROR")),
        ("service : orders", Match("service.name", "orders")),
        ("labels.a:x:y", Match("labels.a", "x:y")),
        ("file:/var/log/a-*.log", Pattern("log.file.path", ("/var/log/a-", ".log"))),
        ("exception:*", Exists("error.type")),
        ('message:"a b"', Match("message", "a b", phrase=True)),
        ("level:(ERROR or WARN)", Or((Match("log.level", "ERROR"), Match("log.level", "WARN")))),
        ("x:(a not (b or c))", And((Match("x", "a"), Not(Or((Match("x", "b"), Match("x", "c"))))))),
        ("x:(a)", Match("x", "a")),
        ("pid >= 10", Compare("process.pid", ">=", "10")),
        ("pid:>=10", Compare("process.pid", ">=", "10")),
        ("pid : < 10", Compare("process.pid", "<", "10")),
        ("pid>10 pid<=20", And((Compare("process.pid", ">", "10"), Compare("process.pid", "<=", "20")))),
        ("@timestamp >= 2026-11-22T10:15:30", Compare("@timestamp", ">=", "2026-11-22T10:15:30")),
        ('x > "a b"', Compare("x", ">", "a b")),
        ("labels.a\\:b:x", Match("labels.a:b", "x")),
        ("transação:São", Match("transação", "São")),
        ("état:x", Match("état", "x")),
    ],
)
def test_trees(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("a and", 5, "the query ends"),
        ("and a", 0, "'and' cannot stand here"),
        ("a or or b", 5, "'or' cannot stand here"),
        ("not", 3, "the query ends"),
        ("(a", 2, "a closing ) is missing"),
        ("level:(a or b", 13, "a closing ) is missing"),
        ("a) b", 1, "a ) without its ("),
        ("()", 1, "a ) without its ("),
        ('a "b', 2, 'a closing " is missing'),
        ("level:", 6, "the query ends"),
        (":x", 0, "no field stands before :"),
        ("> 5", 0, "no field stands before >"),
        ("level:a:", 7, "no field stands before :"),
        ("a\\", 1, "nothing follows the \\"),
        ("a labels.*:x", 2, "a wildcard in a field's name"),
        ("x:(a) y:(b z:c)", 11, "'z' cannot stand here"),
        ("not " * 16 + "a", 0, "nested more than 16 deep"),
        (f"b a:({'not ' * 17}a)", 2, "nested more than 16 deep"),
        ("a " * 500, 0, "more than 500 parts"),
        ("a " * 5001, 10_000, "longer than 10,000 characters"),
    ],
)
def test_mistakes_have_a_place(text, position, message):
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.position == position


def mistake(text):
    """The place of the mistake, or ``None``."""
    try:
        parse(text)
    except QueryError as error:
        return error.position
    return None


@pytest.mark.parametrize(
    "text",
    [
        "(" * 4999,
        "not " * 2400 + "a",
        "(" * 4000 + "a" + ")" * 4000,
        "(a or not " * 900 + "b" + ")" * 900,
        f"a:({'not ' * 2400}a)",
        f"a:{'(' * 4000}a{')' * 4000}",
        f"a:{'(a or not ' * 900}b{')' * 900}",
    ],
)
def test_deep_nesting_is_no_fault(text):
    assert mistake(text) in {None, 0, len(text)}


@given(st.one_of(st.text(max_size=30), st.text(alphabet='ab*:<>=()"\\ .ornt', max_size=30)))
def test_any_text_is_a_query_or_a_query_error(text):
    assert 0 <= (mistake(text) or 0) <= len(text)
