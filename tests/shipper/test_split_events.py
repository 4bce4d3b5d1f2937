"""An event that a rotation has split is one event, with one id, exactly once."""

from __future__ import annotations

import shutil
import time

import pytest
from splitting import FIRST, NEXT, ONE, REST, Run, copytruncate, once_each, pack, rename


@pytest.mark.parametrize("rotate", [rename, copytruncate])
def test_it_is_one_event_while_running(tmp_path, logs, rotate):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    rotate(logs)
    events = run.read().acknowledge().read(waited=True).acknowledge().stop()
    assert set(events) == ONE
    assert all(len(ids) == 1 for ids in events.values())


@pytest.mark.parametrize("rotate", [rename, copytruncate])
def test_it_is_one_event_when_the_rotation_came_while_stopped(tmp_path, logs, rotate):
    (logs / "app.log").write_text(FIRST)
    before = Run(tmp_path).read().acknowledge().stop()
    rotate(logs)
    after = Run(tmp_path).read().acknowledge().read(waited=True).stop()
    assert set(before) | set(after) == ONE
    assert not set(before) & set(after)


def test_a_new_file_that_begins_with_an_event_ends_the_one_before(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    (logs / "app.log").rename(logs / "app.log.1")
    (logs / "app.log").write_text(NEXT)
    assert set(run.read().read(waited=True).stop()) == {"1 first\n", "2 begins\n\tat a\n", "3 next\n", "4 last\n"}


def test_what_has_been_sent_already_is_not_joined(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read(waited=True).acknowledge()
    rename(logs)
    events = run.read().read(waited=True).stop()
    assert set(events) == {"1 first\n", "2 begins\n\tat a\n", REST, "3 next\n", "4 last\n"}


BETWEEN = "\tat b\n3 middle\n\tat m\n"
LAST = "\tat n\n4 last\n"


def rename_twice(logs):
    (logs / "app.log").rename(logs / "app.log.2")
    (logs / "app.log.1").write_text(BETWEEN)
    (logs / "app.log").write_text(LAST)


def copytruncate_twice(logs):
    shutil.copyfile(logs / "app.log", logs / "app.log.2")
    (logs / "app.log").write_text(BETWEEN)
    time.sleep(0.02)  # births have the clock's ticks
    shutil.copyfile(logs / "app.log", logs / "app.log.1")
    (logs / "app.log").write_text(LAST)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("rotate", [rename_twice, copytruncate_twice])
def test_where_files_came_between_the_order_of_their_births_is_theirs(tmp_path, logs, rotate, before):
    if before:
        (logs / "app.log.1").write_text("0 before\n")
        time.sleep(0.02)
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    if before:
        (logs / "app.log.1").rename(logs / "app.log.3")
    rotate(logs)
    events = run.read().read(waited=True).stop()
    assert set(events) - {"0 before\n"} == {
        "1 first\n",
        "2 begins\n\tat a\n\tat b\n",
        "3 middle\n\tat m\n\tat n\n",
        "4 last\n",
    }


def test_no_file_waits_for_ever_for_one_that_another_follows(tmp_path, logs):
    log = logs / "app.log"
    (logs / "app.log.1").write_text("0 before\n")
    time.sleep(0.02)
    log.write_text("1 first\n")
    run = Run(tmp_path).read()
    (logs / "app.log.1").rename(logs / "app.log.3")
    for name, line in (("app.log.2", "2 second\n"), ("app.log.1", "3 third\n")):
        time.sleep(0.02)
        shutil.copyfile(log, logs / name)
        log.write_text(line)
    events = run.read().read(waited=True).read(waited=True).stop()
    assert set(events) == {"0 before\n", "1 first\n", "2 second\n", "3 third\n"}


def test_another_file_that_comes_is_no_successor(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    (logs / "other.log").write_text(REST + NEXT)
    events = run.read().read(waited=True).stop()
    assert set(events) == {"1 first\n", "2 begins\n\tat a\n", REST, "3 next\n", "4 last\n"}


def test_a_new_file_of_continuation_lines_only_is_waited_for(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    (logs / "app.log").rename(logs / "app.log.1")
    (logs / "app.log").write_text("\tat b\n")
    assert set(run.read().events) == {"1 first\n"}
    with (logs / "app.log").open("a") as log:
        log.write("\tat c\n" + NEXT)
    assert set(run.read().read(waited=True).stop()) == ONE


def test_where_an_archive_may_have_come_between_nothing_is_joined(tmp_path, logs):
    (logs / "app.log").write_text("1 first\n2 second\n")
    run = Run(tmp_path).read().acknowledge()
    (logs / "app.log").rename(logs / "app.log.2")
    (logs / "app.log.1").write_text(FIRST.replace("1 f", "3 f").replace("2 b", "4 b"))
    pack(logs / "app.log.1")
    (logs / "app.log").write_text(REST + "5 five\n")
    events = run.read().read(waited=True).stop()
    assert set(events) == {"1 first\n", "2 second\n", "3 first\n", "4 begins\n\tat a\n", REST, "5 five\n"}


def test_where_a_look_has_missed_what_came_between_nothing_is_joined(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    (logs / "app.log").rename(logs / "app.log.2")
    (tmp_path / "missed").write_text("3 third\n")
    (logs / "app.log").write_text("\tat b\n")
    run.read()
    (tmp_path / "missed").rename(logs / "app.log.1")
    with (logs / "app.log").open("a") as log:
        log.write("4 four\n")
    events = run.read().read(waited=True).stop()
    assert set(events) == {"1 first\n", "2 begins\n\tat a\n", "3 third\n", "\tat b\n", "4 four\n"}


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_joint_that_lies_behind_the_end_of_its_file_holds_nobody_back(tmp_path, logs, suffix):
    """A shorter file that begins the same was taken for it, as nothing of it was acknowledged."""
    banner = "== Spring ==\n\n"
    (logs / "app.log").write_text(banner)
    run = Run(tmp_path).read()
    with (logs / "app.log").open("a") as log:
        log.write("1 one\n2 two\n")
    (logs / "app.log").rename(logs / "app.1.log")
    (logs / "app.log").write_text(banner + "3 three\n")
    run.read().read(waited=True).stop()
    assert "2 two\n" + banner in run.events
    if suffix:
        pack(logs / "app.1.log")
    (logs / "app.log").rename(logs / "app.2.log")
    (logs / "app.3.log").write_text(banner + "4 four\n")
    (logs / "app.log").write_text(banner + "5 five\n")
    run = Run(tmp_path).read().read(waited=True)
    assert not [each for each in run.harvest.harvesters if each.predecessor]
    text = "".join(run.stop())
    assert all(each in text for each in ("1 one", "2 two", "3 three", "4 four", "5 five"))


def test_what_came_behind_an_archive_is_known_though_it_is_older(tmp_path, logs):
    (logs / "app.log").write_text(FIRST)
    Run(tmp_path).read().stop()
    (logs / "app.log").rename(logs / "app.1.log")
    (logs / "app.log").write_text("4 four\n5 five\n")
    pack(logs / "app.1.log")
    run = Run(tmp_path).read()
    (logs / "app.log").rename(logs / "app.2.log")
    (logs / "app.log").write_text(REST + "6 six\n")
    pack(logs / "app.2.log")
    events = run.read().read(waited=True).stop()
    assert "2 begins\n\tat a\n" in events
    assert "2 begins\n\tat a\n" + REST not in events


def test_a_log_that_is_packed_at_once_is_joined_nevertheless(tmp_path, logs):
    (logs / "app.log").write_text("0 zero\n")
    pack(logs / "app.log")
    (logs / "app.log.gz").rename(logs / "app.log.9.gz")
    (logs / "app.log").write_text(FIRST)
    run = Run(tmp_path).read().acknowledge()
    (logs / "app.log").rename(logs / "app.log.1")
    pack(logs / "app.log.1")
    (logs / "app.log").write_text(REST + NEXT)
    events = run.read().read(waited=True).stop()
    assert once_each(events) - {"0 zero\n"} == ONE


@pytest.mark.parametrize("copied", [False, True])
def test_files_of_other_folders_are_not_what_came_between(tmp_path, logs, copied):
    for name in ("one", "two"):
        (logs / name).mkdir()
    one, two = logs / "one", logs / "two"
    (one / "app.log").write_text(FIRST)
    if copied:
        (two / "app.log").write_text("6 six\n\tat f\n7 seven\n\tat g\n")
    run = Run(tmp_path, "*/*").read().acknowledge()
    (one / "app.log").rename(one / "app.log.1")
    time.sleep(0.02)
    if copied:
        shutil.copyfile(two / "app.log", two / "app.log.1")
        (two / "app.log").write_text("")
    else:
        (two / "app-7.log").write_text("\tat f\n7 seven\n\tat g\n")
    time.sleep(0.02)
    (one / "app.log").write_text(REST + NEXT)
    events = run.read().read(waited=True).acknowledge().stop()
    other = {"6 six\n\tat f\n", "7 seven\n\tat g\n"} if copied else {"\tat f\n", "7 seven\n\tat g\n"}
    assert once_each(events) == ONE | other


def test_other_logs_of_a_folder_whose_names_have_numbers_are_not_what_came_between(tmp_path, logs):
    logs_of = [(logs / f"worker-{number}.log") for number in (1, 2)]
    for number, log in enumerate(logs_of):
        log.write_text(f"{number} begins\n\tat a\n")
        time.sleep(0.02)
    run = Run(tmp_path).read()
    for number, log in enumerate(logs_of):
        log.rename(f"{log}.1")
        log.write_text(f"\tat b\n{number} ends\n")
        time.sleep(0.02)
    events = run.read().read(waited=True).stop()
    assert set(events) == {text for n in "01" for text in (f"{n} begins\n\tat a\n\tat b\n", f"{n} ends\n")}
