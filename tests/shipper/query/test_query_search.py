from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from shipper.errors import QueryError
from shipper.query import Selection, count, histogram, scan, search

MINUTE = 60_000


def found(shelf, query, **options):
    """Names of the documents that are found, sorted; by search, count and histogram alike."""
    selection = Selection.of(query, **options)
    hits = search(shelf.store, selection, 100, zone=UTC)
    bars = histogram(shelf.store, selection, zone=UTC)
    assert count(shelf.store, selection, zone=UTC) == len(hits) == (bars.total if bars else 0)
    return sorted(hit.id.strip("_") for hit in hits)


@pytest.fixture(scope="module")
def library(make_shelf):
    shelf = make_shelf()
    shelf.add(
        {"name": "plain", "@timestamp": "2026-11-22T10:00:00Z", "message": "Connection reset by peer, order-4711",
         "log": {"level": "ERROR", "logger": "br.com.service.ContaService"}, "service": {"name": "orders"}, "process": {"pid": 42}},
        {"name": "other", "@timestamp": "2026-11-22T10:01:00Z", "message": "reset the connection pool_size",
         "log": {"level": "info", "logger": "br.com.ContaServiceLog"}, "service": {"name": "orders-api"}, "process": {"pid": 7}},
        {"name": "trace", "@timestamp": "2026-11-22T10:02:00Z", "message": "failed", "trace": {"id": "0af7651916cd43dd"},
         "log": {"level": "WARN"}, "error": {"type": "java.lang.IllegalStateException", "message": "Pool exhausted",
         "stack_trace": "java.lang.IllegalStateException: Pool exhausted\n\tat com.example.Foo.run(Foo.java:17)"}},
        {"name": "words", "@timestamp": "2026-11-23T10:00:00Z", "message": "São transação ÜBER 10.0.0.1 --> *** 50%", "tags": ["a", "_grokparsefailure"],
         "labels": {"tenant": "acme", "order.id": "A1", "n": 10, "f": 2.5, "text": "12", "yes": True}},
        {"name": "dotted", "@timestamp": "2026-11-23T11:00:00Z", "message": "x", "labels.tenant": "umbrella", "labels": {"n": -3, "none": None}},
        {"name": "bare", "@timestamp": "2026-11-23T12:00:00Z"},
        {"name": "nul", "@timestamp": "2026-11-24T00:00:00Z", "message": "before\0after", "labels": {"n": 1000000}},
    )  # fmt: skip
    return shelf


