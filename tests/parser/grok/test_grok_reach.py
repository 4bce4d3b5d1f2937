"""What the tree matches is what the compiled expression matches: whether, and where it ends first."""

from __future__ import annotations

import time

import pytest
from grok_corpus import CORPUS, GROUPS
from hypothesis import given
from hypothesis import strategies as st

from parser.errors import GrokError
from parser.grok import load_dictionary
from parser.grok.dialect import compile_tree
from parser.grok.dialect_parser import DialectParser
from parser.grok.reach import Reach
from parser.grok.references import expand


def ends(source, text, **definitions):
    """(ends by the tree from where the compiled expression matches, the end of that match), or ((), None)."""
    dictionary = load_dictionary("v1").with_definitions(definitions)
    parsed = DialectParser(expand(source, dictionary).text).parse()
    found = compile_tree(parsed).pattern.search(text)
    reach = Reach(text, parsed)
    if found is None:
        return reach.over(parsed.tree, range(len(text) + 1)).ends, None
    return reach.at(parsed.tree, found.start()).ends, found.end()


def assert_same(source, text):
    by_tree, by_re = ends(source, text)
    assert by_tree[:1] == (() if by_re is None else (by_re,)), (source, text)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a|ab", "ab"),
        ("(?:a|ab)c", "abc"),
        ("(?>a|ab)c", "abc"),
        ("a++a", "aaa"),
        ("(?:ab|a)*+b", "aab"),
        ("(?:a|b)*?b", "aabb"),
        ("(?:ab){2,3}", "ababab"),
        ("(?:ab){2}c", "abc"),
        ("(?:a?)*b", "aab"),
        (r"(?<=\d)x(?!y)", "1xy2x"),
        (r"(?<!ab|c)d", "abdcdxd"),
        (r"^b$", "a\nb\nc"),
        (r"^", "a\n"),
        (r"\A.*\z", "a\nb"),
        (r"b\Z", "b\n"),
        (r"\bä\b", "x ä"),
        (r"\B", ""),
        (r"(?<p>\((?:[^()]|\g<p>)*\))", "x(a(b)c"),
        (r"(?<a>\w)\k<a>", "abcc"),
        (r"(?~ab)", "xxab"),
        (r"a\Kb", "ab"),
        ("(?i:straße)", "STRASSE Straße"),
        (".*?x", "a" * 50 + "x"),
    ],
)
def test_constructs(source, text):
    assert_same(source, text)


ATOMS = st.sampled_from(
    ["a", "b", "ab", ".", "[^a]", r"\b", "^", "$", "(?=a)", "(?!b)", "(?<=a)", "(?>a|ab)", "(?:a|ba)"]
)
SOURCES = st.lists(
    st.tuples(ATOMS, st.sampled_from(["", "*", "+", "?", "*?", "++", "{2}", "{1,2}", "|"])), max_size=6
).map(
    lambda parts: "".join(
        atom if mark not in ("", "|") and atom in ("^", "$", r"\b") else _repeated(atom, mark) for atom, mark in parts
    )
)


def _repeated(atom, mark):
    return atom + mark if mark in ("", "|") or len(atom) == 1 or atom[0] in "([" else f"(?:{atom}){mark}"


@given(SOURCES, st.text("ab\n", max_size=8))
def test_any_expression(source, text):
    try:
        by_tree, by_re = ends(source, text)
    except GrokError:
        return
    assert by_tree[:1] == (() if by_re is None else (by_re,))


@pytest.mark.slow
@pytest.mark.skipif(not GROUPS, reason=f"the corpus is not at {CORPUS} (set CORPUS_DIR)")
def test_expressions_of_the_corpus():
    compared = 0
    for group, cases in GROUPS.items():
        for case in cases[:: 1 if group.startswith("semantics") else 9]:
            if group.endswith(": filter") or len(case["input"]) > 1000:
                continue
            try:
                by_tree, by_re = ends(case["pattern"], case["input"], **case.get("pattern_definitions", {}))
            except GrokError:
                continue
            assert by_tree[:1] == (() if by_re is None else (by_re,)), case["id"]
            compared += 1
    assert compared > 500


@pytest.mark.parametrize("source", ["(a+)+$", "(a|a)*$", "(?:a*)*$", "(.*)*x"])
def test_nothing_runs_away(source):
    text = "a" * 200 + "b"
    parsed = DialectParser(source).parse()
    started = time.process_time()
    assert Reach(text, parsed).over(parsed.tree, (0,)).ends == ()
    assert time.process_time() - started < 5


def test_a_text_of_many_rounds():
    assert_same(r"(?:[ab] )*c", "a b " * 2000 + "c")
