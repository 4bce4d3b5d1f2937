"""The spools of an agent, seen from outside: which folders they are in, and what the targets have not taken yet.

A spool is opened below the folder that the settings name (``queue.disk.path``). When they name another one, or none any
more, what is in the old one is acknowledged and nowhere else: so folders other than the default one are written down in
``spools`` below ``path.data``, a line each, and one that still holds documents goes on in use until it is empty. So does the
default one, which is always known.
"""

from __future__ import annotations

import logging
import os
import re
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from shipper.errors import StateError
from shipper.state import manifest, segments
from shipper.state.segments import files_of
from shipper.state.spool_segment import Segment, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipper.state.manifest import Manifest
    from shipper.state.segments import Record

log = logging.getLogger(__name__)

SEGMENT_NAME = re.compile(r"(\d{8,})\.spool(\.corrupt)?")
_REMEMBERED = "spools"


def choose(data: Path, named: Path, target: str) -> Path:
    """The folder to use: ``named``, or another one of before that still holds documents for the target.

    ``data`` is the agent's folder, whose lock the caller has. Raises ``StateError``.
    """
    holding = []
    for other in folders(data, named)[1:]:
        if has_documents(other, target):
            holding.append(other)
        elif other == _default(data):
            continue
        elif not other.is_dir():
            log.warning(
                "%s, a queue on disk of before, is not there: documents in it are delivered when it is back"
                " (remove its line from %s to give them up)",
                other,
                data / _REMEMBERED,
            )
        elif not _holds_any(other):
            _remember(data, [each for each in _remembered(data) if each != other])
    if not holding:
        return named
    log.warning(
        "%s still holds documents that the output has not taken: it stays in use until it is empty; %s is used from the"
        " next start on",
        holding[0],
        named,
    )
    return holding[0]


def remember(data: Path, path: Path) -> None:
    """Before anything is written below ``path``, which is not the default folder. Raises ``StateError``."""
    if path != _default(data) and path not in (known := _remembered(data)):
        _remember(data, [*known, path])


def folders(data: Path, named: Path) -> list[Path]:
    """All that may hold documents, ``named`` first. Raises ``StateError``."""
    return list(dict.fromkeys([named, _default(data), *_remembered(data)]))


def _default(data: Path) -> Path:
    return data / "spool"


def _remembered(data: Path) -> list[Path]:
    path = data / _REMEMBERED
    try:
        return [Path(line) for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if line]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise explain(error, path) from error


def _remember(data: Path, paths: list[Path]) -> None:
    path = data / _REMEMBERED
    new = path.with_name(f"{_REMEMBERED}.new")
    try:
        with new.open("w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"{each}\n" for each in paths)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        sync_folder(data)
    except OSError as error:
        raise explain(error, path) from error


def folder_name(target: str) -> str:
    """``elasticsearch-logs-generic-default-1f3870be``: readable, and different for different targets."""
    words = re.sub(r"[^a-zA-Z0-9.]+", "-", target).strip("-.")[:60]
    return f"{words}-{blake2b(target.encode(), digest_size=4).hexdigest()}"


def undelivered(folder: Path, target: str) -> frozenset[int]:
    """The files of the registry of which the spool below ``folder`` has documents that the target has not taken.

    Reads only; another process may have the spool at work. Raises ``StateError``.
    """
    try:
        return files_of(record for _, record in _left(folder / folder_name(target)))
    except OSError as error:
        raise explain(error, folder) from error


def has_documents(folder: Path, target: str) -> bool:
    """Whether the spool below ``folder`` has documents that the target has not taken, or should have. Raises ``StateError``."""
    own = folder / folder_name(target)
    try:
        noted = manifest.read(own)
        return bool(noted and noted.lengths) or any(True for _ in _left(own))
    except OSError as error:
        raise explain(error, folder) from error


def manifests(data: Path, named: Path, target: str) -> dict[str, Manifest]:
    """Of all spools that there are now for the target, by their names. Raises ``StateError``."""
    found = {}
    for folder in folders(data, named):
        try:
            one = manifest.read(folder / folder_name(target))
        except OSError as error:
            raise explain(error, folder) from error
        if one is not None:
            found[one.spool] = one
    return found


def explain(error: OSError, path: Path) -> StateError:
    """An error of the disk, in words that say what to do."""
    from shipper.faults import explain_system  # noqa: PLC0415 - only when something is wrong

    return StateError(f"{error.filename or path}: {explain_system(error)}")


def _left(folder: Path) -> Iterator[tuple[int, Record]]:
    """(number of its segment, record) of each record that is not done. Raises ``OSError``."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        match = SEGMENT_NAME.fullmatch(path.name)
        if not match:
            continue
        segment = Segment(path, int(match[1]))
        if segment.corrupt and not segment.done_path.exists():
            continue
        try:
            records, done = segments.scan(path, segment.number).records, segment.read_done()
        except FileNotFoundError:
            continue  # delivered meanwhile
        yield from ((segment.number, record) for record in records if record.sequence not in done)


def warn_of_others(folder: Path, own: Path) -> None:
    """Say which other targets' spools below ``folder`` hold documents. Raises ``OSError``."""
    for other in sorted(folder.iterdir()):
        if other == own or not (other / "target").is_file():
            continue
        documents = sum(record.documents for _, record in _left(other))
        if documents:
            log.warning(
                "%s holds %d documents that %s has not taken yet; they are delivered when it is the output again"
                " (delete the folder to give them up)",
                other,
                documents,
                (other / "target").read_text(encoding="utf-8", errors="replace").strip(),
            )


def _holds_any(folder: Path) -> bool:
    """Whether any target's spool below ``folder`` holds documents, or nobody knows."""
    try:
        return any(True for each in folder.iterdir() for _ in _left(each))
    except OSError:
        return True
