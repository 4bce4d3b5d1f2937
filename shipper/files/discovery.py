"""Which files there are: globs expanded, what cannot be a log told apart."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Found(NamedTuple):
    """A file that is there now. ``device`` and ``inode`` are hints to which one it is."""

    path: str
    device: int
    inode: int
    size: int
    modified: int
    """Nanoseconds since 1970."""

    @property
    def shown(self) -> str:
        """The path as documents and messages have it."""
        return shown(self.path)


def shown(path: str) -> str:
    """A path as documents and messages have it: what is no UTF-8 in it is replaced. Such a path leads to no file."""
    return os.fsencode(path).decode("utf-8", "replace")


class Unreadable(NamedTuple):
    """A path that was asked for and cannot be read as a log, and why, for a person."""

    path: str
    reason: str


_KINDS = (
    (stat.S_ISDIR, "is a directory: name the files in it, for example {path}/*.log"),
    (stat.S_ISFIFO, "is a FIFO: only regular files can be read again after a crash; write to a file instead"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)


class Discovery:
    """Expands an input's globs; ``**`` goes into folders.

    As in a shell, a name that begins with a dot is taken only by a pattern with that dot, and one that ends with a tilde by
    one with that tilde: such names are what rsync and editors write to before they rename it, or keep a copy under, and
    would be shipped twice.

    A pattern without wildcards names one file, which may appear later. Symbolic links are followed, and a file that is
    reached by several names is found once, under the first of them in order.
    """

    def __init__(self, patterns: Iterable[str], exclude: Iterable[str] = ()) -> None:
        self._patterns = tuple(patterns)
        self._exclude = [re.compile(expression) for expression in exclude]
        self._failed: dict[str, str] = {}

    def scan(self) -> tuple[list[Found], list[Unreadable]]:
        """The files that are there now, by path, and the paths that are there and cannot be read."""
        found: list[Found] = []
        unreadable: list[Unreadable] = []
        self._failed.clear()
        seen: set[tuple[int, int]] = set()
        for path, named in self._paths():
            try:
                status = os.stat(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                unreadable.append(Unreadable(path, f"cannot be looked at: {error.strerror}"))
                continue
            if not stat.S_ISREG(status.st_mode):
                # A wildcard that happens to take a folder is no mistake; a name is.
                if named:
                    unreadable.append(Unreadable(path, _why_not(path, status.st_mode)))
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                found.append(Found(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
        return found, [*unreadable, *(Unreadable(folder, reason) for folder, reason in self._failed.items())]

    def folders(self) -> set[str]:
        """The existing folders in which files may appear: where watching for events makes sense.

        What a link leads to is rotated where it stands (``/var/log/containers`` of Kubernetes).
        """
        paths = [path for path, _ in self._paths()]
        paths += [os.path.realpath(path) for path in paths if os.path.islink(path)]
        folders = {os.path.dirname(path) or "." for path in paths}
        folders.update(os.path.dirname(pattern) or "." for pattern in self._patterns)
        return {folder for folder in folders if os.path.isdir(folder)}

    def _paths(self) -> Iterator[tuple[str, bool]]:
        """Each path with whether it was named as it is, in order and without repetition."""
        seen: set[str] = set()
        for pattern in self._patterns:
            wild = glob.has_magic(pattern) and not os.path.lexists(pattern)
            for absolute in sorted(self._expand(pattern)) if wild else [os.path.abspath(pattern)]:
                if absolute not in seen and not any(expression.search(absolute) for expression in self._exclude):
                    seen.add(absolute)
                    yield absolute, not wild

    def _expand(self, pattern: str) -> set[str]:
        """The paths that match, with every folder on the way that cannot be looked into among the failed ones.

        ``glob`` does the same, but takes such a folder for an empty one.
        """
        parts = os.path.abspath(pattern).split("/")[1:]
        places = {"/"}
        for at, part in enumerate(parts):
            last = at == len(parts) - 1
            if part == "**":
                places = {below for place in places for below in self._below(place, set(), files=last)}
            elif glob.has_magic(part):
                match = re.compile(fnmatch.translate(part)).match
                hidden, kept = part.startswith("."), not last or part.endswith("~")
                places = {
                    os.path.join(place, name)
                    for place in places
                    for name, is_folder in self._look(place)
                    if (last or is_folder) and match(name)
                    if (hidden or not name.startswith(".")) and (kept or not name.endswith("~"))
                }
            else:
                places = {os.path.join(place, part) for place in places}
                if not last:
                    places = {place for place in places if self._leads_on(place)}
        return {place for place in places if os.path.lexists(place)} if not glob.has_magic(parts[-1]) else places

    def _below(self, folder: str, seen: set[tuple[int, int]], *, files: bool) -> Iterator[str]:
        """A folder and those in it that are not hidden, each once: links may make circles."""
        try:
            status = os.stat(folder)
        except OSError:
            return
        if not stat.S_ISDIR(status.st_mode) or (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        yield folder
        for name, is_folder in self._look(folder):
            if name.startswith("."):
                continue
            if is_folder:
                yield from self._below(os.path.join(folder, name), seen, files=files)
            elif files and not name.endswith("~"):
                yield os.path.join(folder, name)

    def _look(self, folder: str) -> list[tuple[str, bool]]:
        """The names in a folder, and which of them are folders."""
        try:
            with os.scandir(folder) as entries:
                return [(entry.name, _is_folder(entry)) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self._failed[folder] = f"cannot be looked into: {error.strerror}"
        return []

    def _leads_on(self, path: str) -> bool:
        """Whether it is a folder. One that cannot be looked at may be there all the same, and is among the failed ones."""
        try:
            return stat.S_ISDIR(os.stat(path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self._failed[path] = f"cannot be looked at: {error.strerror}"
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _why_not(path: str, mode: int) -> str:
    for test, reason in _KINDS:
        if test(mode):
            return reason.format(path=path)
    return "is not a regular file"