EVERYTHING = ["bare", "dotted", "nul", "other", "plain", "trace", "words"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", EVERYTHING),
        # words, in any case, in the text fields
        ("CONNECTION", ["other", "plain"]),
        ("connection reset", ["other", "plain"]),
        ('"connection reset"', ["plain"]),
        ('"reset connection"', []),
        ("exhausted", ["trace"]),
        ("connection not peer", ["other"]),
        ("not connection", ["bare", "dotted", "nul", "trace", "words"]),
        ("peer or failed", ["plain", "trace"]),
        ("order-4711", ["plain"]),
        ("4711", ["plain"]),
        ("order-47", []),
        ("order-47*", ["plain"]),
        ("pool", ["other", "trace"]),
        ("pool_size", ["other"]),
        ("10.0.0.1", ["words"]),
        ("TRANSAÇÃO", ["words"]),
        ("transacao", []),
        ("über", ["words"]),
        ("after", ["nul"]),
        ('"-->"', ["words"]),
        ("\\*\\*\\*", ["words"]),
        ('"50%"', ["words"]),
        ('"%"', ["words"]),
        ('"__"', []),
        # class names, as bare words: whole, their end, or the beginning of a part
        ("ContaService", ["plain"]),
        ("ContaServiceLog", ["other"]),
        ("contaservice*", ["other", "plain"]),
        ("br.com.ContaServiceLog", ["other"]),
        ("com.example.Foo", ["trace"]),
        ('"Foo.java:17"', ["trace"]),
        ("Foo.java:17", []),  # a field's name and its value
        ("IllegalStateException", ["trace"]),
        ("illegalstate*", ["trace"]),
        ("0af7651916cd43dd", ["trace"]),
        # wildcards inside words
        ("*Exception", ["trace"]),
        ("*Servic", []),
        ("*Service", ["plain"]),
        ("Cont*Log", ["other"]),
        ("*ns*", ["words"]),
        ("message:*ese*", ["other", "plain"]),
        # fields
        ("level:ERROR", ["plain"]),
        ("level:error", ["plain"]),
        ("log.level:Info", ["other"]),
        ("level:w*", ["trace"]),
        ("level >= warn", ["plain", "trace"]),
        ("level < WARN", ["other"]),
        ("level:*", ["other", "plain", "trace"]),
        ("not level:ERROR", ["bare", "dotted", "nul", "other", "trace", "words"]),
        ("service:orders", ["plain"]),
        ("service:Orders", []),
        ("service:orders*", ["other", "plain"]),
        ("service:(orders or orders-api) and not level:error", ["other"]),
        ("logger:br.com.*", ["other", "plain"]),
        ("logger:ContaService", []),
        ("message:connection", ["other", "plain"]),
        ("message:exhausted", []),
        ("error.message:exhausted", ["trace"]),
        ("error.stack_trace:Foo", ["trace"]),
        ("exception:java.lang.IllegalStateException", ["trace"]),
        ("exception:IllegalStateException", []),
        ("exception:*StateException", ["trace"]),
        ("trace:0af7651916cd43dd", ["trace"]),
        ("trace:0AF7651916CD43DD", []),
        ("error:*", ["trace"]),
        ("labels.tenant:acme", ["words"]),
        ("labels.tenant:umbrella", ["dotted"]),
        ("labels.tenant:*", ["dotted", "words"]),
        ("labels.tenant:(acme or umbrella)", ["dotted", "words"]),
        ("not labels.tenant:acme", ["bare", "dotted", "nul", "other", "plain", "trace"]),
        ("labels.order.id:A1", ["words"]),
        ("labels.none:*", []),
        ("labels:acme", []),
        ("tags:a", ["words"]),
        ("tags:_grokparsefailure", ["words"]),
        ("tags:_grok*", ["words"]),
        ("tags:grokparsefailure", []),
        ("tags:*", ["words"]),
        ("labels.yes:true", ["words"]),
        ("labels.yes:false", []),
        # numbers
        ("pid:42", ["plain"]),
        ("pid:42.0", ["plain"]),
        ("pid >= 42", ["plain"]),
        ("pid > 42", []),
        ("pid < 42", ["other"]),
        ("labels.n > 9", ["nul", "words"]),
        ("labels.n:>9 labels.n<11", ["words"]),
        ("labels.n <= -3", ["dotted"]),
        ("labels.f:2.5", ["words"]),
        ("labels.text >= 12", ["words"]),
        ("labels.text > 12", []),
        ("labels.text:12", ["words"]),
        ("labels.tenant > b", ["dotted"]),
        ("labels.tenant > 1", []),
        ("labels.n:1e6", ["nul"]),
        ("labels.n:99999999999999999999", []),
        # times
        ("@timestamp:2026-11-22", ["other", "plain", "trace"]),
        ('time:"2026-11-22T10:01"', ["other"]),
        ("@timestamp > 2026-11-22", ["bare", "dotted", "nul", "words"]),
        ("@timestamp >= 2026-11-23", ["bare", "dotted", "nul", "words"]),
        ("@timestamp <= 2026-11-22", ["other", "plain", "trace"]),
        ("@timestamp < 2026-11-22", []),
        # all together
        ("(connection level:ERROR) or (tags:a labels.n >= 10 not level:*)", ["plain", "words"]),
        ("connection or tags:a", ["other", "plain", "words"]),
        ("_id:" + "bare".rjust(20, "_"), ["bare"]),
        ("x:y", []),
    ],
)
def test_what_a_query_finds(library, query, names):
    assert found(library, query) == names


def test_a_document_is_found_with_lone_surrogates(shelf):
    shelf.store.write(["1" * 20], [b'{"message":"a \\ud800 b","x":{"y":"\\udfff"}}'])
    assert found(shelf, "message:ab or x.y:z") == []
    assert len(found(shelf, "b x.y:*")) == 1
    assert search(shelf.store, Selection())[0].document["message"] == "a \ud800 b"


@pytest.mark.parametrize(
    "query",
    [
        " ".join(["reset"] * 498),
        " or ".join(["x:reset", "labels.a.b:c"] * 70),
        " or ".join(["*e*et"] * 100),
        "not (" * 6 + "reset or message:connection" + ")" * 6,
        "(x:y or " * 7 + "reset" + ")" * 7,
        "(a (b or " * 7 + "reset" + "))" * 7,
    ],
    ids=["and", "json", "wildcards", "not", "or", "text"],
)
def test_the_largest_queries_are_answered(library, query):
    assert found(library, query) in ([], ["other", "plain"])


