from __future__ import annotations

from shipper.query import Selection, Tail


def names(hits):
    return [hit.id.strip("_") for hit in hits]


def test_last_then_new_in_order_of_arrival_over_partitions(shelf):
    shelf.add(*({"name": name} for name in "abcdefgh"))
    with Tail(shelf.store, Selection()) as tail:
        assert names(tail.last(3)) == ["f", "g", "h"]
        assert names(tail.last(100)) == list("abcdefgh")
        assert tail.new() == []
        shelf.add({"name": "i"})
        assert names(tail.new()) == ["i"]
        assert tail.new() == []
        shelf.add(*({"name": name} for name in "jklmnopqrstuvw"))
        assert names(tail.new()) == list("jklmnopqrstuvw")
        assert tail.new() == []


def test_only_what_matches(shelf):
    shelf.add({"message": "no"}, {"name": "a", "message": "yes", "log": {"level": "ERROR"}})
    with Tail(shelf.store, Selection.of("yes level:ERROR")) as tail:
        assert names(tail.last(5)) == ["a"]
        shelf.add({"message": "yes"}, {"name": "b", "message": "Yes!", "log": {"level": "ERROR"}}, {"message": "no"})
        assert names(tail.new()) == ["b"]


def test_a_store_that_comes_later(shelf):
    with Tail(shelf.store, Selection()) as tail:
        assert tail.last(5) == []
        assert tail.new() == []
        shelf.add({"name": "a"})
        assert names(tail.new()) == ["a"]


def test_what_arrives_between_last_and_new_is_shown_once(shelf):
    shelf.add({"name": "a"})
    with Tail(shelf.store, Selection()) as tail:
        shelf.add({"name": "b"})
        assert names(tail.last(5)) == ["a"]
        assert names(tail.new()) == ["b"]


def test_looking_costs_little_while_nothing_is_written(shelf):
    shelf.add({"name": "a"})
    with Tail(shelf.store, Selection()) as tail:
        tail.new()
        statements = []
        tail._partition._connection.set_trace_callback(statements.append)
        tail.new()
        assert statements == ["PRAGMA data_version"]


def test_it_goes_on_with_the_oldest_when_what_it_read_was_dropped(shelf):
    shelf.add(*({"name": name} for name in "abcdefgh"))
    with Tail(shelf.store, Selection()) as tail:
        shelf.add(*({"name": name} for name in "ijklmnopqrst"))
        assert names(tail.new()) == list("ijklmnopqrst")
        shelf.add(*({"name": name} for name in "uvwxyz"))
        for path in sorted(shelf.store.path.glob("*.db"))[:-1]:
            path.unlink()
        found = names(tail.new())
        assert found == list("uvwxyz")[-len(found) :]
        assert found
        shelf.add({"name": "0"})
        assert names(tail.new()) == ["0"]
