"""Which id a received event gets."""

import json
import re

import pytest

from shipper.receiver import identity
from shipper.receiver.identity import Identities

LINE = {
    "@timestamp": "2026-01-02T03:04:05.678Z",
    "message": "a line",
    "agent": {"id": "f00d", "ephemeral_id": "1"},
    "log": {"offset": 12, "file": {"path": "/var/log/a.log", "inode": "77", "device_id": "1", "fingerprint": "abc"}},
}


def given(ids, event, connection=1, end=1):
    return ids.of(event, json.dumps(event).encode(), connection, end)


def changed(**changes):
    event = json.loads(json.dumps(LINE))
    for name, value in changes.items():
        *parents, leaf = name.split("__")
        place = event
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[leaf]
        else:
            place[leaf] = value
    return event


def test_an_id_of_ours_is_kept():
    event = {"@metadata": {"_id": "A_-45678901234567890"[:20]}, "message": "x"}
    assert given(Identities(), event) == b"A_-45678901234567890"[:20]


@pytest.mark.parametrize("other", ["short", "with a space in it: 0", "x" * 21, "äöü45678901234567890"])
def test_another_id_is_hashed_with_the_agent(other):
    ids = Identities()
    first = given(ids, {"@metadata": {"_id": other}, "agent": {"id": "1"}})
    assert re.fullmatch(rb"[A-Za-z0-9_-]{20}", first)
    assert given(ids, {"@metadata": {"_id": other}, "agent": {"id": "1"}}, 2) == first
    assert given(ids, {"@metadata": {"_id": other}, "agent": {"id": "2"}}) != first


@pytest.mark.parametrize(
    "changes",
    [
        {"@timestamp": "2026-01-02T03:09:00.000Z"},
        {"agent__ephemeral_id": "2"},
        {"log__file__path": "/var/log/a.log.1"},
        {"log__file__inode": "78"},
    ],
)
def test_what_a_beat_reads_again_has_the_same_id(changes):
    """After a restart it has another time, and the file may have another name."""
    assert given(Identities(), changed(**changes)) == given(Identities(), LINE)


@pytest.mark.parametrize(
    "changes",
    [{"agent__id": "beef"}, {"log__offset": 13}, {"log__file__fingerprint": "abd"}, {"message": "another"}],
)
def test_another_event_has_another_id(changes):
    assert given(Identities(), changed(**changes)) != given(Identities(), LINE)


def test_without_a_fingerprint_it_is_the_inode_and_then_the_path():
    ids = Identities()
    inode = changed(log__file__fingerprint=None)
    assert given(ids, inode) == given(ids, changed(log__file__fingerprint=None, log__file__path="/b"))
    path = changed(log__file__fingerprint=None, log__file__inode=None)
    assert given(ids, path) != given(
        ids, changed(log__file__fingerprint=None, log__file__inode=None, log__file__path="/b")
    )
    assert len({given(ids, LINE), given(ids, inode), given(ids, path)}) == 3


def test_without_a_message_the_fields_count():
    ids = Identities()
    one, two = changed(message=None, code=1), changed(message=None, code=2)
    assert given(ids, one) != given(ids, two)
    assert given(ids, one) == given(ids, {**one, "@timestamp": "2027-01-01T00:00:00.000Z"})


def test_two_equal_events_without_an_offset_are_two():
    ids = Identities()
    assert given(ids, {"message": "x"}, 1, 1) != given(ids, {"message": "x"}, 1, 2)
    assert given(ids, {"message": "x"}, 1, 3) != given(ids, {"message": "x"}, 2, 1)


def test_what_comes_again_because_nobody_was_told_keeps_its_id():
    ids = Identities()
    before = [given(ids, {"message": "x"}, 1, end) for end in (1, 2, 3)]
    ids.ended(1, 1)  # told of the first
    again = [given(ids, {"message": "x"}, 2, end) for end in (1, 2, 3)]
    assert again[:2] == before[1:]
    assert again[2] not in before


def test_what_was_acknowledged_is_not_remembered():
    ids = Identities()
    first = given(ids, {"message": "x"})
    ids.acknowledged(1, 1)
    ids.ended(1, 0)
    assert given(ids, {"message": "x"}, 2) != first


def test_only_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr(identity, "_REMEMBERED", 10)
    ids = Identities()
    before = [given(ids, {"message": str(end)}, 1, end) for end in range(1, 31)]
    ids.ended(1, 0)
    again = [given(ids, {"message": str(end)}, 2, end) for end in range(1, 31)]
    assert [one == two for one, two in zip(before, again, strict=True)] == [False] * 20 + [True] * 10


def test_what_json_is_too_small_for():
    event = changed(message=None, log__offset=2**70, odd="\ud800")
    assert len(Identities().of(event, b"x", 1, 1)) == 20


def read(offset, second, run="1", message="banner"):
    return changed(
        log__file__fingerprint=None,
        log__offset=offset,
        message=message,
        agent__ephemeral_id=run,
        **{"@timestamp": f"2026-01-02T03:00:{second:02}.000Z"},
    )


def test_the_same_line_in_a_file_that_was_emptied_is_another_event():
    ids = Identities()
    first = [given(ids, read(offset, 1)) for offset in (0, 10, 20)]
    second = [given(ids, read(offset, 30)) for offset in (0, 10, 20)]
    third = [given(ids, read(offset, 50)) for offset in (0, 10)]
    assert len({*first, *second, *third}) == 8


def test_what_comes_again_has_the_id_of_its_own_generation():
    ids = Identities()
    first = [given(ids, read(offset, 1)) for offset in (0, 10, 20)]
    second = [given(ids, read(offset, 30)) for offset in (0, 10)]
    assert [given(ids, read(offset, 1), 2) for offset in (10, 20)] == first[1:]
    assert [given(ids, read(offset, 30), 2) for offset in (0, 10)] == second
    assert [given(ids, read(offset, 59, run="2"), 3) for offset in (0, 10)] == second, "after a restart of the Beat"


def test_a_beat_that_begins_again_reads_no_new_generation():
    ids = Identities()
    first = [given(ids, read(offset, 1)) for offset in (0, 10, 20)]
    assert [given(ids, read(offset, 30, run="2")) for offset in (0, 10, 20)] == first


def test_times_that_are_not_quite_in_order_are_no_new_generation():
    ids = Identities()
    first = given(ids, read(0, 1))
    given(ids, read(20, 1))
    late = changed(log__file__fingerprint=None, log__offset=10, **{"@timestamp": "2026-01-02T03:00:01.400Z"})
    given(ids, late)
    assert given(ids, read(0, 1)) == first
    assert given(Identities(), late) == given(ids, late)


@pytest.mark.parametrize("at", [None, 5, "", "x" * 24, "2026-01-02T03:00:30Z"])
def test_times_that_are_none_tell_nothing(at):
    ids = Identities()
    given(ids, read(10, 1))
    odd = {**read(0, 1), "@timestamp": at}
    assert given(ids, odd) == given(Identities(), odd)


def test_the_files_that_are_remembered_have_an_end(monkeypatch):
    monkeypatch.setattr("shipper.receiver.generations.FILES", 3)
    ids = Identities()
    for inode in range(10):
        given(ids, changed(log__file__fingerprint=None, log__file__inode=str(inode)))
    assert len(ids._generations._files) == 3
