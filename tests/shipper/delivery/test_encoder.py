from __future__ import annotations

from datetime import date

import orjson

from parser import Pipeline
from parser.multiline import Lines
from shipper.delivery.encoder import Encoder
from shipper.files.reader import Block
from shipper.outputs.batch import Batch

SEED = b"s" * 16
FIELDS = {"host": {"name": "h"}, "service": {"name": "orders"}}


def block(data, offset=0, partial=frozenset()):
    return Block(data, offset, Lines().cuts(data) or [len(data)], partial)


def encode(data, pipeline=None, fields=FIELDS, tags=(), **where):
    encoder = Encoder(pipeline, fields, tags)
    encoded = encoder.encode(block(data, **where), "/a.log", SEED)
    batch = Batch(encoded.body, encoded.documents)
    documents = [orjson.loads(document) for document in batch.documents()]
    assert len(documents) == len(batch.ids()) == encoded.documents
    return documents, batch.ids(), encoder.counts


def pipeline(text):
    return Pipeline.parse("filter {" + text + "}", ecs_compatibility="v8")


def test_a_line_becomes_a_document_that_says_where_it_stood():
    documents, ids, counts = encode("naïve\nzwei\n".encode(), offset=100)
    timestamp = documents[0].pop("@timestamp")
    assert documents[0] == {"message": "naïve", "log": {"file": {"path": "/a.log"}, "offset": 100}, **FIELDS}
    assert timestamp.endswith("Z")
    assert documents[1]["log"]["offset"] == 107
    assert all(len(each) == 20 for each in ids)
    assert counts.events == 2


def test_white_space_alone_is_skipped_and_counted():
    documents, _, counts = encode(b"a\n\n  \r\nb\n")
    assert [document["message"] for document in documents] == ["a", "b"]
    assert counts.skipped == 2


def test_line_ends_are_taken_off_once_and_windows_ones_become_newlines():
    data = b"a\r\n\tat b\r\n"
    encoder = Encoder(None, {})
    encoded = encoder.encode(Block(data, 0, [len(data)]), "/a.log", SEED)
    assert orjson.loads(Batch(encoded.body, 1).documents()[0])["message"] == "a\n\tat b"


