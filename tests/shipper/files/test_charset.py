"""Files that are not UTF-8: the same events at the same raw bytes as a naive reading of the whole file gives."""

from __future__ import annotations

import re
import tempfile
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parser.multiline import Lines, Starts, framer
from shipper.delivery.encoder import Encoder
from shipper.files import reader as module
from shipper.files.charset import UTF8, Bytewise, Utf16, charset_of
from shipper.files.content import Plain
from shipper.files.reader import Reader
from shipper.files.recognition import distinct, why_not
from shipper.settings.encodings import SUPPORTED

ORDERS = ("utf-16-le", "utf-16-be")
FAMILIES = (*ORDERS, "iso8859-1", "cp1252", "koi8-r", "gbk", "gb18030", "big5", "cp932", "euc_jp", "cp949")
FRAMERS = (
    Lines(),
    Starts(rb"\d\d"),
    Starts("(?:é|Ж|中)".encode()),
    framer(r"^\s"),
    framer("[;中]$", negate=True, match="before"),
)
BYTEWISE = sorted(name for name in SUPPORTED if not name.startswith("utf"))


class Read:
    """All of a file, its end forced as a one-shot run does, from some cut on."""

    def __init__(self, raw, encoding, how, *, offset=0, forced=(), limit=10_000, block=module.BLOCK):
        self.events, self.cuts = [], []
        before, module.BLOCK = module.BLOCK, block
        try:
            with tempfile.TemporaryFile() as log:
                log.write(raw)
                log.flush()
                forced = [cut for cut in forced if cut > offset]
                charset = charset_of(encoding, raw[:2])
                content = Plain(log.fileno())
                self._read(raw, Reader(content, how, offset=offset, forced=forced, limit=limit, charset=charset))
        finally:
            module.BLOCK = before

    def _read(self, raw, reader):
        while (block := reader.read()) is not None or reader.pending:
            if block is None:
                reader.force(reader.flush(lines=False))
                continue
            assert block.data == raw[block.offset : block.end]
            text, ends = block.text()
            cuts = [block.offset + cut for cut in block.cuts]
            self.cuts += cuts
            self.events += [
                (begin, text[at:end].decode())
                for begin, (at, end) in zip([block.offset, *cuts], pairwise([0, *ends]), strict=False)
            ]


def naive_lines(raw, encoding):
    """Unit by unit, line by line: where each line begins, and what it says."""
    width = 2 if encoding in ORDERS else 1
    feed, lines, begin = "\n".encode(encoding), [], 0
    for at in range(0, len(raw), width):
        if raw[at : at + width] == feed:
            lines.append((begin, decoded(raw[begin:at], encoding) + "\n"))
            begin = at + width
    if begin < len(raw):
        lines.append((begin, decoded(raw[begin:], encoding)))
    return lines


def decoded(line, encoding):
    """As it reads with a line end behind it; half a unit is not completed by that."""
    if encoding in ORDERS:
        return line.decode(encoding, "replace")
    return (line + "\n\n\n".encode(encoding)).decode(encoding, "replace").removesuffix("\n\n\n")


def naive(raw, encoding, how):
    """The lines, joined as the framer says of their text."""
    lines = naive_lines(raw, encoding)
    text = "".join(line for _, line in lines).encode()
    ended = text if text.endswith(b"\n") else text + b"\n"
    cuts = {cut for cut in how.cuts(ended) if cut < len(text)}
    events, at = [], 0
    for offset, line in lines:
        if at in cuts or not events:
            events.append((offset, line))
        else:
            events[-1] = (events[-1][0], events[-1][1] + line)
        at += len(line.encode())
    return events


CHARACTERS = st.sampled_from("ab1;2 \téßЖя中文あ한\u0a0a\u010a\u0a00\u000d𝄞😀\u3030\x85\u2028€")
WRITTEN = st.lists(
    st.one_of(
        st.sampled_from(["12 abc\n", " cont\n", "\n", "34 foo;\r\n", "中\n", "é\n", "Ж 5\r\n"]),
        st.lists(CHARACTERS, max_size=40).map(lambda line: "".join(line) + "\n"),
    ),
    min_size=1,
    max_size=25,
).map("".join)
BYTES = st.lists(
    st.one_of(
        st.sampled_from([b"\n", b"\n\0", b"\0\n", b"\xd8\x3d", b"\xdc\0", b"12", b"\x0a\x0a"]), st.binary(max_size=9)
    )
).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(FAMILIES), st.sampled_from(FRAMERS), st.sampled_from([3, 16, 64, 1000]))
def test_any_text_in_any_blocks_from_any_cut_is_what_a_naive_reading_gives(data, encoding, how, block):
    text = data.draw(WRITTEN)
    raw = (text if data.draw(st.booleans()) else text.removesuffix("\n")).encode(encoding, "replace")
    wanted = naive(raw, encoding, how)
    read = Read(raw, encoding, how, block=block)
    assert read.events == wanted
    resume = data.draw(st.sampled_from([0, *read.cuts]))
    again = Read(raw, encoding, how, offset=resume, block=data.draw(st.sampled_from([3, 16, 64])))
    assert again.events == [event for event in wanted if event[0] >= resume]


