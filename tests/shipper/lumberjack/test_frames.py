"""Frames against the bytes that Beats write, and the decoder against everything else."""

import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.lumberjack import frames
from shipper.lumberjack.decoder import Decoder, Event, Limits, Window
from shipper.lumberjack.frames import AckReader, ProtocolError

A, E = b'{"message":"a"}', '{"message":"é"}'.encode()
GOLDEN = bytes.fromhex(
    "3257 00000002"
    "324a 00000001 0000000f 7b226d657373616765223a2261227d"
    "324a 00000002 00000010 7b226d657373616765223a22c3a9227d"
)


def decoded(data, pieces=None, most=1 << 20, limits=None):
    decoder = Decoder(limits)
    found = []
    for piece in pieces if pieces is not None else [data]:
        decoder.feed(piece)
        while got := decoder.read(most):
            found += got
    return found


def packed(body, level=3):
    data = zlib.compress(body, level)
    return b"2C" + struct.pack(">I", len(data)) + data


def event(number, payload):
    return b"2J" + struct.pack(">II", number, len(payload)) + payload


def opened(count):
    return b"2W" + struct.pack(">I", count)


def test_a_window_is_the_golden_bytes():
    assert frames.window([A, E]) == GOLDEN


def test_an_ack_is_the_golden_bytes():
    assert frames.ack(2) == bytes.fromhex("3241 00000002")


def test_the_golden_bytes_are_a_window():
    assert decoded(GOLDEN) == [Window(2), Event(1, A), Event(2, E)]


@pytest.mark.parametrize("level", [0, 1, 3, 9])
def test_what_is_encoded_is_decoded(level):
    payloads = [b'{"message":"%d"}' % number for number in range(3000)]
    assert decoded(frames.window(payloads, level)) == [
        Window(3000),
        *[Event(number, payload) for number, payload in enumerate(payloads, 1)],
    ]


def test_a_compressed_window_is_zlib():
    data = frames.window([A, E], 3)
    assert data[:6] == GOLDEN[:6]
    assert data[6:8] == b"2C"
    assert struct.unpack(">I", data[8:12])[0] == len(data) - 12
    assert zlib.decompress(data[12:]) == GOLDEN[6:]


def test_plain_and_compressed_frames_share_a_window():
    data = opened(4) + event(1, A) + packed(event(2, E) + event(3, A)) + event(4, E)
    assert [each.payload for each in decoded(data)[1:]] == [A, E, A, E]


def test_a_new_window_ends_the_one_before():
    data = opened(5) + event(1, A) + opened(1) + event(1, E)
    assert decoded(data) == [Window(5), Event(1, A), Window(1), Event(1, E)]


def test_numbers_may_go_on_from_window_to_window():
    data = opened(1) + event(7, A) + opened(2) + event(8, A) + event(9, E)
    assert [each.number for each in decoded(data) if isinstance(each, Event)] == [7, 8, 9]


