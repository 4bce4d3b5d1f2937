"""The receiver as a whole: real sockets, the real pipeline, an output whose answer can be held back."""

import contextlib
import json
import socket
import threading
import time

import pytest
from lumberjack_peers import Cutter
from receiving import event, receiving, sent, stored
from waiting import wait_for

from shipper.errors import UnavailableError
from shipper.lumberjack import frames, server
from shipper.lumberjack.client import Connection
from shipper.lumberjack.exchange import Ended
from shipper.outputs.batch import Batch, Outcomes, Rejection
from shipper.outputs.logstash import LogstashOutput
from shipper.receiver.service import _FIRST, Receiver
from shipper.settings import from_mapping
from shipper.state import manifest

SPRING = "2017-07-04 11:11:37.921  INFO 60820 --- [pool-3-thread-1] br.com.service.ContaService      : GET DATA"


def test_events_go_through_the_pipeline_and_keep_what_their_beat_sent(tmp_path, gate):
    own = {"pipeline": "spring-boot", "tags": ["edge"], "fields": {"team": "a", "site.room": "7"}, "timezone": "UTC"}
    with receiving(tmp_path, **own) as receiver:
        assert (
            sent(receiver, [event(1, message=SPRING, tags=["web"], fields={"team": "b"}, host={"name": "web-1"})]) == 1
        )
    (document,) = stored(gate)
    assert document["@timestamp"] == "2017-07-04T11:11:37.921Z"
    assert document["message"] == "GET DATA"
    assert document["process"]["pid"] == 60820
    assert document["agent"] == {"id": "f00d", "type": "filebeat", "name": "web-1"}
    assert document["host"] == {"name": "web-1"}
    assert document["log"]["offset"] == 10
    assert document["fields"] == {"team": "b", "site": {"room": "7"}}
    assert document["tags"] == ["web", "edge"]
    assert "@metadata" not in document


def test_what_an_agent_of_ours_has_parsed_is_not_parsed_again(tmp_path, gate):
    with receiving(tmp_path, pipeline="spring-boot") as receiver:
        sent(receiver, [event(1, message=SPRING, **{"@metadata": {"parsed": True, "_id": "A" * 20}})])
    assert [each["message"] for each in stored(gate)] == [SPRING]
    assert list(gate.stored) == ["A" * 20]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02T04:04:05.678999+01:00", "2026-01-02T03:04:05.678Z"),
        ("yesterday", None),
        (7, None),
    ],
)
def test_times(tmp_path, gate, at, expected):
    with receiving(tmp_path) as receiver:
        sent(receiver, [event(1, **{"@timestamp": at})])
    (document,) = stored(gate)
    if expected:
        assert document["@timestamp"] == expected
        assert "tags" not in document
    else:
        assert document["@timestamp"] > "2026-01-02"
        assert document["tags"] == ["_timestampparsefailure"]
        assert document["_@timestamp"] == at


def test_nothing_is_acknowledged_before_the_output_has_it(tmp_path, gate, monkeypatch):
    monkeypatch.setattr(server, "KEEP_ALIVE", 0.05)
    monkeypatch.setattr(server, "_TICK", 0.02)
    gate.open.clear()
    with (
        receiving(
            tmp_path, output={"output.elasticsearch": {"hosts": "x", "backoff.init": "10ms", "backoff.max": "20ms"}}
        ) as receiver,
        socket.create_connection(receiver.address, 5) as client,
    ):
        client.sendall(frames.window([json.dumps(event(at)).encode() for at in range(3)]))
        assert {client.recv(6) for _ in range(5)} == {frames.ack(0)}
        gate.open.set()
        while (came := client.recv(6)) == frames.ack(0):
            pass
        assert came == frames.ack(3)
    assert len(gate.stored) == 3


def test_with_a_queue_on_disk_its_sync_is_enough(tmp_path, gate):
    gate.open.clear()
    with receiving(tmp_path, patience=0.1, settings={"queue.disk": {}}) as receiver:
        assert sent(receiver, [event(at) for at in range(50)]) == 50
        assert gate.stored == {}
    gate.open.set()
    with receiving(tmp_path, settings={"queue.disk": {}}):
        wait_for(lambda: len(gate.stored) == 50)


@pytest.mark.slow
def test_what_its_spool_loses_is_said_and_what_comes_after_is_watched_over(tmp_path, gate, caplog):
    gate.open.clear()
    with receiving(tmp_path, patience=0.1, settings={"queue.disk": {}}) as receiver:
        for begin in (0, 50):
            assert sent(receiver, [event(at) for at in range(begin, begin + 50)]) == 50
        [segment] = (tmp_path / "data/spool").glob("*/*.spool")
        data = bytearray(segment.read_bytes())
        data[-60] ^= 1
        segment.write_bytes(data)
        gate.open.set()
        wait_for(lambda: 0 < len(gate.stored) < 100 and receiver._queue.empty())
        wait_for(lambda: not receiver._queue.damaged)
        gate.open.clear()
        assert sent(receiver, [event(at) for at in range(100, 150)]) == 50
        wait_for(lambda: (noted := manifest.read(segment.parent)) is not None and noted.lengths)
    assert "50 documents (" in caplog.text
    for left in segment.parent.glob("*.spool"):
        left.unlink()
    with receiving(tmp_path, settings={"queue.disk": {}}):
        wait_for(lambda: "is not there, and held documents" in caplog.text)