@settings(max_examples=150, deadline=None)
@given(BYTES, st.sampled_from(FAMILIES), st.sampled_from([3, 16, 1000]))
def test_what_is_no_text_is_kept_readable_and_the_lines_around_it_are_whole(raw, encoding, block):
    raw = b"\x41\x42" + raw  # neither a byte order mark nor a hole
    written = raw[: charset_of(encoding, raw).blank(raw, 0)]  # NULs at the end are room that its writer has made
    assert Read(raw, encoding, Lines(), block=block).events == naive_lines(written, encoding)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(FAMILIES), st.sampled_from(FRAMERS[:2]))
def test_over_the_limit_any_blocks_and_any_resume_point_give_the_same_pieces(data, encoding, how):
    raw = data.draw(WRITTEN).encode(encoding, "replace") * 3
    limit = data.draw(st.sampled_from([50, 81]))
    read = Read(raw, encoding, how, limit=limit, block=data.draw(st.sampled_from([16, 64, 1000])))
    assert all(end - begin <= limit for begin, end in pairwise([0, *read.cuts]))
    assert "".join(text for _, text in read.events) == raw.decode(encoding)  # no character is cut
    resume = data.draw(st.sampled_from([0, *read.cuts]))
    again = Read(raw, encoding, how, offset=resume, limit=limit, block=data.draw(st.sampled_from([16, 64])))
    assert again.events == [event for event in read.events if event[0] >= resume]


@pytest.mark.parametrize("shift", range(5))
@pytest.mark.parametrize("encoding", [*ORDERS, "gbk", "gb18030", "big5", "cp932", "euc_jp", "cp949"])
def test_a_line_over_the_limit_is_cut_between_characters(encoding, shift):
    long = "a" * shift + ("é1😀" if encoding in {*ORDERS, "gb18030"} else "中") * 60
    lines = ["12 before\n", f"{long}\n", "34 behind\n", "56 last\n"]
    raw = [line.encode(encoding) for line in lines]
    for block in (64, 1000):
        read = Read(b"".join(raw), encoding, Lines(), limit=50, block=block)
        assert all(end - begin <= 50 for begin, end in pairwise([0, *read.cuts]))
        assert min(end - begin for begin, end in pairwise(read.cuts[1:-3])) > 40
        assert "".join(text for _, text in read.events[1:-2]) == lines[1]
        assert [read.events[at] for at in (0, -2, -1)] == [
            (0, lines[0]),
            (sum(map(len, raw[:2])), lines[2]),
            (sum(map(len, raw[:3])), lines[3]),
        ]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("cut", [15, 16])
def test_an_odd_place_is_the_beginning_of_pieces_that_are_even(order, cut):
    read = Read(("1 a\n" + "b😀" * 60 + "\n").encode(order), order, Lines(), forced=[cut], limit=50, block=64)
    behind = [text for offset, text in read.events if offset > 8]
    assert "".join(behind).count("\ufffd") == cut % 2
    assert all(cut % 2 == 0 for cut in read.cuts[2:])


@pytest.mark.parametrize("order", ORDERS)
def test_a_restart_knows_whether_it_is_within_a_line(order, tmp_path):
    (tmp_path / "a.log").write_bytes("one\n\u0a00\u000atwo\nthree\n".encode(order))
    with (tmp_path / "a.log").open("rb") as log:
        for offset, within in ((8, False), (10, True), (12, False), (9, True), (14, True), (1, True)):
            reader = Reader(Plain(log.fileno()), Lines(), offset=offset, charset=charset_of(order, b""))
            assert bool(reader.read().partial) == within, offset


@pytest.mark.parametrize("encoding", BYTEWISE)
def test_a_line_feed_ends_whatever_came_before_it(encoding):
    """Which is what makes counting line feeds right, in the bytes and in the text."""
    ours = charset_of(encoding, b"")
    heads = [bytes([first]) for first in range(256)]
    heads += [bytes([first, second]) for first in range(128, 256) for second in range(256)]
    heads += [
        bytes([a, b, c]) for a in (0x81, 0x8F, 0xA4, 0xFE) for b in range(256) for c in (0x30, 0x81, 0xA1, 0xD4, 0xFF)
    ]
    heads = [head.replace(b"\n", b"") for head in heads]
    lines = ours.utf8(b"".join(head + b"\nA" for head in heads), 0).split(b"\n")
    assert len(lines) == len(heads) + 1
    assert all(line[:1] == b"A" for line in lines[1:])
    assert all(ours.utf8(head + b"\n", 0).count(b"\n") == 1 for head in heads)
    assert all(ours.utf8(head, 0) + b"\n" == ours.utf8(head + b"\n", 0) for head in heads)
    assert ours.utf8(b"2024-11-21 [main] INFO a.B : x\ty\r\n", 0) == b"2024-11-21 [main] INFO a.B : x\ty\r\n"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("cut", range(1, 14))
