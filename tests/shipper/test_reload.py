"""Other settings while the agent runs: they apply, and no line is lost or doubled by that."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager

import orjson
import pytest
from waiting import wait_for

from shipper import agent as module
from shipper.agent import Agent
from shipper.errors import SettingsError, UnavailableError
from shipper.handover import match, plan
from shipper.outputs.base import Output
from shipper.outputs.batch import Outcomes
from shipper.settings import InputSettings, from_mapping

pytestmark = pytest.mark.slow


class Stand(Output):
    """A stand-in for a server, which is up or down; what it takes goes to a list that outlives it."""

    def __init__(self, name, taken, *, up):
        self.name = name
        self.up = up
        self.taken = taken
        self.closed = False

    def send(self, batch):
        if not self.up.is_set():
            raise UnavailableError(f"{self.name}: nobody answers")
        self.taken += [orjson.loads(document) for document in batch.documents()]
        return Outcomes()

    def close(self):
        self.closed = True


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.fixture
def stands(monkeypatch):
    """By the host of ``output.elasticsearch``: is it up, and what has it taken."""
    ups: dict[str, threading.Event] = {}
    taken: dict[str, list] = {}
    opened: list[Stand] = []

    def make(settings):
        [host] = settings.output.hosts
        up = ups.setdefault(host, threading.Event())
        opened.append(Stand(host, taken.setdefault(settings.output.target, []), up=up))
        return opened[-1]

    monkeypatch.setattr("shipper.sending.open_output", make)
    monkeypatch.setattr(module, "HANDOVER", 0.3)
    make.ups, make.taken, make.opened = ups, taken, opened
    return make


@pytest.fixture
def settings(tmp_path, logs):
    def make(*inputs, host="a", index="logs-x", **more):
        data = {
            "inputs": list(inputs) or [{"paths": [f"{logs}/*.log"]}],
            "output.elasticsearch": {
                "hosts": host,
                "index": index,
                "backoff": {"init": "20ms", "max": "50ms"},
                "bulk_max_bytes": "64KiB",
            },
            "queue.mem.bytes": "64KiB",
            **more,
        }
        for each in data["inputs"]:
            each.setdefault("scan_frequency", "50ms")
        return from_mapping(data, env={"SHIPPER_HOME": str(tmp_path / "home")})

    return make


class Running:
    """An agent in a thread, whose settings can be changed."""

    def __init__(self, settings):
        self.next = settings
        self.told = []
        self.agent = Agent(settings, loader=self.load, reloaded=self.told.append)

    def load(self):
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    def reload(self, settings):
        before = len(self.told)
        self.next = settings
        self.agent.reload()
        wait_for(lambda: len(self.told) > before)


@contextmanager
def running(settings):
    it = Running(settings)
    with it.agent:
        thread = threading.Thread(target=it.agent.run, kwargs={"patience": 10})
        thread.start()
        try:
            yield it
        finally:
            it.agent.stop()
            thread.join(30)
            assert not thread.is_alive()


def messages(taken):
    return [each["message"] for each in taken]


def write(path, *lines, mode="a"):
    with path.open(mode) as log:
        log.write("".join(f"{line}\n" for line in lines))


def all_of(lines):
    return [line for each in lines.values() for line in each]


def up(stands, host="http://a:9200"):
    stands.ups.setdefault(host, threading.Event()).set()


def test_fields_of_an_input_apply_to_what_comes_after(settings, logs, stands):
    up(stands)
    write(logs / "a.log", "one")
    with running(settings()) as it:
        wait_for(lambda: len(stands.taken.get("logs-x", ())) == 1)
        it.reload(settings({"paths": [f"{logs}/*.log"], "tags": ["new"]}))
        write(logs / "a.log", "two")
        wait_for(lambda: len(stands.taken["logs-x"]) == 2)
    assert [(each["message"], each.get("tags")) for each in stands.taken["logs-x"]] == [("one", None), ("two", ["new"])]


def test_a_pipeline_that_was_edited_is_compiled_anew(settings, logs, stands, tmp_path):
    up(stands)
    pipeline = tmp_path / "p.conf"
    pipeline.write_text('filter { mutate { add_field => { "v" => "1" } } }')
    wanted = settings({"paths": [f"{logs}/*.log"], "pipeline": str(pipeline)})
    write(logs / "a.log", "one")
    with running(wanted) as it:
        wait_for(lambda: len(stands.taken.get("logs-x", ())) == 1)
        pipeline.write_text('filter { mutate { add_field => { "v" => "2" } } }')
        it.reload(wanted)
        write(logs / "a.log", "two")
        wait_for(lambda: len(stands.taken["logs-x"]) == 2)
    assert [each["v"] for each in stands.taken["logs-x"]] == ["1", "2"]


@pytest.mark.parametrize("mistake", ["settings", "pipeline", "path.data"])
def test_with_a_mistake_the_settings_before_go_on(settings, logs, stands, caplog, mistake):
    up(stands)
    bad = logs / "bad.conf"
    bad.write_text("filter { grok { }")
    wrong = {
        "settings": SettingsError(["shipper.yml:1: a: is wrong", "shipper.yml:2: b: is wrong"]),
        "pipeline": settings({"paths": [f"{logs}/*.log"], "pipeline": str(bad)}),
        "path.data": settings().model_copy(update={"path_data": logs / "elsewhere"}),
    }[mistake]
    write(logs / "a.log", "one")
    with running(settings()) as it:
        wait_for(lambda: len(stands.taken.get("logs-x", ())) == 1)
        it.reload(wrong)
        write(logs / "a.log", "two")
        wait_for(lambda: len(stands.taken["logs-x"]) == 2)
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert said[-1] == "reload: the settings that were in use before go on"
    assert len(said) == (3 if mistake == "settings" else 2)


def test_the_limit_of_an_event_is_that_of_the_pipelines_in_use(settings, logs, stands, tmp_path, monkeypatch):
    """In the main thread, as only there a pattern is stopped: what ticks is a timer, at a quarter of the limit."""
    up(stands)

    def limited(millis, **more):
        conf = tmp_path / f"{millis}.conf"
        conf.write_text(f'filter {{ grok {{ match => {{ "message" => "x" }} timeout_millis => {millis} }} }}')
        return settings({"paths": [f"{logs}/*.log"], "pipeline": str(conf)}, **more)

    def refuse(settings):
        if settings.output.target == "logs-refused":
            raise SettingsError("it cannot be opened")
        return opened(settings)

    opened = stands
    monkeypatch.setattr("shipper.sending.open_output", refuse)
    steps = [
        (settings(), 0),
        (limited(400), 0.1),
        (limited(0), 0),
        (limited(800), 0.2),
        (limited(1200, index="logs-y"), 0.3),
        (limited(1600, index="logs-refused"), 0.3),
        (settings(index="logs-z"), 0),
    ]
    wanted = iter([each for each, _ in steps[1:]])
    ticks = []

    def on(_settings=None):
        ticks.append(signal.getitimer(signal.ITIMER_VIRTUAL)[1])
        if len(ticks) == len(steps):
            it.stop()
        else:
            it.reload()

    def begin(_progress):
        if not ticks:
            on()

    with Agent(steps[0][0], loader=lambda: next(wanted), reloaded=on, watch=begin) as it:
        it.run(patience=10)
    assert ticks == [pytest.approx(tick, abs=0.005) for _, tick in steps]


def test_what_was_rotated_away_or_deleted_in_an_outage_is_shipped_after_a_reload(settings, logs, stands):
    lines = {name: [f"{name} {n} {'x' * 300}" for n in range(500)] for name in ("renamed", "deleted", "kept")}
    for name, each in lines.items():
        write(logs / f"{name}.log", *each)
    with running(settings()) as it:
        wait_for(lambda: it.agent.progress().documents.trouble)
        (logs / "renamed.log").rename(logs / "renamed.1")
        (logs / "deleted.log").unlink()
        it.agent._reloading.staged = None
        it.next = settings({"paths": [f"{logs}/*.log"], "tags": ["new"]}, {"paths": [f"{logs}/other"]})
        it.agent.reload()
        wait_for(lambda: it.agent._reloading.staged)
        assert not it.told, "reading waits for room in the queue"
        up(stands)
        wait_for(lambda: len(stands.taken.get("logs-x", ())) == 1500)
        wait_for(lambda: it.told)
    assert sorted(messages(stands.taken["logs-x"])) == sorted(all_of(lines))


def test_a_file_that_another_input_asks_for_now_is_read_on_there(settings, logs, stands):
    up(stands)
    write(logs / "a.log", "a1")
    write(logs / "b.log", "b1")
    with running(settings({"paths": [f"{logs}/*.log"]})) as it:
        wait_for(lambda: len(stands.taken.get("logs-x", ())) == 2)
        it.reload(
            settings({"paths": [f"{logs}/a.log"], "tags": ["for-a"]}, {"paths": [f"{logs}/b.log"], "tags": ["for-b"]})
        )
        write(logs / "a.log", "a2")
        write(logs / "b.log", "b2")
        wait_for(lambda: len(stands.taken["logs-x"]) == 4)
        it.reload(settings({"paths": [f"{logs}/*.log"]}))
        write(logs / "a.log", "a3")
        wait_for(lambda: len(stands.taken["logs-x"]) == 5)
    assert sorted((each["message"], *each.get("tags", ())) for each in stands.taken["logs-x"]) == [
        ("a1",),
        ("a2", "for-a"),
        ("a3",),
        ("b1",),
        ("b2", "for-b"),
    ]


def test_an_input_that_is_removed_is_read_on_when_it_is_back(settings, logs, stands):
    up(stands)
    write(logs / "a.log", "a1")
    write(logs / "b.log", "b1")
    one, two = {"paths": [f"{logs}/a.log"]}, {"paths": [f"{logs}/b.log"]}
    with running(settings(one, two)) as it:
        wait_for(lambda: len(stands.taken.get("logs-x", ())) == 2)
        it.reload(settings(one))
        write(logs / "b.log", "b2")
        write(logs / "a.log", "a2")
        wait_for(lambda: len(stands.taken["logs-x"]) == 3)
        it.reload(settings(one, two))
        wait_for(lambda: len(stands.taken["logs-x"]) == 4)
    assert messages(stands.taken["logs-x"])[2:] == ["a2", "b2"]


def test_another_host_takes_over_at_once_while_the_queue_is_full(settings, logs, stands):
    lines = [f"{n} {'x' * 300}" for n in range(1000)]
    write(logs / "a.log", *lines)
    with running(settings(host="a")) as it:
        wait_for(lambda: it.agent.progress().documents.trouble)
        up(stands, "http://b:9200")
        it.reload(settings(host="b", **{"output.elasticsearch.worker": 3}))
        wait_for(lambda: len(stands.taken["logs-x"]) == 1000)
    assert sorted(messages(stands.taken["logs-x"])) == sorted(lines)
    assert all(each.closed for each in stands.opened)


def test_another_target_gets_every_line_also_of_files_that_are_gone(settings, logs, stands):
    lines = {name: [f"{name} {n} {'x' * 300}" for n in range(300)] for name in ("deleted", "renamed", "kept")}
    for name, each in lines.items():
        write(logs / f"{name}.log", *each)
    up(stands, "http://b:9200")
    with running(settings(host="a", index="one")) as it:
        wait_for(lambda: it.agent.progress().files == 3)
        (logs / "renamed.log").rename(logs / "renamed.1")
        (logs / "deleted.log").unlink()
        it.reload(settings(host="b", index="two"))
        wait_for(lambda: len(stands.taken.get("two", ())) == 900)
        write(logs / "kept.log", "after")
        wait_for(lambda: len(stands.taken["two"]) == 901)
    assert stands.taken["one"] == []
    assert sorted(messages(stands.taken["two"])) == sorted([*all_of(lines), "after"])


def test_what_was_read_goes_to_the_target_there_was(settings, logs, stands):
    up(stands, "http://a:9200")
    up(stands, "http://b:9200")
    write(logs / "a.log", "one", "two")
    with running(settings(index="one")) as it:
        wait_for(lambda: len(stands.taken.get("one", ())) == 2)
        it.reload(settings(index="two"))
        wait_for(lambda: len(stands.taken["two"]) == 2)
        it.reload(settings(index="one"))
        write(logs / "a.log", "three")
        wait_for(lambda: len(stands.taken["one"]) == 3)
    assert messages(stands.taken["one"]) == ["one", "two", "three"]


def test_a_queue_on_disk_can_be_added(settings, logs, stands, tmp_path):
    lines = [f"{n} {'x' * 300}" for n in range(300)]
    write(logs / "a.log", *lines)
    with running(settings()) as it:
        wait_for(lambda: it.agent.progress().documents.trouble)
        (logs / "a.log").unlink()
        it.reload(settings(**{"queue.disk.max_size": "8MiB"}))
        up(stands)
        wait_for(lambda: len(stands.taken["logs-x"]) >= 300)
    assert sorted(messages(stands.taken["logs-x"])) == sorted(lines)


def test_what_was_open_of_an_input_that_is_gone_is_read_on_past_another_queue(settings, logs, stands):
    """Another id says that it is another input, and a queue on disk begins everything anew: none of the new ones is the heir."""
    lines = {name: [f"{name} {n} {'x' * 300}" for n in range(400)] for name in ("deleted", "renamed", "kept")}
    for name, each in lines.items():
        write(logs / f"{name}.log", *each)
    with running(settings({"paths": [f"{logs}/*.log"], "id": "one", "tags": ["one"]})) as it:
        wait_for(lambda: it.agent.progress().documents.trouble)
        (logs / "renamed.log").rename(logs / "renamed.1")
        (logs / "deleted.log").unlink()
        again = {"paths": [f"{logs}/*.log"], "id": "two"}
        it.reload(settings(again, **{"queue.disk.max_size": "8MiB"}))
        up(stands)
        wait_for(lambda: len(stands.taken["logs-x"]) >= 1200)
        it.reload(settings(again, {"paths": [f"{logs}/other"]}, **{"queue.disk.max_size": "8MiB"}))
    assert sorted(messages(stands.taken["logs-x"])) == sorted(all_of(lines))
    gone = [each for each in stands.taken["logs-x"] if each["message"].startswith(("deleted", "renamed"))]
    assert {tuple(each["tags"]) for each in gone} == {("one",)}, "the removed input's own settings go for them"


def test_a_reload_that_comes_again_and_again_harms_nothing(settings, logs, stands):
    up(stands)
    up(stands, "http://b:9200")
    expected = []
    with running(settings(host="a")) as it:
        for n in range(20):
            write(logs / "a.log", str(n))
            expected.append(str(n))
            it.next = settings(host="ab"[n % 2])
            it.agent.reload()
            it.agent.reload()
            if n % 3:
                threading.Event().wait(0.01)
        wait_for(lambda: len(stands.taken.get("logs-x", ())) >= 20)
    assert messages(stands.taken["logs-x"]) == expected


def test_another_bound_of_the_store_is_in_use_when_it_is_said_to_be(tmp_path, logs):
    def settings(most):
        data = {"inputs": [{"paths": [f"{logs}/*.log"], "scan_frequency": "50ms"}], "output.store.max_bytes": most}
        return from_mapping(data, env={"SHIPPER_HOME": str(tmp_path / "home")})

    def partitions():
        return sorted(path.name for path in (tmp_path / "home" / "store").glob("*.db"))

    write(logs / "a.log", *(f"{n} {'x' * 5000}" for n in range(2000)))
    with running(settings("1GiB")) as it:
        wait_for(lambda: it.agent.progress().documents.delivered == 2000)
        it.reload(settings("64MiB"))
        write(logs / "a.log", "after")
        wait_for(lambda: it.agent.progress().documents.delivered == 2001)
        assert partitions() == ["000001.db", "000002.db"], (
            "more than an eighth of the bound is a partition that is full"
        )


def test_a_stop_comes_before_a_reload(settings, logs, stands):
    write(logs / "a.log", "one")
    with running(settings(index="one")) as it:
        wait_for(lambda: it.agent.progress().documents.trouble)
        it.next = settings(index="two")
        it.agent.stop()
        it.agent.reload()
        up(stands)
    assert messages(stands.taken["one"]) == ["one"]
    assert "two" not in stands.taken


def test_a_stop_during_the_change_of_targets_is_a_stop(settings, logs, stands, monkeypatch):
    monkeypatch.setattr(module, "HANDOVER", 30.0)
    write(logs / "a.log", "one")
    with running(settings(index="one")) as it:
        wait_for(lambda: it.agent.progress().documents.trouble)
        it.next = settings(index="two")
        it.agent.reload()
        wait_for(lambda: it.agent._reloading.successor)
        it.agent.stop()
        up(stands)
    assert messages(stands.taken["one"]) == ["one"]
    assert "two" not in stands.taken


def test_a_stop_while_the_next_target_is_opened_is_a_stop(settings, logs, stands, monkeypatch):
    def stop(inputs):
        agent.stop()
        return []

    monkeypatch.setattr(module, "stray", stop)
    up(stands)
    write(logs / "a.log", "one")
    with Agent(settings(index="one"), loader=lambda: settings(index="two")) as agent:
        agent.reload()
        agent.run(patience=10)
    assert "two" not in stands.taken or not stands.taken["two"]


def test_what_was_staged_before_the_change_of_targets_is_not_taken_over_after_it(settings, logs, stands):
    with Agent(settings(index="one")) as agent:
        agent._reloading.staged = plan(settings({"paths": [f"{logs}/older"]}, index="one"))
        agent._switch(plan(settings({"paths": [f"{logs}/newer"]}, index="two")))
        assert agent._reloading.staged is None
        assert agent._reading.inputs[0].settings.paths == (f"{logs}/newer",)
        assert list(stands.taken) == ["one", "two"]


def own(*paths, name=None):
    return InputSettings(id=name, paths=paths)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([own("/a"), own("/b")], [own("/b"), own("/a")], [1, 0]),
        ([own("/a", name="x")], [own("/b", name="x")], [0]),
        ([own("/a", name="x")], [own("/a", name="y")], [None]),
        ([own("/a")], [own("/a", name="y")], [0]),
        ([own("/a", "/b")], [own("/c"), own("/b", "/d")], [None, 0]),
        ([own("/a")], [own("/a"), own("/a")], [0, None]),
    ],
)
def test_inputs_are_told_by_id_then_by_what_they_read(before, after, expected):
    assert match(before, after) == expected