def test_rejected_and_dropped_events_are_acknowledged_too(tmp_path, gate):
    gate.answers.append(Outcomes(rejected=[Rejection(0, 400, "no")]))
    (tmp_path / "drop.conf").write_text('filter { if [message] == "event 1" { drop {} } }')
    with receiving(tmp_path, pipeline=str(tmp_path / "drop.conf")) as receiver:
        assert sent(receiver, [event(0), event(1), event(2)]) == 3
        assert sent(receiver, [event(1)]) == 1
        assert receiver.documents().rejected == 1
        assert receiver.events.dropped == 2


def test_what_is_no_json_closes_the_connection_and_what_was_before_it_stays(tmp_path, gate, caplog):
    with receiving(tmp_path) as receiver:
        with pytest.raises(OSError):  # noqa: PT011 - reset, refused or an alert: it depends on who is first
            sent(receiver, [event(0), b"no json", event(2)])
        with pytest.raises(OSError):  # noqa: PT011 - reset, refused or an alert: it depends on who is first
            sent(receiver, [b"[1]"])
        assert sent(receiver, [event(3)]) == 1
    assert [each["message"] for each in stored(gate)] == ["event 0", "event 3"]
    assert "an event is no JSON object" in caplog.text
    assert "no json" not in caplog.text


def test_what_is_almost_json_is_taken(tmp_path, gate):
    deep = b'{"a":' * 400 + b"1" + b"}" * 400
    with receiving(tmp_path) as receiver:
        assert sent(receiver, [b'{"message":NaN}', b'{"message":"\\ud800"}', b'{"message":"\xff"}', deep]) == 4
    assert [each.get("message") for each in stored(gate)][:3] == [None, "?", "�"]


def test_what_is_sent_again_is_stored_once(tmp_path, gate):
    """Filebeat, restarted: the same lines at another time."""
    with receiving(tmp_path) as receiver:
        sent(receiver, [event(at) for at in range(10)])
        sent(receiver, [event(at, **{"@timestamp": "2026-01-02T03:09:00.000Z"}) for at in range(5, 15)])
    assert len(gate.sent) == 20
    assert len(gate.stored) == 15


def test_equal_events_without_an_offset_are_all_stored_and_a_window_that_comes_again_is_not(tmp_path, gate):
    twice = [{"message": "x"}, {"message": "x"}]
    gate.open.clear()
    with receiving(
        tmp_path, output={"output.elasticsearch": {"hosts": "x", "backoff.init": "10ms", "backoff.max": "20ms"}}
    ) as receiver:
        with pytest.raises(TimeoutError):
            sent(receiver, twice, timeout=0.1)
        gate.open.set()
        assert sent(receiver, twice) == 2
    assert len(gate.stored) == 2


def test_what_was_acknowledged_stays_so_and_equal_events_that_come_after_are_stored(tmp_path, gate):
    """Two senders settle at the same time: the one that was first may be the last to say so."""
    payload = json.dumps({"message": "x"}).encode()
    with receiving(tmp_path) as receiver:
        with contextlib.closing(Connection(receiver.address, timeout=60)) as connection:
            connection.send(frames.window([payload] * 3, 0), 3)
            while connection.windows:
                connection.acknowledged()
            receiver._tell(dict.fromkeys((_FIRST + each for each in receiver._told), 1))
        while receiver._told:
            time.sleep(0.001)
        assert sent(receiver, [payload]) == 1
    assert len(gate.stored) == 4


def test_a_connection_that_ends_while_it_is_told_of_is_not_kept(tmp_path, gate):
    class Slow(dict):
        def __contains__(self, connection):
            there = super().__contains__(connection)
            looked.set()
            ended.wait(0.2)
            return there

    looked, ended = threading.Event(), threading.Event()
    settings = from_mapping(
        {"receive": {"host": "127.0.0.1:0"}, "path.data": str(tmp_path / "data"), "output.console": {}}
    )
    with Receiver(settings) as receiver:
        receiver._told = Slow({1: 0})
        teller = threading.Thread(target=receiver._tell, args=({_FIRST + 1: 5},))
        teller.start()
        assert looked.wait(60)
        receiver._server._exchange._waiting.append(Ended(1, 0))
        receiver._turn(0.0)
        ended.set()
        teller.join()
        assert receiver._told == {}