def test_a_byte_order_mark_is_the_files_not_the_first_events():
    assert [each["message"] for each in encode(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")[0]] == ["a", "\ufeffb"]
    assert encode(b"\xef\xbb\xbfa\n", offset=7)[0][0]["message"] == "\ufeffa"


def test_invalid_utf8_is_kept_readable():
    assert encode(b"a\xffb \xc3\n")[0][0]["message"] == "a\N{REPLACEMENT CHARACTER}b \N{REPLACEMENT CHARACTER}"


def test_pieces_are_flagged():
    documents, _, _ = encode(b"one\ntwo\nthree\n", offset=50, partial=frozenset({1}))
    assert [document["log"].get("flags") for document in documents] == [None, ["partial"], None]


def test_an_id_depends_on_bytes_place_and_file_and_on_nothing_else():
    _, first, _ = encode(b"x\nx\ny\n")
    assert len(set(first)) == 3
    assert encode(b"x\ny\n", offset=2)[1] == first[1:]
    assert encode(b"x\n", tags=("t",), fields={})[1] == first[:1]
    other = Encoder(None, {}).encode(block(b"x\n"), "/a.log", b"t" * 16)
    assert Batch(other.body, 1).ids()[0] not in first


def test_an_id_does_not_change_with_the_version():
    # Ids that change would deliver everything twice after an upgrade.
    assert encode(b"x\n", offset=12345)[1] == ["cEHmBzjqng_u81o5mePj"]


def test_dropped_events_are_counted_and_the_others_keep_their_ids():
    documents, ids, counts = encode(b"a\nb\nc\n", pipeline('if [message] == "b" { drop {} }'))
    assert [document["message"] for document in documents] == ["a", "c"]
    assert counts.dropped == 1
    assert ids == [encode(b"a\nb\nc\n")[1][at] for at in (0, 2)]


def test_a_filter_changes_its_own_event_only():
    changing = pipeline('mutate { add_field => { "[service][line]" => "%{message}" } }')
    documents, _, _ = encode(b"a\nb\n", changing, tags=("t",))
    assert [document["service"] for document in documents] == [
        {"name": "orders", "line": "a"},
        {"name": "orders", "line": "b"},
    ]
    assert FIELDS["service"] == {"name": "orders"}


def test_tags_of_failure_are_counted_and_tags_of_the_input_kept():
    documents, _, counts = encode(b"a\n", pipeline('grok { match => { "message" => "%{INT:n}" } }'), tags=("mine",))
    assert documents[0]["tags"] == ["mine", "_grokparsefailure"]
    assert documents[0]["message"] == "a"
    assert counts.unparsed == 1


def test_metadata_is_not_indexed():
    documents, _, _ = encode(b"a\n", pipeline('mutate { add_field => { "[@metadata][x]" => "1" } }'))
    assert "@metadata" not in documents[0]


def test_what_the_quick_writer_refuses_is_written_all_the_same():
    number = b"123456789012345678901234567890"
    documents, _, _ = encode(number + b"\n", pipeline('grok { match => { "message" => "%{INT:n:int}" } }'))
    assert documents[0]["n"] == float(number)
    deep = b"[" * 300 + b"]" * 300
    documents, _, _ = encode(deep + b"\n", pipeline('json { source => "message" target => "j" }'))
    assert documents[0]["message"] == deep.decode()


def test_both_ways_agree_on_line_ends_pieces_and_bytes():
    """What the direct way leaves out takes the general one, event by event."""
    reading = r'grok { match => { "message" => "(?m)\A(?<a>\w+)(?<b> .*)?" } }'
    data = b"one x\ntwo\r\nthree y\r\n\tat z\r\n\r\n  \nfour \xff\n\xff\n"
    cuts = [6, 11, 27, 29, 32, len(data) - 2, len(data)]
    direct, general = (
        Encoder(pipeline(reading + more), FIELDS) for more in ("", 'json { source => "[@metadata][x]" }')
    )
    assert direct._direct is not None
    assert general._direct is None
    for partial in (frozenset(), frozenset({0, 5})):
        found = []
        for encoder in (direct, general):
            encoded = encoder.encode(Block(data, 1000, cuts, partial), "/a.log", SEED)
            batch = Batch(encoded.body, encoded.documents)
            documents = [{**orjson.loads(each), "@timestamp": None} for each in batch.documents()]
            found.append((documents, batch.ids()))
        assert found[0] == found[1]
        assert [document["log"].get("flags") for document in found[0][0]].count(["partial"]) == len(partial)
    assert "\r" not in found[0][0][2]["message"]
    assert direct.counts == general.counts


def test_fields_below_log_stand_beside_the_place():
    for reading in ("", 'json { source => "message" }'):
        documents, _, _ = encode(
            b"a\n", pipeline(reading), {"log": {"env": "prod", "file": "x", "offset": "y"}}, offset=3
        )
        assert documents[0]["log"] == {"env": "prod", "file": {"path": "/a.log"}, "offset": 3}
        documents, _, _ = encode(b"a\n", pipeline(reading), {"log": "x"})
        assert documents[0]["log"] == {"file": {"path": "/a.log"}, "offset": 0}


def test_a_constant_tag_of_failure_is_counted_as_one():
    assert encode(b"a\nb\n", fields={}, tags=("_mine",))[2].unparsed == 2


def test_fields_become_what_json_knows():
    odd = {1: 2, "day": date(2024, 1, 2), "large": 10**30, "nan": float("nan"), "half": "\ud800"}
    for reading in ("", 'grok { match => { "message" => "(?<large>x)?" } }', 'json { source => "message" }'):
        documents, _, _ = encode(b"a\n", pipeline(reading), odd)
        assert documents[0]["1"] == 2
        assert documents[0]["day"] == "2024-01-02"
        assert documents[0]["large"] == 1e30
        assert documents[0]["nan"] is None
        assert documents[0]["half"] == "?"


def test_a_path_that_is_no_utf8():
    encoded = Encoder(None, {}).encode(block(b"x\n"), "/a\udcff.log", SEED)
    assert orjson.loads(Batch(encoded.body, 1).documents()[0])["log"]["file"]["path"] == "/a?.log"


def test_no_depth_of_nesting_stops_the_agent():
    for depth in range(100, 1200, 50):
        line = b'{"log":{"x":' + b"[" * depth + b"]" * depth + b"}}"
        documents, _, counts = encode(line + b"\n", pipeline('json { source => "message" }'), {}, offset=5)
        assert documents[0]["message"] == line.decode()
        assert counts.unparsed == len(documents[0].get("tags", ()))
