from __future__ import annotations

import pytest

from shipper.store import Store


@pytest.fixture
def store(tmp_path):
    """A store whose partitions are full after four documents."""
    opened = Store(tmp_path / "store", partition_documents=4)
    yield opened
    opened.close()
