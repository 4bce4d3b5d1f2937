from __future__ import annotations

import os
import re
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parser.multiline import Lines, Starts, framer
from shipper.delivery.encoder import Encoder
from shipper.files import reader as module
from shipper.files.charset import charset_of
from shipper.files.content import Plain
from shipper.files.reader import Reader

LINES = st.one_of(
    st.sampled_from([b"12 abc\n", b" cont\n", b"\n", b"34 foo;\r\n"]),
    st.integers(1, 150).map(lambda n: b"x" * n + b"\n"),
    st.integers(1, 60).map(lambda n: "é".encode() * n + b";\n"),
)


@pytest.fixture
def log(tmp_path):
    with (tmp_path / "a.log").open("w+b") as file:
        yield file


def append(log, data):
    log.write(data)
    log.flush()


def read_all(descriptor, how, offset=0, forced=(), limit=10_000):
    """The cuts of the whole file, the end of what is there forced as a one-shot run does."""
    reader = Reader(Plain(descriptor), how, offset=offset, forced=[cut for cut in forced if cut > offset], limit=limit)
    cuts, partial = [], set()
    while True:
        block = reader.read()
        if block is None:
            if not reader.pending:
                return cuts, partial
            reader.force(reader.flush(lines=False))
            continue
        assert block.offset + len(block.data) == reader.position
        assert block.data == os.pread(descriptor, len(block.data), block.offset)
        assert block.cuts[-1] == len(block.data)
        partial |= {block.offset + block.cuts[at] for at in block.partial}
        cuts += [block.offset + cut for cut in block.cuts]


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=40), st.booleans(), st.sampled_from([50, 80, 10_000]), st.data())
def test_any_block_size_and_any_resume_point_give_the_same_events(lines, newline, limit, data):
    how = data.draw(
        st.sampled_from(
            [
                Lines(),
                Starts(rb"\d\d"),
                framer(r"^\s"),
                framer(";$", negate=True, match="before"),
                framer(r"\d", negate=True, max_lines=5),
            ]
        )
    )
    content = b"".join(lines) if newline else b"".join(lines).removesuffix(b"\n")
    before = module.BLOCK
    with tempfile.TemporaryFile() as log:
        append(log, content)
        try:
            module.BLOCK = data.draw(st.sampled_from([16, 64, 1000]))
            cuts, _ = read_all(log.fileno(), how, limit=limit)
            assert cuts == sorted(set(cuts))
            assert cuts[-1:] == ([len(content)] if content else [])
            assert all(end - begin <= limit for begin, end in zip([0, *cuts], cuts, strict=False))
            resume = data.draw(st.sampled_from([0, *cuts]))
            module.BLOCK = data.draw(st.sampled_from([16, 64, 1000]))
            assert read_all(log.fileno(), how, resume, limit=limit)[0] == [cut for cut in cuts if cut > resume]
        finally:
            module.BLOCK = before


@pytest.mark.parametrize("block", [16, 1000])
def test_behind_a_piece_of_a_long_event_lines_are_counted_anew(log, monkeypatch, block):
    """As when reading begins there: else ``max_lines`` would cut elsewhere after a restart."""
    monkeypatch.setattr(module, "BLOCK", block)
    append(log, b"12 abc\n" + b" cont\n" * 3 + b"x" * 50 + b"\n cont\n12 abc")
    cuts, partial = read_all(log.fileno(), framer(r"\d", negate=True, max_lines=5), limit=50)
    assert (cuts, partial) == ([25, 75, 82, 88], {25, 75, 82})


