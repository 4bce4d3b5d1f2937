"""The server against clients that mean no good, and against those that are merely slow."""

import contextlib
import errno
import logging
import resource
import socket
import ssl
import struct
import threading
import time
import zlib

import pytest
from waiting import wait_for

from shipper.lumberjack import bounds, frames, server
from shipper.lumberjack.bounds import Bounds
from shipper.lumberjack.decoder import Limits
from shipper.lumberjack.exchange import Chunk, Ended
from shipper.lumberjack.frames import AckReader
from shipper.lumberjack.server import Server


@contextlib.contextmanager
def serving(**options):
    running = Server("127.0.0.1", 0, **options)
    running.start()
    try:
        yield running
    finally:
        running.close()
    assert running.failure is None


@contextlib.contextmanager
def client(running, data=b""):
    with socket.create_connection(running.address, 5) as connection:
        connection.sendall(data)
        yield connection


def closed(connection):
    """Wait for the other side to close."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(1 << 16):
            pass
    return True


def acks(connection, last):
    reader, numbers = AckReader(), []
    while last not in numbers:
        data = connection.recv(100)
        assert data, numbers
        numbers += reader.feed(data)
    return numbers


def window(count, level=0, text=b"x"):
    return frames.window([b'{"message":"%b%d"}' % (text, at) for at in range(count)], level)


def test_events_are_handed_over_and_acknowledged():
    with serving() as running, client(running, window(3) + window(2, 3)) as connection:
        chunks = [running.take(5)]
        while chunks[-1].end < 5:
            chunks.append(running.take(5))
        assert [event for chunk in chunks for event in chunk.events] == [
            b'{"message":"x%d"}' % at for at in (0, 1, 2, 0, 1)
        ]
        number = chunks[0].connection
        running.acknowledge({number: 2})
        assert acks(connection, 2) == [2]
        running.acknowledge({number: 4})
        assert acks(connection, 1) == [3, 1]
        running.acknowledge({number: 5})
        assert acks(connection, 2) == [2]
        connection.shutdown(socket.SHUT_WR)
        assert running.take(5) == Ended(number, 5)


def test_an_acknowledgement_that_comes_late_takes_nothing_back():
    with serving() as running, client(running, window(3)) as connection:
        number = running.take(5).connection
        with running._exchange._condition:  # the server's thread sees both at once, as those of two senders
            running.acknowledge({number: 3})
            running.acknowledge({number: 1})
        assert acks(connection, 3) == [3]


def test_numbers_that_never_begin_again_are_acknowledged_as_they_are():
    def numbered(first, count):
        events = b"".join(b"2J" + struct.pack(">II", first + at, 2) + b"{}" for at in range(count))
        return b"2W" + struct.pack(">I", count) + events

    with serving() as running, client(running, numbered(1, 2)) as connection:
        running.acknowledge({running.take(5).connection: 2})
        assert acks(connection, 2) == [2]
        connection.sendall(numbered(3, 3))
        running.acknowledge({running.take(5).connection: 5})
        assert acks(connection, 5) == [5]


def test_a_window_that_is_not_completed_is_acknowledged_as_far_as_it_came():
    with serving() as running, client(running, b"2W\0\0\0\x09" + window(2)[6:] + window(1)) as connection:
        chunk = running.take(5)
        running.acknowledge({chunk.connection: 3})
        assert acks(connection, 1) == [2, 1]


def test_what_arrives_behind_the_end_of_the_client_still_counts(monkeypatch):
    with serving() as running, client(running, window(2)) as connection:
        connection.shutdown(socket.SHUT_WR)
        chunk = running.take(5)
        running.acknowledge({chunk.connection: 2})
        assert acks(connection, 2) == [2]
        assert running.take(5) == Ended(chunk.connection, 0)  # nobody knows whether it still listened


def test_keep_alives_while_there_is_nothing_to_say(monkeypatch):
    monkeypatch.setattr(server, "KEEP_ALIVE", 0.01)
    monkeypatch.setattr(server, "_TICK", 0.01)
    with serving() as running, client(running, window(4)) as connection:
        chunk = running.take(5)
        assert acks(connection, 0) == [0]
        running.acknowledge({chunk.connection: 3})
        wait_for(lambda: connection.recv(6) == frames.ack(3))
        assert acks(connection, 3)  # said again: it is still the last word
        running.acknowledge({chunk.connection: 4})
        acks(connection, 4)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"1W\0\0\0\1",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
        b"2W\xff\xff\xff\xff",
        b"2W\0\0\0\1" + b"2J\0\0\0\1\xff\xff\xff\xff",
        b"2W\0\0\0\1" + b"2C\0\0\0\x04junk",
        bytes(range(1, 256)) * 100,
    ],
)
def test_garbage_is_refused_and_said_once(data, caplog):
    caplog.set_level(logging.WARNING)
    with serving() as running:
        for _ in range(3):
            with client(running) as connection:
                with contextlib.suppress(OSError):
                    connection.sendall(data)
                assert closed(connection)
        assert running.traffic.refused == 3
        with client(running, window(1)):
            assert running.take(5).events
    assert len(caplog.records) == 1
    assert "client 127.0.0.1: closed: " in caplog.text
    assert "GET" not in caplog.text


def resident():
    """MiB of memory that this process has now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20


