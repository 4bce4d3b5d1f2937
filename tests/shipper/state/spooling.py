"""Spools with one document a record, whose number says which it is."""

from __future__ import annotations

from shipper.state.spool import Item

TARGET = "elasticsearch logs-generic-default"


def item(number, *, size=0):
    body = b'{"create":{"_id":"%020d"}}\n{"n":%d,"x":"%b"}\n' % (number, number, b"x" * size)
    return Item(body, 1, ((number % 3, number),))


def write(spool, *numbers, size=0):
    """One write of these; published, as the queue does."""
    for place in spool.write([item(number, size=size) for number in numbers]):
        spool.publish(place, given=False)
    spool.settle()


def take(spool):
    """(place, number) of every record that can be given out."""
    taken = []
    while (place := spool.take()) is not None:
        body = spool.read(place)
        if body is not None:
            taken.append((place, int(body.split(b'"n":')[1].split(b",")[0])))
    return taken


def numbers(spool):
    return [number for _, number in take(spool)]


def deliver(spool):
    """Give out all that is left, as taken by the output; which that was."""
    taken = take(spool)
    for place, _ in taken:
        spool.done(place)
    spool.settle()
    return [number for _, number in taken]


ENDED = set()


def crash(spool):
    """What a kill leaves: nothing is written any more, the lock is gone."""
    ENDED.add(spool)
    spool._lock.release()


def close(spool):
    ENDED.add(spool)
    spool.close()