@given(st.data())
def test_any_split_gives_the_same_frames(data):
    payloads = data.draw(st.lists(st.binary(max_size=300), max_size=12))
    sent = b""
    while True:
        window, payloads = payloads[:4], payloads[4:]
        body = b"".join(event(number, payload) for number, payload in enumerate(window, 1))
        sent += opened(len(window)) + (packed(body) if data.draw(st.booleans()) else body)
        if not payloads:
            break
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent)), max_size=20)))
    pieces = [sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert decoded(sent, pieces, most=data.draw(st.integers(1, 500))) == decoded(sent)


@given(
    st.lists(
        st.one_of(
            st.sampled_from([b"2W", b"2J", b"2C", b"\0\0\0\1", b"\xff\xff\xff\xff", b"x\x9c"]), st.binary(max_size=40)
        )
    )
)
def test_garbage_raises_nothing_but_protocol_errors(parts):
    decoder = Decoder(Limits(event_bytes=100))
    try:
        for part in parts:
            decoder.feed(part)
            while decoder.read():
                pass
    except ProtocolError:
        pass


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_flipped_byte_raises_nothing_but_protocol_errors(at, value):
    data = bytearray(opened(3) + event(1, A) + packed(event(2, E) + event(3, A)))
    data[at % len(data)] = value
    decoder = Decoder(Limits(event_bytes=100))
    decoder.feed(bytes(data))
    try:
        while decoder.read():
            pass
    except ProtocolError:
        pass


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"1W\0\0\0\1", "v1"),
        (b"\x16\x03\x01\x02\x00", "TLS"),
        (b"GET / HTTP/1.1\r\n", "something else"),
        (b"2", ""),
        (b"2X\0\0\0\0", "something else"),
        (event(1, A), "outside of a window"),
        (opened(1) + event(1, A) + event(2, A), "outside of a window"),
        (opened(2) + event(1, A) + event(3, A), "do not follow"),
        (opened(101), "a window of 101 events"),
        (opened(1) + b"2J" + struct.pack(">II", 1, 1001), "an event of 1,001 bytes"),
        (opened(1) + packed(b"2J" + struct.pack(">II", 1, 1001)), "an event of 1,001 bytes"),
        (opened(1) + packed(opened(1)), "something else than events"),
        (opened(1) + packed(packed(event(1, A))), "something else than events"),
        (opened(1) + b"2C\0\0\0\4abcd", "cannot be inflated"),
        (opened(1) + packed(event(1, A)[:-1]), "middle of an event"),
        (opened(100) + packed(b"".join(event(n, bytes(900)) for n in range(1, 100))), "more than 50,000 bytes"),
    ],
)
def test_what_is_wrong_is_said(data, why):
    limits = Limits(event_bytes=1000, window_events=100, inflated_bytes=50_000)
    if not why:
        assert decoded(data, limits=limits) == []
        return
    with pytest.raises(ProtocolError, match=why):
        decoded(data, limits=limits)


def test_a_stream_that_ends_early_or_goes_on_is_wrong():
    body = zlib.compress(event(1, A))
    for data in (body[:-6], body + b"more"):
        with pytest.raises(ProtocolError, match="compressed frame"):
            decoded(opened(1) + b"2C" + struct.pack(">I", len(data)) + data)


def test_a_bomb_is_inflated_no_further_than_is_read():
    """20 MB in 20 KB: it costs one piece at a time."""
    one = event(1, bytes(1 << 16))
    bomb = packed(b"".join(event(number, bytes(1 << 16)) for number in range(1, 301)), 9)
    assert len(bomb) < (len(one) * 300) // 500
    decoder = Decoder()
    decoder.feed(opened(300) + bomb)
    seen = 0
    for _ in range(50):
        got = decoder.read(1 << 16)
        seen += sum(len(each.payload) for each in got if isinstance(each, Event))
        assert decoder.buffered < len(bomb) + (1 << 19)
    assert seen <= 50 * (1 << 17)


def test_a_length_alone_costs_nothing():
    decoder = Decoder()
    decoder.feed(opened(1 << 20) + b"2C" + b"\xff" * 4)
    assert decoder.read() == [Window(1 << 20)]
    assert decoder.buffered == 0


@given(st.lists(st.integers(0, 2**32 - 1)), st.randoms(use_true_random=False))
def test_acks_in_any_pieces(numbers, chance):
    data = b"".join(map(frames.ack, numbers))
    reader, found = AckReader(), []
    while data:
        at = chance.randint(1, 9)
        found += reader.feed(data[:at])
        data = data[at:]
    assert found == numbers


@pytest.mark.parametrize("data", [b"HTTP/1.1 400", b"2W\0\0\0\1", b"1A\0\0\0\1", b"2A\0\0\0\x012X", b"x"])
def test_other_answers_are_protocol_errors(data):
    with pytest.raises(ProtocolError, match="not an acknowledgement"):
        AckReader().feed(data)


def test_random_bytes_are_refused_soon():
    chance = random.Random(5)
    for _ in range(200):
        data = chance.randbytes(50)
        with pytest.raises(ProtocolError):
            decoded(b"x" + data)
