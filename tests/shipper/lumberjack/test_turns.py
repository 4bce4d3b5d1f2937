"""Who is served next."""

import pytest

from shipper.lumberjack.turns import CREDIT, Turns


class Waiting:
    def __init__(self, name, turn=0.0):
        self.name, self.turn = name, turn


def served(turns, count, cost):
    """The names of the next ``count``, each of whom gets in line again."""
    names = []
    for _ in range(count):
        client = turns.next()
        names.append(client.name)
        client.turn += cost[client.name]
        turns.add(client)
    return names


def test_all_get_the_same_work_and_not_the_same_number_of_turns():
    turns = Turns()
    for name in "ab":
        turns.add(Waiting(name))
    names = served(turns, 300, {"a": 1, "b": 2})
    assert names.count("a") == pytest.approx(200, abs=2)


def test_who_sends_little_is_next():
    turns = Turns()
    modest = Waiting("modest")
    for name in "abc":
        turns.add(Waiting(name))
    served(turns, 10, dict.fromkeys("abc", 100))
    turns.add(modest)
    assert turns.next() is modest


def test_who_was_idle_has_saved_up_no_more_than_the_credit():
    turns = Turns()
    idle = Waiting("idle")
    turns.add(Waiting("a"))
    served(turns, 1000, {"a": CREDIT})
    turns.add(idle)
    assert served(turns, 20, {"a": CREDIT / 4, "idle": CREDIT / 4}).count("a") >= 5


def test_small_pieces_are_served_at_once_though_all_others_have_the_same_place():
    turns = Turns()
    for name in range(50):
        turns.add(Waiting(name))
    served(turns, 75, dict.fromkeys(range(50), CREDIT))
    modest = Waiting("modest", turns.newcomer)
    for _ in range(5):
        turns.add(modest)
        assert turns.next() is modest
        modest.turn += 100


def test_somebody_new_has_no_advantage_over_one_who_has_had_little():
    turns = Turns()
    modest = Waiting("modest", 5.0)
    turns.add(Waiting("a"))
    served(turns, 10, {"a": CREDIT})
    turns.add(Waiting("new", turns.newcomer))
    turns.add(modest)
    assert turns.next() is modest


def test_who_is_gone_is_not_served():
    turns = Turns()
    first, second = Waiting("first"), Waiting("second", 1.0)
    turns.add(first)
    turns.add(second)
    turns.remove(first)
    assert list(turns) == [second]
    assert turns.next() is second
    assert len(turns) == 0
