"""What fault tests share: faults below Python."""

from __future__ import annotations

import pytest
from shim import CannotCompileError, Shim


@pytest.fixture
def shim(tmp_path_factory):
    """A fresh one, without faults."""
    try:
        return Shim(tmp_path_factory.mktemp("shim"))
    except CannotCompileError as error:
        pytest.skip(str(error))
