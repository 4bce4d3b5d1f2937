from __future__ import annotations

import os
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from harvesting import open_harvest

from shipper.state.registry import Registry


@pytest.fixture
def registry(tmp_path):
    with closing(Registry(tmp_path / "state.db", "test")) as registry:
        yield registry


@pytest.fixture
def harvest(registry, logs):
    with closing(open_harvest(registry, f"{logs}/*.log*")) as harvest:
        yield harvest


@pytest.fixture
def open_logs():
    """A folder that every user may enter; pytest's own are closed to the others."""
    with tempfile.TemporaryDirectory(prefix="logs-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
