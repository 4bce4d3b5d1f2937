"""What a spool holds against what it has to hold: found at the start and while it is read; 4 and 6 of ``spool.py``."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from typing import TYPE_CHECKING

from shipper.state import manifest, segments
from shipper.state.manifest import Manifest
from shipper.state.spool_segment import Segment, append, mend_end, sync_folder
from shipper.state.spools import SEGMENT_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from shipper.state.segments import Scan

log = logging.getLogger(__name__)


class Integrity:
    """Owns the manifest of a spool. Called under the lock of the queue."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the spool's own. Raises ``OSError``."""
        self._folder = folder
        self._noted = manifest.read(folder)
        """What is on the disk."""
        self.spool = self._noted.spool if self._noted else secrets.token_hex(8)
        """Its name, see ``Manifest``."""
        self.expected: Mapping[int, int] = self._noted.lengths if self._noted else {}
        """What the manifest says, or has said last: each segment that holds something, and the bytes that it has at least."""
        self.lost = 0
        """Documents that could not be read, as far as they can be counted."""
        self.damaged = False
        """Whether documents that were acknowledged are missing."""
        self.unread: dict[int, int] = {}
        """Segments that hold something and cannot be read now, and their lengths as far as they are known."""

    def note(self, held: Iterable[Segment]) -> None:
        """Write down what there is, before anybody relies on that; or that something is missing. Raises ``OSError``."""
        if self.damaged:
            self._take_back()
            return
        now = Manifest(self.spool, self.unread | {each.number: each.length for each in held if each.left})
        if now == self._noted:
            return
        try:
            now.write(self._folder)
        except FileNotFoundError:
            self.damaged, self._noted = True, None  # the folder is gone
        else:
            self._noted, self.expected = now, now.lengths

    def found(self) -> None:
        """Say durably that something is missing, before anything else happens to what is left."""
        self.damaged = True
        with contextlib.suppress(OSError):  # the next note tries again; until then all stays as it is found
            self._take_back()

    def _take_back(self) -> None:
        manifest.remove(self._folder)
        self._noted = None

    def mended(self) -> None:
        """Somebody has made good for what is missing: from here on it is another spool."""
        if self.damaged:
            self.damaged, self.spool = False, secrets.token_hex(8)

    def leave(self, number: int) -> None:
        """A segment cannot be read now: what it holds is not delivered, and not lost."""
        self.unread[number] = self.expected.get(number, 0)

    def rescan(self, segment: Segment) -> None:
        """Read the headers again; what was damaged since the start is lost. Raises ``OSError``."""
        try:
            segment.records = segments.scan(segment.path, segment.number).records
        except FileNotFoundError:
            segment.records = []
        left = [record for record in segment.records if record.sequence not in segment.done]
        if len(left) < segment.left:
            lost = segment.documents - sum(record.documents for record in left)
            segment.length = max((record.end for record in segment.records), default=0)
            segment.left, segment.documents = len(left), segment.documents - lost
            segment.given &= {record.sequence for record in left} | segment.done
            self._lose(segment, lost, f"{lost} documents in it cannot be read")

    def condemn(self, segment: Segment) -> None:
        """A record cannot be read: find all that cannot; they are lost. Raises ``OSError``."""
        if segment.records is None:
            self.rescan(segment)
        left = [record for record in segment.records or () if record.sequence not in segment.done]
        bad = [record for record in left if segment.body(record) is None]
        self.found()
        with contextlib.suppress(OSError):  # it would be found, and made good for, once more after a restart
            self._take_back()
            done = b"".join(segments.encode_done(segment.number, record.sequence) for record in bad)
            append(segment.done_path, done, sync=True)
        for record in bad:
            segment.count_done(record)
        lost, size = sum(record.documents for record in bad), sum(record.length for record in bad)
        self._lose(segment, lost, f"{lost} documents ({size} bytes) in it cannot be read")

    def _lose(self, segment: Segment, documents: int, what: str) -> None:
        self.lost += documents
        self.found()
        self.set_aside(segment, what)

    def set_aside(self, segment: Segment, what: str) -> None:
        """Rename a segment for a person to see, and say why; what is sound in it is delivered from there."""
        left = f"; the {segment.documents} documents in it that can are delivered" if segment.documents else ""
        if not segment.corrupt:
            segment.corrupt = True
            to = segment.path.with_name(segment.path.name + ".corrupt")
            try:
                if self.damaged:
                    self._take_back()  # first: by its new name it is known, and nobody would hear of it any more
                if segment.left:
                    append(segment.done_path, b"", sync=True)  # tells the next start that there is something left in it
                segment.path.rename(to)
                segment.path = to
                sync_folder(self._folder)
            except FileNotFoundError:
                log.error("%s: %s: it is not there any more", segment.path, what)  # noqa: TRY400 - a traceback tells no more
                return
            except OSError as error:
                what += f" (and it cannot be moved aside: {error.strerror})"
        log.error("%s: %s%s. It is kept for you to look at, and may be deleted", segment.path, what, left)