def test_connections_cut_anywhere_lose_nothing(tmp_path, gate):
    """From one of our agents: what comes again has the same id."""
    lines = [b'{"create":{"_id":"%020d"}}\n{"message":"%d"}\n' % (at, at) for at in range(150)]
    everything = Batch(b"".join(lines), len(lines))
    limits = [*((at, None) for at in range(0, 900, 29)), *((None, at) for at in range(19))]
    with receiving(tmp_path) as receiver, Cutter(receiver.address[1], limits) as cutter:
        mapping = {"receive": {"host": "127.0.0.1"}, "output.logstash": {"hosts": cutter.address, "bulk_max_size": 4}}
        out = LogstashOutput(from_mapping(mapping).output)
        for begin in range(0, 150, 5):
            left = everything.select(range(begin, begin + 5))
            while left.count:
                with contextlib.suppress(UnavailableError):
                    left = left.select(out.send(left).retry)
        out.close()
    assert set(gate.stored) == set(everything.ids())


def test_many_clients_at_the_same_time(tmp_path, gate):
    def one(number):
        parts = [[event(part * 40 + at, agent={"id": str(number)}) for at in range(40)] for part in range(5)]
        done.extend(sent(receiver, part) for part in parts)

    done = []
    with receiving(tmp_path) as receiver:
        threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert done == [40] * 100
    assert len(gate.stored) == 20 * 200


def test_what_came_before_the_stop_is_delivered(tmp_path, gate):
    with receiving(tmp_path) as receiver, socket.create_connection(receiver.address, 5) as client:
        client.sendall(frames.window([json.dumps(event(at)).encode() for at in range(100)]))
        while not receiver.traffic.events:
            time.sleep(0.001)
        receiver.stop()
        got = b""
        while data := client.recv(1000):
            got += data
    assert got.endswith(frames.ack(len(gate.stored)))


def test_an_output_that_takes_nothing_does_not_keep_it_from_ending(tmp_path, gate):
    gate.open.clear()
    with receiving(tmp_path, patience=0.05) as receiver, socket.create_connection(receiver.address, 5) as client:
        client.sendall(frames.window([json.dumps(event(0)).encode()]))
        while not receiver.traffic.events:
            time.sleep(0.001)
        receiver.stop()
        assert client.recv(100) in {b"", frames.ack(0)}


@contextlib.contextmanager
def full(tmp_path, gate, patience):
    """A receiver whose output takes nothing and whose queue is full, and a client that has sent it ``EVENTS`` events."""
    gate.open.clear()
    output = {"hosts": "x", "backoff.init": "10ms", "backoff.max": "20ms", "bulk_max_bytes": "64KiB"}
    own = {"output": {"output.elasticsearch": output}, "settings": {"queue.mem.bytes": "64KiB"}}
    payloads = [json.dumps(event(at, message="x" * 1000)).encode() for at in range(EVENTS)]
    with (
        receiving(tmp_path, patience, **own) as receiver,
        socket.create_connection(receiver.address, 5) as client,
    ):
        client.sendall(frames.window(payloads))
        while receiver.traffic.events < EVENTS or not receiver._queue.depth().bytes:
            time.sleep(0.001)
        yield receiver, client


EVENTS = 500


def last_word(client):
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(1000):
            got += data
    return got[-6:]


def test_at_its_end_a_full_queue_has_as_much_time_as_the_output_is_given(tmp_path, gate):
    with full(tmp_path, gate, patience=20.0) as (receiver, client):
        receiver.stop()
        time.sleep(0.5)
        gate.open.set()
        assert last_word(client) == frames.ack(EVENTS)
    assert len(gate.stored) == EVENTS


def test_at_its_end_it_gives_up_once_and_acknowledges_nothing_that_was_not_taken(tmp_path, gate):
    with full(tmp_path, gate, patience=0.5) as (receiver, client):
        put, refused = receiver._queue.put, []

        def counted(batch, timeout):
            taken = put(batch, timeout)
            if not taken and batch not in refused:
                refused.append(batch)
            return taken

        receiver._queue.put = counted
        receiver.stop()
        assert last_word(client) in {b"", frames.ack(0)}
    assert len(refused) == 1, "what is behind the first that was not taken is not even tried"
    assert gate.stored == {}


def test_towards_a_logstash_the_metadata_goes_along(tmp_path, gate):
    output = {"output.logstash": {"hosts": "x"}}
    with receiving(tmp_path, output=output, pipeline="spring-boot") as receiver:
        sent(
            receiver, [event(1, message=SPRING, **{"@metadata": {"beat": "filebeat", "version": "9.1.0", "_id": "x"}})]
        )
    (document,) = stored(gate)
    assert document["@metadata"] == {"beat": "filebeat", "type": "_doc", "version": "9.1.0", "parsed": True}
    assert next(iter(gate.stored.values())).startswith(b'{"@metadata":{')


def test_a_data_stream_is_named_in_its_documents(tmp_path, gate):
    output = {"output.elasticsearch": {"hosts": "x", "data_stream.dataset": "spring"}}
    with receiving(tmp_path, output=output) as receiver:
        sent(receiver, [event(1, data_stream={"dataset": "other"}, event={"dataset": "mine"}), event(2)])
    first, second = stored(gate)
    assert first["data_stream"] == {"type": "logs", "dataset": "spring", "namespace": "default"}
    assert (first["event"], second["event"]) == ({"dataset": "mine"}, {"dataset": "spring"})
