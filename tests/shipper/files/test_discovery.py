from __future__ import annotations

import errno
import glob
import os
import socket

import pytest

from shipper.files.discovery import Discovery


def names(found):
    return [os.path.basename(file.path) for file in found]


def test_globs_are_expanded_and_sorted_and_each_file_is_found_once(tmp_path):
    for name in ("b.log", "a.log", "c.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/d.log").write_text("x")
    (tmp_path / "z.log").symlink_to(tmp_path / "a.log")
    found, unreadable = Discovery([f"{tmp_path}/**/*.log", f"{tmp_path}/a.log"]).scan()
    assert names(found) == ["a.log", "b.log", "d.log"]
    assert unreadable == []


def test_a_file_may_appear_later(tmp_path):
    discovery = Discovery([f"{tmp_path}/a.log"])
    assert discovery.scan() == ([], [])
    (tmp_path / "a.log").write_text("x")
    assert names(discovery.scan()[0]) == ["a.log"]


def test_excluded_files_are_not_found(tmp_path):
    for name in ("a.log", "a.log.gz"):
        (tmp_path / name).write_text("x")
    assert names(Discovery([f"{tmp_path}/*"], [r"\.gz$"]).scan()[0]) == ["a.log"]


def test_a_name_with_wildcard_characters_that_exists_means_itself(tmp_path):
    (tmp_path / "a[1].log").write_text("x")
    assert names(Discovery([f"{tmp_path}/a[1].log"]).scan()[0]) == ["a[1].log"]


@pytest.mark.parametrize("kind", ["directory", "FIFO", "socket", "device"])
def test_what_is_no_regular_file_is_named_with_the_reason(tmp_path, kind):
    path = tmp_path / "thing"
    match kind:
        case "directory":
            path.mkdir()
        case "FIFO":
            os.mkfifo(path)
        case "socket":
            server = socket.socket(socket.AF_UNIX)
            server.bind(str(path))
            server.close()
        case "device":
            path.symlink_to("/dev/null")
    found, [(named, reason)] = Discovery([str(path)]).scan()
    assert found == []
    assert named == str(path)
    assert kind in reason


def test_a_directory_that_a_wildcard_takes_is_passed_over(tmp_path):
    (tmp_path / "archive").mkdir()
    assert Discovery([f"{tmp_path}/*"]).scan() == ([], [])


def test_folders_are_those_where_files_may_appear(tmp_path):
    (tmp_path / "logs").mkdir()
    assert Discovery([f"{tmp_path}/logs/*.log", f"{tmp_path}/absent/*.log"]).folders() == {f"{tmp_path}/logs"}


def test_where_a_link_leads_to_files_may_be_rotated(tmp_path):
    """As in ``/var/log/containers`` of Kubernetes."""
    for name in ("containers", "pods"):
        (tmp_path / name).mkdir()
    (tmp_path / "pods" / "0.log").touch()
    (tmp_path / "containers" / "x.log").symlink_to(tmp_path / "pods" / "0.log")
    folders = Discovery([f"{tmp_path}/containers/*.log"]).folders()
    assert folders == {f"{tmp_path}/containers", f"{tmp_path}/pods"}


@pytest.fixture
def hidden(tmp_path):
    for name in ("a.log", ".b.log", ".c/d.log", ".c/.e.log", "f/g.log", "f/.h/i.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.log", ["a.log"]),
        ("*", ["a.log"]),
        ("[.a]*.log", ["a.log"]),
        ("?*/*.log", ["f/g.log"]),
        ("**/*.log", ["a.log", "f/g.log"]),
        ("**", ["a.log", "f/g.log"]),
        (".*.log", [".b.log"]),
        (".c/*.log", [".c/d.log"]),
        (".c/**", [".c/d.log"]),
        (".?/.*", [".c/.e.log"]),
        ("**/.*.log", [".b.log"]),
        (".b.log", [".b.log"]),
    ],
)
def test_a_hidden_name_is_taken_where_the_pattern_names_its_dot(hidden, pattern, expected):
    found, unreadable = Discovery([f"{hidden}/{pattern}"]).scan()
    assert [os.path.relpath(file.path, hidden) for file in found] == expected
    as_in_python = glob.glob(f"{hidden}/{pattern}", recursive=True)
    assert sorted(os.path.relpath(each, hidden) for each in as_in_python if os.path.isfile(each)) == expected
    assert unreadable == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("*.log*", ["a.log", "a.log.1"]), ("**", ["a.log", "a.log.1"]), ("*~", ["a.log~"]), ("a.log~", ["a.log~"])],
)
def test_what_editors_keep_is_taken_where_the_pattern_names_its_tilde(tmp_path, pattern, expected):
    for name in ("a.log", "a.log.1", "a.log~"):
        (tmp_path / name).write_text(name)
    found, _ = Discovery([f"{tmp_path}/{pattern}"]).scan()
    assert [os.path.basename(file.path) for file in found] == expected


@pytest.mark.parametrize("name", ["shut/*.log", "shut/a.log", "shut/in/a.log", "shut/in/*.log", "**/*.log"])
def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path, monkeypatch, name):
    (tmp_path / "shut/in").mkdir(parents=True)
    shut = str(tmp_path / "shut")

    def denied(real, below):
        def call(path, *more, **named):
            if str(path).startswith(shut + below):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return real(path, *more, **named)

        return call

    monkeypatch.setattr(os, "stat", denied(os.stat, "/"))
    monkeypatch.setattr(os, "scandir", denied(os.scandir, ""))
    found, unreadable = Discovery([f"{tmp_path}/{name}"]).scan()
    assert found == []
    assert [(each.path.startswith(shut), "Permission denied" in each.reason) for each in unreadable] == [(True, True)]