def load(folder: Path, integrity: Integrity) -> tuple[list[Segment], int, int]:
    """The segments that a run before has left, the highest number of one, and the next sequence. Raises ``OSError``."""
    names = [(int(match[1]), path) for path in folder.iterdir() if (match := SEGMENT_NAME.fullmatch(path.name))]
    newest = max((number for number, path in names if path.suffix != ".corrupt"), default=0)
    for number in sorted(set(integrity.expected) - {number for number, _ in names}):
        log.error("%s is not there, and held documents that the output has not taken", folder / f"{number:08}.spool")
        integrity.found()
    loaded, kept, sequences = [], set(), {0}
    for number, path in sorted(names):
        segment = Segment(path, number)
        if segment.corrupt and not segment.done_path.exists():
            if number in integrity.expected:
                integrity.leave(number)  # of a newer version
            continue
        kept.add(segment.done_path)
        scan = _load_segment(segment, integrity, newest=number == newest)
        if scan is None:
            integrity.leave(number)
        else:
            loaded.append(segment)
            sequences.update(record.sequence for record in scan.records[-1:])  # they rise
    for stray in set(folder.glob("*.done")) - kept:
        stray.unlink()  # of a segment that is gone
    sync_folder(folder)
    return loaded, max((number for number, _ in names), default=0), max(max(sequences) + 1, time.time_ns())


def _load_segment(segment: Segment, integrity: Integrity, *, newest: bool) -> Scan | None:
    """What was found in it; ``None`` where it cannot be read, or not by this version: that is said."""
    try:
        scan = segments.scan(segment.path, segment.number)
    except OSError as error:
        log.error("%s: %s; left as it is, and looked at again at the next start", segment.path, error.strerror)  # noqa: TRY400 - a traceback tells no more
        return None
    if scan.version != segments.VERSION:
        integrity.set_aside(
            segment,
            f"written by a newer shipper (version {scan.version} of its format, this one knows {segments.VERSION});"
            " rename it back for that one to deliver",
        )
        return None
    segment.adopt(scan)
    problem = ""
    missing = integrity.expected.get(segment.number, 0) - scan.sound
    if missing > 0 or (not segment.corrupt and (scan.damaged or (scan.torn and not newest))):
        problem = f"{max(scan.damaged + scan.torn, missing)} bytes in it cannot be read"
        integrity.found()
    elif not scan.closed and not newest and not segment.corrupt:
        problem = "its end is missing"
    elif not scan.closed and newest:
        if scan.torn:
            log.warning(
                "%s: its last %d bytes were not written to their end when the last run was ended; that was not durable"
                " yet, and is read from its file again",
                segment.path,
                scan.torn,
            )
        with contextlib.suppress(OSError):
            mend_end(segment.path, segment.number, 0, scan.sound if scan.records else 0)
    if problem and not segment.corrupt:
        integrity.set_aside(segment, problem)
    return scan