class Counting(Starts):
    """``looked``: how many bytes were handed to it."""

    looked = 0

    def cuts(self, block, before=0):
        self.looked += len(block)
        return super().cuts(block, before)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_each_line_of_a_long_event_is_looked_at_once(log, encoding):
    """Else a log of nothing but empty lines takes minutes: each block would be looked at with all before it."""
    append(log, ("1 a\n" + "\n" * 3_000_000 + "2 b\n").encode(encoding))
    how = Counting(rb"\d")
    reader = Reader(Plain(log.fileno()), how, charset=charset_of(encoding, b""))
    assert len(reader.read().cuts) == 1
    assert how.looked < 3_100_000


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(LINES, st.integers(30, 200).map(lambda n: b"\n" * n)), max_size=40), st.data())
def test_empty_lines_are_taken_together_and_all_others_are_where_they_were(lines, data):
    content = b"".join(lines)
    before = module.BLOCK
    with tempfile.TemporaryFile() as log:
        append(log, content)
        try:
            module.BLOCK = data.draw(st.sampled_from([16, 64, 1000]))
            cuts, partial = read_all(log.fileno(), Lines())
        finally:
            module.BLOCK = before
    found = [(begin, content[begin:end]) for begin, end in zip([0, *cuts], cuts, strict=False)]
    every = [(match.start(), match[0]) for match in re.finditer(rb".*\n", content)]
    assert [each for each in found if each[1].strip()] == [each for each in every if each[1].strip()]
    assert b"".join(text for _, text in found) == content
    assert not partial


def test_a_log_of_empty_lines_has_few_events_and_all_are_counted(log):
    append(log, b"a\n" + b"\n" * 3_000_000 + b"b\n")
    reader, encoder, cuts = Reader(Plain(log.fileno()), Lines()), Encoder(None, {}), 0
    while (block := reader.read()) is not None:
        encoder.encode(block, "a.log", bytes(16))
        cuts += len(block.cuts)
    assert cuts < 50
    assert (encoder.counts.events, encoder.counts.skipped) == (2, 3_000_000)


def test_a_line_without_its_newline_is_waited_for(log):
    reader = Reader(Plain(log.fileno()), Lines())
    append(log, b"one\ntw")
    assert reader.read().data == b"one\n"
    assert reader.read() is None
    assert reader.pending == 2
    append(log, b"o\n")
    block = reader.read()
    assert (block.data, block.offset) == (b"two\n", 4)


def test_an_event_stays_open_until_the_next_begins(log):
    reader = Reader(Plain(log.fileno()), Starts(rb"\d"))
    append(log, b"1 a\n\tat b\n")
    assert reader.read() is None
    append(log, b"2 c\n")
    assert reader.read().data == b"1 a\n\tat b\n"


def test_a_flush_of_lines_leaves_half_a_line(log):
    reader = Reader(Plain(log.fileno()), Starts(rb"\d"))
    append(log, b"1 a\n\tat b\n\tat")
    assert reader.read() is None
    assert reader.flush(lines=True) == 10
    reader.force(10)
    assert reader.read().data == b"1 a\n\tat b\n"
    append(log, b" c\n2 d\n")
    assert reader.read().data == b"\tat c\n"


def test_a_forced_cut_holds_after_a_restart(log):
    append(log, b"1 a\n\tat b\n\tat c\n2 d\n")
    cuts, _ = read_all(log.fileno(), Starts(rb"\d"), forced=[10])
    assert cuts == [10, 16, 20]


def test_a_line_over_the_limit_becomes_flagged_pieces_within_characters(log):
    line = "é".encode() * 100 + b"\n"
    append(log, b"ok\n" + line + b"ok\n")
    cuts, partial = read_all(log.fileno(), Lines(), limit=51)
    pieces = [os.pread(log.fileno(), end - begin, begin) for begin, end in zip([0, *cuts], cuts, strict=False)]
    assert b"".join(pieces) == b"ok\n" + line + b"ok\n"
    assert all(piece.decode() for piece in pieces)
    assert partial == {end for end in cuts if 3 < end <= 3 + len(line)}


def test_an_event_over_the_limit_is_cut_between_lines(log):
    append(log, b"1 a\n" + b"\tat some.Class.method\n" * 10 + b"2 b\n")
    cuts, partial = read_all(log.fileno(), Starts(rb"\d"), limit=60)
    assert all(os.pread(log.fileno(), 1, cut - 1) == b"\n" for cut in cuts)
    assert len(partial) == len(cuts) - 2  # the last piece begins with a whole line: only those cut off are flagged


