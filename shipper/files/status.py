"""How far each file is, told from outside of the agent: from the registry, and from the files themselves.

Nothing is believed that can be looked at: that a file still is the one that was acknowledged is told by its content, as the
agent does (``recognition``); how large it is, by the file. *Safe* to delete is a file of which the output has every byte,
durably, whose content still is what was acknowledged, and that nobody is writing to.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shipper.files import recognition
from shipper.files.birth import born
from shipper.files.content import Archive, content_of
from shipper.files.discovery import shown
from shipper.files.identity import PREFIX
from shipper.files.packed import why_unread
from shipper.files.writers import Writers, writers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from shipper.files.discovery import Found
    from shipper.state.reading import Known, Lag
    from shipper.state.registry import Entry

State = Literal["reading", "idle", "rotated", "archived", "empty", "copy", "gone", "unreadable", "not begun"]
QUIET = 2.0
"""Seconds without a change after which a file counts as not written to, where not every process can be looked at."""
SMALL = 4 << 10
"""Bytes on disk up to which an archive that nobody has begun is looked into: larger ones are not of empty files."""
Place = tuple[int, int]


@dataclass(slots=True)
class FileStatus:
    """One file and one output."""

    path: str
    """As the system has it, where the file is there: what is no UTF-8 in it is kept (``shown``)."""
    output: str
    state: State
    size: int = 0
    """Bytes; of an archive, those on disk."""
    read: int = 0
    """The offset up to which the agent had read when it last noted that; at least what is acknowledged."""
    acknowledged: int = 0
    """The offset up to which the output has it, durably. Of an archive: of its unpacked content."""
    lag_bytes: int = 0
    lag_seconds: float = 0.0
    """The age of the oldest byte that is not acknowledged: as the agent noted it, else that of the last change."""
    spooled: bool = False
    """Whether some of it is acknowledged by the spool only."""
    why: str = ""
    """Why it is not safe to delete; empty where it is."""

    @property
    def complete(self) -> bool:
        """Whether the output has all of it."""
        return (
            self.state in {"idle", "rotated", "archived", "copy", "empty"} and not self.lag_bytes and not self.spooled
        )

    @property
    def safe(self) -> bool:
        """Whether it may be deleted."""
        return self.complete and not self.why


def survey(
    known: Iterable[Known], found: Collection[Found], undelivered: Callable[[str], Collection[int]], output: str
) -> list[FileStatus]:
    """The files of the registry and those of ``found`` (on disk now) that it does not know, by path.

    ``undelivered`` gives, for an output, the entries that are acknowledged by the spool only. ``output`` is whose files
    those are that nobody has begun.
    """
    known = list(known)
    now = time.time()
    places = {(file.device, file.inode): file.path for file in found}
    _look_beside(known, places)
    written = writers(places)
    result, taken = [], set()
    originals: dict[bytes, list[tuple[Entry, FileStatus]]] = {}
    for each in known:
        place = (each.entry.device, each.entry.inode)
        path = _path(each.entry, places)
        status = _known(each, path, now)
        if status.state != "gone":
            taken.add((each.output, place))
            if each.output == output:
                originals.setdefault(each.entry.key, []).append((each.entry, status))
        status.spooled = each.owed or each.entry.file in undelivered(each.output)
        if status.spooled:
            status.why = status.why or "the output has not taken it from the spool yet"
        elif status.complete:
            status.why = _written(place, path, written, now)
        result.append(status)
    for file in found:
        place = (file.device, file.inode)
        if (output, place) not in taken:
            status = _copy(file, originals) or _unknown(file, output, now)
            if status.complete and not status.why:
                status.why = _written(place, file.path, written, now)
            result.append(status)
    return sorted(result, key=lambda status: (status.path, status.output))


def _path(entry: Entry, places: dict[Place, str]) -> str | None:
    """Where the file of an entry is now."""
    try:
        status = os.stat(entry.path)
    except OSError:
        return places.get((entry.device, entry.inode))
    here = (status.st_dev, status.st_ino)
    return entry.path if here == (entry.device, entry.inode) else places.get((entry.device, entry.inode))


def _look_beside(known: Iterable[Known], places: dict[Place, str]) -> None:
    """A file that was rotated is in the same folder, usually."""
    folders = {os.path.dirname(each.entry.path) for each in known}
    wanted = {(each.entry.device, each.entry.inode) for each in known}
    for folder in folders:
        try:
            with os.scandir(folder or ".") as entries:
                for each in entries:
                    status = each.stat(follow_symlinks=False)
                    # A link may have the inode of a file that was deleted.
                    if (status.st_dev, status.st_ino) in wanted and stat.S_ISREG(status.st_mode):
                        places.setdefault((status.st_dev, status.st_ino), each.path)
        except OSError:
            continue


def _known(each: Known, path: str | None, now: float) -> FileStatus:
    entry, lag = each.entry, each.lag
    status = FileStatus(path or entry.path, each.output, "gone", acknowledged=entry.offset)
    status.read = max(entry.offset, lag.read if lag else 0)
    if path is None:
        return _gone(status, lag, now)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return _gone(status, lag, now)
    except OSError as error:
        status.state, status.why = "unreadable", f"cannot be read: {(error.strerror or '').lower()}"
        status.lag_bytes = max(1, _size(path) - entry.offset)
        return status
    try:
        disk = os.fstat(descriptor)
        content = content_of(descriptor, os.pread(descriptor, 2, 0))
        status.size = disk.st_size
        if not recognition.is_same(entry, content, born(descriptor)):
            return status  # another file has its inode now
        if content.packed:
            done = (entry.size, entry.modified) == (disk.st_size, disk.st_mtime_ns)
            status.state = "archived"
            status.lag_bytes = 0 if done else disk.st_size
        else:
            status.lag_bytes = max(0, disk.st_size - entry.offset)
            status.state = "reading" if status.lag_bytes else "idle" if _is_name_of(entry, path) else "rotated"
        if status.lag_bytes:
            status.lag_seconds = max(0.0, now - (lag.since if lag else disk.st_mtime))
            status.why = f"{status.lag_bytes:,} bytes are not acknowledged"
    except OSError as error:
        status.state, status.why = "unreadable", f"cannot be read: {(error.strerror or '').lower()}"
        status.lag_bytes = max(1, status.lag_bytes)
    finally:
        os.close(descriptor)
    return status


def _gone(status: FileStatus, lag: Lag | None, now: float) -> FileStatus:
    """What nobody can find may still be open in the agent."""
    status.size = lag.size if lag else status.acknowledged
    status.lag_bytes = max(0, status.size - status.acknowledged)
    status.lag_seconds = max(0.0, now - lag.since) if lag else 0.0
    return status


def _is_name_of(entry: Entry, path: str) -> bool:
    """Whether an entry has a file under this name; one of an older registry has it as it is ``shown``."""
    return entry.path in {path, shown(path)}


def _unknown(file: Found, output: str, now: float) -> FileStatus:
    """A file that the registry does not have: nobody has begun it, or there is nothing in it."""
    status = FileStatus(file.path, output, "not begun", size=file.size, lag_bytes=file.size)
    if not file.size:
        status.state, status.why = "empty", "it is empty: what comes may be written to it"
    elif file.size <= SMALL and _is_packed_nothing(file.path):
        status.state, status.lag_bytes = "empty", 0
    else:
        status.lag_seconds = max(0.0, now - file.modified / 1e9)
        status.why = why_unread(_head(file.path)) or "nothing of it is shipped"
    return status


def _copy(file: Found, originals: Mapping[bytes, Iterable[tuple[Entry, FileStatus]]]) -> FileStatus | None:
    """A file that the agent does not read, as another, in its place, begins with all that it has."""
    try:
        with open(file.path, "rb", buffering=0) as opened:
            content = content_of(opened.fileno(), opened.read(2))
            candidate = recognition.candidate(file, content, partial=True, encoding="utf-8")
            if isinstance(candidate, str):
                return None
            for entry, original in originals.get(candidate.key, ()):
                if not recognition.displaced(entry) and recognition.is_copy(entry, candidate):
                    done = not original.lag_bytes or entry.offset >= content.size()
                    status = FileStatus(file.path, original.output, "copy", file.size, spooled=original.spooled)
                    status.lag_bytes, status.lag_seconds = (0, 0.0) if done else (file.size, original.lag_seconds)
                    status.why = f"it is a copy of {original.path}, by samples of both"
                    return status
    except OSError:
        pass
    return None


def _head(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as opened:
            return opened.read(PREFIX)
    except OSError:
        return b""


def _is_packed_nothing(path: str) -> bool:
    """Whether it is a complete gzip archive of an empty file."""
    try:
        with open(path, "rb", buffering=0) as opened:
            content = content_of(opened.fileno(), opened.read(2))
            return isinstance(content, Archive) and content.is_empty()
    except OSError:
        return False


def _written(place: Place, path: str | None, written: Writers, now: float) -> str:
    """Why a file that is acknowledged to its end is not safe to delete all the same: somebody may go on writing to it."""
    if place in written.processes:
        return f"process {written.processes[place]} has it open for writing"
    if not written.complete and path and now - _modified(path) < QUIET:
        return "it was written just now"
    return ""


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
