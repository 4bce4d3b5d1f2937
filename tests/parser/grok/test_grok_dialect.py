import re

import pytest

from parser.errors import DialectError
from parser.grok import Dictionary, compile_expression, translate


def found(source, text):
    match = translate(source).search(text)
    return match and match.group()


# What Joni 2.2 (JRuby 9.4.9) answers, with Regexp::MULTILINE as grok sets it.
@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        (r"a.b", "a\nb", "a\nb"),
        (r"(?-m:a.b)", "a\nb", None),
        (r"^b", "a\nb", "b"),
        (r"a$", "a\nb", "a"),
        (r"a$", "a\r\n", None),
        (r"\n$", "a\n", "\n"),
        (r"^\z", "a\n", None),
        (r"^", "", ""),
        (r"a\Z", "a\n", "a"),
        (r"a\z", "a\n", None),
        (r"\B", "", ""),
        (r"\Ba", "a", None),
        (r"\w+", "é1_ß", "1_"),
        (r"[^\W]+", "é1", "1"),
        (r"\d", "٣", None),
        (r"\s+", "a \u00a0", " "),
        (r"\s+", "a\x0b\x0c", "\x0b\x0c"),
        (r"\bb", "éb", None),
        (r"(?u)\w+", "é1", "é1"),
        (r"(?a:[[:alpha:]]+)", "éa", "a"),
        (r"[[:alpha:]]+", "1é", "é"),
        (r"\p{^L}+", "a1é", "1"),
        (r"\P{Alpha}", "a1", "1"),
        (r"\h+", "xyz12Fg", "12F"),
        (r"[a-c[x-z]]+", "mxbz", "xbz"),
        (r"[^a[bc]]+", "abcd", "d"),
        (r"[a-z&&b-d&&[^c]]+", "abcd", "b"),
        (r"[]a]+", "x]a", "]a"),
        (r"[\w.-]+", "!a.-b", "a.-b"),
        (r"\R", "a\r\n", "\r\n"),
        (r"a*+a", "aaa", None),
        (r"a{1,2}+a", "aaa", "aaa"),
        (r"a{2}?b", "b", "b"),
        (r"a{,2}b", "aaab", "aab"),
        (r"a{,}", "a{,}", "a{,}"),
        (r"a**", "aa", "aa"),
        (r"(?:a*)*b", "aab", "aab"),
        (r"(?:x|)+y", "xxy", "xxy"),
        (r"\b*a", "a", "a"),
        (r"(?=a)*?b", "b", "b"),
        (r"(?<=a|bc)d", "bcd", "d"),
        (r"(?<!a|bc)d", "bcd", None),
        (r"(?<=\s{2})a", "  a", "a"),
        (r"(?i:k)", "\u212a", "\u212a"),
        (r"(?i:i)", "\u0130", None),
        (r"(?i)[à-ý]+", "ÉÊz", "ÉÊ"),
        (r"(?i)[[:lower:]]+", "AÉ", "A"),
        (r"(?i)\p{Lu}+", "aé", "a"),
        (r"[a-c-e]+", "a-de", "a-"),
        (r"[a&&]", "a", None),
        (r"[^&&]", "a", "a"),
        (r"a(?i)b|c", "aC", "aC"),
        (r"a(?i)b|c", "C", None),
        (r"(?i:a|b)c", "BC", None),
        (r"(?x) a b # c", "ab", "ab"),
        (r"(?~ab)", "xxabyy", "xxa"),
        (r"a(?#no)b", "ab", "ab"),
        (r"\x41\u0042\u{43}\104", "ABCD", "ABCD"),
        (r"\e\a\cA\C-a\0", "\x1b\x07\x01\x01\x00", "\x1b\x07\x01\x01\x00"),
        (r"\_\#\-\/", "_#-/", "_#-/"),
        (r"(a)(b)\2", "abb", "abb"),
        (r"(?<q>['\"]).*?\k<q>", "a'b\"c'", "'b\"c'"),
        (r"(?<q>a|b)(?<q>c)\k<q>", "aca", "aca"),
        (r"(?<p>\((?:[^()]|\g<p>)*\))", "x(a(b)c)", "(a(b)c)"),
        (r"x\Ky", "xy", "y"),
        (r"\X", "e\u0301", "e\u0301"),
        (r"(a)?(?(1)b|c)", "ab", "ab"),
        (r"(?>a|ab)c", "abc", None),
    ],
)
def test_means_what_oniguruma_means(source, text, expected):
    assert found(source, text) == expected


