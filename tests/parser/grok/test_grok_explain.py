"""Where an expression stops in a line, and what it wanted there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser.errors import GrokError, UnknownPatternError
from parser.grok import Grok
from parser.grok.explain import Wanted, explain

SPRING = r"\A%{TIMESTAMP_ISO8601:ts} %{LOGLEVEL:level} %{INT:pid} --- \[%{DATA:thread}\] %{JAVACLASS:logger} : %{GREEDYDATA:m}"
LINE = "2017-07-04 11:11:37.921 INFO 60820 --- [main] br.com.Foo : hi"


def failure(source, text, **options):
    found = explain(source, text, **options)
    assert not found.matched
    assert found.failure is not None
    return found.failure


def stopped(source, text, **options):
    """(part of the expression that matches, part that was wanted, rest of the line where it stopped)."""
    found = failure(source, text, **options)
    return source[: found.begin], source[found.begin : found.end], text[found.reach :]


def test_a_line_that_matches():
    found = explain(SPRING, LINE)
    assert (found.matched, found.failure) == (True, None)
    assert found.fields == Grok(SPRING).match(LINE)


@pytest.mark.parametrize(
    ("old", "new", "done", "wanted", "rest"),
    [
        (
            "60820",
            "abc",
            r"\A%{TIMESTAMP_ISO8601:ts} %{LOGLEVEL:level} ",
            "%{INT:pid}",
            "abc --- [main] br.com.Foo : hi",
        ),
        ("07-04", "13-04", r"\A", "%{TIMESTAMP_ISO8601:ts}", "3-04 11:11:37.921 INFO 60820 --- [main] br.com.Foo : hi"),
        ("INFO", "INF0", r"\A%{TIMESTAMP_ISO8601:ts} %{LOGLEVEL:level}", " ", "0 60820 --- [main] br.com.Foo : hi"),
        ("---", "-x-", SPRING[: SPRING.index("--- ") + 1], r"-- \[", "x- [main] br.com.Foo : hi"),
        (" : hi", "", SPRING[: SPRING.index(" : %")], " : ", ""),
        ("[main]", "(main)", SPRING[: SPRING.index(r"\[")], r"\[", "(main) br.com.Foo : hi"),
    ],
)
def test_where_it_stops(old, new, done, wanted, rest):
    assert stopped(SPRING, LINE.replace(old, new)) == (done, wanted, rest)


@pytest.mark.parametrize(
    ("source", "text", "done", "wanted", "rest"),
    [
        ("a", "", "", "a", ""),
        ("foo|bar%{INT}", "barx", "foo|bar", "%{INT}", "x"),
        ("(?:INFO|WARN) x", "ERROR x", "", "(?:INFO|WARN)", "ERROR x"),
        ("(?:INFO|WARN) x", "WARM x", "(?:INFO|WAR", "N", "M x"),
        (r"(?<y>\d{4})-(?<m>\d\d)", "2020-x", r"(?<y>\d{4})-", r"(?<m>\d\d)", "x"),
        (r"(?:a(?:b(?:c)))", "abd", "(?:a(?:b", "(?:c)", "d"),
        ("%{INT:a} %{WORD:b}!", "1 2 x", "%{INT:a} %{WORD:b}", "!", " x"),
        (r"%{DATA:a} \[%{INT:b}\]", "x [y] z", r"%{DATA:a} \[", "%{INT:b}", "y] z"),
        ("x{3}", "xx", "", "x{3}", ""),
    ],
)
def test_into_groups_alternatives_and_repeats(source, text, done, wanted, rest):
    assert stopped(source, text) == (done, wanted, rest)


def test_the_named_pattern_and_what_it_wanted():
    found = failure(SPRING, LINE.replace("07-04", "13-04"))
    assert found.pattern == "TIMESTAMP_ISO8601"
    assert found.definition.startswith("%{YEAR}-%{MONTHNUM}")
    assert (found.at, found.reach) == (0, 6)
    assert set(found.wanted) == {Wanted("[0-2]", "MONTHNUM"), Wanted("-", "TIMESTAMP_ISO8601")}


def test_fields_of_the_part_that_matches():
    found = explain(SPRING, LINE.replace("60820", "abc"))
    assert found.fields == {"ts": "2017-07-04 11:11:37.921", "level": "INFO"}


def test_only_the_anchor_at_the_end_fails():
    found = failure(r"%{IP:a} %{WORD:b}$", "10.0.0.1 abc def")
    assert (found.end_is_wanted, found.at) == (True, 12)
    assert not failure(r"%{IP:a} %{INT:b}$", "10.0.0.1 abc").end_is_wanted


def test_only_the_anchor_at_the_beginning_fails():
    assert failure(SPRING, f"<13>{LINE}").elsewhere == 4
    assert failure(SPRING, f"<13>{LINE}".replace("INFO", "x")).elsewhere is None


def test_blanks_that_the_expression_does_not_have():
    assert failure(SPRING, LINE.replace("INFO", "  INFO")).blanks == 2
    assert failure(SPRING, LINE.replace("INFO", "  x")).blanks == 0


def test_an_optional_part_that_got_further():
    found = failure(r"\A(?:\[%{INT:pid}\] )?%{WORD:x}", "[12a] x").left_out
    assert (found.text, found.reach) == (r"(?:\[%{INT:pid}\] )?", 3)
    assert Wanted(r"\]", None) in found.wanted


def test_of_many_places_the_one_that_got_furthest():
    assert stopped("%{INT:pid} %{LOGLEVEL} x", "2017 07 12 INFO y") == ("%{INT:pid} %{LOGLEVEL} ", "x", "y")


def test_definitions_and_directories(tmp_path):
    (tmp_path / "own").write_text("SHOUT [A-Z]+!\n")
    assert stopped("%{SHOUT:a} %{END}", "HEY! no", pattern_definitions={"END": "end"}, patterns_dir=[tmp_path]) == (
        "%{SHOUT:a} ",
        "%{END}",
        "no",
    )


def test_a_reference_back_is_no_matter_for_the_tree():
    found = explain(r"(?:(?<a>x)|(?<a>y)) \k<a>z", "x yz")
    assert (found.matched, found.failure is None or found.failure.begin > 0) == (False, True)


@pytest.mark.parametrize(("source", "field"), [("%{INT:[a} %{INT:b}", "[a"), ("%{INT:[a]} %{INT:[a][b]}", "[a][b]")])
def test_a_field_that_cannot_be_set(source, field):
    found = explain(source, "1 2")
    assert (found.matched, found.failure, found.bad_field) == (False, None, field)


def test_an_expression_that_does_not_compile():
    with pytest.raises(UnknownPatternError):
        explain("%{NO_SUCH}", "x")


@pytest.mark.parametrize("source", ["(a+)+$", r"\A(?:a|a)*b", "(?:.*,){12}x"])
def test_a_pattern_that_runs_away_is_explained(source):
    assert not explain(source, "a," * 40 + "c").matched


PARTS = st.sampled_from(
    [
        "%{INT:a}",
        "%{WORD:b}",
        " ",
        "-",
        r"\[",
        "(?:x|%{INT})",
        "%{DATA:c}",
        "$",
        "(?:-%{INT})?",
        r"\A",
        "%{TIMESTAMP_ISO8601}",
    ]
)


@given(st.lists(PARTS, max_size=7).map("".join), st.text("1x -[\n", max_size=12))
def test_it_agrees_with_the_engine(source, text):
    """What is said to match does, up to there; what is said to be wanted next does not, behind it."""
    try:
        grok = Grok(source)
    except GrokError:
        return
    found = explain(source, text)
    assert found.matched == (grok.match(text) is not None)
    if found.failure is None:
        return
    assert found.failure.at <= found.failure.reach <= len(text)
    for part, matches in ((source[: found.failure.begin], True), (source[: found.failure.end], False)):
        try:
            assert (Grok(part).match(text) is not None) is matches, part
        except GrokError:  # cut within a group
            continue