def test_a_last_line_without_newline_that_begins_an_event_is_one_of_its_own(log):
    append(log, b"1 a\n\tat b\n2 c")
    assert read_all(log.fileno(), Starts(rb"\d"))[0] == [10, 13]


def test_what_stands_before_a_line_over_the_limit_is_whole_and_all_its_pieces_are_flagged(log):
    append(log, b"1 a\n2 " + b"x" * 200 + b"\n3 b\n")
    cuts, partial = read_all(log.fileno(), Starts(rb"\d"), limit=60)
    assert cuts == [4, 64, 124, 184, 207, 211]
    assert partial == {64, 124, 184, 207}
    assert read_all(log.fileno(), Starts(rb"\d"), 184, limit=60) == ([207, 211], {207})


@pytest.mark.parametrize("filled", [False, True], ids=["hole", "zeros"])
def test_room_that_a_writer_has_made_is_waited_before_however_it_is_filled(log, filled):
    size = 300_000
    append(log, b"one\n")
    if filled:
        append(log, bytes(size - 4))
    else:
        log.truncate(size)
    reader = Reader(Plain(log.fileno()), Lines())
    assert reader.read().data == b"one\n"
    for at, text in ((4, b"two\n"), (8, b"thr"), (11, b"ee\n")):
        assert reader.read() is None
        assert (reader.end, reader.blank) == (at, size - at)
        assert reader.at_end()
        os.pwrite(log.fileno(), text, at)
        assert not reader.at_end()
        block = reader.read()
        assert block is None or block.data.endswith(text)
    log.truncate(14)
    assert reader.read() is None
    assert (reader.end, reader.blank) == (14, 0)
    assert reader.at_end()


def test_in_a_file_that_is_nothing_but_room_nothing_is_passed_over(log):
    log.truncate(300_000)
    reader = Reader(Plain(log.fileno()), Lines())
    assert reader.read() is None
    os.pwrite(log.fileno(), b"one\n", 0)
    assert reader.read().data == b"one\n"
    assert reader.skipped == 0


@pytest.mark.parametrize("nuls", [1, 5_000, 300_000])
def test_nuls_that_text_comes_after_are_what_the_log_says(log, nuls):
    """Also where they were the end of the file for a while."""
    append(log, b"one\ntwo" + bytes(nuls))
    reader = Reader(Plain(log.fileno()), Lines())
    assert reader.read().data == b"one\n"
    assert reader.read() is None
    assert reader.tail == b"two"
    os.pwrite(log.fileno(), b"behind\n", 7 + nuls)
    assert reader.read().data == b"two" + bytes(nuls) + b"behind\n"


def test_what_is_written_into_room_behind_nuls_is_read_whatever_the_size(log):
    """A second look is a look at what was written since."""
    append(log, b"one\n" + bytes(600_000))
    reader = Reader(Plain(log.fileno()), Lines())
    reader.read()
    assert reader.read() is None
    os.pwrite(log.fileno(), b"far\n", 500_000)
    os.utime(log.fileno(), (1e9, 1e9))
    assert reader.read().data == bytes(500_000 - 4) + b"far\n"


def test_room_is_looked_through_once_while_it_is_filled(log, monkeypatch):
    append(log, b"one\n" + bytes(2_000_000))
    content = Plain(log.fileno())
    reader = Reader(content, Lines())
    reader.read()
    assert reader.read() is None
    read, counted = content.read, []
    monkeypatch.setattr(content, "read", lambda count, at: counted.append(count) or read(count, at))
    for number in range(50):
        os.pwrite(log.fileno(), b"x\n", 4 + 2 * number)
        assert reader.read().data == b"x\n"
        assert reader.read() is None
    assert sum(counted) <= 50 * 3 * module.BLOCK


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_in_utf_16_a_nul_is_half_of_a_character(log, encoding):
    text = "ab\n".encode(encoding)
    append(log, text + bytes(1000))
    reader = Reader(Plain(log.fileno()), Lines(), charset=charset_of(encoding, b""))
    assert reader.read().data == text
    assert reader.read() is None
    assert reader.blank == 1000