def test_outside_grok_the_dot_stops_at_a_newline():
    assert translate("a.*", dotall=False).search("ab\nc").group() == "ab"
    assert translate("(?m:a.*)", dotall=False).search("ab\nc").group() == "ab\nc"


@pytest.mark.parametrize(
    ("source", "message", "position"),
    [
        (r"a(?P<b>c)", r"\(\?<name>…\)", 1),
        (r"(?s)a", "undefined group option", 0),
        (r"a\x{41}", "invalid hex escape", 1),
        (r"(x)(?<a>y)\1", "numbered backref", 10),
        (r"(?<=a+)b", "look-behind", 0),
        (r"(?<=a(?:b|cd))e", "look-behind", 0),
        (r"(?<!(a))b", "look-behind", 0),
        (r"a[", "premature end", 1),
        (r"[[]", "empty char-class", 1),
        (r"[a-\d]", "end of range", 2),
        (r"[b-a]", "empty range", 1),
        (r"[\w-.]", "unmatched range specifier", 1),
        (r"[[:alpha:]-x]", "unmatched range specifier", 1),
        (r"(a", "unmatched parenthesis", 0),
        (r"a)", "unmatched close", 1),
        (r"*a", "repeat operator", 0),
        (r"(?:+)", "repeat operator", 3),
        (r"a{3,1}", "upper is smaller", 1),
        (r"(?<1a>b)", "invalid group name", 3),
        (r"(?<>b)", "group name is empty", 3),
        (r"\k<nope>", "undefined name", 0),
        (r"\p{Nope}", "invalid character property", 0),
        (r"\P{L}", "general category", 0),
        ("a\\", "end pattern at escape", 1),
        (r"a(?~b+)", "fixed length", None),
        (r"(?<a>b\k<a>)", "cannot be translated", None),
    ],
)
def test_errors_say_what_and_where(source, message, position):
    with pytest.raises(DialectError, match=message) as raised:
        translate(source)
    assert raised.value.position == position


def python(source):
    return compile_expression(source, dictionary=Dictionary()).pattern.pattern


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("(?:(?:a)(b))", "ab"),
        (r"(?>\d\d){1,2}-", "[0-9][0-9](?:[0-9][0-9]|)-"),
        (r"\d+\s", r"[0-9]++[\t-\r ]"),
        (r"\d+\s*\d", r"[0-9]+[\t-\r ]*+[0-9]"),
        (r"\b\w+\b", r"\b[0-9A-Z_a-z]++\b"),
        (r"[.*?]", "[*.?]"),
        (r"\[.*?\]", r"\[[^\]]*+(?:|.+?)\]"),
        (r'"[^"]*?"', r'"[^"]*+"'),
        (r"(?:ab)?c", "(?:ab|)c"),
        (r"(?:ab)??c", "(?:|ab)c"),
        (r"a|b|[cd]", "[a-d]"),
        (r"(?<x>.*)", "(.*)"),
        (r"^a$", "^a$"),
        (r"\d+$", "[0-9]++$"),
        (r"\s+$", r"[\t-\r ]+$"),
        (r"\d+(?![0-9])", "[0-9]++(?![0-9])"),
        (r"([ab]+)+c", "[ab]++c"),
        (r"(?:[ab]*)+c", "[ab]*+c"),
    ],
)
def test_is_written_the_cheap_way(source, written):
    assert python(source) == written


@pytest.mark.parametrize(
    ("source", "anchored"),
    [
        (r"\Aa", True),
        (r"(?<x>.*)a", True),
        (r"(?<x>.*?)a", True),
        (r"(?:\Aa|\Ab)", True),
        (r"\Aa|b", False),
        (r"(?=a)(?<x>.*)", True),  # as Joni does, which misses the later positions
        (r"(?=a)(?<x>.*?)b", False),
        (r"(?<x>.*?)a\k<x>", False),
        (r"^a", False),
        (r"[^\n]*a", False),
    ],
)
def test_knows_when_a_match_begins_the_text(source, anchored):
    assert compile_expression(source, dictionary=Dictionary()).anchored is anchored


@pytest.mark.parametrize("source", [r"\d+(?<x>a)", r"(?<x>\w)\K(?<y>\w)", r"(?i)(?<x>é)", r"[[:alnum:]]+(?<x>!)"])
def test_the_standard_re_is_enough(source):
    assert isinstance(compile_expression(source, dictionary=Dictionary()).pattern, re.Pattern)
