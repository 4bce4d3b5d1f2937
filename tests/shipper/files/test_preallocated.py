"""Files that have their size before they have their text, as Log4j's MemoryMappedFile makes them."""

from __future__ import annotations

import os

from harvesting import acknowledge, lines, quiet, restarted


def test_a_file_with_room_at_its_end_is_read_as_it_is_filled(harvest, registry, logs, caplog):
    """Log4j's MemoryMappedFile: the file has its size before it has its text, and the beginning is of the text only."""
    log = logs / "a.log"
    log.write_text("one\n")
    os.truncate(log, 100_000)
    harvest.scan()
    [seed] = found = lines(harvest)
    acknowledge(harvest, registry)
    with log.open("r+b") as file:
        file.seek(4)
        file.write(b"two\n")
    assert not harvest.check()
    assert [found, lines(harvest)] == [{seed: ["one"]}, {seed: ["two"]}]
    acknowledge(harvest, registry)
    harvest.harvesters[0].quiet_since -= 1000
    harvest.close_idle()
    assert harvest.harvesters, "nothing but a look at its content would tell that it goes on"
    again = restarted(harvest, registry, logs)
    with log.open("r+b") as file:
        file.seek(8)
        file.write(b"three\n")
    assert lines(again) == {seed: ["three"]}
    log.write_text("")
    assert again.check()
    again.scan(partial=True)  # the last look: no copy can come
    assert not again.lost
    assert "lost" not in caplog.text
    again.close()


def test_a_file_with_room_at_its_end_is_closed_when_it_has_left_its_place(harvest, registry, logs):
    log = logs / "a.log"
    log.write_text("one\n")
    os.truncate(log, 100_000)
    harvest.scan()
    lines(harvest)
    acknowledge(harvest, registry)
    log.unlink()
    harvest.scan()
    lines(harvest)
    quiet(harvest)
    harvest.close_idle()
    assert harvest.harvesters == []
    assert not harvest.lost


def test_a_file_that_is_nothing_but_room_waits_for_its_first_line(harvest, registry, logs):
    log = logs / "a.log"
    log.touch()
    for text, found in ((b"", []), (b"half of the fir", []), (b"half of the first line\n", ["half of the first line"])):
        with log.open("r+b") as file:
            file.write(text)
            file.truncate(100_000)
        harvest.scan()
        assert [each for some in lines(harvest).values() for each in some] == found
