from __future__ import annotations

import orjson
import pytest
import trustme


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.fixture
def shipped(tmp_path):
    """The messages that are in the file of ``output.file.path: <tmp_path>/out``, in order."""

    def read():
        path = tmp_path / "out/shipper.ndjson"
        whole = path.read_bytes().split(b"\n")[:-1] if path.exists() else []  # the last line may be being written
        return [orjson.loads(line)["message"] for line in whole]

    return read


@pytest.fixture(scope="session")
def authority():
    """It issues the certificates of servers and clients."""
    return trustme.CA()
