"""What is known of a pattern without matching it; each claim is held against matches."""

from __future__ import annotations

import re

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from parser.logstash.regexes import as_literal, certain_groups, compile_regex, recurring_groups

CERTAIN = {
    r"(a)": {1},
    r"(a+)(b*)(c?)(d{2})": {1, 4},
    r"(a)?(b)": {2},
    r"(?:(a)|(b))(c)": {3},
    r"(a|b)": {1},
    r"(a|)": set(),
    r"(a|b*)": set(),
    r"((a)(b)?)": {1, 2},
    r"((a)?)b": set(),
    r"(?:(a)b)+": {1},
    r"(?:(a)b)*": set(),
    r"(?:(a)b){0,2}": set(),
    r"(?>(a))(?>(b)?)": {1},
    r"(?:(a))++": {1},
    r"(?:(a))*+": set(),
    r"(?:(a))+?": {1},
    r"(?=(a))a": set(),
    r"(?!(a))b": set(),
    r"(?<=(a))b": set(),
    r"(?=(a)(b))(?:a)(c)": {3},
    r"((?=a))": set(),
    r"(\b)(^)($)": set(),
    r"((?=a)a)": {1},
    r"(a)(?(1)(b)|(c))": {1},
    r"(a*)(\1)": set(),
    r"(a)(\1)": {1, 2},
    r"(?i)(A)(?s:(.))": {1, 2},
    r"(?x) ( a ) # a comment (b)": {1},
    r"abc": set(),
    r"": set(),
}


@pytest.mark.parametrize(("source", "groups"), CERTAIN.items(), ids=CERTAIN)
def test_certain_groups(source, groups):
    assert certain_groups(re.compile(source)) == groups


def test_nothing_is_known_of_a_pattern_of_the_regex_module():
    assert certain_groups(regex.compile("(a)")) == frozenset()
    assert recurring_groups(regex.compile("([a-z]+)")) == frozenset()


PATTERNS = st.recursive(
    st.sampled_from(("a", "b", "[ab]", ".", "a*", "b+?", "", r"\b", "^")),
    lambda inner: st.one_of(
        inner.map("({})".format),
        inner.map("({})?".format),
        inner.map("(?:{})*".format),
        inner.map("(?:{}){{1,2}}".format),
        inner.map("(?>{})".format),
        inner.map("(?={})".format),
        inner.map("(?!{})".format),
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda parts: "(?:{}|{})".format(*parts)),
    ),
    max_leaves=8,
)


@given(PATTERNS, st.lists(st.text("abc", max_size=6), min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_certain_groups_are_there_in_every_match(source, texts):
    pattern = re.compile(source)
    certain = certain_groups(pattern)
    for text in texts:
        for match in pattern.finditer(text):
            assert all(match[group] for group in certain), (source, text, match)


RECURRING = {
    r"([A-Z]+)": {1},
    r"(\S+) (\d+)": {1, 2},
    r"(?:([a-z]+)|(\w*))": {1, 2},
    r"(INFO|WARN)": set(),  # of one length, as an id is
    r"(INFO|ERROR)": {1},
    r"(.*)": set(),
    r"(a.*?)(?:b(c.)+)?": set(),
    r"((?:x|y.)+)": set(),
    r"([0-9a-f]{32})": set(),
    r"(\d{4}-\d\d)": set(),
    r"(a(?=.)b*)": {1},
    r"((?>.+)|b)": set(),
    r"(([a-z]+) (.+))": {2},
    r"abc": set(),
}


@pytest.mark.parametrize(("source", "groups"), RECURRING.items(), ids=RECURRING)
def test_recurring_groups(source, groups):
    assert recurring_groups(re.compile(source)) == groups


LITERALS = {
    "abc": ("in", "abc"),
    r"\Aabc": ("startswith", "abc"),
    r"\A\{\"": ("startswith", '{"'),
    r"\n": ("in", "\n"),
    r"\e": ("in", "\x1b"),
    "%": ("in", "%"),
    "a.c": None,
    "^a": None,
    r"a\z": None,
    "(a)": None,
    "(?i)abc": None,
    "(?i:abc)": None,
    "a|b": None,
    "": None,
    r"\A": None,
}


@pytest.mark.parametrize(("source", "literal"), LITERALS.items(), ids=LITERALS)
def test_patterns_that_are_plain_texts(source, literal):
    pattern = compile_regex(source)
    assert as_literal(pattern) == literal
    for text in ("", "abc", "xabcx", "ABC", '{"', ' {"', "\n", "a\nb", "\x1b", "%", "ac"):
        found = pattern.search(text) is not None
        if literal is not None:
            assert found == (literal[1] in text if literal[0] == "in" else text.startswith(literal[1]))
