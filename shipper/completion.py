"""``on_complete: delete``: files are deleted of which the output has every byte, durably, and that nobody writes to.

A file is deleted only when all of this holds, looked at in this order, the last of it right before ``unlink``:

1. Its entry in the registry is acknowledged to the file's end, that is on the disk, and the spool owes the output none of it.
2. It has not changed for ``on_complete_quiet`` (in a one-shot run: it is read to its end), and no process that can be seen
   has it open for writing.
3. Its content still is what was acknowledged, and the name still leads to it; not a symbolic link.

What is written to it between the last look and ``unlink`` is not lost: the file is kept open, and read on, for as long as it
is not quiet again.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from typing import TYPE_CHECKING

from shipper.files import recognition
from shipper.files.birth import born
from shipper.files.content import content_of
from shipper.files.writers import writers

if TYPE_CHECKING:
    from collections.abc import Container

    from shipper.files.discovery import Found
    from shipper.inputs import Input
    from shipper.state.registry import Entry, Registry

log = logging.getLogger(__name__)


def delete_complete(each: Input, registry: Registry, owed: Container[int], *, once: bool) -> int:
    """Delete what can be deleted of an input's files; how many that were.

    ``owed``: the entries that are not durably acknowledged, or that the spool has something of.
    """
    each.harvest.at_rest()  # notes of archives, too, how they were read
    quiet = 0.0 if once else each.settings.on_complete_quiet
    candidates = [
        (file, entry)
        for file in each.harvest.found()
        if time.time() - file.modified / 1e9 >= quiet and (entry := _complete(each, file, registry, owed)) is not None
    ]
    if not candidates:
        return 0
    written = writers({(file.device, file.inode) for file, _ in candidates}).processes
    deleted = 0
    for file, entry in candidates:
        if (file.device, file.inode) not in written and _delete(each, file, entry):
            deleted += 1
    return deleted


def _complete(each: Input, file: Found, registry: Registry, owed: Container[int]) -> Entry | None:
    """The entry of a file that is acknowledged to its end."""
    for entry in registry.at(file.device, file.inode):
        if entry.file in owed:
            continue
        harvester = each.harvest.harvester(entry.file)
        if harvester is not None and (not each.harvest.through(harvester) or harvester.path != file.shown):
            continue
        if harvester is None and entry.open:
            continue  # another input's
        if (entry.size, entry.modified) == (file.size, file.modified) or entry.offset == file.size > 0:
            return entry
    return None


def _delete(each: Input, file: Found, entry: Entry) -> bool:
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        log.debug("%s is not deleted: %s", file.shown, error.strerror)
        return False
    try:
        status = os.fstat(descriptor)
        content = content_of(descriptor, os.pread(descriptor, 2, 0))
        if (
            not stat.S_ISREG(status.st_mode)
            or (status.st_size, status.st_mtime_ns) != (file.size, file.modified)
            or not recognition.is_same(entry, content, born(descriptor))
        ):
            os.close(descriptor)
            return False
        now = os.lstat(file.path)
        if (now.st_dev, now.st_ino, now.st_size) != (status.st_dev, status.st_ino, status.st_size):
            os.close(descriptor)
            return False
        os.unlink(file.path)  # noqa: PTH108 - as above
    except OSError as error:
        os.close(descriptor)
        if each.undeletable.get(file.path) != error.errno:
            each.undeletable[file.path] = error.errno or 0
            log.warning("%s is complete and cannot be deleted: %s", file.shown, (error.strerror or "").lower())
        return False
    log.info("%s is deleted: all of it is delivered", file.shown)
    each.deleted += 1
    harvester = each.harvest.harvester(entry.file)
    if content.packed or (harvester is not None and not harvester.closed):
        os.close(descriptor)
    else:
        each.harvest.adopt(file.path, descriptor)
        harvester = each.harvest.harvester(entry.file)
    if harvester is not None:
        # Who has it open may write to it still: it is closed when it has been quiet for as long again.
        harvester.quiet_since = time.monotonic() + each.settings.on_complete_quiet
    return True