def deflated(events, size):
    """A compressed frame of so many events of zeros, made without having them."""
    packer, zeros = zlib.compressobj(6), bytes(1 << 16)
    parts = []
    for number in range(1, events + 1):
        parts.append(packer.compress(b"2J" + struct.pack(">II", number, size)))
        parts += [packer.compress(zeros) for _ in range(size >> 16)]
    data = b"".join(parts) + packer.flush()
    return b"2C" + struct.pack(">I", len(data)) + data


@pytest.mark.slow
def test_bombs_and_lengths_cost_no_memory():
    """Clients that promise 4 GiB each, that hold one event of 100 MiB, or 64 of one, in a few kilobytes."""
    one, many = deflated(1, 100 << 20), deflated(64, 1 << 20)
    assert max(len(one), len(many)) < 200_000
    bounds = Bounds(queue_bytes=4 << 20, memory_bytes=16 << 20)
    with serving(limits=Limits(event_bytes=8 << 20), bounds=bounds) as running, contextlib.ExitStack() as clients:
        before = resident()
        for _ in range(100):
            clients.enter_context(client(running, b"2W\0\0\1\0" + b"2C\xff\xff\xff\xff"))
        for _ in range(10):
            clients.enter_context(client(running, b"2W\0\0\1\0" + one))
        wait_for(lambda: running.traffic.refused == 10)
        for _ in range(8):
            clients.enter_context(client(running, b"2W\0\0\1\0" + many))
        wait_for(lambda: running._exchange.queued >= 4 << 20)
        honest = clients.enter_context(client(running, window(1)))
        peak = resident()
        while True:  # back-pressure: what is taken makes room for the next
            chunk = running.take(5)
            peak = max(peak, resident())
            if isinstance(chunk, Chunk) and chunk.events[0].startswith(b"{"):
                break
        running.acknowledge({chunk.connection: 1})
        assert acks(honest, 1)[-1] == 1
        assert peak - before < 64


def test_the_client_with_the_most_unfinished_bytes_has_to_go(caplog):
    half = b"2W\0\0\0\1" + b"2J\0\0\0\1" + (6 << 20).to_bytes(4, "big")
    bounds = Bounds(memory_bytes=10 << 20)
    with (
        serving(limits=Limits(event_bytes=8 << 20), bounds=bounds) as running,
        client(running, half + bytes(2 << 20)) as small,
        client(running, half + bytes(4 << 20)) as large,
    ):
        with contextlib.suppress(OSError):
            large.sendall(bytes(1 << 20))
        with client(running, half + bytes(4 << 20)):
            wait_for(lambda: running.traffic.accepted == 3 and running.traffic.connections == 2)
            small.sendall(bytes(4 << 20))
            assert len(running.take(5).events[0]) == 6 << 20
    assert "unfinished events" in caplog.text


