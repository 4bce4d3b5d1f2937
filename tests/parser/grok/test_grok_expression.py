import pytest

from parser.errors import CircularPatternError, DialectError, UnknownPatternError
from parser.grok import Capture, Dictionary, Grok, compile_expression, load_dictionary
from parser.grok.expression import field_path

MISSION = (
    r"\A%{TIMESTAMP_ISO8601}%{SPACE}%{LOGLEVEL}%{SPACE}%{INT}%{SPACE}%{SYSLOGPROG}%{SPACE}%{SYSLOG5424SD}%{SPACE}"
    r"%{JAVACLASS:service}%{SPACE}%{NOTSPACE}%{SPACE}%{JAVALOGMESSAGE:java_message}"
)
LINE = "2017-07-04 11:11:37.952  INFO 60820 --- [pool-3-thread-1] br.com.ContaServiceLog           :  CALL SOMEthing"


def compiled(source, **definitions):
    return compile_expression(source, dictionary=Dictionary(definitions))


def test_the_missions_expression_in_both_modes():
    fields = {"service": "br.com.ContaServiceLog", "java_message": "CALL SOMEthing"}
    assert Grok(MISSION).match(LINE) == {"program": "---", **fields}
    assert Grok(MISSION, ecs_compatibility="v8").match(LINE) == {"process": {"name": "---"}, **fields}


def test_captures_say_field_path_type_and_groups():
    expression = compiled("%{N:a:int} (%{N:[b][c]:float}) %{N:a:int} (?<d>x)", N=r"\d+")
    assert expression.captures == (
        Capture("a", ("a",), "int", (1, 3)),
        Capture("[b][c]", ("b", "c"), "float", (2,)),
        Capture("d", ("d",), None, (4,)),
    )
    assert expression.pattern.groups == 4
    assert expression.source.startswith("%{N:a")


@pytest.mark.parametrize(
    ("name", "path"),
    [("a", ("a",)), ("a.b", ("a.b",)), ("[a]", ("a",)), ("[a][b]", ("a", "b")), ("[a", ()), ("a[b]", ()), ("[a]b", ())],
)
def test_field_references(name, path):
    assert field_path(name) == path


@pytest.mark.parametrize(
    ("source", "name", "kind"),
    [
        ("(?<a:int>1)", "int", None),
        ("(?<x:a:int>1)", "a", "int"),
        ("(?<a:b:c:d>1)", "b", None),
        ("(?<:a>1)", "a", None),
        ("(?<a:>1)", "a", None),
        ("%{N:a::int}", "a", None),
        ("%{N:a:int:x}", "a", "int"),
        ("%{N:a:long}", "a", None),
        ("%{N:a b}", "a", None),
    ],
)
def test_names_are_split_as_jls_grok_splits_them(source, name, kind):
    (capture,) = compiled(source, N="1").captures
    assert (capture.name, capture.type) == (name, kind)


def test_references_end_at_the_brace_and_junk_in_between_is_ignored():
    assert Grok("%{INT;a}-%{INT :b}-%{INT:c{x}").match("1-2-3") == {"c": "3"}
    assert Grok("%{INT:a").match("12") is None
    assert Grok("%{}").match("%{}") == {}


def test_inline_definitions_hold_from_there_on():
    assert Grok(r"%{X:a:int=\d{2}}").match("x12") == {"a": 12}
    assert Grok("%{X:a=[ab]}-%{X:b}").match("a-b") == {"a": "a", "b": "b"}


def test_unknown_names_are_found_where_they_stand():
    with pytest.raises(UnknownPatternError, match="did you mean NOTSPACE") as raised:
        Grok("ab %{NOTSPACES:x}")
    assert (raised.value.pattern, raised.value.position) == (None, 3)
    with pytest.raises(UnknownPatternError) as raised:
        compiled("x%{A}", A="a%{B}", B="bc%{NOPE}")
    assert (raised.value.pattern, raised.value.position) == ("B", 2)


