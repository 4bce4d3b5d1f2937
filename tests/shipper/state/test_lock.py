from __future__ import annotations

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
