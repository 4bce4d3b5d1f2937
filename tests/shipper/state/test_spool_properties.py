"""The spool against a model: whatever is damaged or killed, what is sound and not done comes back, as it was written."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shipper.state import segments
from shipper.state.spool import Item, Spool

pytestmark = pytest.mark.slow

BODIES = st.binary(min_size=1, max_size=300).map(lambda data: data.replace(b"\xff", b"a"))


def open_spool(folder, **more):
    return Spool(folder, "t", **{"max_bytes": 1 << 24, "segment_bytes": 1000, **more})


def crash(spool):
    """What a kill leaves."""
    spool._lock.release()


def take(spool):
    taken = []
    while (place := spool.take()) is not None:
        if (body := spool.read(place)) is not None:
            taken.append((place, body))
    return taken


def write(spool, bodies):
    for place in spool.write([Item(body, 1, ((1, 10),)) for body in bodies]):
        spool.publish(place, given=False)
    spool.settle()


MUTATIONS = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 5000), st.just(0)),
    st.tuples(st.just("flip"), st.integers(0, 5000), st.integers(0, 7)),
    st.tuples(st.just("zero"), st.integers(0, 5000), st.integers(1, 600)),
    st.tuples(st.just("copy"), st.integers(0, 5000), st.integers(1, 600)),
)


def mutate(data, kind, at, how):
    """(the damaged bytes, begin, end of what was changed)."""
    at %= len(data)
    if kind == "cut":
        return data[:at], at, len(data)
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ 1 << how]) + data[at + 1 :], at, at + 1
    patch = bytes(how) if kind == "zero" else data[:how]  # a block of zeros, or one from elsewhere
    end = min(len(data), at + how)
    return data[:at] + patch[: end - at] + data[end:], at, end


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(BODIES, min_size=1, max_size=4), min_size=1, max_size=8), st.data())
def test_damage_costs_what_it_hits_and_nothing_else(groups, data):
    folder = Path(tempfile.mkdtemp())
    try:
        spool = open_spool(folder)
        for group in groups:
            write(spool, group)
        spool.close()
        paths = sorted(spool.path.glob("*.spool"))
        path = data.draw(st.sampled_from(paths))
        number = int(path.stem)
        kind, at, how = data.draw(MUTATIONS)
        whole = path.read_bytes()
        changed, begin, end = mutate(whole, kind, at, how)
        expected = []
        for each in paths:
            records = segments.scan(each, int(each.stem)).records
            content = each.read_bytes()
            for record in records:
                hit = int(each.stem) == number and record.begin - segments.RECORD_BYTES < end and record.end > begin
                if not hit:
                    expected.append(content[record.begin + 16 : record.end])
        path.write_bytes(changed)
        spool = open_spool(folder)
        got = [body for _, body in take(spool)]
        crash(spool)
        written = [body for group in groups for body in group]
        missing = [body for body in expected if got.count(body) < expected.count(body)]
        assert not missing
        assert all(got.count(body) <= written.count(body) for body in got), "nothing that was not written"
    finally:
        shutil.rmtree(folder)


class SpoolMachine(RuleBasedStateMachine):
    """Writes, deliveries, crashes and restarts in any order."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.counter = 0
        self.written = {}
        self.on_the_way = []

    @initialize()
    def begin(self):
        self.spool = open_spool(self.folder)

    @rule(count=st.integers(1, 4), size=st.integers(0, 400))
    def write(self, count, size):
        bodies = [b"%d:%b" % (self.counter + n, b"x" * size) for n in range(count)]
        self.counter += count
        write(self.spool, bodies)
        self.written |= dict.fromkeys(bodies, False)

    @rule()
    def take(self):
        place = self.spool.take()
        if place is None:
            taken = {body for _, body in self.on_the_way}
            assert taken == {body for body, done in self.written.items() if not done}
        else:
            body = self.spool.read(place)
            assert self.written[body] is False, "it was done"
            self.on_the_way.append((place, body))

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def done(self, data):
        place, body = self.on_the_way.pop(data.draw(st.integers(0, len(self.on_the_way) - 1)))
        self.spool.done(place)
        self.spool.settle()
        self.written[body] = True

    @precondition(lambda self: self.on_the_way)
    @rule()
    def give_back(self):
        place, _ = self.on_the_way.pop()
        self.spool.give_back(place)

    @rule(clean=st.booleans(), torn=st.binary(max_size=50))
    def restart(self, clean, torn):
        if clean:
            self.spool.close()
        else:
            crash(self.spool)
            paths = sorted(self.spool.path.glob("*.spool"))
            if paths and torn and not segments.scan(paths[-1], int(paths[-1].stem)).closed:
                with paths[-1].open("ab") as file:  # a write that did not come to its end
                    file.write(segments.encode_record(int(paths[-1].stem), 1, 1, (), torn)[0] + torn[:-1])
        self.on_the_way = []
        self.spool = open_spool(self.folder)

    @invariant()
    def what_is_left_is_known(self):
        if self.written:
            left = [body for body, done in self.written.items() if not done]
            assert self.spool.left == len(left)
            assert self.spool.documents == len(left)
            assert bool(self.spool.files()) == bool(left)

    def teardown(self):
        crash(self.spool)
        assert not list(self.spool.path.glob("*.corrupt"))
        shutil.rmtree(self.folder)


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