def test_circles_are_shown():
    with pytest.raises(CircularPatternError, match="A → B → A") as raised:
        compiled("%{A:f}", A="%{B}", B="x%{A}")
    assert (raised.value.pattern, raised.value.position) == ("B", 1)


def test_a_pattern_used_twice_is_no_circle():
    assert compiled("%{A}%{A}%{B}", A="a", B="%{A}").pattern.pattern == "aaa"


def test_faults_of_the_dialect_are_found_in_the_definition():
    with pytest.raises(DialectError) as raised:
        compiled("x%{A}", A=r"ab\x{41}")
    assert (raised.value.pattern, raised.value.position) == ("A", 2)


def test_plain_groups_capture_nothing_beside_named_ones():
    assert Grok("(a)(?<x>b)(c)").match("abc") == {"x": "b"}
    assert Grok("(a)(b)").match("ab") == {}


def test_all_captures():
    assert Grok("%{NUMBER:n} %{WORD}", named_captures_only=False).match("1 a") == {
        "n": "1",
        "BASE10NUM": "1",
        "WORD": "a",
    }


@pytest.mark.parametrize(
    ("source", "text", "fields"),
    [
        ("%{INT:a} %{INT:a}", "1 2", {"a": ["1", "2"]}),
        ("%{INT:a} %{WORD:a} %{INT:a}", "1 x 2", {"a": ["1", "2", "x"]}),
        ("%{INT:a:int} %{INT:a:int}", "1 2", {"a": 1}),
        ("%{INT:a} %{INT:a:int}", "1 2", {"a": ["1", 2]}),
        ("%{INT:[a][b]} %{INT:[a][b]}", "1 2", {"a": {"b": ["1", "2"]}}),
        ("%{INT:a} %{INT:[a]}", "1 2", {"a": ["1", "2"]}),
        ("(?:%{INT:a}|%{WORD:a}) %{INT:b}", "x 3", {"a": "x", "b": "3"}),
        ("%{INT:[a]} %{INT:[a][b]}", "1 2", None),
        ("%{INT:[a}", "1", None),
        ("(?<n>\\d)-\\g<n>", "1-2", {"n": "2"}),
        ("(?<a>x?)(?<b>y)?", "z", {}),
    ],
)
def test_values_of_repeated_fields(source, text, fields):
    assert Grok(source).match(text) == fields


@pytest.mark.parametrize("field", ["a", "[n][a]"])
def test_empty_captures_are_kept_on_request(field):
    source = f"(?<{field}>x?)(?<b>y)?%{{E:c:int}}(?:%{{E:d:int}}!)?"
    kept = Grok(source, keep_empty_captures=True, pattern_definitions={"E": "z?"}).match("")
    assert kept == {**({"n": {"a": ""}} if "[" in field else {"a": ""}), "b": None, "c": 0, "d": None}
    assert Grok(source, pattern_definitions={"E": "z?"}).match("") == {"c": 0}


def test_plain_groups_that_are_referred_to_are_no_fields():
    assert Grok(r"(a|b)\1").match("bb") == {}


def test_own_definitions_lose_their_newline_and_win():
    grok = Grok("%{INT:f} %{MINE:g}", pattern_definitions={"INT": "x\n", "MINE": " y "})
    assert grok.match("x  y ") == {"f": "x", "g": " y "}


@pytest.mark.parametrize("text", ["a1", "b\na1", "\na1", "x a1\n", "", "\n"])
@pytest.mark.parametrize("source", ["^a(?<n>1)", "(?<n>^a1|^$)", "^(?<n>)"])
def test_line_starts_are_found_as_search_finds_them(source, text):
    expression = compiled(source)
    quick, plain = expression.match(text), expression.pattern.search(text)
    assert (quick and quick.span(1)) == (plain and plain.span(1))


def test_anchored_expressions_use_match():
    anchored = compile_expression(MISSION, dictionary=load_dictionary())
    assert anchored.anchored
    assert anchored.match("x" + LINE) is None
    assert not compiled("a").anchored
    assert compiled("a").match("ba") is not None
