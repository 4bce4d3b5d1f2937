from __future__ import annotations

import errno
import os

import pytest

from shipper.errors import StateError
from shipper.state.lock import Lock


def test_a_second_instance_is_refused_with_the_owner_named(tmp_path):
    lock = Lock(tmp_path)
    with pytest.raises(StateError, match=rf"process {os.getpid()}.*SHIPPER_HOME"):
        Lock(tmp_path)
    lock.release()
    Lock(tmp_path).release()


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"file/shipper\.lock: cannot be written"):
        Lock(tmp_path / "file")


def test_on_a_full_disk_it_locks_all_the_same(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    lock = Lock(tmp_path)
    with pytest.raises(StateError, match="in use by another shipper"):
        Lock(tmp_path)
    lock.release()