def test_slow_bytes_do_not_hold_a_connection(monkeypatch, caplog):
    monkeypatch.setattr(bounds, "SLOW", 0.1)
    monkeypatch.setattr(server, "_TICK", 0.01)
    with serving() as running, client(running, b"2W\0\0\0\1") as connection:
        with contextlib.suppress(OSError):
            for byte in window(1)[6:]:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
        assert closed(connection)
    assert "no whole event within" in caplog.text


def test_a_client_with_nothing_on_its_way_is_closed_in_the_end(monkeypatch, caplog):
    monkeypatch.setattr(server, "_TICK", 0.01)
    with serving(bounds=Bounds(idle=0.05)) as running, client(running) as connection:
        assert closed(connection)
    assert caplog.text == ""


def test_a_new_client_takes_the_place_of_one_that_is_of_no_use():
    with (
        serving(bounds=Bounds(max_connections=3)) as running,
        client(running, window(1)) as busy,
        client(running) as idle,
        client(running),
    ):
        chunk = running.take(5)
        with client(running, window(1)) as new:
            assert closed(idle)
            number = running.take(5).connection
            running.acknowledge({number: 1, chunk.connection: 1})
            assert acks(new, 1)
            assert acks(busy, 1)


def test_where_all_have_something_on_their_way_a_new_client_is_turned_away(caplog):
    with serving(bounds=Bounds(max_connections=1)) as running, client(running, window(1)):
        assert running.take(5)
        with client(running) as new:
            assert closed(new)
    assert "turned away" in caplog.text


def test_a_client_that_does_not_read_its_acknowledgements_is_closed(monkeypatch):
    monkeypatch.setattr(server, "_ACKS", 0)
    monkeypatch.setattr(server, "_TICK", 0.01)
    monkeypatch.setattr(socket.socket, "send", lambda *_: (_ for _ in ()).throw(BlockingIOError))
    with serving() as running, client(running) as connection:
        connection.sendall(window(1))
        running.acknowledge({running.take(5).connection: 1})
        wait_for(lambda: running.traffic.refused == 1)


def test_without_descriptors_the_next_client_waits(monkeypatch, caplog):
    """The process has none left for a moment; nobody who is there is harmed."""

    class Exhausted(socket.socket):
        left = 3

        def accept(self):
            if Exhausted.left:
                Exhausted.left -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    monkeypatch.setattr(server, "_TICK", 0.01)
    monkeypatch.setattr(socket, "socket", Exhausted)
    with serving() as running, client(running, window(1)):
        assert running.take(5).events
    assert "no more connections can be accepted: Too many open files" in caplog.text
    assert not Exhausted.left


def test_tiny_events_count_for_what_they_take():
    data = b"2W" + struct.pack(">I", 100_000) + b"".join(b"2J" + struct.pack(">II", at, 0) for at in range(1, 100_001))
    with serving(bounds=Bounds(queue_bytes=1 << 20)) as running, client(running) as connection:
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        wait_for(lambda: running._exchange.queued >= 1 << 20)
        assert running.traffic.events < 50_000
        while running.traffic.events < 100_000 or running._exchange._waiting:
            running.take(5)
        sender.join(60)


def test_a_client_that_waits_for_room_is_read_on_later():
    with serving(bounds=Bounds(queue_bytes=1000)) as running, client(running) as connection:
        sender = threading.Thread(target=connection.sendall, args=(window(20_000, text=b"x" * 500),))
        sender.start()
        wait_for(lambda: running._exchange.queued >= 1000)
        assert running.traffic.events < 20_000
        seen = 0
        while seen < 20_000:
            chunk = running.take(5)
            seen += len(chunk.events)
            running.acknowledge({chunk.connection: chunk.end})
        sender.join(60)
        acks(connection, 20_000)