def test_levels_and_services_of_the_options(library):
    assert found(library, "", levels=["error", "INFO"]) == ["other", "plain"]
    assert found(library, "", levels=["WARN+"]) == ["plain", "trace"]
    assert found(library, "reset", services=["orders"], levels=["WARN+"]) == ["plain"]


def test_since_is_included_and_until_is_not(shelf):
    shelf.add(*({"name": name, "@timestamp": f"2026-11-22T10:0{name}:00Z"} for name in range(5)))
    ten = 1_795_341_600_000
    assert found(shelf, "", since=ten + MINUTE, until=ten + 3 * MINUTE) == ["1", "2"]
    assert found(shelf, "", until=ten) == []
    assert found(shelf, "", since=ten + 5 * MINUTE) == []


def test_newest_first_whatever_the_order_of_arrival_and_over_partitions(shelf):
    times = [5, 1, 9, 3, 3, 7, 2, 8, 0, 6, 4, 3, 9]
    shelf.add(*({"@timestamp": f"2026-11-22T10:00:0{time}Z", "n": at} for at, time in enumerate(times)))
    expected = sorted(range(len(times)), key=lambda at: (times[at], at), reverse=True)
    for limit in range(len(times) + 2):
        assert [hit.document["n"] for hit in search(shelf.store, Selection(), limit)] == expected[:limit]
    assert [hit.document["n"] for hit in scan(shelf.store, Selection())] == expected
    assert len(list(shelf.store.path.glob("*.db"))) == 3


def test_a_store_that_is_not_there_has_nothing(shelf):
    assert found(shelf, "") == []
    assert not shelf.store.path.exists()


def test_searching_while_a_batch_is_written_sees_what_is_committed(shelf):
    shelf.add({"message": "one"})
    database = shelf.store._writer._active
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO documents VALUES (99, 0, 0, 0, 0, 'x', '{}')")
    assert count(shelf.store, Selection()) == 1
    database.execute("COMMIT")
    assert count(shelf.store, Selection()) == 2


def test_a_bad_time_in_a_query_is_a_query_error(shelf):
    with pytest.raises(QueryError, match="not a time"):
        search(shelf.store, Selection.of("@timestamp > soon"))


def test_histogram_counts_by_level_without_gaps(shelf):
    for minute, level in ((0, "INFO"), (1, "info"), (1, "ERROR"), (7, None), (8, "WARN"), (8, "WARN")):
        shelf.add({"@timestamp": f"2026-11-22T10:{minute:02d}:30Z", **({"log": {"level": level}} if level else {})})
    bars = histogram(shelf.store, Selection(), 10, zone=UTC)
    ten = 1_795_341_600_000
    assert bars.width == MINUTE
    assert [(bucket.start - ten) // MINUTE for bucket in bars.buckets] == list(range(9))
    assert [bucket.counts for bucket in bars.buckets if bucket.total] == [
        {"INFO": 1},
        {"INFO": 1, "ERROR": 1},
        {"": 1},
        {"WARN": 2},
    ]


@pytest.mark.parametrize(
    ("first", "last", "width"),
    [
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z", 1000),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:19:59Z", MINUTE),
        ("2026-11-22T10:00:00Z", "2026-11-23T09:00:00Z", 2 * 60 * MINUTE),
        ("2026-11-01T10:00:00Z", "2026-11-15T09:00:00Z", 24 * 60 * MINUTE),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", 36500 * 24 * 60 * MINUTE),
    ],
)
def test_histogram_has_round_buckets(shelf, first, last, width):
    shelf.add({"@timestamp": first}, {"@timestamp": last})
    bars = histogram(shelf.store, Selection(), 20 if width < 10**12 else 200, zone=UTC)
    assert bars.width == width
    assert bars.total == 2


def test_days_begin_at_local_midnight(shelf):
    shelf.add(
        {"@timestamp": "2026-11-20T22:30:00Z"},
        {"@timestamp": "2026-11-21T23:30:00Z"},
        {"@timestamp": "2026-12-04T12:00:00Z"},
    )
    bars = histogram(shelf.store, Selection(), 20, zone=ZoneInfo("Europe/Berlin"))
    assert bars.width == 24 * 60 * MINUTE
    assert [bucket.total for bucket in bars.buckets][:3] == [1, 0, 1]
