from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser.errors import DialectError
from parser.multiline import PRESETS, Joins, Lines, Starts, framer

BOOT = PRESETS["spring-boot"]
RECORD = b"2017-07-04 11:11:37.921  INFO 60820 --- [main] a.B : hello\n"
TRACE = b"java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\nCaused by: x.Y\n\t... 3 more\n"


def events(how, block):
    """The events whose end is known, and what may still go on."""
    found, begin = [], 0
    for cut in how.cuts(block):
        found.append(block[begin:cut])
        begin = cut
    return found, block[begin:]


def test_every_line_is_an_event_without_multiline():
    assert events(Lines(), b"a\n\nb\n") == ([b"a\n", b"\n", b"b\n"], b"")


def test_a_stack_trace_belongs_to_its_record():
    done, rest = events(BOOT, RECORD + TRACE + RECORD + RECORD)
    assert done == [RECORD + TRACE, RECORD]
    assert rest == RECORD


@pytest.mark.parametrize(
    "start",
    [
        RECORD,
        b"2024-05-06T16:22:03.177+08:00  INFO 1 --- [main] a.B : x\n",
        b"\x1b[2m2024-05-06T16:22:03.177Z\x1b[0;39m \x1b[32m INFO\x1b[0;39m 1 --- [main] a.B : x\n",
        b'{"@timestamp":"2024-05-06T16:22:03.177Z","message":"x"}\n',
        b'{"version":"1.1","short_message":"x","timestamp":1715012523.177}\r\n',
    ],
)
def test_what_begins_a_record(start):
    assert events(BOOT, RECORD + start)[0] == [RECORD]


@pytest.mark.parametrize(
    "line",
    [
        b" 2017-07-04 11:11:37.921 in a message\n",
        b'{"order": 7, "items": []}\n',
        b'{"timestamp": "pretty\n',
        b"\n",
        b"Caused by: 2017-07-04 11:11:37\n",
    ],
)
def test_what_does_not_begin_a_record(line):
    assert events(BOOT, RECORD + line) == ([], RECORD + line)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # Filebeat's documentation has these four as its table of negate and match.
        ({"pattern": "^b", "negate": False, "match": "after"}, [b"a\nb\nb\n", b"c\nb\n"]),
        ({"pattern": "^b", "negate": False, "match": "before"}, [b"a\n", b"b\nb\nc\n"]),
        ({"pattern": "^b", "negate": True, "match": "after"}, [b"a\n", b"b\n", b"b\nc\n"]),
        ({"pattern": "^b", "negate": True, "match": "before"}, [b"a\nb\n", b"b\n", b"c\nb\n"]),
    ],
)
def test_filebeats_negate_and_match(settings, expected):
    done, rest = events(framer(**settings), b"a\nb\nb\nc\nb\n")
    assert [*done, rest][: len(expected)] == expected


def test_a_flush_pattern_ends_its_event():
    how = framer(r"^\s", match="after", flush_pattern="END$")
    assert events(how, b"a\n b END\n c\nd\n") == ([b"a\n b END\n", b" c\n"], b"d\n")


def test_max_lines_begins_another_event():
    how = framer(r"^\s", match="after", max_lines=2)
    assert events(how, b"a\n b\n c\n d\ne\n") == ([b"a\n b\n", b" c\n d\n"], b"e\n")


def test_the_quick_form_is_taken_only_where_it_means_the_same():
    assert isinstance(framer(r"^\d{4}-", negate=True), Starts)
    for pattern in (r"^a|b", r"^\s*x", r"^[^ ]", r"a", r"^a$"):
        assert isinstance(framer(pattern, negate=True), Joins)


def test_a_pattern_that_is_none_is_an_error_that_quotes_it():
    with pytest.raises(DialectError, match=r"'\(' is not a regular expression"):
        framer("(")


@given(st.lists(st.sampled_from([b"12 a\n", b" b\n", b"\n", b"x;\n", b"34 c;\r\n"]), max_size=30), st.data())
def test_framing_from_any_cut_gives_the_same_cuts(lines, data):
    how = data.draw(
        st.sampled_from(
            [
                Lines(),
                Starts(rb"\d\d"),
                framer(r"^\s"),
                framer(";$", negate=True, match="before"),
                framer(r"^\s", max_lines=3),
                framer(r"^\d", negate=True, flush_pattern=";"),
            ]
        )
    )
    block = b"".join(lines)
    cuts = how.cuts(block)
    assert cuts == sorted(set(cuts))
    for begin in cuts:
        assert [begin + cut for cut in how.cuts(block[begin:])] == [cut for cut in cuts if cut > begin]