def test_a_cut_within_a_unit_harms_nothing_behind_it(order, cut):
    raw = "wörd\nnext\n".encode(order)
    events = Read(raw, order, Lines(), forced=[cut], block=4).events
    said = "".join(text for _, text in events)
    if cut % 2:
        assert len(said) == len("wörd\nnext\n") + 1
        assert said[cut // 2 : cut // 2 + 2] == "\ufffd\ufffd"  # two halves for one character
    else:
        assert said == "wörd\nnext\n"


@pytest.mark.parametrize("order", ORDERS)
def test_half_a_unit_at_the_end_is_waited_for(order, tmp_path):
    raw = "one\ntwo\n".encode(order)
    with (tmp_path / "a.log").open("w+b", buffering=0) as log:
        reader = Reader(Plain(log.fileno()), Lines(), charset=charset_of(order, b""))
        found = []
        for at in range(len(raw)):
            log.write(raw[at : at + 1])
            block = reader.read()
            found += [(at, block.offset, block.text()[0])] if block else []
    assert found == [(7, 0, b"one\n"), (15, 8, b"two\n")]


def test_a_byte_0x0a_within_a_unit_is_no_line_end():
    for order in ORDERS:
        raw = "\u0a0a\u010a\u0a01a\u0a00\u0a0d\n\u000a\u0a00b\n".encode(order)
        assert [text for _, text in Read(raw, order, Lines(), block=3).events] == [
            "\u0a0a\u010a\u0a01a\u0a00\u0a0d\n",
            "\n",
            "\u0a00b\n",
        ]


@pytest.mark.parametrize("order", ORDERS)
def test_where_lines_end_depends_on_where_the_bytes_stand(order):
    charset, feed = charset_of(order, b""), "\n".encode(order)
    data = b"ab" + feed + b"c" + feed + b"d"  # the second one is between two units
    assert charset.whole(data, 0) == 4
    assert charset.whole(data, 1) == 7
    assert charset.whole(data, 0, 4) == 0
    assert charset.whole(data, 0, 3) == 4  # half of it was there before
    assert charset.whole(data, 0, 0, 3) == 0
    assert [charset.ends(data, offset, end) for offset, end in ((0, 4), (1, 4), (0, 7), (1, 7), (0, 2))] == [
        *(True, False, False, True, False)
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_a_flush_of_lines_leaves_half_a_line(order, tmp_path):
    data = "1 a\n\u0a00\u000d\u0a0a\u000d\u0a00b".encode(order)
    (tmp_path / "a.log").write_bytes(data)
    with (tmp_path / "a.log").open("rb") as log:
        reader = Reader(Plain(log.fileno()), Starts(rb"\d"), charset=charset_of(order, b""))
        assert reader.read() is None
        assert (reader.flush(lines=True), reader.flush(lines=False)) == (8, len(data))


@pytest.mark.parametrize("order", ORDERS)
def test_a_hole_at_the_beginning_is_passed_over_in_whole_units(order, tmp_path):
    raw = bytes(6) + "ab\n".encode(order)
    path = tmp_path / "a.log"
    path.write_bytes(raw)
    with path.open("rb") as log:
        reader = Reader(Plain(log.fileno()), Lines(), charset=charset_of(order, b""))
        assert (reader.read().offset, reader.skipped) == (6, 6)


def documents(raw, encoding, how=None):
    found = []
    with tempfile.TemporaryFile() as log:
        log.write(raw)
        log.flush()
        reader = Reader(Plain(log.fileno()), how or Lines(), charset=charset_of(encoding, raw[:2]))
        encoder = Encoder(None, {})
        while (block := reader.read()) is not None or reader.pending:
            if block is None:
                reader.force(reader.flush(lines=False))
                continue
            found += map(orjson.loads, encoder.encode(block, "/a.log", b"s" * 16).body.splitlines())
    return [
        (document["message"], document["log"]["offset"], action["create"]["_id"])
        for action, document in zip(found[::2], found[1::2], strict=True)
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_documents_have_no_byte_order_mark_no_carriage_return_and_raw_offsets(order):
    raw = "\ufeffGrüße\r\n\r\n  \r\n\ufeffzwei €\r\nlast".encode(order)
    found = documents(raw, "utf-16")
    assert [each[:2] for each in found] == [("Grüße", 0), ("\ufeffzwei €", 28), ("last", 46)]
    assert len({each[2] for each in found}) == 3


@pytest.mark.parametrize("encoding", ["utf-8", *ORDERS])
def test_a_line_with_nothing_but_a_byte_order_mark_is_no_event(encoding):
    assert [each[0] for each in documents("\ufeff\na\n".encode(encoding), encoding)] == ["a"]
    assert [each[0] for each in documents("\n\ufeff\n".encode(encoding), encoding)] == ["\ufeff"]


def test_a_stack_trace_in_utf_16_is_one_document():
    raw = "\ufeff1 a\r\n\tat ü\r\n2 b\r\n".encode("utf-16-le")
    assert [each[:2] for each in documents(raw, "utf-16", Starts(rb"\d"))] == [("1 a\n\tat ü", 0), ("2 b", 26)]


def test_an_id_depends_on_the_text_and_where_it_stands_in_the_file():
    latin, other = documents(b"gr\xfcn\nx\n", "iso8859-1"), documents(b"gr\xfcn\nx\n", "cp1252")
    assert latin == other
    assert latin[1] == documents(b"1234\nx\n", "utf-8")[1]


# --- which file is which ---------------------------------------------------------------------------------------------


def test_a_byte_order_mark_says_more_than_a_name():
    assert charset_of("utf-8", b"\xff\xfe") is UTF8
    le, be = "\ufeff".encode("utf-16-le"), "\ufeff".encode("utf-16-be")
    for name in ("utf-16", *ORDERS):
        assert charset_of(name, le) is charset_of("utf-16-le", b"")
        assert charset_of(name, be) is charset_of("utf-16-be", b"")
    assert charset_of("utf-16", b"a\0") is None
    assert isinstance(charset_of("utf-16-le", b"a\0"), Utf16)
    assert isinstance(charset_of("gbk", le), Bytewise)


@pytest.mark.parametrize("order", ORDERS)
def test_the_first_line_feed_tells_the_order_where_no_mark_does(order):
    other = {"utf-16-le": "\u0a0d", "utf-16-be": "\u0d0a"}[order]  # with half a line feed on either side
    for text in ("a\n", "\r\n", f"漢{other}\n", "\n" * 600):
        assert charset_of("utf-16", text.encode(order)) is charset_of(order, b"")
    assert charset_of("utf-16", f"漢{other}a".encode(order)) is None


ASCII = b"2026-11-23 10:00:00 INFO some plain text\n"


@pytest.mark.parametrize(
    ("head", "encoding", "why"),
    [
        ("\ufeffa\n".encode("utf-16-le"), "utf-8", "is UTF-16: set encoding: utf-16"),
        ("\ufeffa\n".encode("utf-16-be"), "utf-8", "is UTF-16: set encoding: utf-16"),
        ("\ufeffa\n".encode("utf-16-be"), "iso8859-1", "is UTF-16: set encoding: utf-16"),
        (b"\xff\xfe kaum", "iso8859-1", ""),
        ("漢 a".encode("utf-16-be"), "utf-16", "no byte order mark.*utf-16le"),
        ("a\n".encode("utf-16-be"), "utf-16", ""),
        (ASCII, "utf-16", "no byte order mark"),
        (ASCII, "utf-16-le", "is not UTF-16"),
        (ASCII[:-1] + b"\r\n", "utf-16-be", "is not UTF-16"),
        ("漢\n".encode("utf-16-be") * 100, "utf-16-be", ""),
        ("\ufeff2026 text\r\n".encode("utf-16-le") * 20, "utf-16", ""),
        ("2026 text\r\n".encode("utf-16-be") * 20, "utf-16-be", ""),
        (bytes(100) + "2026 text\r\n".encode("utf-16-le") * 20, "utf-16-le", ""),
        ("\1\2\3\4\0".encode("utf-16-le") * 20, "utf-16-le", "binary"),
        (b"\x7fELF\2\1\1" + bytes(9) + b"\n", "gbk", "binary"),
    ],
)
def test_what_is_no_log_in_its_encoding_is_refused(head, encoding, why):
    found = why_not(head, encoding)
    assert bool(found) == bool(why)
    assert re.search(why, found or "")


@pytest.mark.parametrize("order", ORDERS)
def test_lines_of_utf_16_with_ends_of_windows_are_told_apart(order, tmp_path):
    """Else a file that is moved, or copied, would not be known again."""
    raw = "".join(f"{number:03} eins\r\n" for number in range(200)).encode(order)
    (tmp_path / "a.log").write_bytes(raw)
    with (tmp_path / "a.log").open("rb") as log:
        assert distinct(Plain(log.fileno()), len(raw), charset_of(order, b""))