def test_a_rejected_connection_is_closed(caplog):
    with serving() as running, client(running, window(1)) as connection:
        running.reject(running.take(5).connection, "an event is no JSON object")
        assert closed(connection)
    assert "closed: an event is no JSON object" in caplog.text


def test_after_stop_nobody_is_accepted_and_acknowledgements_still_go_out():
    with serving() as running, client(running, window(2)) as connection:
        chunk = running.take(5)
        running.stop()
        wait_for(lambda: running._acceptor.listener.fileno() < 0)
        with pytest.raises(OSError):  # noqa: PT011 - reset, refused or an alert: it depends on who is first
            socket.create_connection(running.address, 1)
        running.acknowledge({chunk.connection: 2})
        assert acks(connection, 2) == [2]


@pytest.fixture
def context(authority):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(made)
    return made


def test_tls(authority, context):
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    with (
        serving(context=context) as running,
        socket.create_connection(running.address, 5) as plain,
        trusting.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(window(30_000, text=b"y" * 30))  # more than one read gives
        seen = 0
        while seen < 30_000:
            chunk = running.take(5)
            seen += len(chunk.events)
        running.acknowledge({chunk.connection: seen})
        acks(connection, 30_000)


def test_plain_text_where_tls_is_wanted(context, caplog):
    with serving(context=context) as running, client(running, window(1)) as connection:
        assert closed(connection)
        wait_for(lambda: running.traffic.refused == 1)
    assert "no TLS connection" in caplog.text


def test_a_handshake_that_does_not_come(context, monkeypatch):
    monkeypatch.setattr(bounds, "HANDSHAKE", 0.05)
    monkeypatch.setattr(server, "_TICK", 0.01)
    with serving(context=context) as running, client(running) as connection:
        assert closed(connection)


def send_all(connection, data):
    with contextlib.suppress(OSError):
        connection.sendall(data)


def test_who_sends_little_is_served_before_those_who_send_much():
    with serving(bounds=Bounds(queue_bytes=1)) as running, contextlib.ExitStack() as open_now:
        greedy = [open_now.enter_context(client(running)) for _ in range(40)]
        flood = window(1000, text=b"x" * 1000)
        for each in greedy:
            threading.Thread(target=send_all, args=(each, flood * 2), daemon=True).start()
        for _ in range(60):  # all of them have been served
            assert running.take(5)
        modest = open_now.enter_context(client(running, window(1, text=b"modest")))
        time.sleep(0.05)  # its bytes are there: what is counted is whom the server chooses then
        modest.settimeout(5)
        turns = 0
        while True:
            chunk = running.take(5)
            turns += 1
            if any(b"modest" in each for each in chunk.events):
                break
        assert turns < 10


def test_a_bomb_is_inflated_a_little_in_each_turn(monkeypatch):
    turns = []
    hand_over = Server._hand_over

    def counted(self, client):
        before = client.decoder.worked
        hand_over(self, client)
        turns.append(client.decoder.worked - before)

    monkeypatch.setattr(Server, "_hand_over", counted)
    bomb = frames.window([b'{"message":"%b"}' % (b"x" * (8 << 20))], 3)
    with serving() as running, client(running, bomb):
        assert len(running.take(10).events[0]) > 8 << 20
    assert max(turns) <= 1 << 17


def test_those_who_wait_and_go_cost_no_memory():
    """While nothing is taken, a client that connects, sends and goes leaves nothing behind."""
    with serving(bounds=Bounds(queue_bytes=1, max_connections=4)) as running, client(running, window(2)):
        wait_for(lambda: running.traffic.events == 2)
        for _ in range(30):
            with client(running, window(2)) as other:
                other.shutdown(socket.SHUT_WR)
        wait_for(lambda: running.traffic.accepted == 31)
        wait_for(lambda: len(running._turns) <= 4)
